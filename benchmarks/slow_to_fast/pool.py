"""The versions of max pooling: y and the winner of each window, and dX.

The definition: y is the largest cell of its window. Of equal cells the first in row order wins, a
NaN beats every number, and the padding never wins. dX: each dy goes to the cell that won; a cell
that won several windows adds them up.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import product

import numba
import numpy as np

from minicnn import ops
from minicnn.kernels.arrays import LANES
from minicnn.kernels.cpu.jit import FASTMATH

from .layer import Array, Inputs, Layer
from .layout import framed, from_lines, from_tiles, to_lines, to_tiles, unframed
from .version import Work, Works

compiled = numba.njit(fastmath=FASTMATH, error_model="numpy", nogil=True, cache=True)


def loops(layer: Layer, arrays: Inputs) -> Works:
    """The definition: every cell of every window, one at a time."""
    x, dy = arrays.x, arrays.dy
    (kh, kw), (sh, sw), (ph, pw), (height, width) = (*layer[2:5], layer.size)
    y, index = np.empty_like(dy), np.empty(dy.shape, np.int64)

    def forward() -> tuple[Array, Array]:
        for n, c, oh, ow in np.ndindex(y.shape):
            best, winner = -np.inf, -1
            for i, j in product(range(kh), range(kw)):
                h, w = oh * sh - ph + i, ow * sw - pw + j
                if 0 <= h < height and 0 <= w < width:
                    cell = x[n, c, h, w]
                    if winner < 0 or cell > best or (np.isnan(cell) and not np.isnan(best)):
                        best, winner = cell, h * width + w
            y[n, c, oh, ow], index[n, c, oh, ow] = best, winner
        return y, index

    def dinput() -> Array:
        dx = np.zeros_like(x)
        for n, c, oh, ow in np.ndindex(dy.shape):
            h, w = divmod(index[n, c, oh, ow], width)
            dx[n, c, h, w] += dy[n, c, oh, ow]
        return dx

    forward()
    return {"forward": Work(forward), "dX": Work(dinput)}


def by_operation(
    kernels_of: Callable[[], AbstractContextManager[None]], layer: Layer, arrays: Inputs
) -> Works:
    """The engine's operation, on the kernels that are chosen inside ``kernels_of()``."""
    operation = ops.MaxPool2d(layer.kernel, layer.stride, layer.padding, (1, 1), layer.output)

    def forward() -> tuple[Array, Array]:
        with kernels_of():
            return operation.forward(arrays.x), operation.winner

    def dinput() -> Array:
        with kernels_of():
            return operation.backward(arrays.dy)

    forward()
    return {"forward": Work(forward), "dX": Work(dinput)}


# The loops, compiled ------------------------------------------------------------------------------


@compiled
def forward_loops(x, y, index, window):
    """The loops of the definition: a test for each cell whether it is in the picture."""
    (kh, kw), (sh, sw), (ph, pw) = window
    images, channels, rows, columns = y.shape
    height, width = x.shape[2:]
    for n in range(images):
        for c in range(channels):
            for oh in range(rows):
                for ow in range(columns):
                    best, winner = x.dtype.type(-np.inf), -1
                    for i in range(kh):
                        for j in range(kw):
                            h, w = oh * sh - ph + i, ow * sw - pw + j
                            if 0 <= h < height and 0 <= w < width:
                                cell = x[n, c, h, w]
                                is_larger = cell > best or (np.isnan(cell) and not np.isnan(best))
                                if winner < 0 or is_larger:
                                    best, winner = cell, h * width + w
                    y[n, c, oh, ow], index[n, c, oh, ow] = best, winner


