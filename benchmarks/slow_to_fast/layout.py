"""16 images innermost: cell (c, h, w) of 16 images lies in 16 neighbouring places.

A batch (N, C, H, W) becomes (tiles, C, H, W, 16); places without an image hold zeros. Every loop
over the last axis is then the same 16 numbers, whatever kernel, stride and picture are: one vector
register of AVX-512, two of AVX2.
"""

from __future__ import annotations

import numpy as np

from minicnn.kernels.arrays import LANES

from .layer import Array, Layer, Pair


def to_tiles(images: Array) -> Array:
    """(N, C, H, W) as (tiles, C, H, W, 16)."""
    missing = -len(images) % LANES
    full = np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0)))
    tiles = full.reshape(-1, LANES, *images.shape[1:])
    return np.ascontiguousarray(np.moveaxis(tiles, 1, -1))


def from_tiles(tiles: Array, images: int) -> Array:
    """The opposite of ``to_tiles``: the first ``images`` images."""
    full = np.moveaxis(tiles, -1, 1).reshape(-1, *tiles.shape[1:-1])
    return np.ascontiguousarray(full[:images])


def to_lines(tiles: Array, stride: int) -> Array:
    """Each line as SW runs of neighbouring cells: (tiles, C, H, SW, ceil(W / SW) x 16).

    Run w % SW holds the columns w, w + SW, w + 2 SW...: what neighbouring windows see at one
    offset are then neighbours, whatever the stride is.
    """
    wide = np.pad(tiles, ((0, 0), (0, 0), (0, 0), (0, -tiles.shape[3] % stride), (0, 0)))
    columns = wide.reshape(*wide.shape[:3], -1, stride, LANES).swapaxes(3, 4)
    return np.ascontiguousarray(columns).reshape(*wide.shape[:3], stride, -1)


def from_lines(lines: Array, width: int) -> Array:
    """The opposite of ``to_lines``: (tiles, C, H, W, 16)."""
    columns = lines.reshape(*lines.shape[:4], -1, LANES).swapaxes(3, 4)
    return columns.reshape(*lines.shape[:3], -1, LANES)[:, :, :, :width]


def framed(x: Array, padding: Pair) -> Array:
    """``x``, (N, C, H, W), in a frame of zeros; itself where there is no padding."""
    if not any(padding):
        return x
    (ph, pw) = padding
    return np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))


def unframed(x: Array, layer: Layer) -> Array:
    """``x``, (N, C, H + 2 PH, W + 2 PW), without its frame."""
    (ph, pw), (h, w) = layer.padding, layer.size
    return x[:, :, ph : ph + h, pw : pw + w]
