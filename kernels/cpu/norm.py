"""Batch normalisation, a plane (n, c) at a time; threads share the planes.

A plane's sums are its own, in float64, and are added up over the images afterwards, in their order:
so the result does not depend on the number of threads.
"""

from __future__ import annotations

import math

import numpy as np

from ..arrays import Array
from .jit import jit
from .threads import share


def moments(x: Array) -> tuple[Array, Array]:
    """See ``reference.moments``.

    Every plane has its mean and the sum of its squares around that. The squares around the
    channel's mean are more by the plane's cells times (plane's mean - channel's mean)².
    """
    planes = _planes(x)
    means, squares = np.empty((2, *x.shape[:2]))
    share(_moments, len(planes), x.size // 8, planes, means.reshape(-1), squares.reshape(-1))
    mean = means.mean(axis=0)
    away = planes.shape[1] * ((means - mean) ** 2).sum(axis=0)
    var = (squares.sum(axis=0) + away) / (len(x) * planes.shape[1])
    return mean.astype(x.dtype), var.astype(x.dtype)


@jit
def _moments(first: int, last: int, x: Array, means: Array, squares: Array) -> None:
    for plane in range(first, last):
        cells, total, square = x[plane], 0.0, 0.0
        for k in range(cells.size):
            total += cells[k]
        means[plane] = mean = total / cells.size
        for k in range(cells.size):
            square += (cells[k] - mean) ** 2
        squares[plane] = square


def normalise(x: Array, mean: Array, scale: Array, shift: Array) -> Array:
    """See ``reference.normalise``."""
    planes, y = _planes(x), np.empty(x.shape, x.dtype)
    share(_normalise, len(planes), x.size // 8, planes, mean, scale, shift, y.reshape(planes.shape))
    return y


@jit
def _normalise(
    first: int, last: int, x: Array, mean: Array, scale: Array, shift: Array, y: Array
) -> None:
    for plane in range(first, last):
        c = plane % mean.size
        center, factor, more = mean[c], scale[c], shift[c]
        for k in range(x.shape[1]):
            y[plane, k] = (x[plane, k] - center) * factor + more


def norm_sums(dy: Array, x: Array, mean: Array) -> tuple[Array, Array]:
    """See ``reference.norm_sums``."""
    planes = _planes(x)
    totals, products = np.empty((2, *x.shape[:2]))
    arrays = _planes(dy), planes, mean, totals.reshape(-1), products.reshape(-1)
    share(_norm_sums, len(planes), x.size // 8, *arrays)
    return totals.sum(axis=0).astype(x.dtype), products.sum(axis=0).astype(x.dtype)


@jit
def _norm_sums(
    first: int, last: int, dy: Array, x: Array, mean: Array, totals: Array, products: Array
) -> None:
    for plane in range(first, last):
        center, total, product = mean[plane % mean.size], 0.0, 0.0
        for k in range(x.shape[1]):
            total += dy[plane, k]
            product += dy[plane, k] * (x[plane, k] - center)
        totals[plane], products[plane] = total, product


def norm_backward(
    dy: Array, x: Array, mean: Array, scale: Array, through_mean: Array, through_var: Array
) -> Array:
    """See ``reference.norm_backward``."""
    planes, dx = _planes(x), np.empty(x.shape, x.dtype)
    arrays = _planes(dy), planes, mean, scale, through_mean, through_var, dx.reshape(planes.shape)
    share(_norm_backward, len(planes), x.size // 8, *arrays)
    return dx


@jit
def _norm_backward(
    first: int,
    last: int,
    dy: Array,
    x: Array,
    mean: Array,
    scale: Array,
    through_mean: Array,
    through_var: Array,
    dx: Array,
) -> None:
    for plane in range(first, last):
        c = plane % mean.size
        center, factor, less, slope = mean[c], scale[c], through_mean[c], through_var[c]
        for k in range(x.shape[1]):
            dx[plane, k] = factor * (dy[plane, k] - less - (x[plane, k] - center) * slope)


def _planes(x: Array) -> Array:
    """(N, C, ...) as (N C, cells)."""
    return np.ascontiguousarray(x).reshape(math.prod(x.shape[:2]), math.prod(x.shape[2:]))
