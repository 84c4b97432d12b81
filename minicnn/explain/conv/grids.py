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
    labels_of,
)
from ..words import Sentence
from .numbers import Convolution
from .ways import ComparedConvolution

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


def grids_of(c: ComparedConvolution) -> list[Grid]:
    (ph, pw), (n, channels), outs = c.padding, c.x.shape[:2], len(c.weight)
    frame = ((0, 0), (0, 0), (ph, ph), (pw, pw))
    ins, out, kernels = labels_of(n, channels), labels_of(n, outs), kernel_labels(outs, channels)
    pictures: dict[str, Any] = {"frame": c.padding, "labels": ins}
    shown = c.output[1] if is_map(c) else None
    matrix: dict[str, Any] = {"axes": "aij", "labels": labels_of(n, 1), "shown": shown}
    dx, dweight = Sentence("page.dx"), Sentence("conv.dweight_grid")
    windows, dwindows = Sentence("conv.columns_grid"), Sentence("conv.dcolumns_grid")
    so_far, adds_up = Sentence("conv.col2im_symbol"), Sentence("conv.col2im_grid")
    grids = [
        Grid("x", "x", Sentence("page.x"), "x", np.pad(c.x, frame), **pictures),
        Grid("weight", "W", Sentence("conv.weight_grid"), "weight", c.weight, labels=kernels),
        Grid("y", "y", Sentence("page.y"), "x", c.y, labels=out),
        Grid("dx", "dx", dx, "gradient", c.dx_framed, **pictures),
        Grid("dweight", "dW", dweight, "gradient", c.dweight, labels=kernels),
        Grid("dy", "dy", Sentence("page.dy"), "gradient", c.dy, labels=out),
        Grid("columns", "columns", windows, "x", c.columns[:, None], **matrix),
        Grid("dcolumns", "dcolumns", dwindows, "gradient", c.dcolumns[:, None], **matrix),
        Grid("col2im", so_far, adds_up, "gradient", c.dx_framed.copy(), **pictures),
    ]
    if c.bias is not None and c.dbias is not None:
        vectors = (
            ("bias", "b", Sentence("page.bias"), "weight", c.bias),
            ("dbias", "db", Sentence("page.dbias"), "gradient", c.dbias),
        )
        grids += [Grid(*vector[:4], vector[4][None, None, None], axes="j") for vector in vectors]
    if not is_map(c):
        spread, flipped = Sentence("conv.spread_symbol"), Sentence("conv.flipped_symbol")
        zeros, turned = Sentence("conv.spread_grid"), Sentence("conv.flipped_grid")
        whole = Sentence("conv.transposed_grid")
        (dh, dw), (kh, kw) = c.dilation, c.kernel_size
        around = dh * (kh - 1), dw * (kw - 1)
        grids += [
            Grid("spread", spread, zeros, "gradient", c.spread, frame=around, labels=out),
            Grid("flipped", flipped, turned, "weight", c.flipped, labels=kernels),
            Grid("transposed", "dx", whole, "gradient", c.transposed, **pictures),
        ]
    for together in (("x", "dx", "col2im"), ("weight", "dweight"), ("y", "dy", "bias", "dbias")):
        align(grid for grid in grids if grid.grid in together)
    return grids


def kernel_labels(outs: int, channels: int) -> list[str]:
    """A label for each plane (o, c) of weights, where there are several."""
    if outs * channels == 1:
        return [""]
    if channels == 1:
        return [Sentence("conv.kernel", o=o) for o in range(outs)]
    places = np.ndindex(outs, channels)
    return [Sentence("conv.kernel_channel", o=o, c=c) for o, c in places]
