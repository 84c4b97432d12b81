"""Sums over axes."""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from .. import reference
from ..arrays import Array, Axes
from .jit import jit
from .threads import share

# With fewer cells to add up, calling a loop of ours takes longer than adding.
WORTH_A_LOOP = 1 << 12


def sum_over(x: Array, axis: Axes = None, keepdims: bool = False) -> Array:
    """See ``reference.sum_over``, which adds up small arrays and those that are not contiguous.

    Over the last axis in memory NumPy's own float32 sum is exact enough: it adds in pairs.
    """
    if x.dtype != np.float32 or axis in (None, ()):
        return x.sum(axis=axis, keepdims=keepdims)
    if x.size < WORTH_A_LOOP or not x.flags.c_contiguous:
        with np.errstate(all="ignore"):  # as silent as the loops: an overflow is an infinity
            return reference.sum_over(x, axis, keepdims)
    axes, y = normalize_axis_tuple(axis, x.ndim), x
    for i in sorted(axes, reverse=True):
        y = _sum_over(y, i)
    return y if keepdims else y.squeeze(axes)


def _sum_over(x: Array, i: int) -> Array:
    """The sum over axis i, which stays, with length 1."""
    shape = (*x.shape[:i], 1, *x.shape[i + 1 :])
    # all axes before i as one, all after it as one
    outer, inner = math.prod(x.shape[:i]), math.prod(x.shape[i + 1 :])
    if inner == 1:
        return x.sum(axis=i, keepdims=True)
    y = np.empty(shape, x.dtype)
    arrays = x.reshape(outer, x.shape[i], inner), y.reshape(outer, inner)
    share(_sum_rows, inner, x.size // 8, *arrays)
    return y


@jit
def _sum_rows(first: int, last: int, x: Array, y: Array) -> None:
    """y[o, k] = sum_r x[o, r, k], in float64."""
    for o in range(x.shape[0]):
        for begin in range(first, last, 512):  # 512 columns at a time: they stay in the cache
            columns = slice(begin, min(begin + 512, last))
            totals = np.zeros(columns.stop - begin)
            for r in range(x.shape[1]):
                row = x[o, r, columns]
                for k in range(row.size):
                    totals[k] += row[k]
            y[o, columns] = totals
