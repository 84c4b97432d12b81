"""The losses of ``torch.nn``: each holds a loss of the engine, or calls ``functional``'s."""

from __future__ import annotations

from typing import Any

from minicnn import nn

from ..arrays import plain
from . import functional
from .mistakes import made, refuse
from .module import Module
from .tensor import Tensor, engine_tensor


class _Loss(Module):
    """A loss of target classes; the engine's checks its arguments."""

    __module__ = "torch.nn.modules.loss"

    function: Any
    settings: tuple[str, ...] = ("ignore_index", "reduction")

    def __init__(self, weight: Tensor | None):
        super().__init__()
        self.register_buffer("weight", weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of scores (N, C, ...) for the target classes."""
        kind = type(self).__name__
        x, y = engine_tensor(kind, "input", input), engine_tensor(kind, "target", target)
        functional.check_order(kind, x, y)
        settings = {name: getattr(self, name) for name in self.settings}
        return self.function(input, target, self.weight, **settings)


class CrossEntropyLoss(_Loss):
    """Softmax cross-entropy of logits, as one operation; the mean over the batch by default."""

    __module__ = "torch.nn.modules.loss"
    function = staticmethod(functional.cross_entropy)
    settings = ("ignore_index", "reduction", "label_smoothing")

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: None = None,
        ignore_index: int = -100,
        reduce: None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        refuse("CrossEntropyLoss", size_average=(size_average, None), reduce=(reduce, None))
        how = (ignore_index, reduction, label_smoothing)
        made(nn.CrossEntropyLoss, plain(weight), *how)
        super().__init__(weight)
        self.ignore_index, self.reduction, self.label_smoothing = how


class NLLLoss(_Loss):
    """Negative log-likelihood of log-probabilities; the mean over the batch by default."""

    __module__ = "torch.nn.modules.loss"
    function = staticmethod(functional.nll_loss)

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: None = None,
        ignore_index: int = -100,
        reduce: None = None,
        reduction: str = "mean",
    ):
        refuse("NLLLoss", size_average=(size_average, None), reduce=(reduce, None))
        made(nn.NLLLoss, plain(weight), ignore_index, reduction)
        super().__init__(weight)
        self.ignore_index, self.reduction = ignore_index, reduction


class MSELoss(Module):
    """The mean of (input - target)² over all cells."""

    __module__ = "torch.nn.modules.loss"
    function: Any = staticmethod(functional.mse_loss)

    def __init__(self, size_average: None = None, reduce: None = None, reduction: str = "mean"):
        super().__init__()
        kind = type(self).__name__
        refuse(kind, size_average=(size_average, None), reduce=(reduce, None))
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return self.function(input, target, reduction=self.reduction)


class L1Loss(MSELoss):
    """The mean of |input - target| over all cells."""

    __module__ = "torch.nn.modules.loss"
    function = staticmethod(functional.l1_loss)
