"""Losses as layers."""

from __future__ import annotations

from minicnn.checks import check_integer
from minicnn.nn import arguments
from minicnn.nn import functional as F
from minicnn.nn.module import Module
from minicnn.tensor import Tensor


class CrossEntropyLoss(Module):
    """Softmax cross-entropy of logits: see ``F.cross_entropy``."""

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__()
        arguments.check_loss_settings("CrossEntropyLoss", reduction, label_smoothing)
        check_integer("CrossEntropyLoss: ignore_index", ignore_index)
        self.weight = None
        if weight is not None:
            self.register_buffer("weight", weight)
        self.ignore_index, self.reduction = ignore_index, reduction
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class NLLLoss(Module):
    """Negative log-likelihood of log-probabilities: see ``F.nll_loss``."""

    weight: Tensor | None

    def __init__(
        self, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
    ):
        super().__init__()
        arguments.check_loss_settings("NLLLoss", reduction)
        check_integer("NLLLoss: ignore_index", ignore_index)
        self.weight = None
        if weight is not None:
            self.register_buffer("weight", weight)
        self.ignore_index, self.reduction = ignore_index, reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)
