"""Gradient descent (optim.cu)."""

from __future__ import annotations

import cupy

from ..arrays import Array
from .launch import I64, contiguous, ints, launch


def sgd(
    p: Array,
    g: Array,
    v: Array | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """See ``reference.sgd``."""
    numbers = [p.dtype.type(x) for x in (lr, momentum, dampening, weight_decay)]
    arrays = [p, v] if v is not None else [p]
    with contiguous(*arrays) as whole:
        launch("sgd", p.dtype, p.size, whole[0], cupy.ascontiguousarray(g), whole[-1],
                I64(p.size), *numbers, *ints(nesterov, maximize))  # fmt: skip


def adam(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    largest: Array | None,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None:
    """See ``reference.adam``."""
    size, root = lr / (1 - beta1**step), 1 / (1 - beta2**step) ** 0.5
    rates = (lr, size, root, 1 - beta1, 1 - beta2, eps, weight_decay)
    numbers = [p.dtype.type(x) for x in rates]
    arrays = [p, m, v] if largest is None else [p, m, v, largest]
    with contiguous(*arrays) as whole:
        launch("adam", p.dtype, p.size, whole[0], cupy.ascontiguousarray(g), *whole[1:3],
                whole[-1], I64(p.size), *numbers,
                *ints(largest is not None, decoupled, maximize))  # fmt: skip


def adadelta(
    p: Array,
    g: Array,
    v: Array,
    u: Array,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """See ``reference.adadelta``."""
    numbers = [p.dtype.type(x) for x in (lr, 1 - rho, eps, weight_decay)]
    with contiguous(p, v, u) as whole:
        launch("adadelta", p.dtype, p.size, whole[0], cupy.ascontiguousarray(g), *whole[1:],
                I64(p.size), *numbers, *ints(maximize))  # fmt: skip
