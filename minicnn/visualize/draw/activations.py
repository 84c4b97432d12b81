"""What a layer makes of chosen classes: a tile for each picture and channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import data, nn
from minicnn.checks import check_integer, check_is, check_sequence, check_text
from minicnn.formats import shown

from ..numbers import Layer, Normalise, activations
from .board import FAINT, MOST_MAPS, board_on, empty_figure, photo, short, tile, write

EXAMPLES = 4  # pictures of each class whose activations are shown


def draw_activations(
    net: nn.Sequential,
    layer: Layer,
    test: data.Dataset,
    chosen: Sequence[int],
    title: str,
    normalise: Normalise = None,
) -> Any:
    """A row for each of a few pictures of a class and for the mean of all; a column a channel."""
    check_is("test", test, data.Dataset, "a Dataset")
    check_text("title", title)
    check_sequence("chosen", chosen, "a list of classes")
    for k in chosen:
        check_integer("a class of chosen", k, 0)
    if not len(chosen) or max(chosen) >= len(test.classes):
        raise ValueError(f"chosen is {shown(chosen)}; wanted some of 0..{len(test.classes) - 1}")
    groups = [test.images[test.labels == k] for k in chosen]
    maps = [_with_mean(activations(net, layer, images, normalise)) for images in groups]
    pictures = [_with_mean(images.astype(np.float32)) for images in groups]
    everything = np.concatenate(maps)
    across = min(MOST_MAPS, everything.shape[1]) if everything.ndim == 4 else 9
    lowest, highest = _ranges(everything)

    # lengths below in inches: the tiles' size, the margin above them, the whole figure
    size = min(0.95, 9.6 / across)
    rows, apart = EXAMPLES + 1, 0.35  # rows of a group; the gap between groups, in rows
    width, top = 1.75 + (across + 1.4) * size, 1.35
    total = len(chosen) * (rows + apart) - apart  # rows in all
    height = top + total * size + 0.3
    words = f"{title}: {layer.name}, activations"
    figure = empty_figure(max(width, 7.2), height, words, _how_to_read(everything, across))
    board = board_on(figure, top, 1.5, total, across + 1.4, size)
    for group, k in enumerate(chosen):
        first = group * (rows + apart)
        for row in range(len(maps[group])):
            photo(board, pictures[group][row], 0, first + row)
            _row_of_maps(board, maps[group][row], first + row, across, lowest, highest)
        last = first + len(maps[group]) - 0.5
        write(board, -0.15, first + 0.5, test.classes[k], ha="right", weight="bold", size=11)
        write(board, -0.15, last, f"mean of {len(groups[group]):,}", ha="right", color=FAINT)
    _heads(board, everything, across, lowest, highest)
    return figure


def _with_mean(all_of_a_class: np.ndarray) -> np.ndarray:
    """The first few pictures of a class, then the mean of all of them."""
    return np.concatenate([all_of_a_class[:EXAMPLES], all_of_a_class.mean(0, keepdims=True)])


def _ranges(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest number of each channel; of all units for (N, units)."""
    if maps.ndim == 2:
        return maps.min().reshape(1), maps.max().reshape(1)
    return maps.min(axis=(0, 2, 3)), maps.max(axis=(0, 2, 3))


def _how_to_read(maps: np.ndarray, shown: int) -> str:
    """The line below the title."""
    if maps.ndim == 2:
        return f"{maps.shape[1]} units side by side, from dark to light on the scale above them"
    count = maps.shape[1]
    some = f"the first {shown} of {count}" if shown < count else f"{count}"
    return f"{some} channels, each on the scale above it, from dark to light"


def _row_of_maps(
    board: Any, maps: np.ndarray, row: float, shown: int, lowest: np.ndarray, highest: np.ndarray
) -> None:
    """The activations of one picture, (C, h, w) as tiles or (units,) as a strip."""
    if maps.ndim == 1:
        extent = (1.4, shown + 1.4, row + 0.96, row + 0.04)
        scale = {"cmap": "magma", "vmin": lowest[0], "vmax": highest[0]}
        board.imshow(maps[None], extent=extent, aspect="auto", interpolation="nearest", **scale)
        return
    for c in range(shown):
        tile(board, maps[c], c + 1.4, row, cmap="magma", vmin=lowest[c], vmax=highest[c])


def _heads(
    board: Any, maps: np.ndarray, shown: int, lowest: np.ndarray, highest: np.ndarray
) -> None:
    """Above each column its number and its range."""
    write(board, 0.5, -0.08, "picture", va="bottom")
    ranges = [f"{short(low)} – {short(high)}" for low, high in zip(lowest, highest, strict=True)]
    if maps.ndim == 2:
        write(board, 1.4 + shown / 2, -0.08, ranges[0], va="bottom")
        return
    for c in range(shown):
        words = f"{c + 1}\n{ranges[c]}"
        write(board, c + 1.9, -0.08, words, va="bottom", size=9 if shown <= 8 else 6.5)
