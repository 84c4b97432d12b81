"""Convolution: its windows as columns (``im2col``), and the columns back to pixels (``col2im``).

Threads share the planes (n, c), not the cells of the window: pixels of one plane lie under several
windows, and in ``col2im`` two threads must not add to the same pixel.

The columns of a batch are too large for a processor's caches. ``conv2d``, ``conv2d_dx`` and
``conv2d_dweight`` lay out those of one image, multiply them while they are there (``gemm``), and
write the next image's over them; threads share the images.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .. import reference
from ..arrays import Array, Pair, Shape, output_sizes
from .blas import one_blas_thread
from .gemm import address_of_gemm, gemm
from .jit import jit
from .memory import keep_freed_memory
from .sums import sum_over
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
    share(_im2col, n * c, columns.size // 16, *arrays, stride, padding, dilation)
    return columns.reshape(n, c * kh * kw, oh * ow)


@jit
def _im2col(
    first: int, last: int, x: Array, columns: Array, stride: Pair, padding: Pair, dilation: Pair
) -> None:
    channels = x.shape[1]
    for plane in range(first, last):
        n, c = plane // channels, plane % channels
        _im2col_plane(x[n, c], columns[n, c], stride, padding, dilation)


@jit
def _im2col_plane(x: Array, columns: Array, stride: Pair, padding: Pair, dilation: Pair) -> None:
    (sh, sw), (dh, dw) = stride, dilation
    framed = frame(x, padding, x.shape[0] + 2 * padding[0], x.shape[1] + 2 * padding[1])
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
    share(_col2im, n * c, columns.size // 16, columns, x, stride, padding, dilation)
    return x


@jit
def _col2im(
    first: int, last: int, columns: Array, x: Array, stride: Pair, padding: Pair, dilation: Pair
) -> None:
    channels = x.shape[1]
    for plane in range(first, last):
        n, c = plane // channels, plane % channels
        _col2im_plane(columns[n, c], x[n, c], stride, padding, dilation)


@jit
def _col2im_plane(columns: Array, x: Array, stride: Pair, padding: Pair, dilation: Pair) -> None:
    (sh, sw), (dh, dw) = stride, dilation
    framed = empty_frame(x, x.shape[0] + 2 * padding[0], x.shape[1] + 2 * padding[1])
    kh, kw, oh, ow = columns.shape
    for i in range(kh):
        for j in range(kw):
            for r in range(oh):
                for o in range(ow):  # the same places as in im2col, now added to
                    framed[at(r * sh + i * dh), at(o * sw + j * dw)] += columns[i, j, r, o]
    unframe(framed, x, padding)


# A batch, an image at a time ----------------------------------------------------------------------

IMAGES = 8  # whose dW is added up in one place
Window = tuple[Pair, Pair, Pair]  # stride, padding, dilation
Columns = tuple[int, int, int, int, int]  # (C, KH, KW, OH, OW): the shape of an image's columns


def conv2d(
    x: Array, weight: Array, bias: Array | None, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """See ``reference.conv2d``."""
    if not address_of_gemm(x.dtype):
        return reference.conv2d(x, weight, bias, stride, padding, dilation)
    output = output_sizes(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    y = np.empty((len(x), len(weight), *output), x.dtype)
    b = np.zeros(len(weight), x.dtype) if bias is None else np.ascontiguousarray(bias)
    arrays = np.ascontiguousarray(x), _rows(weight), b, _planes(y)
    _share_images(_conv, len(x), arrays, (*weight.shape[1:], *output), (stride, padding, dilation))
    return y


@jit
def _conv(
    first: int,
    last: int,
    address: int,
    x: Array,
    w: Array,
    b: Array,
    y: Array,
    shape: Columns,
    window: Window,
) -> None:
    columns = np.empty(shape, x.dtype)
    matrix = columns.reshape(w.shape[1], y.shape[2])
    for n in range(first, last):
        for c in range(x.shape[1]):
            _im2col_plane(x[n, c], columns[c], *window)
        for o in range(b.size):
            y[n, o] = b[o]
        gemm(address, w, False, matrix, False, 1, y[n])


def conv2d_dx(
    dy: Array, weight: Array, input_shape: Shape, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """See ``reference.conv2d_dx``."""
    if not address_of_gemm(dy.dtype):
        return reference.conv2d_dx(dy, weight, input_shape, stride, padding, dilation)
    dx = np.empty(input_shape, dy.dtype)
    arrays, shape = (_planes(dy), _rows(weight), dx), (*weight.shape[1:], *dy.shape[2:])
    _share_images(_conv_dx, len(dy), arrays, shape, (stride, padding, dilation))
    return dx


@jit
def _conv_dx(
    first: int,
    last: int,
    address: int,
    dy: Array,
    w: Array,
    dx: Array,
    shape: Columns,
    window: Window,
) -> None:
    dcolumns = np.empty(shape, dy.dtype)
    matrix = dcolumns.reshape(w.shape[1], dy.shape[2])
    for n in range(first, last):
        gemm(address, w, True, dy[n], False, 0, matrix)
        for c in range(dx.shape[1]):
            _col2im_plane(dcolumns[c], dx[n, c], *window)


def conv2d_dweight(
    x: Array, dy: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> tuple[Array, Array]:
    """See ``reference.conv2d_dweight``.

    Each run of ``IMAGES`` images has sums of its own, which are added up in their order: so the
    result does not depend on the number of threads.
    """
    if not address_of_gemm(x.dtype):
        return reference.conv2d_dweight(x, dy, kernel_size, stride, padding, dilation)
    channels, out_channels, runs = x.shape[1], dy.shape[1], -(-len(x) // IMAGES)
    # dWᵀ = sum_n X dyᵀ, which is faster than dy Xᵀ
    dweights = np.zeros((runs, channels * math.prod(kernel_size), out_channels), dy.dtype)
    dbiases = np.zeros((runs, out_channels))
    arrays = np.ascontiguousarray(x), _planes(dy), dweights, dbiases
    shape = channels, *kernel_size, *dy.shape[2:]
    _share_images(_conv_dweight, runs, arrays, shape, (stride, padding, dilation))
    dweight = sum_over(dweights, 0).T.reshape(out_channels, channels, *kernel_size)
    return np.ascontiguousarray(dweight), dbiases.sum(axis=0).astype(dy.dtype)


@jit
def _conv_dweight(
    first: int,
    last: int,
    address: int,
    x: Array,
    dy: Array,
    dweights: Array,
    dbiases: Array,
    shape: Columns,
    window: Window,
) -> None:
    columns = np.empty(shape, x.dtype)
    matrix = columns.reshape(dweights.shape[1], dy.shape[2])
    for run in range(first, last):
        for n in range(run * IMAGES, min((run + 1) * IMAGES, len(x))):
            for c in range(x.shape[1]):
                _im2col_plane(x[n, c], columns[c], *window)
            gemm(address, matrix, False, dy[n], True, 1, dweights[run])
            for o in range(dy.shape[1]):
                dbiases[run, o] += dy[n, o].sum()


def _share_images(
    loop: Callable[..., None],
    count: int,
    arrays: tuple[Array, ...],
    shape: Columns,
    window: Window,
) -> None:
    keep_freed_memory()
    with one_blas_thread:
        address = address_of_gemm(arrays[0].dtype)
        work = len(arrays[0]) * math.prod(shape) // 4
        share(loop, count, work, address, *arrays, shape, window)


def _rows(weight: Array) -> Array:
    """(O, C, KH, KW) as (O, C·KH·KW)."""
    return np.ascontiguousarray(weight).reshape(len(weight), math.prod(weight.shape[1:]))


def _planes(y: Array) -> Array:
    """(N, O, OH, OW) as (N, O, OH·OW)."""
    return np.ascontiguousarray(y).reshape(*y.shape[:2], math.prod(y.shape[2:]))
