"""Adadelta."""

from __future__ import annotations

from collections.abc import Iterable

from minicnn import kernels
from minicnn.kernels import Array
from minicnn.tensor import Tensor

from .optimizer import Optimizer, State


class Adadelta(Optimizer):
    """Adadelta (Zeiler, 2012): steps in the parameter's own unit, without a rate to choose.

    The gradient is divided by the root of its running mean square and multiplied by that of the
    steps before: ``descend`` has the formula.

    Args and errors: see ``Optimizer``; rho is at least 0 and at most 1. The attributes ``v`` and
    ``u`` have an entry for each parameter.
    """

    kernel = "adadelta"

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr)
        self._check(rho=rho, eps=eps, weight_decay=weight_decay)
        if rho > 1:
            raise ValueError(f"Adadelta: rho is {rho}; wanted at most 1")
        self.rho, self.eps, self.weight_decay, self.maximize = rho, eps, weight_decay, maximize
        self.v, self.u = self._no_state(), self._no_state()

    def descend(self, p: Array, g: Array, state: list[Array], step: int) -> None:
        """The step of a parameter p with gradient g and means v and u, in this order:

            g = -g                                    if maximize
            g = g + weight_decay * p
            v = rho * v + (1 - rho) * g**2            the mean of g²; v and u begin at 0
            d = g * sqrt(u + eps) / sqrt(v + eps)
            u = rho * u + (1 - rho) * d**2            the mean of d²
            p = p - lr * d

        One kernel does all of it, p, v and u in place.
        """
        v, u = state
        kernels.of(p).adadelta(p, g, v, u, *self.settings())

    def state_of(self, i: int) -> tuple[list[Array], int]:
        """See ``Optimizer``: v and u. The number of the step does not matter."""
        return [self._kept("v", i), self._kept("u", i)], 1

    def kept(self, i: int) -> State:
        """See ``Optimizer``: v and u."""
        return [self.v[i], self.u[i]]

    def settings(self) -> tuple[float, float, float, float, bool]:
        """lr, rho, eps, weight_decay, maximize."""
        lr, rho = float(self.lr), float(self.rho)
        return lr, rho, float(self.eps), float(self.weight_decay), self.maximize
