"""The loss (loss.cu)."""

from __future__ import annotations

import cupy
import numpy as np

from ..arrays import Array
from .launch import I32, I64, blocks, launch


def softmax_cross_entropy(logits: Array, target: Array) -> tuple[Array, Array]:
    """See ``reference.softmax_cross_entropy``."""
    logits = cupy.ascontiguousarray(logits)
    target = cupy.ascontiguousarray(target, np.int64)
    rows, classes = logits.shape
    losses, probabilities = cupy.empty(rows, logits.dtype), cupy.empty_like(logits)
    arguments = (logits, target, losses, probabilities, I32(rows), I32(classes))
    launch("softmax_cross_entropy", logits.dtype, rows, *arguments, grid=blocks(32 * rows))
    return losses, probabilities


def softmax_cross_entropy_backward(p: Array, target: Array, dlosses: Array) -> Array:
    """See ``reference.softmax_cross_entropy_backward``."""
    p, dlosses = cupy.ascontiguousarray(p), cupy.ascontiguousarray(dlosses, p.dtype)
    target, dlogits = cupy.ascontiguousarray(target, np.int64), cupy.empty_like(p)
    arguments = p, target, dlosses, dlogits, I64(p.size), I32(p.shape[1])
    launch("softmax_cross_entropy_backward", p.dtype, p.size, *arguments)
    return dlogits
