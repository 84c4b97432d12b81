"""Max and average pooling in a compiled step on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.kernels import Array

from ..cpu.plan import shapes
from .program import Lowering, Program, Value


class Pool(Lowering):
    """What max and average pooling share."""

    name: str

    def forward(self, program: Program, x: Value) -> Value:
        self.x = x
        y = program.value(self.stage.output_shape)
        kernel = self.operation.window[0]
        what = f"{shapes(x.shape, y.shape)}, {kernel[0]}x{kernel[1]}"
        arrays, self.sizes, self.extra = self._prepare(program, x, y)
        program.over_cells(self.name, self.name.replace("_", " "), what, y.array.size, arrays,
                           *self.sizes)  # fmt: skip
        return y

    def backward(self, program: Program, dy: Array) -> Array | None:
        if not self.needs_dinput:
            return None
        x, dx = self.x, program.value(self.x.shape)
        name = f"{self.name.replace('_', ' ')} dinput"
        program.over_cells(f"{self.name}_dinput", name, shapes(dy.shape[1:], x.shape),
                           dx.array.size, (dy, self.extra, x.array, dx.array), x.kind,
                           *self.sizes)  # fmt: skip
        return dx.array

    def _prepare(self, program: Program, x: Value, y: Value) -> Any:
        """The arrays of the forward kernel, the sizes of both, and what goes back besides dy."""
        raise NotImplementedError


class MaxPool2d(Pool):
    """Keeps the cell that won each window."""

    name = "max_pool"

    def _prepare(self, program: Program, x: Value, y: Value) -> Any:
        index = program.buffer(*y.array.shape, dtype=np.int64)
        *window, output = self.operation.window
        sizes = (*x.shape[1:], *(n for pair in window for n in pair), *output)
        return (x.array, y.array, index), sizes, index


class AvgPool2d(Pool):
    """Divides by a table of divisors."""

    name = "avg_pool"

    def _prepare(self, program: Program, x: Value, y: Value) -> Any:
        divisor = program.xp.ascontiguousarray(self.operation.divisor, program.dtype)
        sizes = (*x.shape[1:], *(n for pair in self.operation.window for n in pair), *y.shape[1:])
        return (x.array, divisor, y.array), sizes, divisor
