"""The weights of the layers that see pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import nn
from minicnn.checks import check_text
from minicnn.plots import GRID, INK

from ..numbers import Layer, filters, layers
from .board import MOST_MAPS, board_on, empty_axes, empty_figure, short, tile, write


def draw_filters(net: nn.Sequential, picture: Sequence[int], title: str) -> Any:
    """The kernels of the first two layers: a column for each, a row for each input channel.

    ``picture``: the shape of a picture, (H, W) or (C, H, W).
    """
    check_text("title", title)
    seen = [(layer, filters(layer, picture)) for layer in layers(net)[:2]]
    panels = [(layer, _grid(found)) for layer, found in seen if found is not None]
    sizes = [min(0.85, 9.6 / grid.shape[1]) for _, grid in panels]
    heights = [0.8 + len(grid) * size for (_, grid), size in zip(panels, sizes, strict=True)]
    widest = max(g.shape[1] * size for (_, g), size in zip(panels, sizes, strict=True))
    below = "from left to right, line by line"
    if isinstance(panels[0][0].module, nn.Conv2d):
        below = "kernels from left to right, the channels that they see from top to bottom"
    width, height = max(7.2, 2 + widest), 0.75 + sum(heights)
    figure = empty_figure(width, height, f"{title}: filters", below)
    top = 0.95
    for (layer, grid), size, height in zip(panels, sizes, heights, strict=True):
        _draw_kernels(figure, layer, grid, top, size)
        top += height
    return figure


def _grid(kernels: np.ndarray) -> np.ndarray:
    """(C, O, h, w) as rows and columns of tiles, no more than can be seen.

    A row for each input channel; where there is only one, its kernels fill up to four rows.
    """
    c, o, *picture = kernels.shape
    columns = min(o, MOST_MAPS)
    if c > 1:
        return kernels[:MOST_MAPS, :columns]
    rows = min(4, o // columns)
    return kernels[0, : rows * columns].reshape(rows, columns, *picture)


def _draw_kernels(figure: Any, layer: Layer, grid: np.ndarray, top: float, size: float) -> None:
    rows, columns = grid.shape[:2]
    most = float(np.abs(grid).max()) or 1.0
    words = f"{layer.name}: {_what_is_shown(layer.module.weight.shape, grid)}"
    board = board_on(figure, top + 0.3, 0.45, rows, columns, size)
    board.set_facecolor(GRID)
    write(board, 0.04, -0.17 / size, words, ha="left", size=10.5)
    style = {"cmap": "RdBu_r", "vmin": -most, "vmax": most}
    for row, column in np.ndindex(rows, columns):
        tile(board, grid[row, column], column, row, **style)
    scale = empty_axes(figure, 0.6 + columns * size, top + 0.32, 0.13, max(rows * size, 0.8) - 0.04)
    bar = figure.colorbar(board.images[0], cax=scale, ticks=[-most, 0, most])
    bar.outline.set_visible(False)
    scale.set_yticklabels([short(-most), "0", short(most)])
    scale.tick_params(length=0, colors=INK, labelsize=8.5)


def _what_is_shown(shape: tuple[int, ...], grid: np.ndarray) -> str:
    """How many kernels (O, C, KH, KW) or units (O, C H W) there are, and how many are shown."""
    rows, columns, height, width = grid.shape
    if len(shape) == 2:
        channels = shape[1] // (height * width)
        each = "" if channels == 1 else f", a row for each of {channels} channels"
        return f"{rows * columns // channels} of {shape[0]} units, a weight for each pixel{each}"
    shown = rows * columns < shape[0] * shape[1]
    some = f", {rows} × {columns} tiles of them" if shown else ""
    return f"{shape[0]} kernels of {' × '.join(map(str, shape[1:]))}{some}"
