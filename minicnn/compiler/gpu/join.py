"""Where branches meet in a compiled step on a GPU: sums, and channels one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod

from minicnn.kernels import Array

from ..table import shapes
from .program import GpuLowering, Program, Value, through_activation


class GpuAdd(GpuLowering):
    """y = a + b; both get dy, each times the slope of its own activation."""

    def join(self, program: Program, xs: Sequence[Value]) -> Value:
        self.xs = a, b = xs
        return Value(sum_of(program, a.array, b.array, "add"))

    def split(self, program: Program, dy: Array) -> list[Array | None]:
        # nothing is written over a gradient here, so both may get the same array
        inputs = zip(self.xs, self.needs_dinputs, strict=True)
        return [through_activation(program, dy, x) if needed else None for x, needed in inputs]


class GpuConcatenate(GpuLowering):
    """The channels (or features) of all inputs, one input after the other."""

    def join(self, program: Program, xs: Sequence[Value]) -> Value:
        self.xs = xs
        # how many cells of an image come before those of each input
        self.begins = [0, *accumulate(prod(x.shape) for x in xs)][:-1]
        y = program.value(self.stage.output_shape)
        for x, begin in zip(xs, self.begins, strict=True):
            _copy(program, "concatenate", x.array, y.array, y_begin=begin)
        return y

    def split(self, program: Program, dy: Array) -> list[Array | None]:
        parts = zip(self.xs, self.begins, self.needs_dinputs, strict=True)
        return [
            self._dinput(program, dy, x, begin) if needed else None for x, begin, needed in parts
        ]

    def _dinput(self, program: Program, dy: Array, x: Value, begin: int) -> Array:
        dx = program.value(x.shape).array
        _copy(program, "cut dinput", dy, dx, x_begin=begin)
        return through_activation(program, dx, x)


def sum_of(program: Program, a: Array, b: Array, name: str = "sum dinput") -> Array:
    """Add the sum of two results, or of two gradients."""
    y = program.value(tuple(a.shape[1:])).array
    program.over_cells("add", name, shapes(y.shape[1:]), y.size, (a, b, y), each=4,
                       flops=y.size)  # fmt: skip
    return y


def _copy(
    program: Program, name: str, x: Array, y: Array, x_begin: int = 0, y_begin: int = 0
) -> None:
    """Add the copy of the smaller of the two into the larger, or out of it.

    x_begin, y_begin: how many cells of an image come before those that are copied.
    """
    x_cells, y_cells = prod(x.shape[1:]), prod(y.shape[1:])
    cells = min(x_cells, y_cells)
    program.over_cells("copy_cells", name, shapes(x.shape[1:], y.shape[1:]), program.images * cells,
                       (x, y), cells, x_cells, y_cells, x_begin, y_begin)  # fmt: skip
