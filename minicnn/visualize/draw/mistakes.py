"""The pictures that a net gets most wrong."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np

from minicnn import data
from minicnn.checks import check_integer, check_is, check_sequence, check_text
from minicnn.formats import shown
from minicnn.plots import GRID, as_written

from ..numbers import Predictions, check_predictions
from .board import FAINT, RIGHT, WRONG, board_on, empty_axes, empty_figure, photo, write


def draw_mistakes(
    predictions: Predictions, test: data.Dataset, picked: np.ndarray, title: str
) -> Any:
    """The pictures ``picked``, and what the net takes them for."""
    check_predictions(predictions)
    check_is("test", test, data.Dataset, "a Dataset")
    check_text("title", title)
    check_sequence("picked", picked, "the places of pictures")
    for place in picked:
        check_integer("a place of picked", place, 0)
    if len(picked) and max(picked) >= len(test):
        raise IndexError(f"picked is {shown(picked)}; wanted places below {len(test)}")
    across, wide, high, top = 4, 3.35, 1.72, 1.0
    wrong = int((predictions.classes != predictions.labels).sum())
    rows = max(1, ceil(len(picked) / across))
    words = f"{title}: the pictures that it gets most wrong"
    below = (
        f"the {len(picked)} of largest loss among {wrong:,} mistakes; green: what it is; "
        "orange: what the net takes it for"
    )
    figure = empty_figure(0.5 + across * wide, top + rows * high, words, below)
    for place, i in enumerate(picked):
        left, upper = 0.3 + place % across * wide, top + place // across * high
        board = board_on(figure, upper + 0.24, left, 1, 1, 1.2)
        photo(board, test.images[i], 0, 0)
        words = f"number {i}, loss {predictions.losses[i]:.2f}"
        write(board, 0.04, -0.1, words, ha="left", color=FAINT, size=8.5)
        bars = empty_axes(figure, left + 2.05, upper + 0.24, 0.75, 1.2)
        _draw_bars(bars, predictions.probabilities[i], int(predictions.labels[i]), test.classes)
    return figure


def _draw_bars(axes: Any, p: np.ndarray, label: int, classes: Sequence[str]) -> None:
    """The three most probable classes and, if it is not one of them, the correct one below."""
    first = [int(k) for k in np.argsort(-p, kind="stable")[:3]]
    rows = [*first, label] if label not in first else first
    colours = [RIGHT if k == label else WRONG if k == first[0] else GRID for k in rows]
    axes.barh(range(len(rows)), p[rows], 0.62, color=colours)
    axes.set(xlim=(0, 1), ylim=(3.5, -0.5), xticks=[], yticks=range(len(rows)))
    names = axes.set_yticklabels([as_written(classes[k]) for k in rows], fontsize=8.5)
    for row, (k, name, colour) in enumerate(zip(rows, names, colours, strict=True)):
        if colour != GRID:
            name.set(color=colour, weight="bold")
        write(axes, p[k] + 0.05, row, percent(p[k]), ha="left", size=8)


def percent(p: float) -> str:
    """A probability in few characters: 97 %, 0.4 %, < 0.1 %."""
    if p < 0.001:
        return "< 0.1 %"
    return f"{100 * p:.1f} %" if p < 0.01 or 0.99 < p < 1 else f"{100 * p:.0f} %"
