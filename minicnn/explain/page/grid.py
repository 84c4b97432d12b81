"""A grid of numbers on a page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..numbers import digits, numbers, power_of_ten

MOST_CELLS = 24_000  # on a page, the matrices of im2col not counted
MOST_ENTRIES = 40_000  # of the matrix of columns
MOST_LINES = 40  # rows or columns of one picture, its frame included
NUMBERS_UNTIL = (16, 64, 900)  # side of a picture, columns, cells: beyond, cells are colours


class TooLargeError(ValueError):
    """An example that no page can show."""


@dataclass
class Grid:
    """A picture, kernel or matrix as the page shows it: planes [a][b] of rows and columns.

    Attributes:
        grid: its name in ``data-grid``.
        symbol: what sums call it.
        title: in words.
        family: its colour: ``"x"``, ``"weight"`` or ``"gradient"``.
        values: (A, B, rows, columns), its frame included.
        axes: which of a, b, i, j make an index.
        frame: how many rows and columns of padding are on each side.
        labels: of every plane, if they need one.
        shown: how many columns at a time; by default all.
        chars: the width of its cells, if its longest number does not need more.
        places: decimals of its numbers, in the grid and in sums alike; by default what fits into
            the grid, and four digits in sums.
    """

    grid: str
    symbol: str
    title: str
    family: str
    values: np.ndarray
    axes: str = "abij"
    frame: tuple[int, int] = (0, 0)
    labels: list[str] | None = None
    shown: int | None = None
    chars: int = 0
    places: int | None = None

    def as_data(self) -> dict[str, Any]:
        """What the script needs."""
        exponent, places = self.digits()
        a, b, rows, columns = self.values.shape
        return {
            "grid": self.grid,
            "symbol": self.symbol,
            "title": f"{self.symbol}, {self.title}",
            "family": self.family,
            "axes": self.axes,
            "planes": [a, b],
            "rows": rows,
            "columns": columns,
            "frame": self.frame,
            "values": numbers(self.values),
            "exponent": exponent,
            "places": places,
            "exact": self.places is not None,
            "chars": max(self.chars, self.longest()),
            "largest": float(np.abs(self.values).max()) or 1.0,
            "labels": self.labels or [""] * (a * b),
            "shown": self.shown,
        }

    def digits(self) -> tuple[int, int]:
        """(exponent, decimals) of its numbers."""
        return digits(self.values) if self.places is None else (0, self.places)

    def longest(self) -> int:
        """How many characters its longest number has."""
        exponent, places = self.digits()
        return max(len(f"{v / 10.0**exponent:.{places}f}") for v in self.values.ravel())

    def figure(self) -> str:
        """Where the script puts it, with a caption."""
        exponent = self.digits()[0]
        scale = f' <span class="scale">× {power_of_ten(exponent)}</span>' if exponent else ""
        shown = ""
        if self.shown:
            columns = self.values.shape[3]
            shown = f' <span class="on-show">columns 0 to {self.shown - 1} of {columns}</span>'
        return (
            f'<figure data-family="{self.family}"><figcaption><b>{self.symbol}</b>{self.title}'
            f"{scale}{shown}</figcaption>"
            f'<div class="scroll" data-place="{self.grid}"></div></figure>'
        )


def align(grids: Iterable[Grid]) -> None:
    """Cells of one width, so that what stands below each other can be compared."""
    grids = list(grids)
    widest = max(grid.longest() for grid in grids)
    for grid in grids:
        grid.chars = widest
