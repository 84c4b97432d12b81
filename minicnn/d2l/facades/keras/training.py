"""``compile``, ``fit``, ``evaluate`` and ``predict``."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from minicnn.d2l.facades.keras import mistakes
from minicnn.d2l.facades.keras.arrays import Tensor, as_tensor
from minicnn.d2l.facades.keras.callbacks import CallbackList, History
from minicnn.d2l.facades.keras.gradients import GradientTape
from minicnn.d2l.facades.keras.losses import Loss, loss_of
from minicnn.d2l.facades.keras.metrics import Metric, metric_of
from minicnn.d2l.facades.keras.optimizers import Optimizer, optimizer_of
from minicnn.d2l.facades.keras.pipelines import Dataset
from minicnn.terminal import say

Logs = dict[str, float]


class Training:
    """What ``Model`` inherits: ``self`` is always one."""

    optimizer: Optimizer
    loss: Any
    name: str

    def _begin(self) -> None:
        self.stop_training = False
        self._compiled = False
        self._wanted: list[Any] = []
        self._metrics: list[Metric] = []
        self._loss_metric = Metric("loss")

    def compile(
        self,
        optimizer: Any = None,
        loss: Any = None,
        metrics: Any = None,
        **options: Any,
    ) -> None:
        """Choose how to train: an optimiser, a loss and metrics, by name or object.

        ``run_eagerly`` and ``jit_compile`` may be given: the results are the same.

        Raises:
            ValueError: no optimiser, or something unknown.
        """
        if optimizer is None:
            raise ValueError(
                "compile: optimizer is missing, and Keras' default, RMSprop, is not in minicnn; "
                "write compile(optimizer='sgd', loss=...)"
            )
        for name in ("run_eagerly", "jit_compile"):
            options.pop(name, None)
        mistakes.refuse("compile", options, "optimizer, loss, metrics")
        self.optimizer = optimizer_of(optimizer)
        self.loss = loss
        self._loss: Loss | None = None if loss is None else loss_of(loss)
        one = isinstance(metrics, str | Metric)
        self._wanted = [metrics] if one else list(metrics or ())
        self._metrics, self._compiled = [], True

    @property
    def metrics(self) -> list[Metric]:
        """The loss's mean and the metrics, once a batch has been seen."""
        return [self._loss_metric, *self._metrics]

    @property
    def metrics_names(self) -> list[str]:
        """Their names, in the order of what ``evaluate`` returns."""
        seen = self._loss_metric.count > 0
        return [metric.name for metric in self.metrics] if seen else []

    # Training -------------------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_data: Any = None,
        shuffle: bool = True,
        initial_epoch: int = 0,
        **options: Any,
    ) -> History:
        """Train on all batches, ``epochs`` times over.

        Args:
            x, y: a ``tf.data.Dataset`` of batches (x, y), or arrays; arrays are cut into batches
                of ``batch_size`` (32), in a new order each epoch unless ``shuffle=False``.
            verbose: 0 nothing, 1 (or "auto") and 2 a line an epoch.
            callbacks: objects of ``tf.keras.callbacks.Callback``.
            validation_data: batches, or (x, y): evaluated after each epoch, ``val_loss``...

        Returns:
            ``history``: a list for each name of the logs.

        Raises:
            RuntimeError: before ``compile``.
        """
        mistakes.refuse(
            "fit",
            options,
            "x, y, batch_size, epochs, verbose, callbacks, validation_data, shuffle, initial_epoch",
        )
        self._check_compiled()
        loud = _loudness(verbose)
        batches = batches_of("fit", x, y, batch_size, shuffle)
        steps = len(batches) if _has_length(batches) else None
        history = History()
        params = {"verbose": loud, "epochs": epochs, "steps": steps}
        call = CallbackList(callbacks, self, params, history)
        self.stop_training = False
        self.history = history
        logs: Logs = {}
        call("on_train_begin")
        for epoch in range(initial_epoch, epochs):
            start = time.perf_counter()
            self.reset_metrics()
            call("on_epoch_begin", epoch)
            count = self._train_on(batches, call)
            logs = self._logs()
            if validation_data is not None:
                logs |= self._validated(validation_data, batch_size, call)
            _report(loud, epoch, epochs, count, time.perf_counter() - start, logs)
            call("on_epoch_end", epoch, logs)
            if self.stop_training:
                break
        call("on_train_end", logs)
        return history

    def _train_on(self, batches: Iterable[Any], call: CallbackList) -> int:
        """An epoch; returns the number of batches."""
        number = -1
        speak = call.want(
            "on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"
        )
        with np.errstate(all="ignore"):  # an overflow shows in the loss
            for number, batch in enumerate(batches):
                if speak:
                    call("on_train_batch_begin", number)
                self.train_step(batch)
                if speak:
                    call("on_train_batch_end", number, self._logs())
                if self.stop_training:
                    break
        if number < 0:
            raise ValueError("fit: x has no batches; wanted at least one")
        return number + 1

    def train_step(self, data: Any) -> None:
        """One batch: forward, loss, gradients, update."""
        x, y = _pair("fit", data)
        with GradientTape() as tape:
            y_pred = self(x, training=True)  # type: ignore[operator]
            loss = self._loss_for(y, y_pred)
        variables = self.trainable_variables  # type: ignore[attr-defined]
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self._count(loss, y, y_pred)

    def train_on_batch(self, x: Any, y: Any) -> Any:
        """One step on one batch; returns what ``evaluate`` returns."""
        self._check_compiled()
        self.reset_metrics()
        self.train_step((as_tensor(x), as_tensor(y)))
        return self._results(return_dict=False)

    # Evaluation -----------------------------------------------------------------------------------

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        callbacks: Any = None,
        return_dict: bool = False,
        **options: Any,
    ) -> Any:
        """The loss and the metrics over all batches, as numbers: a list, or a dict by name.

        Raises:
            RuntimeError: before ``compile``.
        """
        mistakes.refuse("evaluate", options, "x, y, batch_size, verbose, callbacks, return_dict")
        self._check_compiled()
        loud, start = _loudness(verbose), time.perf_counter()
        batches = batches_of("evaluate", x, y, batch_size, shuffle=False)
        call = CallbackList(callbacks, self, {"verbose": loud})
        count = self._test_on(batches, call)
        logs = self._logs()
        if loud:
            say(_line(loud, count, time.perf_counter() - start, logs))
        return self._results(return_dict)

    def _test_on(self, batches: Iterable[Any], call: CallbackList) -> int:
        """A pass without training; returns the number of batches."""
        self.reset_metrics()
        call("on_test_begin")
        number, speak = -1, call.want("on_test_batch_begin", "on_test_batch_end")
        with np.errstate(all="ignore"):
            for number, data in enumerate(batches):
                if speak:
                    call("on_test_batch_begin", number)
                self.test_step(data)
                if speak:
                    call("on_test_batch_end", number, self._logs())
        if number < 0:
            raise ValueError("evaluate: x has no batches; wanted at least one")
        call("on_test_end", self._logs())
        return number + 1

    def test_step(self, data: Any) -> None:
        """One batch: forward, loss, metrics."""
        x, y = _pair("evaluate", data)
        y_pred = self(x, training=False)  # type: ignore[operator]
        self._count(self._loss_for(y, y_pred), y, y_pred)

    def _validated(self, data: Any, batch_size: int | None, call: CallbackList) -> Logs:
        x, y = data if isinstance(data, tuple | list) else (data, None)
        self._test_on(batches_of("validation_data", x, y, batch_size, shuffle=False), call)
        return {f"val_{name}": value for name, value in self._logs().items()}

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        callbacks: Any = None,
        **options: Any,
    ) -> np.ndarray:
        """The outputs for all of ``x``, one NumPy array."""
        mistakes.refuse("predict", options, "x, batch_size, verbose, callbacks")
        call = CallbackList(callbacks, self, {"verbose": _loudness(verbose)})
        call("on_predict_begin")
        found: list[np.ndarray] = []
        for number, data in enumerate(batches_of("predict", x, None, batch_size, shuffle=False)):
            call("on_predict_batch_begin", number)
            found.append(self.predict_on_batch(data[0] if isinstance(data, tuple) else data))
            call("on_predict_batch_end", number, {"outputs": found[-1]})
        if not found:
            raise ValueError("predict: x has no batches; wanted at least one")
        call("on_predict_end")
        return np.concatenate(found)

    def predict_on_batch(self, x: Any) -> np.ndarray:
        """The outputs for one batch."""
        return np.asarray(self(as_tensor(x), training=False).numpy())  # type: ignore[operator]

    # Counting -------------------------------------------------------------------------------------

    def _loss_for(self, y: Any, y_pred: Tensor) -> Tensor:
        if self._loss is None:
            raise ValueError("No loss to compute; write compile(optimizer, loss=...)")
        return self._loss(y, y_pred)

    def _count(self, loss: Tensor, y: Tensor, y_pred: Tensor) -> None:
        if len(self._metrics) < len(self._wanted):
            self._metrics = [metric_of(wanted, y, y_pred) for wanted in self._wanted]
        n = len(y_pred._held)
        self._loss_metric.add(loss._held.data.astype("float64") * n, n)
        for metric in self._metrics:
            metric.update_state(y, y_pred)

    def reset_metrics(self) -> None:
        """Begin the means again."""
        for metric in self.metrics:
            metric.reset_state()

    def _logs(self) -> Logs:
        return {metric.name: metric.value() for metric in self.metrics}

    def _results(self, return_dict: bool) -> Any:
        logs = self._logs()
        if return_dict:
            return logs
        values = list(logs.values())
        return values if len(values) > 1 else values[0]

    def _check_compiled(self) -> None:
        if not self._compiled:
            raise RuntimeError(mistakes.NOT_COMPILED)


