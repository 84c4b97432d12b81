"""The page: one HTML file that holds the numbers, a script that finds cells, and nothing to fetch.

Templates, style and scripts lie beside this file. ``{{name}}`` in a template is filled in here.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

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
            f'{scale}{shown}</figcaption>'
            f'<div class="scroll" data-place="{self.grid}"></div></figure>'
        )  # fmt: skip


def align(grids: Iterable[Grid]) -> None:
    """Cells of one width, so that what stands below each other can be compared."""
    grids = list(grids)
    widest = max(grid.longest() for grid in grids)
    for grid in grids:
        grid.chars = widest


def digits(values: np.ndarray) -> tuple[int, int]:
    """(exponent, decimals): all of a grid's numbers share a power of ten and a precision."""
    largest = float(np.abs(values).max())
    if not (values % 1).any() and largest < 1e5:
        return 0, 0
    exponent = 0 if 1e-2 <= largest < 1e4 else math.floor(math.log10(largest))
    scaled = largest / 10.0**exponent
    return exponent, 3 if scaled < 1 else 2 if scaled < 100 else 1


def power_of_ten(exponent: int) -> str:
    """10⁻⁴ for -4."""
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def small_number(value: float) -> str:
    """A difference: 0, or two digits and a power of ten."""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} × {power_of_ten(int(exponent))}"


def numbers(values: np.ndarray) -> list[float]:
    """Whole numbers as integers: fewer bytes, the same numbers."""
    return [int(v) if v == int(v) and abs(v) < 1e15 else v for v in values.ravel().tolist()]


FAMILIES = {"x": "pictures", "weight": "weights", "gradient": "gradients"}


def write(
    title: str,
    layer: str,
    example: str,
    body: str,
    data: dict[str, Any],
    script: str,
    families: dict[str, str] = FAMILIES,
) -> str:
    """The whole page; ``script`` is the file of this kind's rules, or empty.

    ``families``: what the legend calls the colours.
    """
    used = {grid.family for grid in data["grids"]}
    legend = [_legend_key(f'data-family="{f}"', families[f]) for f in families if f in used]
    if data.get("map"):
        legend.append(
            _legend_key('data-sign="negative"', "negative numbers") + "the darker, the larger"
        )
    grids = [grid.as_data() for grid in data["grids"]]
    encoded = json.dumps({**data, "grids": grids}, separators=(",", ":"), allow_nan=False)
    parts = {
        "title": html.escape(title),
        "layer": html.escape(layer),
        "example": html.escape(example),
        "legend": "\n".join(legend),
        "style": read("page.css"),
        "body": body,
        "data": encoded.replace("<", "\\u003c"),
        "script": read("page.js") + (read(script) if script else ""),
    }
    return fill(read("page.html"), parts)


def _legend_key(kind: str, words: str) -> str:
    return f'<span class="key" {kind}>{words}</span> '


def read(name: str) -> str:
    """A file of this package."""
    return files("minicnn.explain").joinpath(name).read_text(encoding="utf-8")


def fill(template: str, parts: dict[str, str]) -> str:
    """``template`` with every {{name}} replaced."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def in_a_frame(page: str, height: int = 900) -> str:
    """A page inside another one, such as a notebook: it keeps its own style and script."""
    return (
        f'<iframe srcdoc="{html.escape(page, quote=True)}" title="minicnn.explain" '
        f'style="width: 100%; height: {height}px; border: 1px solid #ccc"></iframe>'
    )
