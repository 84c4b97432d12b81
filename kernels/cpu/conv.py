"""Convolution: its windows as columns (``im2col``), and the columns back to pixels (``col2im``).

Threads share the planes (n, c), not the cells of the window: pixels of one plane lie under several
windows, and in ``col2im`` two threads must not add to the same pixel.
"""

from __future__ import annotations

import numpy as np

from ..arrays import Array, Pair, Shape, output_sizes
from .jit import jit
from .memory import keep_freed_memory
from .threads import share
from .windows import at, empty_frame, frame, unframe


def im2col(x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """See ``reference.im2col``."""
    keep_freed_memory()
    n, c, h, w = x.shape
    kh, kw = kernel_size
    oh, ow = output_sizes((h, w), kernel_size, stride, padding, dilation)
    columns = np.empty((n, c, kh, kw, oh, ow), x.dtype)
    arrays = np.ascontiguousarray(x), columns
    share(_im2col, n * c, columns.size, *arrays, stride, padding, dilation)
    return columns.reshape(n, c * kh * kw, oh * ow)


@jit
def _im2col(
    first: int, last: int, x: Array, columns: Array, stride: Pair, padding: Pair, dilation: Pair
) -> None:
    channels, height, width = x.shape[1:]
    rows, cols = height + 2 * padding[0], width + 2 * padding[1]
    for plane in range(first, last):
        n, c = plane // channels, plane % channels
        framed = frame(x[n, c], padding, rows, cols)
        _im2col_plane(framed, columns[n, c], stride, dilation)


@jit
def _im2col_plane(framed: Array, columns: Array, stride: Pair, dilation: Pair) -> None:
    (sh, sw), (dh, dw) = stride, dilation
    kh, kw, oh, ow = columns.shape
    for i in range(kh):
        for j in range(kw):
            for r in range(oh):
                for o in range(ow):
                    # window (r, o) begins at row r * sh, column o * sw; its cell (i, j) lies
                    # i * dh below and j * dw to the right of that
                    columns[i, j, r, o] = framed[at(r * sh + i * dh), at(o * sw + j * dw)]


def col2im(
    columns: Array,
    input_shape: Shape,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> Array:
    """See ``reference.col2im``."""
    n, c, h, w = input_shape
    output = output_sizes((h, w), kernel_size, stride, padding, dilation)
    x = np.empty(input_shape, columns.dtype)
    columns = np.ascontiguousarray(columns).reshape(n, c, *kernel_size, *output)
    share(_col2im, n * c, columns.size, columns, x, stride, padding, dilation)
    return x


@jit
def _col2im(
    first: int, last: int, columns: Array, x: Array, stride: Pair, padding: Pair, dilation: Pair
) -> None:
    channels, height, width = x.shape[1:]
    rows, cols = height + 2 * padding[0], width + 2 * padding[1]
    for plane in range(first, last):
        n, c = plane // channels, plane % channels
        framed = empty_frame(x[n, c], rows, cols)
        _col2im_plane(columns[n, c], framed, stride, dilation)
        unframe(framed, x[n, c], padding)


@jit
def _col2im_plane(columns: Array, framed: Array, stride: Pair, dilation: Pair) -> None:
    (sh, sw), (dh, dw) = stride, dilation
    kh, kw, oh, ow = columns.shape
    for i in range(kh):
        for j in range(kw):
            for r in range(oh):
                for o in range(ow):  # the same places as in im2col, now added to
                    framed[at(r * sh + i * dh), at(o * sw + j * dw)] += columns[i, j, r, o]
