"""Pooling."""

from __future__ import annotations

import numpy as np

from ..arrays import Array, Pair
from .jit import jit
from .threads import share
from .windows import at, empty_frame, frame, inside, reach, unframe


def max_pool(
    x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, output: Pair
) -> tuple[Array, Array]:
    """See ``reference.max_pool``."""
    n, c, h, w = x.shape
    y = np.empty((n * c, *output), x.dtype)
    index = np.empty((n * c, *output), np.int64)
    planes = np.ascontiguousarray(x).reshape(n * c, h * w)
    window = (*kernel_size, *stride, *padding, *dilation)
    share(_max_pool, n * c, x.size, planes, y, index, h, w, *window)
    return y.reshape(n, c, *output), index.reshape(n, c, *output)


@jit
def _max_pool(first, last, x, y, index, height, width, kh, kw, sh, sw, ph, pw, dh, dw):
    # of a window that lies wholly inside, as most do, and of one that the edge cuts
    whole, part = np.empty(kh * kw, np.int64), np.empty(kh * kw, np.int64)
    _taps(whole, 0, kh, 0, kw, dh * width, dw)
    for plane in range(first, last):
        for r in range(y.shape[1]):
            top = r * sh - ph
            i0, i1 = inside(top, dh, height, kh)
            for o in range(y.shape[2]):
                left = o * sw - pw
                j0, j1 = inside(left, dw, width, kw)
                corner, count = top * width + left, (i1 - i0) * (j1 - j0)
                if count == kh * kw:
                    best, place = _largest(x, plane, corner, whole, count)
                else:
                    _taps(part, i0, i1, j0, j1, dh * width, dw)
                    best, place = _largest(x, plane, corner, part, count)
                y[plane, r, o], index[plane, r, o] = best, place


@jit
def _taps(taps, i0, i1, j0, j1, down, right):
    """Where the cells of a window lie, counted from its corner, in row order."""
    count = 0
    for i in range(i0, i1):
        for j in range(j0, j1):
            taps[count] = i * down + j * right
            count += 1


@jit
def _largest(x, plane, corner, taps, count):
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


def max_pool_backward(dy: Array, index: Array, input_shape: tuple[int, int, int, int]) -> Array:
    """See ``reference.max_pool_backward``."""
    n, c, h, w = input_shape
    dx = np.empty((n * c, h * w), dy.dtype)
    planes = (n * c, dy.shape[2] * dy.shape[3])
    dy, index = np.ascontiguousarray(dy).reshape(planes), index.reshape(planes)
    share(_max_pool_backward, n * c, dx.size, dy, index, dx)
    return dx.reshape(input_shape)


@jit
def _max_pool_backward(first, last, dy, index, dx):
    for plane in range(first, last):
        _max_pool_backward_plane(dy[plane], index[plane], dx[plane])


@jit
def _max_pool_backward_plane(dy, index, dx):
    dx[:] = 0
    for window in range(dy.size):
        if index[window] >= 0:
            dx[index[window]] += dy[window]


def avg_pool(x: Array, divisor: Array, kernel_size: Pair, stride: Pair, padding: Pair) -> Array:
    """See ``reference.avg_pool``."""
    y = np.empty((*x.shape[:2], *divisor.shape), x.dtype)
    n, c = x.shape[:2]
    window = (*kernel_size, *stride, *padding)
    share(_avg_pool, n * c, x.size, np.ascontiguousarray(x), divisor, y, *window)
    return y


@jit
def _avg_pool(first, last, x, divisor, y, kh, kw, sh, sw, ph, pw):
    channels, height, width = x.shape[1:]
    rows, cols = reach(height, ph, kh, sh, y.shape[2]), reach(width, pw, kw, sw, y.shape[3])
    for plane in range(first, last):
        n, c = plane // channels, plane % channels
        framed = frame(x[n, c], ph, pw, rows, cols)
        _avg_pool_plane(framed, divisor, y[n, c], kh, kw, sh, sw)


@jit
def _avg_pool_plane(framed, divisor, y, kh, kw, sh, sw):
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
    input_shape: tuple[int, int, int, int],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
) -> Array:
    """See ``reference.avg_pool_backward``."""
    dx = np.empty(input_shape, dy.dtype)
    n, c = input_shape[:2]
    window = (*kernel_size, *stride, *padding)
    share(_avg_pool_backward, n * c, dx.size, np.ascontiguousarray(dy), divisor, dx, *window)
    return dx


@jit
def _avg_pool_backward(first, last, dy, divisor, dx, kh, kw, sh, sw, ph, pw):
    channels, height, width = dx.shape[1:]
    rows, cols = reach(height, ph, kh, sh, dy.shape[2]), reach(width, pw, kw, sw, dy.shape[3])
    for plane in range(first, last):
        n, c = plane // channels, plane % channels
        framed = empty_frame(dx[n, c], rows, cols)
        _avg_pool_backward_plane(dy[n, c], divisor, framed, kh, kw, sh, sw)
        unframe(framed, dx[n, c], ph, pw)


@jit
def _avg_pool_backward_plane(dy, divisor, framed, kh, kw, sh, sw):
    for r in range(dy.shape[0]):
        for o in range(dy.shape[1]):
            share = dy[r, o] / divisor[r, o]
            for i in range(kh):
                for j in range(kw):
                    framed[at(r * sh + i), at(o * sw + j)] += share
