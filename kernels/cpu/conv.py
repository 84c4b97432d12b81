"""Convolution: its windows as columns, and back."""

from __future__ import annotations

import numpy as np

from ..arrays import Array, Pair, output_sizes
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
    window = (*stride, *padding, *dilation)
    share(_im2col, n * c, columns.size, np.ascontiguousarray(x), columns, *window)
    return columns.reshape(n, c * kh * kw, oh * ow)


@jit
def _im2col(first, last, x, columns, sh, sw, ph, pw, dh, dw):
    channels, height, width = x.shape[1:]
    for plane in range(first, last):
        n, c = plane // channels, plane % channels
        framed = frame(x[n, c], ph, pw, height + 2 * ph, width + 2 * pw)
        _im2col_plane(framed, columns[n, c], sh, sw, dh, dw)


@jit
def _im2col_plane(framed, columns, sh, sw, dh, dw):
    kh, kw, oh, ow = columns.shape
    for i in range(kh):
        for j in range(kw):
            for r in range(oh):
                for o in range(ow):
                    columns[i, j, r, o] = framed[at(r * sh + i * dh), at(o * sw + j * dw)]


def col2im(
    columns: Array,
    input_shape: tuple[int, int, int, int],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> Array:
    """See ``reference.col2im``."""
    n, c, h, w = input_shape
    kh, kw = kernel_size
    oh, ow = output_sizes((h, w), kernel_size, stride, padding, dilation)
    x = np.empty(input_shape, columns.dtype)
    columns = np.ascontiguousarray(columns).reshape(n, c, kh, kw, oh, ow)
    window = (*stride, *padding, *dilation)
    share(_col2im, n * c, columns.size, columns, x, *window)
    return x


@jit
def _col2im(first, last, columns, x, sh, sw, ph, pw, dh, dw):
    channels, height, width = x.shape[1:]
    for plane in range(first, last):
        n, c = plane // channels, plane % channels
        framed = empty_frame(x[n, c], height + 2 * ph, width + 2 * pw)
        _col2im_plane(columns[n, c], framed, sh, sw, dh, dw)
        unframe(framed, x[n, c], ph, pw)


@jit
def _col2im_plane(columns, framed, sh, sw, dh, dw):
    kh, kw, oh, ow = columns.shape
    for i in range(kh):
        for j in range(kw):
            for r in range(oh):
                for o in range(ow):
                    framed[at(r * sh + i * dh), at(o * sw + j * dw)] += columns[i, j, r, o]
