"""A grid: one array as the page shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..numbers import digits, numbers, power_of_ten
from ..words import Sentence, as_data, as_html

MOST_CELLS = 24_000  # on a page, the matrices of im2col not counted
MOST_ENTRIES = 40_000  # of the matrix that im2col makes
MOST_LINES = 40  # rows or columns of one picture, its frame included
NUMBERS_UNTIL = (16, 64, 900)  # side of a picture, columns, cells; beyond these, colours


class TooLargeError(ValueError):
    """An example that is too large for a page."""


@dataclass
class Grid:
    """A picture, kernel or matrix as the page shows it: planes (a, b) of rows i and columns j.

    Attributes:
        grid: its name in ``data-grid``.
        symbol: its name in the sums.
        title: its name in words.
        family: its colour: ``"x"``, ``"weight"`` or ``"gradient"``.
        values: (A, B, rows, columns), its frame included.
        axes: which of a, b, i and j an index of its array has, in order.
        frame: how many rows and columns of padding are on each side.
        labels: a line above each plane; none by default.
        shown: how many columns are shown at a time; by default all.
        chars: the least width of its cells, in characters; the longest number always fits.
        places: decimals of its numbers, in the grid and in sums. By default ``digits`` chooses them
            for the grid, and sums show four digits.
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
        """What the scripts need to know about it."""
        exponent, places = self.digits()
        a, b, rows, columns = self.values.shape
        return {
            "grid": self.grid,
            "symbol": as_data(self.symbol),
            "title": as_data(Sentence("page.grid", symbol=self.symbol, title=self.title)),
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
            "labels": [as_data(label) for label in self.labels or [""] * (a * b)],
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
        """Its place on the page, with a caption; the script fills it."""
        exponent = self.digits()[0]
        scale = f' <span class="scale">× {power_of_ten(exponent)}</span>' if exponent else ""
        shown = ""
        if self.shown:
            where = {"first": 0, "last": self.shown - 1, "count": self.values.shape[3]}
            shown = " " + as_html(Sentence("page.shown", **where), 'span class="on-show"')
        return (
            f'<figure data-family="{self.family}"><figcaption>'
            f"{as_html(self.symbol, 'b')}{as_html(self.title)}{scale}{shown}</figcaption>"
            f'<div class="scroll" data-place="{self.grid}"></div></figure>'
        )


def labels_of(images: int, channels: int) -> list[str]:
    """A label for each plane (n, c): the image and the channel, where there are several."""
    if images == channels == 1:
        return [""]
    key = "page.image_channel"
    if images == 1 or channels == 1:
        key = "page.channel" if images == 1 else "page.image"
    return [Sentence(key, n=n, c=c) for n, c in np.ndindex(images, channels)]


def align(grids: Iterable[Grid]) -> None:
    """Give the cells of some grids one width: one grid stands below the other."""
    grids = list(grids)
    widest = max(grid.longest() for grid in grids)
    for grid in grids:
        grid.chars = widest
