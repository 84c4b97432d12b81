"""What all pictures share: figures, axes, tiles, labels, colours."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.plots import INK, TEST, TRAIN, as_written

MOST_MAPS = 16  # channels shown of a layer
RIGHT, WRONG, FAINT, PAPER = TEST, TRAIN, "#8a949e", "#f4f4f4"


def empty_figure(width: float, height: float, title: str, below: str = "") -> Any:
    """A figure of ``width`` x ``height`` inches: a title, and a line that says how to read it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    bold: dict[str, Any] = {"color": INK, "size": 13, "weight": "bold"}
    small: dict[str, Any] = {"color": FAINT, "size": 9.5}
    for down, words, style in ((0.2, title, bold), (0.52, below, small)):
        figure.text(0.3 / width, 1 - down / height, as_written(words), va="top", **style)
    return figure


def empty_axes(figure: Any, left: float, top: float, width: float, height: float) -> Any:
    """Axes without a frame; ``left`` and ``top`` in inches from the figure's upper left corner."""
    whole, high = figure.get_size_inches()
    place = (left / whole, 1 - (top + height) / high, width / whole, height / high)
    axes = figure.add_axes(place)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=INK, labelsize=9)
    return axes


def board_on(figure: Any, top: float, left: float, rows: float, columns: float, size: float) -> Any:
    """Axes for rows and columns of tiles, each ``size`` inches wide and high; row 0 at the top."""
    axes = empty_axes(figure, left, top, columns * size, rows * size)
    axes.set(xlim=(0, columns), ylim=(rows, 0), xticks=[], yticks=[])
    return axes


def tile(axes: Any, picture: np.ndarray, column: float, row: float, **style: Any) -> None:
    """A picture (h, w) as the tile at (column, row)."""
    gap = 0.04
    extent = (column + gap, column + 1 - gap, row + 1 - gap, row + gap)
    axes.imshow(picture, extent=extent, aspect="auto", interpolation="nearest", **style)


def photo(axes: Any, picture: np.ndarray, column: float, row: float) -> None:
    """A picture of a data set, (H, W) or (C, H, W) of 0..255, as the tile at (column, row)."""
    if picture.ndim == 3 and len(picture) == 3:
        tile(axes, picture.transpose(1, 2, 0).astype(np.uint8), column, row)
    else:
        grey = picture if picture.ndim == 2 else picture.mean(axis=0)
        tile(axes, grey, column, row, cmap="gray", vmin=0, vmax=255)


def write(axes: Any, x: float, y: float, words: str, **style: Any) -> None:
    style = {"ha": "center", "va": "center", "color": INK, "size": 9, **style}
    axes.text(x, y, as_written(words), clip_on=False, **style)


def short(number: float) -> str:
    places = 2 if abs(number) < 100 else 0
    return f"{number:.{places}f}".replace("-", "−")
