"""Max and average pooling in a compiled step on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.kernels import Array

from ..table import shapes
from .program import GpuLowering, Program, Value


class GpuPool(GpuLowering):
    """What max and average pooling share: a thread for each window forward, for each cell backward.

    Attributes:
        name: of the kernel forward; the one backward is called name_dinput.
        sizes: H, W, KH, KW, SH, SW, PH, PW and so on: the last arguments of both kernels.
        saved: what the kernel backward needs besides dy.
    """

    name: str
    sizes: tuple[int, ...]
    saved: Array
    is_applied = False  # by the kernel of the convolution before it

    def forward(self, program: Program, x: Value) -> Value:
        self.x = x
        if self.is_applied:
            return x
        y = program.value(self.stage.output_shape)
        kh, kw = self.operation.window[0]
        arrays = self._prepare(program, x, y)
        program.over_cells(self.name, self.name.replace("_", " "),
                           f"{shapes(x.shape, y.shape)}, {kh}x{kw}", y.array.size, arrays,
                           *self.sizes)  # fmt: skip
        return y

    def backward(self, program: Program, dy: Array) -> Array | None:
        if not self.needs_dinput:
            return None
        if self.is_applied:
            return dy
        x, dx = self.x, program.value(self.x.shape)
        name = f"{self.name.replace('_', ' ')} dinput"
        # a cell looks for the windows it lies in: no two threads add to one cell
        program.over_cells(f"{self.name}_dinput", name, shapes(dy.shape[1:], x.shape),
                           dx.array.size, (dy, self.saved, x.array, dx.array), x.kind,
                           *self.sizes)  # fmt: skip
        return dx.array

    def _prepare(self, program: Program, x: Value, y: Value) -> tuple[Array, ...]:
        """Set ``sizes`` and ``saved``; returns the arrays of the kernel forward."""
        raise NotImplementedError


class GpuMaxPool2d(GpuPool):
    """Saves for each window the cell that won it; a cell then collects the windows that it won."""

    name = "max_pool"

    def _prepare(self, program: Program, x: Value, y: Value) -> tuple[Array, ...]:
        kernel, stride, padding, dilation, output = self.operation.window
        self.sizes = (*x.shape[1:], *kernel, *stride, *padding, *dilation, *output)
        # for each window the cell that won, as h W + w within its channel's plane
        self.saved = program.buffer(*y.array.shape, dtype=np.int64)
        return x.array, y.array, self.saved


class GpuAvgPool2d(GpuPool):
    """Divides the sum of each window by its entry in a table of divisors (OH, OW)."""

    name = "avg_pool"

    def _prepare(self, program: Program, x: Value, y: Value) -> tuple[Array, ...]:
        kernel, stride, padding = self.operation.window  # no dilation here
        self.sizes = (*x.shape[1:], *kernel, *stride, *padding, *y.shape[1:])
        divisor: Any = self.operation.divisor
        self.saved = program.xp.ascontiguousarray(divisor, program.dtype)
        return x.array, self.saved, y.array
