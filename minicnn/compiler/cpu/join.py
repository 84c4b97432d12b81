"""Where branches meet in a compiled step on the CPU: sums, and channels one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from minicnn.kernels.arrays import LANES
from minicnn.kernels.tiles import join as tiles

from ..table import shapes
from .layout import as_matrix, extent
from .plan import Buffer, CpuLowering, Plan


class Add(CpuLowering):
    """y = a + b. Both get the same gradient, dy, whose memory is then left as it is."""

    def join(self, plan: Plan, xs: Sequence[Buffer]) -> Buffer:
        a, b = _alike(plan, xs)
        return sum_of(plan, a, b)

    def split(self, plan: Plan, dy: Buffer) -> list[Buffer | None]:
        # the branch that goes back first must not write its dx over what the other still reads
        dy.is_kept = dy.is_kept or all(self.needs_dinputs)
        return [dy if needed else None for needed in self.needs_dinputs]


class Concatenate(CpuLowering):
    """The channels (or features) of all inputs, one input after the other."""

    def join(self, plan: Plan, xs: Sequence[Buffer]) -> Buffer:
        xs = _alike(plan, xs)
        self.shapes = [x.shape for x in xs]
        # how many cells of an image come before those of each input
        self.begins = [0, *accumulate(x.cells for x in xs)][:-1]
        # in a tile the cells of a channel lie together, and so do the features of a matrix
        y = plan.buffer(self.stage.output_shape, xs[0].by_tile)
        for x, begin in zip(xs, self.begins, strict=True):
            _copy(plan, "concatenate", x, y, y_begin=begin)
        return y

    def split(self, plan: Plan, dy: Buffer) -> list[Buffer | None]:
        parts = zip(self.shapes, self.begins, self.needs_dinputs, strict=True)
        return [
            self._dinput(plan, dy, shape, begin) if needed else None
            for shape, begin, needed in parts
        ]

    def _dinput(self, plan: Plan, dy: Buffer, shape: tuple[int, ...], begin: int) -> Buffer:
        dx = plan.buffer(shape, dy.by_tile)
        _copy(plan, "cut dinput", dy, dx, x_begin=begin)
        return dx


def sum_of(plan: Plan, a: Buffer, b: Buffer, name: str = "add") -> Buffer:
    """Emit the sum of two results, or of two gradients, in place of one that nobody else needs."""
    # both may be kept (x + x, or two shortcuts in a row): then the sum gets memory of its own
    y = plan.over(b) if a.is_kept else a
    plan.emit(tiles.Add(a, b, y, *extent(y)), name, shapes(y.shape), y.cells)
    return y


def _alike(plan: Plan, xs: Sequence[Buffer]) -> Sequence[Buffer]:
    """All as matrices, if one is: pictures that are rows of numbers lie in tiles."""
    return xs if all(x.by_tile for x in xs) else [as_matrix(plan, x) for x in xs]


def _copy(plan: Plan, name: str, x: Buffer, y: Buffer, x_begin: int = 0, y_begin: int = 0) -> None:
    """Emit the copy of the smaller of the two into the larger, or out of it.

    x_begin, y_begin: how many cells of an image come before those that are copied.
    """
    pitch = LANES if x.by_tile else plan.images  # places from a cell of an image to the next
    op = tiles.Copy(
        inp=x,
        out=y,
        inp_begin=x_begin * pitch,
        out_begin=y_begin * pitch,
        size=min(x.cells, y.cells) * pitch,
        inp_tile=x.cells * pitch,
        out_tile=y.cells * pitch,
        by_tile=int(x.by_tile),
    )
    plan.emit(op, name, shapes(x.shape, y.shape))
