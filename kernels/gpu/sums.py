"""Sums over axes (sums.cu)."""

from __future__ import annotations

from math import prod

import cupy

from .. import reference
from ..arrays import Array, Axes
from .launch import BLOCK, I32, I64, launch

# CuPy takes two launches, as it adds up float32 in float64, but has at least as many threads for a
# sum (blocks of 512; a whole array is shared out among blocks) and up to 32 short sums in a block.
# So what is bound by its terms is CuPy's, and what is bound by its launches is ours:
MOST = 256  # terms that a thread adds up
FEW, MANY = (
    64,
    1024,
)  # more sums than a GPU holds blocks, each of few terms, are not for a block each
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
    if not (are_axes and is_usual and x.size and is_ours(a, b, c)):
        return reference.sum_over(x, axis, keepdims)
    shape = [n if i in kept else 1 for i, n in enumerate(x.shape) if keepdims or i in kept]
    y = cupy.empty(tuple(shape), x.dtype)
    if c == 1:
        launch("sum_rows", x.dtype, b, x, y, I64(a), I64(b), grid=-(-b // 32))
    else:
        launch("sum_each", x.dtype, b, x, y, I32(a), I64(b), I32(c), grid=b)
    return y


def is_ours(a: int, b: int, c: int) -> bool:
    """Whether the sums of x[a, b, c] over a and c are for these kernels: see ``MOST``."""
    if c == 1:
        return a <= 8 * MOST  # a block's 8 warps share the rows
    return a * c <= BLOCK * MOST and (a * c >= FEW or b <= MANY)
