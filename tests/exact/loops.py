"""Layers by loops from their definitions, in float64, forward and backward.

On whole numbers float64 is exact here: no product and no sum comes near 2^53. Numba only makes the
loops faster; nothing here is the engine's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

Shape = tuple[int, ...]

F = TypeVar("F", bound=Callable[..., Any])


def njit(function: F) -> F:
    """``numba.njit``, which has no types."""
    return cast(F, numba.njit(function))


@njit
def conv(x: Any, w: Any, b: Any, stride: Any, padding: Any, dilation: Any, y: Any) -> None:
    """y[n, o, r, q] = b[o] + sum_{c,i,j} w[o, c, i, j] x[n, c, h, k], where h = r SH + i DH - PH"""
    for n, o, r, q in np.ndindex(y.shape):
        y[n, o, r, q] = b[o]
        for c, i, j in np.ndindex(w.shape[1:]):
            h = r * stride[0] + i * dilation[0] - padding[0]
            k = q * stride[1] + j * dilation[1] - padding[1]
            if 0 <= h < x.shape[2] and 0 <= k < x.shape[3]:
                y[n, o, r, q] += w[o, c, i, j] * x[n, c, h, k]


@njit
def conv_backward(x: Any, w: Any, dy: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    """dx, dw, db: each product of the forward pass gives dy times a factor to the other factor."""
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(w[:, 0, 0, 0])
    for n, o, r, q in np.ndindex(dy.shape):
        db[o] += dy[n, o, r, q]
        for c, i, j in np.ndindex(w.shape[1:]):
            h = r * stride[0] + i * dilation[0] - padding[0]
            k = q * stride[1] + j * dilation[1] - padding[1]
            if 0 <= h < x.shape[2] and 0 <= k < x.shape[3]:
                dx[n, c, h, k] += dy[n, o, r, q] * w[o, c, i, j]
                dw[o, c, i, j] += dy[n, o, r, q] * x[n, c, h, k]
    return dx, dw, db


@njit
def max_pool(x: Any, size: Any, stride: Any, padding: Any, y: Any, winner: Any) -> None:
    """The largest cell of each window, and which it is; of equal ones the first."""
    for n, c, r, q in np.ndindex(y.shape):
        y[n, c, r, q] = -np.inf
        for i, j in np.ndindex(size):
            h, k = r * stride[0] + i - padding[0], q * stride[1] + j - padding[1]
            if 0 <= h < x.shape[2] and 0 <= k < x.shape[3] and x[n, c, h, k] > y[n, c, r, q]:
                y[n, c, r, q] = x[n, c, h, k]
                winner[n, c, r, q, 0], winner[n, c, r, q, 1] = h, k


@njit
def max_pool_backward(winner: Any, dy: Any, dx: Any) -> None:
    for n, c, r, q in np.ndindex(dy.shape):
        dx[n, c, winner[n, c, r, q, 0], winner[n, c, r, q, 1]] += dy[n, c, r, q]


@njit
def avg_pool(x: Any, size: Any, stride: Any, padding: Any, y: Any) -> None:
    """The mean of each window, with the frame's zeros."""
    for n, c, r, q in np.ndindex(y.shape):
        for i, j in np.ndindex(size):
            h, k = r * stride[0] + i - padding[0], q * stride[1] + j - padding[1]
            if 0 <= h < x.shape[2] and 0 <= k < x.shape[3]:
                y[n, c, r, q] += x[n, c, h, k] / (size[0] * size[1])


@njit
def avg_pool_backward(dy: Any, size: Any, stride: Any, padding: Any, dx: Any) -> None:
    for n, c, r, q in np.ndindex(dy.shape):
        for i, j in np.ndindex(size):
            h, k = r * stride[0] + i - padding[0], q * stride[1] + j - padding[1]
            if 0 <= h < dx.shape[2] and 0 <= k < dx.shape[3]:
                dx[n, c, h, k] += dy[n, c, r, q] / (size[0] * size[1])


@njit
def dense(x: Any, w: Any, b: Any, y: Any) -> None:
    for n, o in np.ndindex(y.shape):
        y[n, o] = b[o]
        for k in range(x.shape[1]):
            y[n, o] += w[o, k] * x[n, k]


@njit
def dense_backward(x: Any, w: Any, dy: Any, dx: Any, dw: Any, db: Any) -> None:
    for n, o in np.ndindex(dy.shape):
        db[o] += dy[n, o]
        for k in range(x.shape[1]):
            dx[n, k] += dy[n, o] * w[o, k]
            dw[o, k] += dy[n, o] * x[n, k]


@njit
def sums(x: Any, y: Any) -> None:
    for n, o in np.ndindex(y.shape):
        for k in range(x.shape[2]):
            y[n, o] += x[n, o, k]
