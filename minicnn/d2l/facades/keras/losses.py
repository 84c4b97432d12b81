"""Keras' losses: of (y_true, y_pred), the mean over the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minicnn.d2l.facades.keras import functions
from minicnn.d2l.facades.keras.arrays import Tensor, as_tensor, on_one_device
from minicnn.d2l.facades.keras.naming import snake
from minicnn.d2l.facades.keras.taping import recorded_or_not
from minicnn.nn import functional as F
from minicnn.tensor import Tensor as EngineTensor

EPSILON = 1e-7  # between which and 1 - EPSILON Keras cuts probabilities


class Reduction:
    """``tf.keras.losses.Reduction``: what becomes of the samples' losses."""

    AUTO, NONE, SUM, SUM_OVER_BATCH_SIZE = "auto", "none", "sum", "sum_over_batch_size"


_REDUCTIONS = {"auto": "mean", "sum_over_batch_size": "mean", "sum": "sum", "none": "none"}


class Loss:
    """A loss, called with (y_true, y_pred). A class of your own writes ``call``."""

    def __init__(self, reduction: str = "auto", name: str | None = None):
        if reduction not in _REDUCTIONS:
            raise ValueError(
                f"{type(self).__name__}: reduction is {reduction!r}; wanted "
                + ", ".join(_REDUCTIONS)
            )
        self.reduction, self.name = reduction, name or snake(type(self).__name__)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        if sample_weight is not None:
            raise TypeError("sample_weight: minicnn's losses have none; write reduction='none'")
        with recorded_or_not():
            return self._reduced(as_tensor(y_true), as_tensor(y_pred), _REDUCTIONS[self.reduction])

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """A loss for each sample."""
        return self._reduced(y_true, y_pred, "none")

    def _reduced(self, y_true: Tensor, y_pred: Tensor, reduction: str) -> Tensor:
        losses = self.call(y_true, y_pred)
        if reduction == "none":
            return losses
        reduce = functions.reduce_mean if reduction == "mean" else functions.reduce_sum
        return reduce(losses)


class SparseCategoricalCrossentropy(Loss):
    """-log p of the class whose number is y_true.

    y_pred: probabilities, or with ``from_logits`` scores: (N, classes); y_true: (N,) or (N, 1).
    """

    def __init__(self, from_logits: bool = False, reduction: str = "auto", name: str | None = None):
        super().__init__(reduction, name)
        self.from_logits = from_logits

    def _reduced(self, y_true: Tensor, y_pred: Tensor, reduction: str) -> Tensor:
        labels = class_numbers(y_true, y_pred)
        logits = y_pred.tensor if self.from_logits else _log_of(y_pred.tensor)
        if logits.ndim > 2:
            logits, labels = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
        x, y = on_one_device(logits, labels)
        loss = F.cross_entropy(x, y, reduction=reduction)
        return Tensor(loss if reduction != "none" else loss.reshape(y_pred.shape[:-1]))


class CategoricalCrossentropy(Loss):
    """-sum y_true log p, for rows y_true of 0 and 1, or of probabilities."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        reduction: str = "auto",
        name: str | None = None,
    ):
        super().__init__(reduction, name)
        self.from_logits, self.label_smoothing = from_logits, label_smoothing

    def _reduced(self, y_true: Tensor, y_pred: Tensor, reduction: str) -> Tensor:
        if y_true.shape != y_pred.shape:
            raise ValueError(
                f"Shapes {y_true.shape} and {y_pred.shape} are incompatible; for class numbers "
                "use tf.keras.losses.SparseCategoricalCrossentropy"
            )
        p = y_pred.tensor
        if not self.from_logits:
            p = _log_of(p / p.sum(-1, keepdims=True))
        x, y = on_one_device(p, y_true.tensor.to(y_pred.tensor.dtype))
        smoothing = self.label_smoothing
        y = y * (1 - smoothing) + smoothing / y.shape[-1]
        log_p = F.log_softmax(x, -1) if self.from_logits else x
        losses = -(log_p * y).sum(-1)
        return Tensor({"mean": losses.mean, "sum": losses.sum}.get(reduction, lambda: losses)())


class MeanSquaredError(Loss):
    """The mean of the squares over the last axis."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        difference = y_pred - functions.cast(y_true, y_pred.dtype)
        return functions.reduce_mean(difference * difference, axis=-1)


class MeanAbsoluteError(Loss):
    """The mean of the distances over the last axis."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return functions.reduce_mean(abs(y_pred - functions.cast(y_true, y_pred.dtype)), axis=-1)


class _OfFunction(Loss):
    """A function of (y_true, y_pred) as a loss: its mean."""

    def __init__(self, function: Callable[..., Any]):
        super().__init__()
        self.call = function  # type: ignore[method-assign]


def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False) -> Tensor:
    """A loss for each sample: see ``SparseCategoricalCrossentropy``."""
    return SparseCategoricalCrossentropy(from_logits, "none")(y_true, y_pred)


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0
) -> Tensor:
    """A loss for each sample: see ``CategoricalCrossentropy``."""
    return CategoricalCrossentropy(from_logits, label_smoothing, "none")(y_true, y_pred)


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """A loss for each sample: see ``MeanSquaredError``."""
    return MeanSquaredError("none")(y_true, y_pred)


def class_numbers(y_true: Tensor, y_pred: Tensor) -> EngineTensor:
    """y_true as class numbers of y_pred's samples; (N, 1) becomes (N,).

    Raises:
        ValueError: another shape, as of one-hot rows.
    """
    labels = y_true.tensor
    wanted = y_pred.shape[:-1]
    if tuple(labels.shape) == (*wanted, 1):
        labels = labels.reshape(wanted)
    if tuple(labels.shape) != tuple(wanted):
        cure = ""
        if y_true.shape == y_pred.shape:
            cure = (
                "; for one-hot rows use tf.keras.losses.CategoricalCrossentropy, or "
                "tf.argmax(y, axis=1)"
            )
        elif len(y_pred.shape) == 1:
            cure = "; they are exchanged: write loss(y, net(X)), the labels first"
        raise ValueError(
            "sparse labels are class numbers: y_true has shape "
            f"{y_true.shape}, y_pred {y_pred.shape}; wanted {wanted}{cure}"
        )
    return labels if labels.dtype.kind in "iu" else labels.to("int64")


def _log_of(p: EngineTensor) -> EngineTensor:
    """log of probabilities, cut to EPSILON and 1 - EPSILON; where they are cut, 0 flows back."""
    inside = EngineTensor((p.data >= EPSILON) & (p.data <= 1 - EPSILON)).to(p.dtype)
    cut = EngineTensor(p.data.clip(EPSILON, 1 - EPSILON))
    return (p * inside + cut * (1 - inside)).log()


LOSSES: dict[str, type[Loss]] = {
    "categorical_crossentropy": CategoricalCrossentropy,
    "mae": MeanAbsoluteError,
    "mean_absolute_error": MeanAbsoluteError,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
}


def loss_of(identifier: Any) -> Loss:
    """A loss by name, class, object or function.

    Raises:
        ValueError: an unknown name.
    """
    if isinstance(identifier, str):
        if identifier not in LOSSES:
            raise ValueError(f"Unknown loss: {identifier!r}; wanted {', '.join(LOSSES)}")
        return LOSSES[identifier]()
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        raise ValueError(f"loss is the class {identifier.__name__}; write {identifier.__name__}()")
    if callable(identifier):
        return _OfFunction(identifier)
    raise ValueError(f"loss is {identifier!r}; wanted a name, or an object of tf.keras.losses")
