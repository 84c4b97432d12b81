"""Arrays as text, for a terminal."""

from __future__ import annotations

import unicodedata

import numpy as np

from .words import Sentence, in_language

WIDEST = 24  # columns of a grid that is printed, and summands
ACROSS = 96  # characters of a line


def grids_as_text(grids: dict[str, np.ndarray], language: str | None = None) -> str:
    """Arrays of two axes or more, plane by plane, side by side where there is room."""
    blocks = []
    for name, array in grids.items():
        if array.shape[-1] > WIDEST:
            too_wide = Sentence("text.too_wide", name=name, shape=str(array.shape))
            blocks.append([in_language(too_wide, language)])
            continue
        planes = array.reshape(-1, *array.shape[-2:])
        for k, plane in enumerate(planes):
            index = np.unravel_index(k, array.shape[:-2]) if array.ndim > 2 else ()
            where = f"[{', '.join(str(int(i)) for i in index)}]" if index else ""
            blocks.append(_block(name + where, plane))
    return _side_by_side(blocks)


def _block(title: str, plane: np.ndarray) -> list[str]:
    """A plane as lines: its title, and rows of aligned numbers."""
    places = 0 if not (plane % 1).any() else 3
    cells = [[f"{v:.{places}f}" for v in row] for row in plane]
    width = max(len(cell) for row in cells for cell in row)
    return [title, *("  ".join(cell.rjust(width) for cell in row) for row in cells)]


def _side_by_side(blocks: list[list[str]], across: int = ACROSS) -> str:
    """Blocks in rows of at most ``across`` characters."""
    rows: list[list[list[str]]] = [[]]
    used = 0
    for block in blocks:
        width = max(map(width_of, block)) + 4
        if rows[-1] and used + width > across:
            rows.append([])
            used = 0
        rows[-1].append(block)
        used += width
    return "\n\n".join(_merge(row) for row in rows)


def _merge(row: list[list[str]]) -> str:
    height = max(map(len, row))
    widths = [max(map(width_of, block)) + 4 for block in row]
    lines = [
        "".join(
            padded(block[k] if k < len(block) else "", width)
            for block, width in zip(row, widths, strict=True)
        ).rstrip()
        for k in range(height)
    ]
    return "\n".join(lines)


def width_of(text: str) -> int:
    """How many columns of a terminal a text takes: Chinese and Japanese characters take two."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide


def padded(text: str, width: int) -> str:
    """A text with spaces after it."""
    return text + " " * (width - width_of(text))


def fill(text: str) -> str:
    """A long line broken at its spaces."""
    lines, indent = [""], " " * 4
    for word in text.split(" "):
        line = f"{lines[-1]} {word}" if lines[-1] else word
        if width_of(line) <= ACROSS:
            lines[-1] = line
        else:
            lines.append(indent + word)
    return "\n".join(lines)