def batches_of(caller: str, x: Any, y: Any, batch_size: int | None, shuffle: bool) -> Any:
    """Batches: a data set's, or arrays cut into them.

    Raises:
        ValueError: a data set with ``y`` or ``batch_size``, or arrays of different lengths.
        TypeError: neither.
    """
    if isinstance(x, Dataset) or (
        hasattr(x, "__iter__") and not hasattr(x, "shape") and not isinstance(x, list | tuple)
    ):
        for name, value in (("y", y), ("batch_size", batch_size)):
            if value is not None:
                raise ValueError(
                    f"{caller}: `{name}` must not be given with a dataset as x, which has "
                    "batches (x, y)"
                )
        return x
    if x is None:
        raise TypeError(f"{caller}: x is None; wanted a tf.data.Dataset of batches, or arrays")
    arrays = as_tensor(x) if y is None else (as_tensor(x), as_tensor(y))
    rows = Dataset.from_tensor_slices(arrays)
    if shuffle and len(rows):
        rows = rows.shuffle(len(rows))
    return rows.batch(32 if batch_size is None else batch_size)


def _pair(caller: str, data: Any) -> tuple[Any, Any]:
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise ValueError(f"{caller}: wanted batches (x, y), received {type(data).__name__}")
    x, y = data
    return (x if isinstance(x, Tensor) else as_tensor(x)), as_tensor(y)


