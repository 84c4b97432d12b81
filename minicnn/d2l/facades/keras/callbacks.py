"""Keras' callbacks: what ``fit``, ``evaluate`` and ``predict`` call between batches and epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.terminal import say


class Callback:
    """Functions to overwrite. ``self.model`` is the net, ``self.params`` has epochs, steps..."""

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def set_params(self, params: dict[str, Any]) -> None:
        """Called first."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called second."""
        self.model = model

    def on_train_begin(self, logs: Any = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Any = None) -> None:
        """After the last."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """``epoch`` counts from 0."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """``logs``: the means of the epoch, with ``val_`` those of the validation data."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a batch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """``logs``: the means of the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """The older name of ``on_train_batch_begin``."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """The older name of ``on_train_batch_end``."""

    def on_test_begin(self, logs: Any = None) -> None:
        """Before ``evaluate``, and before the validation after an epoch of ``fit``."""

    def on_test_end(self, logs: Any = None) -> None:
        """After it. ``logs``: the means."""

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a batch of an evaluation or validation."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """``logs``: the means so far."""

    def on_predict_begin(self, logs: Any = None) -> None:
        """Before ``predict``."""

    def on_predict_end(self, logs: Any = None) -> None:
        """After ``predict``."""

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Before a batch of ``predict``."""

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """``logs``: ``{"outputs": ...}``, an array."""


class History(Callback):
    """What ``fit`` returns: ``history`` has a list for each name in the logs, ``epoch`` counts."""

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class LambdaCallback(Callback):
    """A callback of functions: ``LambdaCallback(on_epoch_end=lambda epoch, logs: ...)``."""

    def __init__(self, **functions: Callable[..., Any]):
        super().__init__()
        for name, function in functions.items():
            if not hasattr(Callback, name):
                raise TypeError(f"LambdaCallback: there is no {name}")
            if function is not None:
                setattr(self, name, function)


class LearningRateScheduler(Callback):
    """``schedule(epoch, lr)`` gives the learning rate of each epoch."""

    def __init__(self, schedule: Callable[..., float], verbose: int = 0):
        super().__init__()
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        rate = float(self.model.optimizer.learning_rate)
        try:
            rate = self.schedule(epoch, rate)
        except TypeError:  # a schedule of the epoch alone
            rate = self.schedule(epoch)
        self.model.optimizer.learning_rate = rate
        if self.verbose:
            say(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")


class EarlyStopping(Callback):
    """Stop where ``monitor`` has not become better for ``patience`` epochs."""

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        mode: str = "auto",
        restore_best_weights: bool = False,
    ):
        super().__init__()
        self.monitor, self.patience = monitor, patience
        upwards = mode == "max" or (mode == "auto" and monitor.endswith(("acc", "accuracy")))
        self._sign = 1.0 if upwards else -1.0
        self._delta, self._restores = abs(min_delta), restore_best_weights

    def on_train_begin(self, logs: Any = None) -> None:
        self._best, self._waited = -np.inf, 0
        self._weights: Any = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.monitor not in (logs or {}):
            raise ValueError(
                f"EarlyStopping: monitor is {self.monitor!r}; the logs have {', '.join(logs or {})}"
            )
        score = self._sign * logs[self.monitor]
        if score - self._delta > self._best:
            self._best, self._waited = score, 0
            self._weights = self.model.get_weights() if self._restores else None
            return
        self._waited += 1
        if self._waited >= self.patience:
            self.model.stop_training = True
            if self._weights is not None:
                self.model.set_weights(self._weights)


class CallbackList:
    """Calls each callback in turn."""

    def __init__(self, callbacks: Any, model: Any, params: dict[str, Any], *others: Callback):
        one = callbacks is not None and not isinstance(callbacks, list | tuple)
        self.callbacks = [*([callbacks] if one else callbacks or ()), *others]
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                kind = callback.__name__ if isinstance(callback, type) else type(callback).__name__
                hint = f": write {kind}(...)" if isinstance(callback, type) else ""
                raise TypeError(
                    f"callbacks: wanted objects of tf.keras.callbacks.Callback, received {kind}"
                    f"{hint}"
                )
            callback.set_params(params)
            callback.set_model(model)

    def __call__(self, name: str, *values: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, name)(*values)

    def want(self, *names: str) -> bool:
        """Whether any overwrites one of these: only then are the logs of a batch read."""
        return any(
            getattr(getattr(c, name), "__func__", None) is not getattr(Callback, name)
            for c in self.callbacks
            for name in names
        )
