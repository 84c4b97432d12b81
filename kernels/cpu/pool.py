"""Max and average pooling; threads share the planes (n, c)."""

from __future__ import annotations

import numpy as np

from ..arrays import Array, Pair, Shape
from .jit import jit
from .threads import share
from .windows import at, empty_frame, frame, inside, reach, unframe

# Max pooling ----------------------------------------------------------------------------------


def max_pool(
    x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, output: Pair
) -> tuple[Array, Array]:
    """See ``reference.max_pool``."""
    n, c, h, w = x.shape
    y = np.empty((n * c, *output), x.dtype)
    index = np.empty((n * c, *output), np.int64)
    planes = np.ascontiguousarray(x).reshape(n * c, h * w)
    window = kernel_size, stride, padding, dilation
    share(_max_pool, n * c, x.size, planes, y, index, (h, w), *window)
    return y.reshape(n, c, *output), index.reshape(n, c, *output)


@jit
def _max_pool(
    first: int,
    last: int,
    x: Array,
    y: Array,
    index: Array,
    picture: Pair,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> None:
    (height, width), (kh, kw), (sh, sw) = picture, kernel_size, stride
    (ph, pw), (dh, dw) = padding, dilation
    # Where a window's cells lie, counted from its corner: of a window that lies wholly inside, as
    # most do, and of one that the edge of the picture cuts.
    whole, part = np.empty(kh * kw, np.int64), np.empty(kh * kw, np.int64)
    _taps(whole, (0, kh), (0, kw), dh * width, dw)
    for plane in range(first, last):
        for r in range(y.shape[1]):
            top = r * sh - ph  # negative where the window begins in the padding
            i0, i1 = inside(top, dh, height, kh)
            for o in range(y.shape[2]):
                left = o * sw - pw
                j0, j1 = inside(left, dw, width, kw)
                corner, count = top * width + left, (i1 - i0) * (j1 - j0)
                if count == kh * kw:
                    best, place = _largest(x, plane, corner, whole, count)
                else:
                    _taps(part, (i0, i1), (j0, j1), dh * width, dw)
                    best, place = _largest(x, plane, corner, part, count)
                y[plane, r, o], index[plane, r, o] = best, place


@jit
def _taps(taps: Array, rows: Pair, cols: Pair, down: int, right: int) -> None:
    """Where the cells of a window lie, counted from its corner, in row order.

    rows, cols: the first of the window's rows and columns, and the one after the last; down,
    right: how far apart two rows and two columns lie in memory.
    """
    count = 0
    for i in range(rows[0], rows[1]):
        for j in range(cols[0], cols[1]):
            taps[count] = i * down + j * right
            count += 1


@jit
def _largest(x: Array, plane: int, corner: int, taps: Array, count: int) -> tuple[float, int]:
    """The largest cell of a window, and its place in the plane."""
    if count == 0:
        return x.dtype.type(-np.inf), -1
    place = corner + taps[0]
    best = x[plane, at(place)]
    for k in range(1, count):
        value = x[plane, at(corner + taps[k])]
        # larger, or the first NaN: a NaN is not <= anything, nor equal to itself
        if not (value <= best) and best == best:
            best, place = value, corner + taps[k]
    return best, place


def max_pool_backward(dy: Array, index: Array, input_shape: Shape) -> Array:
    """See ``reference.max_pool_backward``."""
    n, c, h, w = input_shape
    dx = np.empty((n * c, h * w), dy.dtype)
    planes = (n * c, dy.shape[2] * dy.shape[3])
    dy, index = np.ascontiguousarray(dy).reshape(planes), index.reshape(planes)
    share(_max_pool_backward, n * c, dx.size, dy, index, dx)
    return dx.reshape(input_shape)


@jit
def _max_pool_backward(first: int, last: int, dy: Array, index: Array, dx: Array) -> None:
    for plane in range(first, last):
        _max_pool_backward_plane(dy[plane], index[plane], dx[plane])


@jit
def _max_pool_backward_plane(dy: Array, index: Array, dx: Array) -> None:
    dx[:] = 0
    for window in range(dy.size):
        if index[window] >= 0:
            dx[index[window]] += dy[window]


# Average pooling ------------------------------------------------------------------------------


def avg_pool(x: Array, divisor: Array, kernel_size: Pair, stride: Pair, padding: Pair) -> Array:
    """See ``reference.avg_pool``."""
    y = np.empty((*x.shape[:2], *divisor.shape), x.dtype)
    n, c = x.shape[:2]
    arrays = np.ascontiguousarray(x), divisor, y
    share(_avg_pool, n * c, x.size, *arrays, kernel_size, stride, padding)
    return y


@jit
def _avg_pool(
    first: int,
    last: int,
    x: Array,
    divisor: Array,
    y: Array,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
) -> None:
    channels, height, width = x.shape[1:]
    rows = reach(height, padding[0], kernel_size[0], stride[0], y.shape[2])
    cols = reach(width, padding[1], kernel_size[1], stride[1], y.shape[3])
    for plane in range(first, last):
        n, c = plane // channels, plane % channels
        framed = frame(x[n, c], padding, rows, cols)
        _avg_pool_plane(framed, divisor, y[n, c], kernel_size, stride)


@jit
def _avg_pool_plane(
    framed: Array, divisor: Array, y: Array, kernel_size: Pair, stride: Pair
) -> None:
    (kh, kw), (sh, sw) = kernel_size, stride
    for r in range(y.shape[0]):
        for o in range(y.shape[1]):
            total = y.dtype.type(0)
            for i in range(kh):
                for j in range(kw):
                    total += framed[at(r * sh + i), at(o * sw + j)]
            y[r, o] = total / divisor[r, o]


def avg_pool_backward(
    dy: Array,
    divisor: Array,
    input_shape: Shape,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
) -> Array:
    """See ``reference.avg_pool_backward``."""
    dx = np.empty(input_shape, dy.dtype)
    n, c = input_shape[:2]
    arrays = np.ascontiguousarray(dy), divisor, dx
    share(_avg_pool_backward, n * c, dx.size, *arrays, kernel_size, stride, padding)
    return dx


@jit
def _avg_pool_backward(
    first: int,
    last: int,
    dy: Array,
    divisor: Array,
    dx: Array,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
) -> None:
    channels, height, width = dx.shape[1:]
    rows = reach(height, padding[0], kernel_size[0], stride[0], dy.shape[2])
    cols = reach(width, padding[1], kernel_size[1], stride[1], dy.shape[3])
    for plane in range(first, last):
        n, c = plane // channels, plane % channels
        framed = empty_frame(dx[n, c], rows, cols)
        _avg_pool_backward_plane(dy[n, c], divisor, framed, kernel_size, stride)
        unframe(framed, dx[n, c], padding)


@jit
def _avg_pool_backward_plane(
    dy: Array, divisor: Array, framed: Array, kernel_size: Pair, stride: Pair
) -> None:
    (kh, kw), (sh, sw) = kernel_size, stride
    for r in range(dy.shape[0]):
        for o in range(dy.shape[1]):
            share = dy[r, o] / divisor[r, o]  # the same for each cell of the window
            for i in range(kh):
                for j in range(kw):
                    framed[at(r * sh + i), at(o * sw + j)] += share
