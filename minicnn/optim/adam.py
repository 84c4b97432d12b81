"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable

from minicnn import kernels
from minicnn.formats import shown
from minicnn.kernels import Array
from minicnn.tensor import Tensor

from .optimizer import Optimizer, State


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015): steps of about lr, whatever the gradient's size.

    A step is the running mean of g, divided by the root of the running mean of g²:
    ``descend`` has the formula.

    Args and errors: see ``Optimizer``; betas = (beta1, beta2), each at least 0 and less than 1. The
    attributes ``m``, ``v``, ``largest`` (with amsgrad) and ``steps`` have an entry for each
    parameter.
    """

    kernel = "adam"
    decoupled = False  # whether weights decay by themselves, not through g

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr)
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise TypeError(f"{self.name}: betas is {shown(betas)}; wanted a pair of numbers")
        self._check_shares(**{"betas[0]": betas[0], "betas[1]": betas[1]})
        self._check(eps=eps, weight_decay=weight_decay)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self.amsgrad, self.maximize = amsgrad, maximize
        self.m, self.v, self.largest = self._no_state(), self._no_state(), self._no_state()
        self.steps = [0] * len(self.params)

    def descend(self, p: Array, g: Array, state: list[Array], step: int) -> None:
        """Step number t of a parameter p with gradient g and means m and v, in this order:

            g = -g                                    if maximize
            g = g + weight_decay * p                  p = p - lr * weight_decay * p if decoupled
            m = beta1 * m + (1 - beta1) * g           the mean of g; m and v begin at 0,
            v = beta2 * v + (1 - beta2) * g**2        the mean of g²
            m' = m / (1 - beta1**t)                   which this corrects
            v' = v / (1 - beta2**t)
            p = p - lr * m' / (sqrt(v') + eps)

        With ``amsgrad`` (Reddi, Kale and Kumar, 2018) v' is computed from the largest v so far. One
        kernel does all of it, p, m, v and the largest v in place.
        """
        m, v, *largest = state
        largest_v = largest[0] if largest else None
        kernels.of(p).adam(p, g, m, v, largest_v, step, *self.settings())

    def state_of(self, i: int) -> tuple[list[Array], int]:
        """See ``Optimizer``: m, v and with amsgrad the largest v."""
        names = ("m", "v", "largest") if self.amsgrad else ("m", "v")
        state = [self._kept(name, i) for name in names]
        self.steps[i] += 1
        return state, self.steps[i]

    def kept(self, i: int) -> State:
        """See ``Optimizer``: m, v and with amsgrad the largest v."""
        means: State = [self.m[i], self.v[i]]
        return [*means, self.largest[i]] if self.amsgrad else means

    def settings(self) -> tuple[float, float, float, float, float, bool, bool]:
        """lr, beta1, beta2, eps, weight_decay, decoupled, maximize."""
        lr, (beta1, beta2) = float(self.lr), map(float, self.betas)
        eps, weight_decay = float(self.eps), float(self.weight_decay)
        return lr, beta1, beta2, eps, weight_decay, self.decoupled, self.maximize


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    As ``Adam``, but the second line of its formula is p = p - lr * weight_decay * p, so that the
    decay is not divided by sqrt(v').
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
