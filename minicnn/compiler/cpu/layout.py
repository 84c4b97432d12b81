"""How a group's images lie in memory: in tiles, in frames of zeros, as a matrix."""

from __future__ import annotations

from math import prod

from minicnn.kernels.arrays import LANES
from minicnn.kernels.tiles.move import (
    Flatten,
    Frame,
    Framed,
    LoadNumbers,
    LoadPixels,
    Pick,
    Picked,
    Spread,
    Unframe,
)

from ..table import shapes
from .plan import Buffer, Plan


class Images:
    """The batch's pictures. A convolution has them loaded into a frame of zeros."""

    def __init__(self, shape: tuple[int, ...], of_bytes: bool):
        # a batch of anything else is taken as pictures of one cell in each channel
        self.shape = shape if len(shape) == 3 else (prod(shape), 1, 1)
        self.of_bytes = of_bytes

    def load(self, plan: Plan, framed: Framed | None = None) -> Buffer:
        """Emit the loading of the pictures."""
        framed = framed or frame_of(self.shape, self.shape[1:])
        images = plan.buffer(shape_of(framed), by_tile=True)
        load = LoadPixels if self.of_bytes else LoadNumbers
        plan.emit(
            load(images, images.cells * LANES, framed),
            "load images",
            shapes(self.shape, images.shape),
        )
        return images


def frame_of(
    shape: tuple[int, ...],
    framed: tuple[int, ...],
    padding: tuple[int, int] = (0, 0),
    stride: int = 1,
) -> Framed:
    """How a picture (c, h, w) lies in a frame of ``framed`` lines and columns."""
    channels, height, width = shape
    # each of the stride's remainders gets as many columns as the largest needs
    columns = -(-framed[1] // stride)
    return Framed(channels, height, width, *padding, stride, framed[0], columns)


def shape_of(framed: Framed) -> tuple[int, int, int]:
    """The shape of the picture with its frame."""
    return framed.channels, framed.lines, framed.stride * framed.columns


def into_frame(plan: Plan, x: Buffer, framed: Framed, name: str = "frame") -> Buffer:
    """Emit the copy of the pictures ``x`` into a frame."""
    # a tile of the picture, and of the picture in its frame
    y = plan.buffer(shape_of(framed), by_tile=True)
    op = Frame(x, y, x.cells * LANES, y.cells * LANES, framed)
    plan.emit(op, name, shapes(x.shape, y.shape))
    return y


def out_of_frame(plan: Plan, x: Buffer, framed: Framed, name: str = "unframe") -> Buffer:
    """Emit the copy of the pictures out of their frames ``x``."""
    y = plan.buffer((framed.channels, framed.height, framed.width), by_tile=True)
    op = Unframe(x, y, x.cells * LANES, y.cells * LANES, framed)
    plan.emit(op, name, shapes(x.shape, y.shape))
    return y


def pick_from(plan: Plan, x: Buffer, of: Picked) -> Buffer:
    """Emit the copy of some lines and columns of the pictures ``x``."""
    y = plan.buffer((of.channels, of.lines, of.columns), by_tile=True)
    plan.emit(Pick(x, y, of), "pick", shapes(x.shape, y.shape))
    return y


def spread_out(plan: Plan, x: Buffer, of: Picked) -> Buffer:
    """Emit the copy of ``x`` to where it was picked from, among zeros."""
    y = plan.buffer((of.channels, of.height, of.width), by_tile=True)
    plan.emit(Spread(x, y, of), "spread", shapes(x.shape, y.shape))
    return y


def as_matrix(plan: Plan, x: Buffer) -> Buffer:
    """``x`` as (features, images of the group)."""
    if not x.by_tile:
        return x
    # cell (c, h, w) becomes feature (c H + h) W + w: the order of ``nn.Flatten``
    flat = plan.buffer((x.cells,), by_tile=False)
    plan.emit(Flatten(x, flat, x.cells, plan.images), "flatten", shapes(x.shape, flat.shape))
    return flat


def extent(x: Buffer) -> tuple[int, int]:
    """How many places a cell-by-cell instruction visits, and 1 if that is in each tile."""
    return (x.cells * LANES, 1) if x.by_tile else (x.size, 0)
