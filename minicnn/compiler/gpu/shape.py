"""Flattening and padding in a compiled step on a GPU."""

from __future__ import annotations

from minicnn.kernels import Array
from minicnn.kernels.arrays import NONE

from ..record import CompileError
from ..table import shapes
from .program import GpuLowering, Program, Value


class GpuReshape(GpuLowering):
    """The same cells, in the same order: no kernel, another view of the same memory."""

    def forward(self, program: Program, x: Value) -> Value:
        self.shape = x.shape
        # still the activation's result, for whoever computes the slope
        return Value(x.array.reshape(program.images, *self.stage.output_shape), x.kind)

    def backward(self, program: Program, dy: Array) -> Array | None:
        return dy.reshape(program.images, *self.shape) if self.needs_dinput else None


class GpuPad(GpuLowering):
    """x in a frame of one value, or without what is cut off.

    y[c, h, w] = x[c - front, h - top, w - left]. Backward it is the same kernel with the opposite
    offsets: dx is dy there, and 0 in what was cut.
    """

    def forward(self, program: Program, x: Value) -> Value:
        operation, self.x = self.operation, x
        if any(operation.frame[0]) or operation.cut[0] != slice(0, None):
            raise CompileError("compile: Pad along the batch; wanted it within each image")
        # where x's first cell comes to lie on each axis: outside, where cells are cut off
        self.offsets = [
            before - (cut.start or 0)
            for (before, _), cut in zip(operation.frame[1:], operation.cut[1:], strict=True)
        ]
        y = program.value(self.stage.output_shape)
        _move(program, "pad", (x.array, x.array, y.array), self.offsets, operation.value)
        return y

    def backward(self, program: Program, dy: Array) -> Array | None:
        if not self.needs_dinput:
            return None
        dx = program.value(self.x.shape).array
        back = [-offset for offset in self.offsets]
        _move(program, "pad dinput", (dy, self.x.array, dx), back, 0.0, self.x.kind)
        return dx


def _move(
    program: Program,
    name: str,
    arrays: tuple[Array, Array, Array],
    offsets: list[int],
    value: float,
    kind: int = NONE,
) -> None:
    """Add the copy of each image of the first array into the last one, moved by ``offsets``.

    value: of the cells that no cell of the first is moved to.
    """
    given, made = arrays[0].shape[1:], arrays[2].shape[1:]
    missing = 3 - len(made)  # axes: the kernel counts channels, rows and columns
    sizes = [
        n for part, one in ((made, 1), (given, 1), (offsets, 0)) for n in (*[one] * missing, *part)
    ]
    program.over_cells("pad", name, shapes(given, made), arrays[2].size, arrays, kind,
                       program.dtype.type(value), *sizes)  # fmt: skip
