"""Pooling (pool.cu)."""

from __future__ import annotations

import cupy
import numpy as np

from ..arrays import NONE, Array, Pair, Shape
from .launch import I32, I64, ints, launch


def max_pool(
    x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, output: Pair
) -> tuple[Array, Array]:
    """See ``reference.max_pool``."""
    x, (n, c, h, w) = cupy.ascontiguousarray(x), x.shape
    y, index = cupy.empty((n, c, *output), x.dtype), cupy.empty((n, c, *output), np.int64)
    window = ints(h, w, kernel_size, stride, padding, dilation, output)
    launch("max_pool", x.dtype, y.size, x, y, index, I64(y.size), *window)
    return y, index


def max_pool_backward(dy: Array, index: Array, input_shape: Shape) -> Array:
    """See ``reference.max_pool_backward``. Sums of overlapping windows come in any order."""
    dy, index = cupy.ascontiguousarray(dy), cupy.ascontiguousarray(index)
    dx = cupy.zeros(input_shape, dy.dtype)
    planes = ints(dy.shape[2] * dy.shape[3], input_shape[2] * input_shape[3])
    launch("max_pool_backward", dy.dtype, dy.size, dy, index, dx, I64(dy.size), *planes)
    return dx


def avg_pool(x: Array, divisor: Array, kernel_size: Pair, stride: Pair, padding: Pair) -> Array:
    """See ``reference.avg_pool``."""
    x, (n, c, h, w) = cupy.ascontiguousarray(x), x.shape
    divisor = cupy.ascontiguousarray(divisor, x.dtype)
    y = cupy.empty((n, c, *divisor.shape), x.dtype)
    window = ints(h, w, kernel_size, stride, padding, divisor.shape)
    launch("avg_pool", x.dtype, y.size, x, divisor, y, I64(y.size), *window)
    return y


def avg_pool_backward(
    dy: Array,
    divisor: Array,
    input_shape: Shape,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
) -> Array:
    """See ``reference.avg_pool_backward``."""
    dy, dx = cupy.ascontiguousarray(dy), cupy.empty(input_shape, dy.dtype)
    divisor = cupy.ascontiguousarray(divisor, dy.dtype)
    window = ints(input_shape[2:], kernel_size, stride, padding, divisor.shape)
    arrays = dy, divisor, dy, dx  # no activation: its result is not read
    launch("avg_pool_dinput", dx.dtype, dx.size, *arrays, I64(dx.size), I32(NONE), *window)
    return dx
