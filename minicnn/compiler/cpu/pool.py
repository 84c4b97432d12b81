"""Max and average pooling in a compiled step on the CPU."""

from __future__ import annotations

from typing import Any

from minicnn.kernels.arrays import LANES, NONE
from minicnn.kernels.tiles.pool import AvgPool, AvgPoolBackward, MaxPool, MaxPoolBackward, Windows

from ..table import shapes
from .activation import Activation
from .plan import Buffer, CpuLowering, Plan


class Pool(CpuLowering):
    """What both share: a window that slides over each channel.

    If an activation comes before and the windows tile the picture, one instruction goes back
    through both, and writes its result over the activation's.
    """

    name: str
    before: Activation | None = None

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        self.windows = self._windows(plan)
        y = plan.buffer(self.stage.output_shape, by_tile=True)
        kh, kw = self.geometry()[0]
        self.flops = y.cells * kh * kw
        op = self._forward_op(plan, x, y)
        plan.emit(op, self.name, f"{shapes(x.shape, y.shape)}, {kh}x{kw}", self.flops)
        return y

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        if not self.needs_dinput:
            return None
        name, overlap = f"{self.name} dinput", not self._tiles_the_picture()
        if overlap or self.before is None:
            dx = plan.buffer(self.stage.input_shape, by_tile=True)
            op = self._backward_op(dy, dx, int(overlap), NONE)
        else:
            # backward comes to the activation next, which then finds its part done
            self.before.is_done = True
            dx, name = self.before.y, f"{self.before.name}, pool dinput"
            dx.is_kept = False  # the last that needed it is this instruction
            op = self._backward_op(dy, dx, 0, self.before.kind)
        plan.emit(op, name, shapes(dy.shape, dx.shape), self.flops)
        return dx

    def _tiles_the_picture(self) -> bool:
        """Whether every cell of the input lies in exactly one window."""
        kernel, stride, padding, dilation = self.geometry()
        size, output = self.stage.input_shape[1:], self.stage.output_shape[1:]
        windows = zip(kernel, stride, padding, dilation, size, output, strict=True)
        return all(k == s and p == 0 and d == 1 and n == k * o for k, s, p, d, n, o in windows)

    def _windows(self, plan: Plan) -> Windows:
        """The tables of the windows and their taps."""
        (kh, kw), (sh, sw), (ph, pw), (dh, dw) = self.geometry()
        (c, h, w), (_, oh, ow) = self.stage.input_shape, self.stage.output_shape
        # which lines i and columns j of a window lie inside the picture
        inside_h = [[i for i in range(kh) if 0 <= r * sh - ph + i * dh < h] for r in range(oh)]
        inside_w = [[j for j in range(kw) if 0 <= o * sw - pw + j * dw < w] for o in range(ow)]
        fours: list[int] = []
        ones: list[int] = []
        for r in range(oh):
            o = 0
            while o < ow:
                taps = [
                    number
                    for i in inside_h[r]
                    for j in inside_w[o]
                    for number in ((i * dh * w + j * dw) * LANES, i * kw + j)
                ]
                # padding: it may lie before the picture's first cell, but the listed taps do not
                x = ((r * sh - ph) * w + o * sw - pw) * LANES
                # four neighbours have the same taps if the first and the last have all columns
                alike = o + 4 <= ow and len(inside_w[o]) == len(inside_w[o + 3]) == kw
                table = fours if alike else ones
                # a window without a cell has 0 taps, but max pooling reads the first one's number
                table += [r * ow + o, x, plan.table(taps or [0, 0]), len(taps) // 2]
                o += 4 if alike else 1
        return Windows(
            channels=c,
            large=h * w * LANES,
            small=oh * ow * LANES,
            step=sw * LANES,
            windows=plan.table(fours + ones),
            fours=len(fours) // 4,
            ones=len(ones) // 4,
        )

    def geometry(self) -> Any:
        """Kernel size, stride, padding, dilation."""
        raise NotImplementedError

    def _forward_op(self, plan: Plan, x: Buffer, y: Buffer) -> Any:
        raise NotImplementedError

    def _backward_op(self, dy: Buffer, dx: Buffer, overlap: int, kind: int) -> Any:
        raise NotImplementedError


class MaxPool2d(Pool):
    """Remembers for each window the tap that won."""

    name = "max pool"

    def geometry(self) -> Any:
        return self.operation.window[:4]

    def _forward_op(self, plan: Plan, x: Buffer, y: Buffer) -> MaxPool:
        # taps' numbers in the plan's dtype: one comparison of registers chooses cell and tap
        self.winner = plan.buffer(y.shape, by_tile=True)
        return MaxPool(x, y, self.winner, self.windows)

    def _backward_op(self, dy: Buffer, dx: Buffer, overlap: int, kind: int) -> MaxPoolBackward:
        return MaxPoolBackward(dy, dx, self.winner, self.windows, overlap, kind, activated=dx)


class AvgPool2d(Pool):
    """Every cell times its window's share, 1 / divisor: a table."""

    name = "avg pool"

    def geometry(self) -> Any:
        return *self.operation.window, (1, 1)

    def _forward_op(self, plan: Plan, x: Buffer, y: Buffer) -> AvgPool:
        self.share = plan.constant(1 / self.operation.divisor)
        return AvgPool(x, y, self.share, self.windows)

    def _backward_op(self, dy: Buffer, dx: Buffer, overlap: int, kind: int) -> AvgPoolBackward:
        return AvgPoolBackward(dy, dx, self.share, self.windows, overlap, kind, activated=dx)