@compiled
def dinput_loops(dy, index, dx):
    """Each dy to the cell that won."""
    images, channels, rows, columns = dy.shape
    width = dx.shape[3]
    dx[:] = 0
    for n in range(images):
        for c in range(channels):
            for oh in range(rows):
                for ow in range(columns):
                    winner = index[n, c, oh, ow]
                    dx[n, c, winner // width, winner % width] += dy[n, c, oh, ow]


def compiled_loops(layer: Layer, arrays: Inputs) -> Works:
    """The loops of the definition, compiled; one thread."""
    x, dy = arrays.x, arrays.dy
    y, index, dx = np.empty_like(dy), np.empty(dy.shape, np.int64), np.empty_like(x)
    window = layer.kernel, layer.stride, layer.padding
    forward_loops(x, y, index, window)
    return {
        "forward": Work(lambda: forward_loops(x, y, index, window), lambda _: (y, index)),
        "dX": Work(lambda: dinput_loops(dy, index, dx), lambda _: dx),
    }


# 16 images innermost ------------------------------------------------------------------------------
# As in ``conv``: what a line of windows of 16 images sees at (i, j) is a run of neighbouring cells.


@compiled
def forward_tiles(first, last, x, y, won, window):
    """Nothing branches on a number: both outcomes are there, and one of them is chosen.

    won: the number i KW + j of the cell that won.
    """
    _, channels, rows, run = y.shape
    ((kh, kw), sh, (ph, pw), size), sw = window, x.shape[3]
    for t in range(first, last):
        for c in range(channels):
            for oh in range(rows):
                y[t, c, oh] = -np.inf
                for ow in range(run // LANES):  # at first the first cell that is in the picture
                    corner = max(0, ph - oh * sh) * kw + max(0, pw - ow * sw)
                    won[t, c, oh, ow * LANES : (ow + 1) * LANES] = corner
                for i in range(max(0, ph - oh * sh), min(kh, ph + size[0] - oh * sh)):
                    for j in range(kw):
                        a, b = inside(j, sw, pw, size[1], run // LANES)
                        seen = x[t, c, oh * sh + i, j % sw, j // sw * LANES :][a:b]
                        best, winner = y[t, c, oh, a:b], won[t, c, oh, a:b]
                        tap = np.int32(i * kw + j)
                        for m in range(seen.size):
                            new, old = seen[m], best[m]
                            wins = (not new <= old) & (old == old)  # larger, or the first NaN
                            best[m] = new if wins else old
                            winner[m] = tap if wins else winner[m]


@compiled
def inside(j, sw, pw, width, windows):
    """Which cells of a line of windows see a column of the picture at j, not one of the frame."""
    first = max(0, (pw - j + sw - 1) // sw)
    last = min(windows, (pw + width - 1 - j) // sw + 1)
    return first * LANES, last * LANES


@compiled
def dinput_tiles(first, last, dy, won, dx, window):
    """Every cell of a window gets dy where it has won, and 0 where it has not."""
    _, channels, rows, run = dy.shape
    ((kh, kw), sh, (ph, pw), size), sw = window, dx.shape[3]
    zero = dy.dtype.type(0)
    for t in range(first, last):
        dx[t] = 0
        for c in range(channels):
            for oh in range(rows):
                for i in range(max(0, ph - oh * sh), min(kh, ph + size[0] - oh * sh)):
                    for j in range(kw):
                        a, b = inside(j, sw, pw, size[1], run // LANES)
                        seen = dx[t, c, oh * sh + i, j % sw, j // sw * LANES :][a:b]
                        g, winner = dy[t, c, oh, a:b], won[t, c, oh, a:b]
                        tap = np.int32(i * kw + j)
                        for m in range(seen.size):
                            seen[m] += g[m] if winner[m] == tap else zero


def images_innermost(share: Callable[..., None], layer: Layer, arrays: Inputs) -> Works:
    """16 images innermost: one vector instruction compares as many windows as a register holds."""
    x_framed, (sh, sw), images = framed(arrays.x, layer.padding), layer.stride, len(arrays.x)
    x, dy = to_lines(to_tiles(x_framed), sw), to_lines(to_tiles(arrays.dy), 1)[:, :, :, 0]
    y, won, dx = np.empty_like(dy), np.empty(dy.shape, np.int32), np.empty_like(x)
    window = (layer.kernel, sh, layer.padding, layer.size)
    forward_tiles(0, len(y), x, y, won, window)

    def y_of_images(_: None) -> tuple[Array, Array]:
        of_images = [
            from_tiles(result.reshape(-1, *layer.y_shape, LANES), images) for result in (y, won)
        ]
        return of_images[0], index_of(layer, of_images[1])

    def dx_of_images(_: None) -> Array:
        return unframed(from_tiles(from_lines(dx, x_framed.shape[3]), images), layer)

    return {
        "forward": Work(lambda: share(forward_tiles, len(y), x, y, won, window), y_of_images),
        "dX": Work(lambda: share(dinput_tiles, len(dx), dy, won, dx, window), dx_of_images),
    }


def index_of(layer: Layer, won: Array) -> Array:
    """The winner's place h W + w in the picture, of its number i KW + j in the window."""
    oh, ow = np.ogrid[: layer.output[0], : layer.output[1]]
    i, j = np.divmod(won.astype(np.int64), layer.kernel[1])
    h = oh * layer.stride[0] - layer.padding[0] + i
    w = ow * layer.stride[1] - layer.padding[1] + j
    return h * layer.size[1] + w
