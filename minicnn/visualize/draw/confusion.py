"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.checks import check_text, texts
from minicnn.plots import INK

from ..numbers import check_table
from .board import FAINT, PAPER, RIGHT, WRONG, board_on, empty_figure, tile, write


def draw_confusion(counts: np.ndarray, classes: Sequence[str], title: str) -> Any:
    """A row for each class: what its pictures were taken for, and the share that is correct."""
    check_table("counts", counts)
    classes = texts("classes", classes)
    check_text("title", title)
    if counts.shape != (len(classes), len(classes)):
        raise ValueError(f"counts has shape {counts.shape}; there are {len(classes)} classes")
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    words = f"{title}: {len(classes)} classes, accuracy {counts.trace() / counts.sum():.3f}"
    below = (
        "rows: what it is; columns: what the net takes it for; at the right: the share of each "
        "class that is correct"
    )
    figure = empty_figure(8.6, 8.2, words, below)
    size = 6.2 / len(classes)
    board = board_on(figure, 1.75, 1.35, len(classes), len(classes), size)
    for row, column in np.ndindex(counts.shape):
        colour = RIGHT if row == column else WRONG
        depth = float(np.sqrt(shares[row, column])) * 0.92
        tile(board, np.ones((1, 1)), column, row, cmap=_shade(colour, depth))
        words = f"{counts[row, column]:,}" if counts[row, column] else "·"
        ink = "white" if depth > 0.78 else INK if counts[row, column] else FAINT
        weight = "bold" if row == column else "normal"
        write(board, column + 0.5, row + 0.52, words, color=ink, size=10, weight=weight)
    longest = max(map(len, classes))
    for k, name in enumerate(classes):
        write(board, -0.15, k + 0.5, name, ha="right", size=10)
        slant = {"rotation": 35, "ha": "left"} if longest > 2 else {}
        write(board, k + (0.35 if slant else 0.5), -0.12, name, va="bottom", size=10, **slant)
        style = {"ha": "left", "size": 10, "weight": "bold", "color": RIGHT}
        write(board, len(classes) + 0.15, k + 0.5, f"{shares[k, k]:.2f}", **style)
    return figure


def _shade(colour: str, depth: float) -> Any:
    """A colour map of one colour: PAPER for ``depth`` 0, ``colour`` for 1."""
    from matplotlib.colors import ListedColormap, to_rgb

    paper, full = np.array(to_rgb(PAPER)), np.array(to_rgb(colour))
    return ListedColormap([paper + depth * (full - paper)])
