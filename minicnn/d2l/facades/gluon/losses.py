"""mxnet.gluon.loss: a loss for each example; ``backward`` of the vector adds them up."""

from __future__ import annotations

from typing import Any

from minicnn.nn import functional as F
from minicnn.tensor import Tensor

from . import autograd
from .arrays import Array
from .blocks import Block
from .context import MXNetError


class Loss(Block):
    """What losses share.

    Args:
        weight: every loss is multiplied by it.
        batch_axis: the examples' axis, 0; a loss is the mean over all others.

    Raises:
        ValueError: another ``batch_axis``.
    """

    __module__ = "mxnet.gluon.loss"

    def __init__(self, weight: float | None, batch_axis: int, **options: Any):
        super().__init__(**options)
        if batch_axis != 0:
            raise ValueError(f"{type(self).__name__}: batch_axis is {batch_axis}; wanted 0")
        self._weight = weight

    def __call__(self, pred: Array, label: Array, sample_weight: Array | None = None) -> Array:
        """Losses (N,). ``sample_weight``: (N, 1), each example's factor."""
        for name, value in (("pred", pred), ("label", label)):
            if not isinstance(value, Array):
                raise TypeError(f"{self.name}: {name} is {type(value).__name__}; wanted an array")
        if label.tensor.device != pred.tensor.device:
            raise MXNetError(
                f"{self.name}: pred is on {pred.context}, label on {label.context}; write "
                f"label.as_in_context({pred.context})"
            )
        with autograd.as_recorded():
            losses = self.losses(pred.tensor, label.tensor)
            if sample_weight is not None:
                losses = losses * sample_weight.tensor.reshape(losses.shape)
            return pred._of(losses if self._weight in (None, 1) else losses * self._weight)

    def losses(self, pred: Tensor, label: Tensor) -> Tensor:
        """A loss for each example: (N,)."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}(batch_axis=0, w={self._weight})"


class SoftmaxCrossEntropyLoss(Loss):
    """-log softmax(pred)[label], for each example.

    pred: scores (N, C); label: (N,) or (N, 1), classes as integers or as floating-point numbers.

    Args:
        sparse_label: otherwise ``label`` holds probabilities, (N, C).
        from_logits: ``pred`` holds log-probabilities already.

    Raises:
        ValueError: another ``axis`` than the last.
        IndexError: a label that is no class. (MXNet takes the nearest class, without a word.)
    """

    def __init__(
        self,
        axis: int = -1,
        sparse_label: bool = True,
        from_logits: bool = False,
        weight: float | None = None,
        batch_axis: int = 0,
        **options: Any,
    ):
        super().__init__(weight, batch_axis, **options)
        if axis not in (-1, 1):
            raise ValueError(f"{type(self).__name__}: axis is {axis}; wanted -1, the classes last")
        self._sparse_label, self._from_logits = sparse_label, from_logits

    def losses(self, pred: Tensor, label: Tensor) -> Tensor:
        if pred.ndim != 2:
            exchanged = pred.ndim == 1 and label.ndim == 2
            cure = "; they are exchanged: write loss(net(X), y)" if exchanged else ""
            raise MXNetError(f"{self.name}: pred has shape {pred.shape}; wanted (N, classes){cure}")
        if self._sparse_label:
            return self._of_classes(pred, label)
        log_p = pred if self._from_logits else F.log_softmax(pred, 1)
        return -(log_p * label.reshape(pred.shape)).sum(1)

    def _of_classes(self, pred: Tensor, label: Tensor) -> Tensor:
        if label.size != len(pred):
            cure = (
                "; for one-hot rows write sparse_label=False" if label.shape == pred.shape else ""
            )
            raise MXNetError(
                f"{self.name}: label has shape {label.shape}; wanted {pred.shape[:1]}{cure}"
            )
        classes = label.detach().reshape(-1).to("int64")
        function = F.nll_loss if self._from_logits else F.cross_entropy
        return function(pred, classes, reduction="none")


class L2Loss(Loss):
    """(pred - label)² / 2, for each example the mean over its other axes.

    label: as many cells as pred.
    """

    def __init__(self, weight: float | None = 1.0, batch_axis: int = 0, **options: Any):
        super().__init__(weight, batch_axis, **options)

    def losses(self, pred: Tensor, label: Tensor) -> Tensor:
        rest = label.reshape(pred.shape) - pred
        squares = rest * rest * 0.5
        return squares if squares.ndim == 1 else squares.reshape(len(squares), -1).mean(1)


NAMES: dict[str, Any] = {
    "Loss": Loss,
    "SoftmaxCrossEntropyLoss": SoftmaxCrossEntropyLoss,
    "SoftmaxCELoss": SoftmaxCrossEntropyLoss,
    "L2Loss": L2Loss,
}
