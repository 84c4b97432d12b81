"""Batch normalisation in a compiled step on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.kernels.arrays import NONE
from minicnn.kernels.tiles import norm as tiles
from minicnn.nn.functional.norm import move_running

from ..lowering import check_batch_statistics, norm_layer_of
from ..table import shapes
from .plan import Buffer, CpuLowering, Plan


class BatchNorm(CpuLowering):
    """See ``ops.norm``. All groups wait until the batch's statistics are known.

    Its numbers among the constants, C of each: mean, 1 / s, gamma, beta, mean(dz), mean(dz z).

    Attributes:
        after: the activation that it computes as well, both ways: RELU, or NONE.
    """

    depends_on_x = True  # mean and variance do
    after = NONE

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        # nothing overwrites x: backward computes z from it again
        self.x, self.layer = x, norm_layer_of(self.stage)
        c, h, w = x.shape
        self.channels, self.values = c, h * w
        self.numbers = plan.constant(np.zeros(6 * c))
        self.places = [plan.parameter(p) for p in self.stage.parameters]
        self.batch_statistics(plan, x)
        y = plan.buffer(x.shape, by_tile=True)
        op = tiles.Normalise(x, y, self.numbers, c, self.values, self.after)
        name = "normalise" if self.after == NONE else "normalise, relu"
        plan.emit(op, name, shapes(x.shape))
        return y

    def batch_statistics(self, plan: Plan, x: Buffer) -> None:
        """Emit what finds mean and variance of the batch."""
        # C places each: k, the sums of x - k and of (x - k)², the number of summands
        self.sums, plan.sums = plan.sums, plan.sums + 4 * self.channels
        op = tiles.Moments(x, self.sums, self.channels, self.values)
        plan.emit(op, "moments", shapes(x.shape), 3 * x.cells)
        plan.wait(self.set_statistics)

    def set_statistics(self, step: Any) -> None:
        """Between the parts: mean and variance from the sums; move the running statistics."""
        layer, count = self.layer, step.images * self.values
        check_batch_statistics(count)
        if count == 0:  # nothing to normalise, and no statistics: any will do
            ones = np.ones(self.channels)
            self._set(step, ones, ones, self.operation.eps)
        else:
            self._move(step, *self._moments(step), count)
        layer.count_batch()

    def _move(self, step: Any, mean: np.ndarray, var: np.ndarray, count: int) -> None:
        layer, dtype, momentum = self.layer, step.plan.dtype, self.layer.next_momentum()
        self._set(step, mean, var, self.operation.eps)
        if momentum and layer.running_mean is not None and layer.running_var is not None:
            as_dtype = mean.astype(dtype), var.astype(dtype)
            move_running(layer.running_mean, layer.running_var, *as_dtype, count, momentum)

    def _moments(self, step: Any) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the batch from those of each share's images.

        With the shares' parts w, means m and variances v (Chan, Golub and LeVeque, 1979):
        mean = sum w m, var = sum w (v + (m - mean)²).
        """
        # each (shares, C); every share has at least one image, so no count is 0
        near, sums, squares, counts = step.sums_of_shares(self.sums, 4, self.channels)
        shifted = sums / counts
        means, variances = near + shifted, squares / counts - shifted * shifted
        parts = counts / counts.sum(axis=0)
        # counted from the first share's: a sum of parts of large numbers would round
        mean = means[0] + (parts * (means - means[0])).sum(axis=0)
        return mean, (parts * (variances + (means - mean) ** 2)).sum(axis=0)

    def _set(self, step: Any, mean: np.ndarray, var: np.ndarray, eps: float) -> None:
        gamma: Any = 1
        beta: Any = 0
        if self.stage.parameters:
            gamma, beta = (p.data for p in self.stage.parameters)
        numbers = step.constants_at(self.numbers, 6 * self.channels).reshape(6, self.channels)
        numbers[0], numbers[1], numbers[2], numbers[3] = mean, 1 / np.sqrt(var + eps), gamma, beta
        # mean(dz) and mean(dz z) come on the way back; with running statistics they stay 0
        numbers[4:] = 0

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        self.dsums, plan.sums = plan.sums, plan.sums + 2 * self.channels
        sizes = self.channels, self.values, self.after
        sums = tiles.NormaliseMoments(dy, self.x, self.dsums, self.numbers, *sizes)
        plan.emit(sums, "norm. dweight", shapes(dy.shape, (self.channels,)), 4 * dy.cells)
        plan.wait(self.set_gradients)
        if not self.needs_dinput:
            return None
        dx = plan.over(dy)
        op = tiles.NormaliseBackward(dy, dx, self.x, self.numbers, *sizes)
        plan.emit(op, "norm. dinput", shapes(dy.shape), 6 * dy.cells)
        return dx

    def set_gradients(self, step: Any) -> None:
        """Between the parts: dgamma and dbeta, and the means that dx takes away."""
        dbeta, dgamma = step.sums_of_shares(self.dsums, 2, self.channels).sum(axis=1)
        numbers = step.constants_at(self.numbers, 6 * self.channels).reshape(6, self.channels)
        gamma, count = numbers[2], step.images * self.values
        # dz = gamma dy: the means of dz and dz z are those of dy and dy z, times gamma
        if self.depends_on_x and count:
            numbers[4], numbers[5] = gamma * dbeta / count, gamma * dgamma / count
        # a layer without gamma and beta has no places
        for place, gradient in zip(self.places, (dgamma, dbeta), strict=False):
            step.add_gradient(place, gradient)


class FixedBatchNorm(BatchNorm):
    """With running statistics, which are looked up at the beginning of each step."""

    depends_on_x = False

    def batch_statistics(self, plan: Plan, x: Buffer) -> None:
        def look_up(step: Any) -> None:
            mean, var = self.layer.running_mean, self.layer.running_var
            assert mean is not None
            assert var is not None
            self._set(step, mean.data, var.data, self.operation.eps)

        # not now: they may be loaded or exchanged between two steps
        plan.before.append(look_up)
