"""Stochastic gradient descent: p = p - lr * g."""

from __future__ import annotations

import math
from collections.abc import Iterable

from minicnn import kernels
from minicnn.kernels import Array
from minicnn.tensor import Tensor

from .optimizer import Optimizer, State


class SGD(Optimizer):
    """Stochastic gradient descent: p = p - lr * g for each parameter p with gradient g.

    Weight decay, momentum and Nesterov's variant change g before: ``descend`` has the formula.

    Args and errors: see ``Optimizer``; also a ValueError for Nesterov without momentum or with
    dampening. The attribute ``velocity`` has v for each parameter, None until its first step.
    """

    kernel = "sgd"

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        maximize: bool = False,
    ):
        super().__init__(params, lr)
        self._check(momentum=momentum, weight_decay=weight_decay)
        self._check(dampening=dampening, at_least=-math.inf)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(
                f"SGD: nesterov needs momentum above 0 and no dampening; momentum is {momentum}, "
                f"dampening {dampening}"
            )
        self.momentum, self.dampening = momentum, dampening
        self.weight_decay, self.nesterov, self.maximize = weight_decay, nesterov, maximize
        self.velocity = self._no_state()

    def descend(self, p: Array, g: Array, state: list[Array], step: int) -> None:
        """The step of a parameter p with gradient g and velocity v, in this order:

            g = -g                                      if maximize
            g = g + weight_decay * p
            v = momentum * v + (1 - dampening) * g      if momentum; v = g at the first step
            g = g + momentum * v if nesterov else v     if momentum
            p = p - lr * g

        One kernel does all of it, p and v in place.
        """
        lr, momentum, dampening, weight_decay, nesterov, maximize = self.settings()
        dampening = 0.0 if step == 1 else dampening
        v = state[0] if state else None
        kernels.of(p).sgd(p, g, v, lr, momentum, dampening, weight_decay, nesterov, maximize)

    def state_of(self, i: int) -> tuple[list[Array], int]:
        """See ``Optimizer``: the velocity. Where there is none yet, this is the first step."""
        if not self.momentum:
            return [], 1
        step = 1 if self.velocity[i] is None else 2
        return [self._kept("velocity", i)], step

    def kept(self, i: int) -> State:
        """See ``Optimizer``: the velocity."""
        return [self.velocity[i]]

    @property
    def keeps_state(self) -> bool:
        """Only with momentum."""
        return self.momentum != 0

    def settings(self) -> tuple[float, float, float, float, bool, bool]:
        """lr, momentum, dampening, weight_decay, nesterov, maximize."""
        lr, momentum = float(self.lr), float(self.momentum)
        dampening, weight_decay = float(self.dampening), float(self.weight_decay)
        return lr, momentum, dampening, weight_decay, self.nesterov, self.maximize
