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
        channel: places from one channel to the next, at least H W.
    """

    channel: int = 0

    @property
    def is_compact(self) -> bool:
        """Whether the cells lie one after the other."""
        return len(self.shape) != 3 or self.channel == prod(self.shape[1:])


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

    def picture(self, shape: tuple[int, ...], channel: int = 0) -> Picture:
        """Memory for a result of this shape; its cells lie one after the other if not said."""
        channel = channel or prod(shape[1:])
        size = shape[0] * channel if len(shape) == 3 else prod(shape)
        # instructions store whole registers: one that begins in the last cell ends after it
        size = up(size + LANES - 1)
        picture = Picture(shape, size, by_tile=False, channel=channel)
        self.buffers.append(picture)
        return picture

    def _number(self, value: Any) -> int:
        return self.places[value] if isinstance(value, Source) else super()._number(value)

    def _footer(self) -> str:
        return f"one image after the other; memory {self.memory * self.dtype.itemsize / 1e6:.2f} MB"


PixelLowering: TypeAlias = Lowering[PixelPlan, Picture, None]


def around(x: Picture, lines: int, columns: int, padding: tuple[int, int] = (0, 0)) -> PixelFrame:
    """A frame with these lines and columns around a picture: no stride, one copy."""
    channels, height, width = x.shape
    return PixelFrame(channels, height, width, *padding, 1, 1, lines, columns)


def reframed(
    plan: PixelPlan, x: Picture, frame: PixelFrame, name: str = "frame", filled: float = 0.0
) -> Picture:
    """Emit the copy of a picture into a frame, filled with a number."""
    lines = frame.copies * frame.stride_down * frame.lines  # of all the small pictures
    y = plan.picture((frame.channels, lines, frame.columns))
    plan.emit(
        Reframe(x, y, x.channel, plan.constant([filled]), frame), name, shapes(x.shape, y.shape)
    )
    return y


def compact(plan: PixelPlan, x: Picture) -> Picture:
    """``x`` with its cells one after the other, in the order of ``nn.Flatten``."""
    if x.is_compact:
        return x
    _, height, width = x.shape
    return reframed(plan, x, around(x, height, width), "flatten")
