"""What the smaller layers (pooling, dense, softmax) have in common: one page for each."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minicnn.checks import check_text

from . import page
from .notes import Notes, Reference, notes_as_data
from .page.grid import Grid, TooLargeError
from .questions import Questions, asked
from .svg import PARTS, Figure, figure, known_cell
from .text import grids_as_text
from .words import Sentence, as_html, in_language
from .yours import Yours, in_data

MOST = 1500  # cells of all grids of a small page together


def check_cells(cells: int, what: str) -> None:
    """Refuse more cells than such a page can show.

    Raises:
        TooLargeError: too many.
    """
    if cells > MOST:
        raise TooLargeError(f"{what} makes {cells:,} cells; a page of this kind shows {MOST:,}")


def check_layer(function: str, layer: Any, wanted: type, name: str = "layer") -> None:
    """Refuse another kind of layer than ``wanted`` as the argument ``name``.

    Raises:
        TypeError: it is another kind.
    """
    if not isinstance(layer, wanted):
        raise TypeError(
            f"explain.{function}: {name} is {type(layer).__name__}; wanted an nn.{wanted.__name__}"
        )


@dataclass(repr=False)
class Explained:
    """A layer, forward and backward: a notebook shows it as the page, ``print`` as text.

    Attributes:
        title, layer: the titles of the page and of its example.
        forward, backward: the formulas: sentences, or HTML.
        above, below: the grids of the forward and of the backward pass.
        notes: what every cell is made of.
        start: the cell shown first.
        questions: what the page answers.
        families: the legend: a name for each colour.
        lang: the language, ``"en"``, ``"zh"`` or ``"ja"``. With None, the default, the page follows
            its reader's browser, and text is English.
        grids: the numbers of each grid, by its name.
    """

    title: str
    layer: str
    forward: str
    backward: str
    above: list[Grid]
    below: list[Grid]
    notes: Notes
    start: Reference
    families: dict[str, str] = field(default_factory=lambda: page.FAMILIES)
    questions: Questions = field(default_factory=dict)
    lang: str | None = None

    @property
    def grids(self) -> dict[str, np.ndarray]:
        return {grid.grid: grid.values for grid in self.above + self.below}

    def html(self, about: str = "", yours: Yours | None = None) -> str:
        """The page; ``about`` says what the example is, ``yours`` has a learner's wrong numbers."""
        check_text("about", about)
        parts = {
            "questions": asked(self.questions),
            "forward": _formula(self.forward),
            "backward": _formula(self.backward),
            "above": "\n".join(grid.figure() for grid in self.above),
            "below": "\n".join(grid.figure() for grid in self.below),
        }
        notes = notes_as_data(self.notes)
        data = {"grids": self.above + self.below, "notes": notes, "start": self.start}
        data |= in_data(yours)
        body = page.fill(page.read("page/layer.html"), parts)
        said = self.title, self.layer, about
        return page.write(*said, body, data, families=self.families, language=self.lang)

    def svg(self, cell: str | None = None, parts: Sequence[str] = PARTS) -> str:
        """A figure for slides: a cell, the grids with what it is made of, and its sum.

        Args:
            cell: a grid and an index, ``"dx/0,0,1,2"``; by default the one that is shown first.
            parts: ``"grid"``, ``"sum"`` or both.

        Raises:
            ValueError: no such cell, or another part.
        """
        grids = self.above + self.below
        at = self.start if cell is None else known_cell(cell, grids)
        return figure(Figure(grids, at, self.notes[at[0]][at[1]], self.lang), parts)

    def _repr_html_(self) -> str:
        return page.in_a_frame(self.html(), 700)

    def __str__(self) -> str:
        rows = [
            grids_as_text({grid.symbol: _plain(grid) for grid in row}, self.lang)
            for row in (self.above, self.below)
        ]
        layer, *formulas = (
            in_language(text, self.lang) for text in (self.layer, self.forward, self.backward)
        )
        forward, backward = (html.unescape(_without_tags(formula)) for formula in formulas)
        return "\n\n".join([layer, forward, rows[0], backward, rows[1]]) + "\n"

    def __repr__(self) -> str:
        return f"<explained: {self.layer}>"


def _plain(grid: Grid) -> np.ndarray:
    values = grid.values
    return values if values.shape[0] * values.shape[1] > 1 else values[0, 0]


def _formula(text: str) -> str:
    return as_html(text) if isinstance(text, Sentence) else text


def _without_tags(text: str) -> str:
    return re.sub(r"<[^>]+>", "", text)