def _has_length(batches: Any) -> bool:
    try:
        len(batches)
    except TypeError:
        return False
    return True


def _loudness(verbose: Any) -> int:
    """0, 1 or 2.

    Raises:
        ValueError: anything else.
    """
    if verbose == "auto":
        return 1
    if verbose not in (0, 1, 2):
        raise ValueError(f"verbose is {verbose!r}; wanted 0, 1, 2 or 'auto'")
    return int(verbose)


def _report(loud: int, epoch: int, epochs: int, count: int, seconds: float, logs: Logs) -> None:
    if loud:
        say(f"Epoch {epoch + 1}/{epochs}")
        say(_line(loud, count, seconds, logs))


def _line(loud: int, count: int, seconds: float, logs: Logs) -> str:
    """What Keras has printed when a pass over the batches ends."""
    numbers = "".join(
        f" - {name}: {value:.4f}" if abs(value) > 1e-3 else f" - {name}: {value:.4e}"
        for name, value in logs.items()
    )
    step = f"{_time(seconds / count)}/step"
    if loud == 1:
        return f"{count}/{count} [{'=' * 30}] - {seconds:.0f}s {step}{numbers}"
    return f"{count}/{count} - {seconds:.0f}s{numbers} - {_time(seconds)}/epoch - {step}"


def _time(seconds: float) -> str:
    return f"{seconds:.0f}s" if seconds >= 1 else f"{seconds * 1000:.0f}ms"
