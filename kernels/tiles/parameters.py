"""The net's own parameters: read from where they lie, and updated there by the optimiser's step."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np

from ..arrays import Array
from ..cpu.optim import adadelta_cells, adam_cells, sgd_cells
from ..cpu.windows import at
from .instruction import Numbers, array_at, inner, kernel

# Of a parameter: the addresses of its numbers and of what the optimiser keeps for it (``state``: as
# many as it has, up to three); the number of its step; its place among the weights and gradients;
# its size. The kernels are shared among threads by these places: from ``first`` to before ``last``.
PARAMETER = np.dtype(
    [("address", np.int64), ("state", np.int64, 3)]
    + [(name, np.int64) for name in ("step", "place", "size")]
)


class Update(NamedTuple):
    """The optimiser's step for each of the parameters, where they lie.

    In its row an array takes two places, as in ``Group``.
    """

    parameters: Annotated[Array, PARAMETER]
    gradients: Numbers
    settings: Annotated[Array, "float64"]  # in the order of the optimiser's kernel


class Places(NamedTuple):
    """Which of the places a thread works on."""

    first: int
    last: int  # the one after the last


@inner(inline="always")
def _cells(parameter: Any, first: int, last: int) -> tuple[int, int]:
    """Which of the parameter's cells have their places from ``first`` to before ``last``."""
    begin, end = first - parameter.place, last - parameter.place
    begin = 0 if begin < 0 else begin
    end = parameter.size if end > parameter.size else end
    return begin, end if end > begin else begin


@inner()
def take(first: int, last: int, parameters: Array, weights: Array) -> None:
    """Copy the parameters from their addresses to their places."""
    for k in range(len(parameters)):
        p = parameters[k]
        x = array_at(p.address, p.size, weights)
        begin, end = _cells(p, first, last)
        for cell in range(begin, end):
            weights[at(p.place + cell)] = x[at(cell)]


@kernel
def update_sgd(op: Update, places: Places) -> None:
    """A step of ``cpu.sgd``."""
    s, gradients = op.settings, op.gradients
    lr, momentum, dampening, decay, nesterov, maximize = s[0], s[1], s[2], s[3], s[4], s[5]
    for k in range(len(op.parameters)):
        p = op.parameters[k]
        x, v = array_at(p.address, p.size, gradients), array_at(p.state[0], p.size, gradients)
        g = gradients[p.place : p.place + p.size]
        damping = 0.0 if p.step == 1 else dampening
        begin, end = _cells(p, places.first, places.last)
        sgd_cells(begin, end, x, g, v, lr, momentum, damping, decay, nesterov, maximize)


@kernel
def update_adam(op: Update, places: Places) -> None:
    """The same of ``cpu.adam``; with amsgrad there is a third state."""
    s, gradients = op.settings, op.gradients
    lr, beta1, beta2, eps, decay, decoupled, maximize = s[0], s[1], s[2], s[3], s[4], s[5], s[6]
    for k in range(len(op.parameters)):
        p = op.parameters[k]
        x, largest = array_at(p.address, p.size, gradients), array_at(p.state[2], p.size, gradients)
        m, v = array_at(p.state[0], p.size, gradients), array_at(p.state[1], p.size, gradients)
        g = gradients[p.place : p.place + p.size]
        amsgrad = 1.0 if p.state[2] else 0.0
        begin, end = _cells(p, places.first, places.last)
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


@kernel
def update_adadelta(op: Update, places: Places) -> None:
    """The same of ``cpu.adadelta``."""
    s, gradients = op.settings, op.gradients
    lr, rho, eps, decay, maximize = s[0], s[1], s[2], s[3], s[4]
    for k in range(len(op.parameters)):
        p = op.parameters[k]
        x = array_at(p.address, p.size, gradients)
        v, u = array_at(p.state[0], p.size, gradients), array_at(p.state[1], p.size, gradients)
        g = gradients[p.place : p.place + p.size]
        begin, end = _cells(p, places.first, places.last)
        adadelta_cells(begin, end, x, g, v, u, lr, rho, eps, decay, maximize)


UPDATES: dict[str, Any] = {
    "sgd": update_sgd,
    "adam": update_adam,
    "adadelta": update_adadelta,
}
MOST_SETTINGS = 7  # Adam's
