"""A figure for slides: grids with their numbers, a cell and what it is made of, and its sum.

SVG as every program for slides reads it: shapes, texts and colours, no style sheet, no script. On
a transparent ground, in the light page's colours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from minicnn import formats
from minicnn.checks import check_text, texts

from .notes import Note, Reference, Token
from .numbers import in_digits, power_of_ten, written
from .page.grid import NUMBERS_UNTIL, Grid
from .text import width_of
from .words import Sentence, catalogue, in_language

PARTS = ("grid", "sum")
MOST = 80  # numbers written out in a line, as on the page
INK, FAINT, LINE = "#1c2226", "#5a646c", "#d7dbdd"
COLOURS = {  # of a family: its text, its cells, its cells that are lit
    "x": ("#0a5688", "#eaf3fa", "#9ccdf2"),
    "weight": ("#844600", "#fcf2e2", "#f8c56b"),
    "gradient": ("#00634a", "#e7f4ee", "#8ad8b8"),
}
FONT, LETTER = 16, 0.66  # of all texts, and the share of it that a digit is wide
CELL, GAP, PLANE, FIGURE = 28, 3, 18, 44  # a cell's height; between cells, planes, figures
SMALL, TALL = 12, 26  # a label's font; a line of the sum
WIDEST = 1200  # where figures and sums go on in the next line


class Figure(NamedTuple):
    """What a figure shows.

    Attributes:
        grids: in the page's order.
        cell: the cell that is explained.
        note: what it is made of.
        language: of the texts.
    """

    grids: Sequence[Grid]
    cell: Reference
    note: Note
    language: str | None = None

    def svg(self, parts: Sequence[str] = PARTS) -> str:
        """The figure; ``parts``: ``"grid"``, ``"sum"`` or both."""
        shapes: list[str] = []
        width = height = 0.0
        if "grid" in parts:
            width, height = self._draw_grids(shapes)
        if "sum" in parts:
            top = height + FIGURE / 2 if height else 0.0
            width, height = self._write_sum(shapes, top, max(width, WIDEST / 2))
        tag = catalogue(self.language or "en")["tag"]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" lang="{tag}" role="img" '
            f'aria-label="{escape(self._name(self.cell))}" '
            f'viewBox="-4 -4 {width + 8:.0f} {height + 8:.0f}" width="{width + 8:.0f}" '
            f'height="{height + 8:.0f}" font-family="DejaVu Sans, Helvetica, Arial, sans-serif" '
            f'font-size="{FONT}" fill="{INK}">\n' + "\n".join(shapes) + "\n</svg>\n"
        )

    def _say(self, text: str) -> str:
        return in_language(text, self.language)

    def _grid(self, name: str) -> Grid:
        return next(grid for grid in self.grids if grid.grid == name)

    def _name(self, reference: Reference) -> str:
        grid, key = reference
        return f"{self._say(self._grid(grid).symbol)}[{key.replace(',', ', ')}]"

    # Grids ----------------------------------------------------------------------------------------

    def _draw_grids(self, shapes: list[str]) -> tuple[float, float]:
        """The grid of the cell and those with marked cells, side by side; width and height."""
        tokens = [token for line in self.note["lines"] for token in line["tokens"]]
        lit = [tuple(t) for t in [*tokens, *self.note.get("lit", [])] if isinstance(t, list)]
        linked = [tuple(reference) for reference in self.note.get("linked", [])]
        shown = {name for name, _ in [*lit, *linked]} | {self.cell[0]}
        left = top = widest = bottom = 0.0
        for grid in self.grids:
            if grid.grid not in shown:
                continue
            marks = [{key for name, key in some if name == grid.grid} for some in (lit, linked)]
            here = self.cell[1] if grid.grid == self.cell[0] else None
            drawn = _Drawn(grid, marks, here, self._say)
            if left and left + drawn.width > WIDEST:
                left, top = 0.0, bottom + FIGURE
            shapes += drawn.shapes(left, top)
            widest, bottom = max(widest, left + drawn.width), max(bottom, top + drawn.height)
            left += drawn.width + FIGURE
        return widest, bottom

    # The sum --------------------------------------------------------------------------------------

    def _write_sum(self, shapes: list[str], top: float, width: float) -> tuple[float, float]:
        tail = self.note.get("tail", "")
        value = self._number(self.cell, 6)
        head = [(f"{self._name(self.cell)} = ", INK, True), (value, self._colour(self.cell), True)]
        lines = [[*head, (f" {self._say(tail)}" if tail else "", INK, False)]]
        for k, line in enumerate(self.note["lines"]):
            label = self._say(line["label"])
            start = [(f"{label} ", FAINT, False)] if label else []
            start.append(("+ " if k else "= ", INK, False))
            lines.append([*start, *self._pieces(line["tokens"], k > 0)])
        y = top
        for pieces in lines:
            for row in _rows(pieces, width):
                y += TALL
                shapes.append(_row(y - TALL / 3, row))
        return width, y

    def _pieces(self, tokens: Sequence[Token], goes_on: bool) -> Iterator[tuple[str, str, bool]]:
        """(text, colour, bold) for each token; negative numbers after a sign are in brackets.

        ``goes_on``: whether a sign stands before the first token.
        """
        count = 0
        for k, token in enumerate(tokens):
            if isinstance(token, str):
                yield token, INK, False
                continue
            count += 1
            if count > MOST:
                left = (sum(not isinstance(t, str) for t in tokens) - MOST + 1) // 2
                yield f" {self._say(Sentence('page.more', count=left))}", FAINT, False
                return
            before = tokens[k - 1] if k else "+" if goes_on else "("
            signed = not str(before).rstrip().endswith(("(", ","))
            text = self._number(token)
            negative = signed and text.startswith("−")
            yield f"({text})" if negative else text, self._colour(token), True

    def _colour(self, reference: Reference) -> str:
        return COLOURS[self._grid(reference[0]).family][0]

    def _number(self, reference: Reference, digits: int = 4) -> str:
        grid = self._grid(reference[0])
        value = value_of(grid, reference[1])
        exact = grid.places is not None and (value == 0 or abs(value) >= 1e-3)
        return in_digits(value, *grid.digits()) if exact else written(value, digits)


def figure(shown: Figure, parts: Sequence[str]) -> str:
    """The figure of these parts.

    Raises:
        ValueError: none, or one that is not of ``PARTS``.
    """
    parts = texts("svg: parts", parts)
    if not len(parts) or not set(parts) <= set(PARTS):
        raise ValueError(f"svg is {formats.shown(','.join(parts))}; wanted grid, sum or grid,sum")
    return shown.svg(parts)


def known_cell(cell: str, grids: Sequence[Grid]) -> Reference:
    """The cell ``"dx/0,0,1,2"``.

    Raises:
        ValueError: there is no such cell.
    """
    check_text("cell", cell)
    name, _, key = cell.partition("/")
    grid = next((grid for grid in grids if grid.grid == name), None)
    if grid is None:
        names = ", ".join(grid.grid for grid in grids)
        raise ValueError(
            f"cell is {formats.shown(cell)}; wanted one of {names}, as {grids[0].grid}/0,0,1,2"
        )
    shape = tuple(dict(zip("abij", grid.values.shape, strict=True))[axis] for axis in grid.axes)
    frame = {"i": grid.frame[0], "j": grid.frame[1]}
    inner = tuple(s - 2 * frame.get(axis, 0) for axis, s in zip(grid.axes, shape, strict=True))
    parts = key.split(",")
    fits = len(parts) == len(inner) and all(part.isdecimal() for part in parts)
    if not fits or any(int(k) >= size for k, size in zip(parts, inner, strict=True)):
        raise ValueError(
            f"cell is {formats.shown(cell)}; wanted an index of {name} below {inner}, from 0"
        )
    return [name, ",".join(str(int(part)) for part in parts)]


def position(grid: Grid, key: str) -> tuple[int, int, int, int]:
    """Where a cell's number stands in ``grid.values``: planes (a, b), row and column, framed."""
    at = dict.fromkeys("abij", 0)
    at |= dict(zip(grid.axes, map(int, key.split(",")), strict=True))
    return at["a"], at["b"], at["i"] + grid.frame[0], at["j"] + grid.frame[1]


