"""Softmax cross-entropy; threads share the rows."""

from __future__ import annotations

import math

import numpy as np

from ..arrays import Array
from .activation import LIGHT, exp
from .jit import jit
from .threads import share


def softmax_cross_entropy(logits: Array, target: Array) -> tuple[Array, Array]:
    """See ``reference.softmax_cross_entropy``."""
    losses = np.empty(len(logits), logits.dtype)
    probabilities = np.empty(logits.shape, logits.dtype)
    target = np.ascontiguousarray(target, np.int64)
    logits = np.ascontiguousarray(logits)
    arrays = (logits, target, losses, probabilities)
    share(_softmax_cross_entropy, len(logits), 2 * logits.size, *arrays)
    return losses, probabilities


@jit
def _softmax_cross_entropy(
    first: int, last: int, logits: Array, target: Array, losses: Array, probabilities: Array
) -> None:
    for m in range(first, last):
        row, p = logits[m], probabilities[m]
        largest = row[0]
        for c in range(1, row.size):
            largest = max(largest, row[c])
        for c in range(row.size):  # minus the largest: exp cannot overflow, and one of them is 1
            p[c] = row[c] - largest
        losses[m] = p[target[m]] if target[m] >= 0 else 0
    _exponentials(probabilities[first:last].reshape(-1))
    for m in range(first, last):
        p = probabilities[m]
        total = p.sum()
        for c in range(p.size):
            p[c] /= total
        if target[m] >= 0:
            losses[m] = math.log(total) - losses[m]


@jit
def _exponentials(x: Array) -> None:
    """exp(x) in place of x <= 0: of all rows together, 8 or 16 at a time in float32."""
    if x.itemsize == 4:
        for k in range(x.size):
            x[k] = np.float32(0) if x[k] < -87 else exp(x[k])
    else:
        for k in range(x.size):
            x[k] = math.exp(x[k])


def softmax_cross_entropy_backward(p: Array, target: Array, dlosses: Array) -> Array:
    """See ``reference.softmax_cross_entropy_backward``."""
    dlogits = np.empty_like(p)
    arrays = (p, np.ascontiguousarray(target, np.int64), dlosses, dlogits)
    share(_softmax_cross_entropy_backward, len(p), p.size // LIGHT, *arrays)
    return dlogits


@jit
def _softmax_cross_entropy_backward(
    first: int, last: int, p: Array, target: Array, dlosses: Array, dlogits: Array
) -> None:
    zero = p.dtype.type(0)
    for m in range(first, last):
        counts, d = target[m] >= 0, dlosses[m]
        for c in range(p.shape[1]):
            dlogits[m, c] = d * p[m, c] if counts else zero
        if counts:
            dlogits[m, target[m]] -= d
