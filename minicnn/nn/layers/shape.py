"""Layers that change the shape alone."""

from __future__ import annotations

from collections.abc import Sequence

from minicnn.checks import check_integer
from minicnn.formats import shown
from minicnn.nn import arguments
from minicnn.nn import functional as F
from minicnn.nn.module import Module
from minicnn.tensor import Tensor


class Flatten(Module):
    """The axes from ``start_dim`` to ``end_dim`` made one: (N, C, H, W) -> (N, C·H·W)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        check_integer("Flatten: start_dim", start_dim)
        check_integer("Flatten: end_dim", end_dim)
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        return arguments.as_input("Flatten", input).flatten(self.start_dim, self.end_dim)


class ZeroPad2d(Module):
    """Frame pictures with zeros: ``padding`` is one width, or (left, right, top, bottom).

    (..., H, W) -> (..., top + H + bottom, left + W + right); a negative width cuts cells off.
    """

    def __init__(self, padding: int | Sequence[int]):
        super().__init__()
        widths = tuple(padding) if isinstance(padding, Sequence) else (padding,) * 4
        if len(widths) != 4 or not all(isinstance(width, int) for width in widths):
            raise ValueError(f"ZeroPad2d: padding is {shown(padding)}; wanted one or four integers")
        self.padding = widths

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding)

    def extra_repr(self) -> str:
        return f"{self.padding}"
