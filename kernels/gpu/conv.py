"""Convolution: its windows as columns, and back (conv.cu)."""

from __future__ import annotations

import cupy

from ..arrays import Array, Pair, Shape, output_sizes
from .launch import I64, ints, launch


def im2col(x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """See ``reference.im2col``."""
    x, (n, c, h, w) = cupy.ascontiguousarray(x), x.shape
    output = output_sizes((h, w), kernel_size, stride, padding, dilation)
    rows = c * kernel_size[0] * kernel_size[1]
    columns = cupy.empty((n, rows, output[0] * output[1]), x.dtype)
    window = ints(c, h, w, kernel_size, stride, padding, dilation, output)
    launch("im2col", x.dtype, columns.size, x, columns, I64(columns.size), *window)
    return columns


def col2im(
    columns: Array,
    input_shape: Shape,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> Array:
    """See ``reference.col2im``."""
    columns, (_, c, h, w) = cupy.ascontiguousarray(columns), input_shape
    output = output_sizes((h, w), kernel_size, stride, padding, dilation)
    x = cupy.empty(input_shape, columns.dtype)
    window = ints(c, h, w, kernel_size, stride, padding, dilation, output)
    launch("col2im", x.dtype, x.size, columns, x, I64(x.size), *window)
    return x
