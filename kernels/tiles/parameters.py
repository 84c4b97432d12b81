"""The net's own parameters: read from where they lie, and updated there by the optimiser's step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.np.numpy_support import carray

from ..arrays import Array
from ..cpu.jit import intrinsic, jit
from ..cpu.optim import adadelta_cells, adam_cells, sgd_cells
from ..cpu.windows import at

# Of a parameter: the addresses of its numbers and of what the optimiser keeps for it (``state``: as
# many as it has, up to three); the number of its step; its place among the weights and gradients;
# its size. The kernels are shared among threads by these places: from ``first`` to before ``last``.
PARAMETER = np.dtype(
    [("address", np.int64), ("state", np.int64, 3)]
    + [(name, np.int64) for name in ("step", "place", "size")]
)


@intrinsic()
def _pointer(typing: Any, address: Any, like: Any) -> Any:
    """A pointer to numbers of the dtype of ``like``."""
    pointer = types.CPointer(like.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(address, like), generate


@jit
def _array(address: int, size: int, like: Array) -> Array:
    """The array of ``size`` numbers at an address; where that is 0, it must not be read."""
    return carray(_pointer(address, like), size)


@jit
def _cells(parameter: Any, first: int, last: int) -> tuple[int, int]:
    """Which of the parameter's cells have their places from ``first`` to before ``last``."""
    begin, end = first - parameter.place, last - parameter.place
    begin = 0 if begin < 0 else begin
    end = parameter.size if end > parameter.size else end
    return begin, end if end > begin else begin


@jit
def take(first: int, last: int, parameters: Array, weights: Array) -> None:
    """Copy the parameters from their addresses to their places."""
    for k in range(len(parameters)):
        p = parameters[k]
        x = _array(p.address, p.size, weights)
        begin, end = _cells(p, first, last)
        for cell in range(begin, end):
            weights[at(p.place + cell)] = x[at(cell)]


@jit
def update_sgd(
    first: int,
    last: int,
    parameters: Array,
    gradients: Array,
    lr: float,
    momentum: float,
    dampening: float,
    decay: float,
    nesterov: float,
    maximize: float,
) -> None:
    """A step of ``cpu.sgd`` for each of the parameters, where they lie."""
    for k in range(len(parameters)):
        p = parameters[k]
        x, v = _array(p.address, p.size, gradients), _array(p.state[0], p.size, gradients)
        g = gradients[p.place : p.place + p.size]
        damping = 0.0 if p.step == 1 else dampening
        begin, end = _cells(p, first, last)
        sgd_cells(begin, end, x, g, v, lr, momentum, damping, decay, nesterov, maximize)


@jit
def update_adam(
    first: int,
    last: int,
    parameters: Array,
    gradients: Array,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    decay: float,
    decoupled: float,
    maximize: float,
) -> None:
    """The same of ``cpu.adam``; with amsgrad there is a third state."""
    for k in range(len(parameters)):
        p = parameters[k]
        x, largest = _array(p.address, p.size, gradients), _array(p.state[2], p.size, gradients)
        m, v = _array(p.state[0], p.size, gradients), _array(p.state[1], p.size, gradients)
        g = gradients[p.place : p.place + p.size]
        amsgrad = 1.0 if p.state[2] else 0.0
        begin, end = _cells(p, first, last)
        adam_cells(
            begin,
            end,
            x,
            g,
            m,
            v,
            largest,
            amsgrad,
            float(p.step),
            lr,
            beta1,
            beta2,
            eps,
            decay,
            decoupled,
            maximize,
        )


@jit
def update_adadelta(
    first: int,
    last: int,
    parameters: Array,
    gradients: Array,
    lr: float,
    rho: float,
    eps: float,
    decay: float,
    maximize: float,
) -> None:
    """The same of ``cpu.adadelta``."""
    for k in range(len(parameters)):
        p = parameters[k]
        x = _array(p.address, p.size, gradients)
        v, u = _array(p.state[0], p.size, gradients), _array(p.state[1], p.size, gradients)
        g = gradients[p.place : p.place + p.size]
        begin, end = _cells(p, first, last)
        adadelta_cells(begin, end, x, g, v, u, lr, rho, eps, decay, maximize)


UPDATES: dict[str, Callable[..., None]] = {
    "sgd": update_sgd,
    "adam": update_adam,
    "adadelta": update_adadelta,
}
