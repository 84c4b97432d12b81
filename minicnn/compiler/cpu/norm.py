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

    Its numbers among the constants, C of each: mean, 1 / s, gamma, beta, mean(dz), mean(dz z),
    var.

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
        self.numbers = plan.constant(np.zeros(7 * c))
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
        sums, plan.sums = plan.sums, plan.sums + 4 * self.channels
        op = tiles.Moments(x, sums, self.channels, self.values)
        plan.emit(op, "moments", shapes(x.shape), 3 * x.cells)
        gamma, beta = self.places or map(plan.constant, self._ones_and_zeros())
        eps = plan.constant([self.operation.eps])
        once = tiles.Statistics(sums, self.numbers, gamma, beta, eps, self.channels)
        plan.wait(once, "statistics", shapes((self.channels,)))
        plan.before.append(self._check)
        plan.after.append(self._move)

    def _ones_and_zeros(self) -> tuple[np.ndarray, np.ndarray]:
        """gamma and beta of a layer that has none."""
        return np.ones(self.channels), np.zeros(self.channels)

    def _check(self, step: Any) -> None:
        check_batch_statistics(step.images * self.values)

    def _move(self, step: Any) -> None:
        """Move the running statistics towards the batch's."""
        layer, count = self.layer, step.images * self.values
        momentum = layer.next_momentum() if count else 0
        if momentum and layer.running_mean is not None and layer.running_var is not None:
            mean, *_, var = step.constants_at(self.numbers, 7 * self.channels).reshape(7, -1)
            move_running(layer.running_mean, layer.running_var, mean, var, count, momentum)
        layer.count_batch()

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        sizes = self.channels, self.values, self.after
        if self.depends_on_x or any(self.learns):
            sums, plan.sums = plan.sums, plan.sums + 2 * self.channels
            op = tiles.NormaliseMoments(dy, self.x, sums, self.numbers, *sizes)
            plan.emit(op, "norm. dweight", shapes(dy.shape, (self.channels,)), 4 * dy.cells)
            self._gradients(plan, sums)
        if not self.needs_dinput:
            return None
        dx = plan.over(dy)
        dinput = tiles.NormaliseBackward(dy, dx, self.x, self.numbers, *sizes)
        plan.emit(dinput, "norm. dinput", shapes(dy.shape), 6 * dy.cells)
        return dx

    def _gradients(self, plan: Plan, sums: int) -> None:
        """Emit what makes them of the batch's sums; dx waits for them if x moves the mean."""
        dgamma, dbeta = self.places or (0, 0)
        cells, name = self.values if self.depends_on_x else 0, "norm. dweight"
        sizes = int(bool(self.places)), self.channels, cells
        op = tiles.NormaliseGradients(sums, self.numbers, dgamma, dbeta, *sizes)
        # those of a gamma or beta that several layers share are added one after the other
        known = plan.shared.setdefault("gradients of norms", set())
        is_new = known.isdisjoint(self.places)
        known.update(self.places)
        if self.depends_on_x or not is_new:
            plan.wait(op, name, f"{shapes((self.channels,))}, all")
        else:
            plan.emit_once(plan.epilogue, op, name, f"{shapes((self.channels,))}, all")


class FixedBatchNorm(BatchNorm):
    """With running statistics, which are looked up at the beginning of each step."""

    depends_on_x = False

    def batch_statistics(self, plan: Plan, x: Buffer) -> None:
        # not now: they may be loaded or exchanged between two steps
        plan.before.append(self._look_up)

    def _look_up(self, step: Any) -> None:
        mean, var = self.layer.running_mean, self.layer.running_var
        assert mean is not None
        assert var is not None
        numbers = step.constants_at(self.numbers, 7 * self.channels).reshape(7, self.channels)
        numbers[0], numbers[1] = mean.data, 1 / np.sqrt(var.data + self.operation.eps)
        parameters = [p.data for p in self.stage.parameters]
        numbers[2], numbers[3] = parameters or self._ones_and_zeros()
