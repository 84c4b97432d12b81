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
    kept = [i for i in range(x.ndim) if i not in axes and i - x.ndim not in axes]
    first, last = (kept[0], kept[-1] + 1) if kept else (0, 0)
    a, b, c = prod(x.shape[:first]), prod(x.shape[first:last]), prod(x.shape[last:])
    # an axis that x has not, or that is named twice, is the reference's to refuse
    are_axes = 0 < len(axes) == x.ndim - len(kept)
    is_usual = x.flags.c_contiguous and x.dtype in FLOATS and len(kept) == last - first
    if not (are_axes and is_usual and x.size) or a * c > MOST:
        return reference.sum_over(x, axis, keepdims)
    shape = [n if i in kept else 1 for i, n in enumerate(x.shape) if keepdims or i in kept]
    y = cupy.empty(tuple(shape), x.dtype)
    if c == 1:
        launch("sum_rows", x.dtype, b, x, y, I64(a), I64(b), grid=-(-b // 32))
    else:
        launch("sum_each", x.dtype, b, x, y, I64(a), I64(b), I64(c), grid=b)
    return y
