"""A plan for one image: how a picture lies in memory, and where the parameters are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np

from minicnn.kernels.arrays import LANES
from minicnn.kernels.tiles.pixels import PixelFrame, Reframe
from minicnn.tensor import Tensor

from ...lowering import Lowering
from ...table import shapes
from ..plan import Buffer, Plan


def up(length: int) -> int:
    """``length``, up to a multiple of 16."""
    return -(-length // LANES) * LANES


@dataclass(eq=False)
class Picture(Buffer):
    """A result of one image, (C, H, W) or (features,).

    Attributes:
        line: places from one line to the next, at least W.
        channel: places from one channel to the next, at least H lines.
    """

    line: int = 0
    channel: int = 0

    @property
    def is_compact(self) -> bool:
        """Whether the cells lie one after the other."""
        return len(self.shape) != 3 or (self.channel, self.line) == (
            prod(self.shape[1:]),
            self.shape[2],
        )


class Source(int):
    """The number of a parameter, or of other numbers of the net, among a plan's ``sources``."""


class PixelPlan(Plan):
    """The instructions of a prediction for one image; ``memory`` holds one image at a time.

    Attributes:
        sources: for each parameter, and for running statistics, what returns the tensor of now (or
            None, if it was taken away).
        places: where the numbers of each source begin, counted from the beginning of ``weights``.
            They lie in the net's own arrays: the engine finds them.
    """

    def __init__(self, dtype: np.dtype):
        super().__init__(1, dtype)
        self.images = 1
        self.sources: list[Callable[[], Tensor | None]] = []
        self.places: list[int] = []

    def source(self, tensor: Callable[[], Tensor | None]) -> Source:
        """A place for the numbers of a tensor of the net, which may be another one later."""
        self.sources.append(tensor)
        self.places.append(0)
        return Source(len(self.sources) - 1)

    def parameter(self, tensor: Tensor) -> Source:
        """A place for the numbers of a parameter."""
        return self.source(lambda: tensor)

    def tensors(self) -> list[Tensor]:
        """The tensors of all sources, without those that were taken away."""
        return [tensor for source in self.sources if (tensor := source()) is not None]

    def picture(self, shape: tuple[int, ...], line: int = 0, channel: int = 0) -> Picture:
        """Memory for a result of this shape; its cells lie one after the other if not said."""
        # (features,) is one line
        line = line or shape[-1]
        channel = channel or prod(shape[1:-1]) * line
        size = shape[0] * channel if len(shape) == 3 else prod(shape)
        # instructions compute whole registers, and may write one where a result ends in its middle
        size = up(size)
        picture = Picture(shape, size, by_tile=False, line=line, channel=channel)
        self.buffers.append(picture)
        return picture

    def _number(self, value: Any) -> int:
        return self.places[value] if isinstance(value, Source) else super()._number(value)

    def _footer(self) -> str:
        return f"one image after the other; memory {self.memory * self.dtype.itemsize / 1e6:.2f} MB"


PixelLowering: TypeAlias = Lowering[PixelPlan, Picture, None]


def frame_of(
    shape: tuple[int, ...],
    framed: tuple[int, int],
    padding: tuple[int, int] = (0, 0),
    stride: tuple[int, int] = (1, 1),
) -> PixelFrame:
    """How a picture (C, H, W) lies in ``framed`` lines and columns, taken apart by the stride."""
    channels, height, width = shape
    # each of the stride's remainders gets as many lines and columns as the largest needs
    lines, columns = (-(-size // s) for size, s in zip(framed, stride, strict=True))
    return PixelFrame(channels, height, width, *padding, *stride, lines, columns)


def reframed(
    plan: PixelPlan, x: Picture, frame: PixelFrame, name: str = "frame", around: float = 0.0
) -> Picture:
    """Emit the copy of a picture into a frame, filled with ``around``."""
    lines = frame.stride_down * frame.stride_right * frame.lines  # of all the small pictures
    y = plan.picture((frame.channels, lines, frame.columns))
    op = Reframe(x, y, x.line, x.channel, plan.constant([around]), frame)
    plan.emit(op, name, shapes(x.shape, y.shape))
    return y


def compact(plan: PixelPlan, x: Picture) -> Picture:
    """``x`` with its cells one after the other, in the order of ``nn.Flatten``."""
    if x.is_compact:
        return x
    _, height, width = x.shape
    return reframed(plan, x, frame_of(x.shape, (height, width)), "flatten")
