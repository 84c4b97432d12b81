"""The matrix product: BLAS, called by each thread for its share of the result."""

from __future__ import annotations

import numpy as np

from .. import reference
from ..arrays import Array
from ..interrupts import held
from .blas import one_blas_thread
from .threads import share


def matmul(a: Array, b: Array, plus: Array | None = None) -> Array:
    """See ``reference.matmul``. Threads share the first axis of the result; BLAS has one."""
    with held(), one_blas_thread:
        if min(a.ndim, b.ndim) < 2 or not a.size or not b.size:
            return reference.matmul(a, b, plus)
        shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
        product = np.empty(shape, np.result_type(a, b))
        plus = None if plus is None else np.broadcast_to(plus, shape)
        work = (
            product.size * a.shape[-1] // 64
        )  # BLAS is fast: 64 multiply-adds in the time of a cell
        share(_matmul, shape[0], work, a, b, plus, product)
        return product


def _matmul(first: int, last: int, a: Array, b: Array, plus: Array | None, product: Array) -> None:
    stacked = product.ndim > 2  # of two plain matrices only a has the rows of the result
    rows = slice(first, last)
    a = a[rows] if a.ndim == product.ndim and len(a) == len(product) else a
    b = b[rows] if b.ndim == product.ndim and len(b) == len(product) and stacked else b
    with np.errstate(all="ignore"):  # as silent as the loops: an overflow is an infinity
        np.matmul(a, b, out=product[rows])
        if plus is not None:
            product[rows] += plus[rows]
