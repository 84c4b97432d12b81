"""What happens to a batch before the net, and its loss (load.cu, loss.cu)."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from .. import reference
from ..arrays import Array
from .launch import I32, I64, launch, modules


def load_batch(images: Array, labels: Array, rows: Any, scale: Array | None) -> tuple[Array, Array]:
    """See ``reference.load_batch``: what is shuffled and divided by 255 is one kernel.

    It is the same for nets of every dtype, and nothing is compiled for it alone: until kernels are
    there, CuPy does it.
    """
    compiled = next(iter(modules), None)
    whole = all(a.flags.c_contiguous for a in (images, labels))
    usual = whole and (images.dtype, labels.dtype) == (np.uint8, np.int64)
    if compiled is None or isinstance(rows, slice) or scale is not None or not usual:
        return reference.load_batch(images, labels, rows, scale)
    rows = cupy.ascontiguousarray(rows, np.int64)
    n, shape = len(rows), images.shape[1:]
    x, y = cupy.empty((n, *shape), np.float32), cupy.empty(n, np.int64)
    size = I32(x.size // max(1, n))
    launch("pick_pixels", compiled, n, images, labels, rows, x, y, I32(n), size, grid=n)
    return x, y


def class_indices(
    labels: Array, weight: Array | None, classes: int, ignore_index: int, dtype: Any
) -> tuple[Array, Array]:
    """See ``reference.class_indices``."""
    labels = cupy.ascontiguousarray(labels, np.int64)
    indices, weights = cupy.empty_like(labels), cupy.empty(labels.shape, dtype)
    given = weights if weight is None else cupy.ascontiguousarray(weight, dtype)
    launch("class_indices", dtype, labels.size, labels, given, indices, weights,
            I64(labels.size), I32(weight is not None), I32(classes), I64(ignore_index))  # fmt: skip
    return indices, weights


def reduce_losses(losses: Array, weight: Array, is_mean: bool) -> tuple[Array, Array]:
    """See ``reference.reduce_losses``."""
    losses, weight = cupy.ascontiguousarray(losses), cupy.ascontiguousarray(weight, losses.dtype)
    result = cupy.empty(2, losses.dtype)
    arguments = losses, weight, result, I64(losses.size), I32(is_mean)
    launch("reduce_losses", losses.dtype, 1, *arguments)  # of no rows, too
    return result[0], result[1]


def count_batch(total: Array, correct: Array, loss: Array, logits: Array, target: Array) -> None:
    """See ``reference.count_batch``: of class indices, one for each image, it is one kernel."""
    reals = {a.dtype for a in (loss, logits, total)}
    if logits.ndim != 2 or target.shape != (len(logits),) or len(reals) > 1 or not logits.size:
        reference.count_batch(total, correct, loss, logits, target)
        return
    logits, target = cupy.ascontiguousarray(logits), cupy.ascontiguousarray(target, np.int64)
    arguments = total, correct, loss, logits, target
    launch("count_batch", logits.dtype, 1, *arguments, *map(I32, logits.shape))
