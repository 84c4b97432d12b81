"""Sums over axes (sums.cu)."""

from __future__ import annotations

from math import prod

import cupy

from .. import reference
from ..arrays import Array, Axes
from .launch import I64, launch

MOST = 1 << 20  # terms of a sum that a block adds up; more are CuPy's, which shares them
FLOATS = ("float32", "float64")


def sum_over(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """See ``reference.sum_over``, which does what is not over all axes but neighbouring ones."""
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    kept = sorted({*range(x.ndim)} - {a % x.ndim for a in axes})
    first, last = (kept[0], kept[-1] + 1) if kept else (0, 0)
    sizes = prod(x.shape[:first]), prod(x.shape[first:last]), prod(x.shape[last:])
    are_axes = all(-x.ndim <= a < x.ndim for a in axes) and 0 < len(axes) == x.ndim - len(kept)
    is_usual = x.flags.c_contiguous and x.dtype in FLOATS and len(kept) == last - first
    if not (are_axes and is_usual and x.size) or sizes[0] * sizes[2] > MOST:
        return reference.sum_over(x, axis, keepdims)
    shape = x.shape[first:last]
    if keepdims:
        shape = tuple(n if i in kept else 1 for i, n in enumerate(x.shape))
    y = cupy.empty(shape, x.dtype)
    a, b, c = map(I64, sizes)
    if c == 1:
        launch("sum_rows", x.dtype, x.size, x, y, a, b, grid=-(-y.size // 32))
    else:
        launch("sum_each", x.dtype, x.size, x, y, a, b, c, grid=y.size)
    return y
