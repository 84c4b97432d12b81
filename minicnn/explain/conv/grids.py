"""The grids of a convolution's page, and how large they may be."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..page.grid import (
    MOST_CELLS,
    MOST_ENTRIES,
    MOST_LINES,
    NUMBERS_UNTIL,
    Grid,
    TooLargeError,
    align,
)
from .numbers import Convolution

Shape = tuple[int, ...]


def check_size(x: Shape, weight: Shape, padding: Shape, output: Shape) -> None:
    """Refuse shapes that are too large for a page, and say which size is.

    Raises:
        TooLargeError: they are.
    """
    (n, channels, h, w), (o, _, kh, kw) = x, weight
    framed = h + 2 * padding[0], w + 2 * padding[1]
    if max(framed) > MOST_LINES:
        raise TooLargeError(
            f"size is {_by((h, w))} with padding {_by(padding)}, a picture of {_by(framed)} cells; "
            f"a page shows at most {MOST_LINES} rows and columns"
        )
    places = max(output[0], 0) * max(output[1], 0)
    cells = 3 * n * channels * framed[0] * framed[1] + 2 * o * channels * kh * kw
    cells += 2 * n * o * places
    if cells > MOST_CELLS:
        raise TooLargeError(
            f"x {x} and weight {weight} make {cells:,} cells; a page shows at most "
            f"{MOST_CELLS:,} (fewer channels or images, or a smaller size)"
        )
    entries = n * channels * kh * kw * places
    if entries > MOST_ENTRIES:
        raise TooLargeError(
            f"x {x} and kernel {_by((kh, kw))} make columns of {entries:,} cells; a page holds at "
            f"most {MOST_ENTRIES:,}"
        )


def is_map(c: Convolution) -> bool:
    """Whether there are too many cells to read their numbers: then they are drawn as colours."""
    side, columns, cells = NUMBERS_UNTIL
    largest = max(c.dx_framed.size, c.weight.size, c.y.size)
    return (
        max(c.dx_framed.shape[2:]) > side
        or c.columns.shape[2] > columns
        or largest > cells
        or c.columns.size > 4 * cells
    )


def _by(pair: tuple[int, ...]) -> str:
    return "x".join(map(str, pair))


def grids_of(c: Convolution) -> list[Grid]:
    (ph, pw), (n, channels), outs = c.padding, c.x.shape[:2], len(c.weight)
    frame = ((0, 0), (0, 0), (ph, ph), (pw, pw))
    ins, out, kernels = _labels(n, channels), _labels(n, outs), _kernel_labels(outs, channels)
    pictures: dict[str, Any] = {"frame": c.padding, "labels": ins}
    shown = c.output[1] if is_map(c) else None
    matrix: dict[str, Any] = {"axes": "aij", "labels": _labels(n, 1), "shown": shown}
    grids = [
        Grid("x", "x", "the picture", "x", np.pad(c.x, frame), **pictures),
        Grid("weight", "W", "the kernels", "weight", c.weight, labels=kernels),
        Grid("y", "y", "the output", "x", c.y, labels=out),
        Grid("dx", "dx", "the picture’s gradient", "gradient", c.dx_framed, **pictures),
        Grid("dweight", "dW", "the kernels’ gradient", "gradient", c.dweight, labels=kernels),
        Grid("dy", "dy", "the gradient from above", "gradient", c.dy, labels=out),
        Grid("columns", "columns", "the windows of x", "x", c.columns[:, None], **matrix),
        Grid("dcolumns", "dcolumns", "their gradient", "gradient", c.dcolumns[:, None], **matrix),
        Grid("col2im", "dx so far", "col2im adds up", "gradient", c.dx_framed.copy(), **pictures),
    ]
    if c.bias is not None and c.dbias is not None:
        vectors = (
            ("bias", "b", "the bias", "weight", c.bias),
            ("dbias", "db", "the bias’s gradient", "gradient", c.dbias),
        )
        grids += [Grid(*vector[:4], vector[4][None, None, None], axes="j") for vector in vectors]
    for together in (("x", "dx", "col2im"), ("weight", "dweight"), ("y", "dy", "bias", "dbias")):
        align(grid for grid in grids if grid.grid in together)
    return grids


def _labels(images: int, channels: int) -> list[str]:
    parts = [
        [f"image {n}"] * (images > 1) + [f"channel {k}"] * (channels > 1)
        for n in range(images)
        for k in range(channels)
    ]
    return [", ".join(part) for part in parts]


def _kernel_labels(outs: int, channels: int) -> list[str]:
    return [
        f"kernel {o}" + (f", channel {k}" if channels > 1 else "") if outs * channels > 1 else ""
        for o in range(outs)
        for k in range(channels)
    ]