def value_of(grid: Grid, key: str) -> float:
    """A cell's number."""
    return float(grid.values[position(grid, key)])


class _Drawn:
    """A grid as shapes: its caption, planes and cells."""

    def __init__(
        self, grid: Grid, marks: list[set[str]], here: str | None, say: Callable[[str], str]
    ):
        self.grid, self.say = grid, say
        self.lit, self.linked = ({position(grid, key) for key in keys} for keys in marks)
        self.here = None if here is None else position(grid, here)
        side, _, cells = NUMBERS_UNTIL
        self.numbered = max(grid.values.shape[2:]) <= side and grid.values.size <= cells
        self.exponent, self.places = grid.digits()
        chars = max(grid.chars, grid.longest())
        self.cell = (chars * LETTER * FONT + 12, CELL) if self.numbered else (9.0, 9.0)
        self.gap = GAP if self.numbered else 1
        scale = f" × {power_of_ten(self.exponent)}" if self.exponent and self.numbered else ""
        self.caption = [
            (f"{say(grid.symbol)} ", COLOURS[grid.family][0], True),
            (f"{say(grid.title)}{scale}", FAINT, False),
        ]
        labels = grid.labels or [""] * (grid.values.shape[0] * grid.values.shape[1])
        self.labels = [say(label) for label in labels]
        self.above = SMALL + 6 if any(self.labels) else 0
        a, b, rows, columns = grid.values.shape
        self.plane = (
            max(columns * (self.cell[0] + self.gap), *(text_width(t, SMALL) for t in self.labels)),
            self.above + rows * (self.cell[1] + self.gap),
        )
        written_wide = sum(text_width(text) for text, _, _ in self.caption)
        self.width = max(b * (self.plane[0] + PLANE) - PLANE, written_wide)
        self.height = TALL + a * (self.plane[1] + PLANE) - PLANE

    def shapes(self, left: float, top: float) -> Iterator[str]:
        yield _row(top + FONT, self.caption, left)
        for a, b in np.ndindex(self.grid.values.shape[:2]):
            x = left + b * (self.plane[0] + PLANE)
            y = top + TALL + a * (self.plane[1] + PLANE)
            label = self.labels[a * self.grid.values.shape[1] + b]
            if label:
                yield _text(x, y + SMALL, label, FAINT, size=SMALL)
            last = ""  # the cell that is explained lies on its neighbours
            for i, j in np.ndindex(self.grid.values.shape[2:]):
                at = a, b, i, j
                place = (
                    x + j * (self.cell[0] + self.gap),
                    y + self.above + i * (self.cell[1] + self.gap),
                )
                cell = self._cell(at, *place)
                last, cell = (cell, last) if at == self.here else (last, cell)
                yield cell
            yield last

    def _cell(self, at: tuple[int, int, int, int], x: float, y: float) -> str:
        grid, (width, height) = self.grid, self.cell
        value = float(grid.values[at])
        _, wash, lit = COLOURS[grid.family]
        top, left = grid.frame
        rows, columns = grid.values.shape[2:]
        framed = not (top <= at[2] < rows - top and left <= at[3] < columns - left)
        fill = lit if at in self.lit else "none" if framed else wash
        edge = f' stroke="{LINE}"' if framed else ""
        if not self.numbered:
            share = 0.06 + 0.84 * abs(value) / (float(np.abs(grid.values).max()) or 1.0)
            base = INK if value < 0 else COLOURS[grid.family][0]
            fill, edge = base, f' fill-opacity="{share:.2f}"'
            edge += f' stroke="{COLOURS[grid.family][0]}"' if at in self.lit else ""
        elif at in self.linked:
            edge = f' stroke="{COLOURS[grid.family][0]}" stroke-width="1.5"'
        if at == self.here:
            edge = edge.partition(" stroke=")[0] + f' stroke="{INK}" stroke-width="2.5"'
        box = f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="3" '
        shape = f'{box}fill="{fill}"{edge}/>'
        if not self.numbered:
            return shape
        number = in_digits(value, self.exponent, self.places)
        colour = FAINT if framed and at not in self.lit else INK
        return shape + _text(x + width - 6, y + CELL * 0.69, number, colour, anchor="end")


# Texts --------------------------------------------------------------------------------------------


def text_width(text: str, size: float = FONT) -> float:
    """About how wide a text is."""
    return width_of(text) * LETTER * size


def _rows(
    pieces: Sequence[tuple[str, str, bool]], width: float
) -> Iterator[list[tuple[str, str, bool]]]:
    """The pieces of a line, in rows of about this width."""
    row: list[tuple[str, str, bool]] = []
    used = 0.0
    for piece in pieces:
        if row and used + text_width(piece[0]) > width and piece[0].strip() == "+":
            yield row
            row, used = [], 0.0
        row.append(piece)
        used += text_width(piece[0])
    yield row


def _row(y: float, pieces: Sequence[tuple[str, str, bool]], x: float = 0.0) -> str:
    spans = [
        f'<tspan fill="{colour}"{" font-weight=" + chr(34) + "700" + chr(34) if bold else ""}>'
        f"{escape(text)}</tspan>"
        for text, colour, bold in pieces
        if text
    ]
    return f'<text x="{x:.1f}" y="{y:.1f}" xml:space="preserve">{"".join(spans)}</text>'


def _text(
    x: float, y: float, text: str, colour: str, size: float = FONT, anchor: str = "start"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
