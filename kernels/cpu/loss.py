"""Softmax cross-entropy; threads share the rows."""

from __future__ import annotations

import math

import numpy as np

from ..arrays import Array
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
        total = logits.dtype.type(0)
        for c in range(row.size):  # minus the largest: exp cannot overflow, and one of them is 1
            p[c] = math.exp(row[c] - largest)
            total += p[c]
        for c in range(row.size):
            p[c] /= total
        counts = target[m] >= 0
        losses[m] = math.log(total) - (row[target[m]] - largest) if counts else 0
