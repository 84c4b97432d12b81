"""Gradient descent, Adam and Adadelta, cell by cell.

The loops named ``*_cells`` are compiled into the updates of compiled steps too (``tiles``). They
take every setting as a float, flags as 0 or 1, so that they are compiled once. They are inlined: a
call would lead to whichever copy this process has compiled first, and copies round differently.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from .. import reference
from ..arrays import Array
from .jit import jit
from .threads import share

inlined = partial(jit, inline="always")


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
    settings = (lr, momentum, dampening, weight_decay, nesterov, maximize)
    if not (p.flags.c_contiguous and (v is None or v.flags.c_contiguous)):
        reference.sgd(p, g, v, *settings)  # a transposed parameter, say
        return
    g = np.ascontiguousarray(g).reshape(-1)
    velocity = g if v is None else v.reshape(-1)
    share(sgd_cells, p.size, p.size, p.reshape(-1), g, velocity, *map(float, settings))


@inlined
def sgd_cells(
    first: int,
    last: int,
    p: Array,
    g: Array,
    v: Array,
    lr: float,
    momentum: float,
    dampening: float,
    decay: float,
    nesterov: float,
    maximize: float,
) -> None:
    """``sgd`` for the cells from ``first`` to before ``last`` of flat arrays.

    v is not read or written where momentum is 0.
    """
    number = p.dtype.type  # float32 stays float32: a float64 among the numbers would widen it
    lr, momentum, decay = number(lr), number(momentum), number(decay)
    undamped, sign = number(1 - dampening), number(-1 if maximize else 1)
    p, g, v = p[first:last], g[first:last], v[first:last]
    for k in range(p.size):
        d = sign * g[k]
        if decay:  # 0 times an infinite p would be NaN
            d += decay * p[k]
        if momentum:
            v[k] = momentum * v[k] + undamped * d
            d = d + momentum * v[k] if nesterov else v[k]
        p[k] -= lr * d


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
    settings = (step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize)
    if not all(a.flags.c_contiguous for a in (p, m, v, v if largest is None else largest)):
        reference.adam(p, g, m, v, largest, *settings)
        return
    amsgrad, most = largest is not None, v if largest is None else largest
    arrays = [a.reshape(-1) for a in (p, np.ascontiguousarray(g), m, v, most)]
    share(adam_cells, p.size, 4 * p.size, *arrays, *map(float, (amsgrad, *settings)))


@inlined
def adam_cells(
    first: int,
    last: int,
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    largest: Array,
    amsgrad: float,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    decay: float,
    decoupled: float,
    maximize: float,
) -> None:
    """``adam`` for the cells from ``first`` to before ``last`` of flat arrays."""
    number = p.dtype.type
    size, root = number(lr / (1 - beta1**step)), number(1 / math.sqrt(1 - beta2**step))
    part1, part2, eps = number(1 - beta1), number(1 - beta2), number(eps)
    beta1, beta2, sign = number(beta1), number(beta2), number(-1 if maximize else 1)
    kept, decay = number(1 - lr * decay if decoupled else 1), number(0 if decoupled else decay)
    p, g, m, v, largest = (
        p[first:last], g[first:last], m[first:last], v[first:last], largest[first:last]
    )  # fmt: skip
    for k in range(p.size):
        d = sign * g[k]
        if decay:  # 0 times an infinite p would be NaN
            d += decay * p[k]
        m[k] = beta1 * m[k] + part1 * d
        v[k] = beta2 * v[k] + part2 * (d * d)
        w = v[k]
        if amsgrad:
            w = w if not (w <= largest[k]) else largest[k]  # a NaN is larger
            largest[k] = w
        p[k] = kept * p[k] - size * m[k] / (root * math.sqrt(w) + eps)


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
    settings = (lr, rho, eps, weight_decay, maximize)
    if not all(a.flags.c_contiguous for a in (p, v, u)):
        reference.adadelta(p, g, v, u, *settings)
        return
    arrays = [a.reshape(-1) for a in (p, np.ascontiguousarray(g), v, u)]
    share(adadelta_cells, p.size, 4 * p.size, *arrays, *map(float, settings))


@inlined
def adadelta_cells(
    first: int,
    last: int,
    p: Array,
    g: Array,
    v: Array,
    u: Array,
    lr: float,
    rho: float,
    eps: float,
    decay: float,
    maximize: float,
) -> None:
    """``adadelta`` for the cells from ``first`` to before ``last`` of flat arrays."""
    number = p.dtype.type
    lr, part, rho, eps = number(lr), number(1 - rho), number(rho), number(eps)
    decay, sign = number(decay), number(-1 if maximize else 1)
    p, g, v, u = p[first:last], g[first:last], v[first:last], u[first:last]
    for k in range(p.size):
        d = sign * g[k]
        if decay:
            d += decay * p[k]
        v[k] = rho * v[k] + part * (d * d)
        d = math.sqrt(u[k] + eps) / math.sqrt(v[k] + eps) * d
        u[k] = rho * u[k] + part * (d * d)
        p[k] -= lr * d
