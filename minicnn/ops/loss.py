"""Losses of class indices: softmax cross-entropy and negative log-likelihood.

Rows m = 1..M hold the scores of one sample (or pixel) each, columns the C classes. A row counts
with a weight w[m]; a row to be ignored has target -1 and counts nothing.
"""

from __future__ import annotations

import numpy as np

from minicnn import kernels
from minicnn.kernels import Array, array_module

from .operation import Operation


class RowLoss(Operation):
    """Weighs and reduces the losses of the rows.

    'mean': sum_m w[m] loss[m] / sum_m w[m]; 'sum': the numerator alone; 'none': w[m] loss[m].
    ``weight``: (M,) or None for ones (0 where the row is ignored).
    """

    reads = ((1,),)

    def __init__(self, weight: Array | None, reduction: str):
        self.weight, self.reduction = weight, reduction

    def reduce(self, losses: Array, target: Array) -> Array:
        if self.weight is None:
            self.weight = (target >= 0).astype(losses.dtype)
        if self.reduction == "none":
            self.divisor = losses.dtype.type(1)
            return losses * self.weight
        with np.errstate(invalid="ignore"):  # the mean of no rows: 0 / 0, nan without a warning
            is_mean = self.reduction == "mean"
            loss, self.divisor = kernels.of(losses).reduce_losses(losses, self.weight, is_mean)
        return loss

    def row_gradients(self, dy: Array) -> Array:
        """The gradient with respect to each row's loss: (M,)."""
        with np.errstate(invalid="ignore"):
            return dy * self.weight / self.divisor


class IgnoreRows(Operation):
    """y[m] = x[m], or zeros where ``target[m]`` is -1;  dx[m] = dy[m], or zeros.

    So nothing of an ignored row reaches a sum, not even an infinity or a NaN (times 0 it is NaN).
    """

    reads = ()

    def __init__(self, target: Array):
        self.counts = (target >= 0)[:, None]

    def forward(self, x: Array) -> Array:
        return array_module(x).where(self.counts, x, x.dtype.type(0))

    def backward(self, dy: Array) -> Array:
        return array_module(dy).where(self.counts, dy, dy.dtype.type(0))


class SoftmaxCrossEntropy(RowLoss):
    """loss[m] = -log p[m, t] with p = softmax(x[m]), t = target[m];  dx = dy (p - onehot(t)).

    -log p_t = log(sum_c exp x_c) - x_t, and the derivative of log(sum exp) is the softmax: nothing
    is divided by p, so nothing can overflow. Logits of 1e4 give a loss of 1e4.

    logits: (M, C), target: (M,) integers; the loss: a scalar, or (M,) for reduction 'none'.
    """

    gives_new_arrays = True

    def forward(self, logits: Array, target: Array) -> Array:
        self.target = target
        losses, self.p = kernels.of(logits).softmax_cross_entropy(logits, target)
        return self.reduce(losses, target)

    def backward(self, dy: Array) -> tuple[Array, None]:
        dlosses = self.row_gradients(dy)
        backward = kernels.of(self.p).softmax_cross_entropy_backward
        return backward(self.p, self.target, dlosses), None


class NegativeLogLikelihood(RowLoss):
    """loss[m] = -x[m, target[m]], x holding log-probabilities;  dx = -dy onehot(target).

    x: (M, C), target: (M,) integers; the loss: a scalar, or (M,) for reduction 'none'.
    """

    def forward(self, x: Array, target: Array) -> Array:
        xp = array_module(x)
        self.target, self.x_shape = target, x.shape
        picked = x[xp.arange(len(x)), target]
        return self.reduce(xp.where(target >= 0, -picked, 0), target)

    def backward(self, dy: Array) -> tuple[Array, None]:
        xp = array_module(dy)
        dx = xp.zeros(self.x_shape, dtype=dy.dtype)
        dx[xp.arange(len(dx)), self.target] = -self.row_gradients(dy)
        return xp.where(self.target[:, None] < 0, dx.dtype.type(0), dx), None
