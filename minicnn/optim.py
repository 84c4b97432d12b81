"""Gradient descent and learning-rate schedules, as torch.optim defines them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from minicnn import kernels
from minicnn.device import beside, device_of, to_device
from minicnn.kernels import Array, array_module, is_host
from minicnn.tensor import Tensor


class SGD:
    """Stochastic gradient descent with momentum, Nesterov's variant and weight decay.

    For each parameter p with gradient g, in this order:

        g = -g                                    if maximize
        g = g + weight_decay p
        v = momentum v + (1 - dampening) g        (v = g at the first step), if momentum
        g = g + momentum v   if nesterov, otherwise   g = v
        p = p - lr g

    Args:
        params: the tensors to be learnt; they are changed in place.
        lr: the learning rate; the attribute ``lr`` may be changed between steps.

    Raises:
        ValueError: no parameters, a negative setting, Nesterov without momentum or with dampening.
        TypeError: something that is not a tensor.
    """

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
        if isinstance(params, Tensor):
            raise TypeError("SGD: params is a tensor; wanted a list of tensors")
        self.params = list(params)
        if not self.params:
            raise ValueError("SGD: params is empty; wanted the tensors to be learnt")
        for p in self.params:
            if not isinstance(p, Tensor):
                raise TypeError(f"SGD: params holds a {type(p).__name__}; wanted tensors")
        for name, value in (("lr", lr), ("momentum", momentum), ("weight_decay", weight_decay)):
            if not value >= 0:
                raise ValueError(f"SGD: {name} is {value}; wanted at least 0")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(
                f"SGD: nesterov needs momentum above 0 and no dampening; momentum is {momentum}, "
                f"dampening {dampening}"
            )
        self.lr, self.momentum, self.dampening = lr, momentum, dampening
        self.weight_decay, self.nesterov, self.maximize = weight_decay, nesterov, maximize
        self.velocity: list[Array | None] = [None] * len(self.params)

    def step(self) -> None:
        """Take one step down the gradients; parameters without one stay."""
        for i, p in enumerate(self.params):
            if p.grad is not None:
                self.update(i, p.grad.data)

    def update(self, i: int, g: Array) -> None:
        """Take the step for parameter number ``i`` with gradient ``g``, of its shape and dtype.

        Raises:
            ValueError: a gradient of another shape, or a parameter that cannot be written to.
        """
        with beside(g):
            self._update(i, g)
        self.params[i].increment_version()

    def settings(self) -> tuple[float, float, float, float, bool, bool]:
        """What the kernels are given: lr, momentum, dampening, weight_decay, nesterov, maximize."""
        rates = (self.lr, self.momentum, self.dampening, self.weight_decay)
        return (*rates, self.nesterov, self.maximize)

    def velocity_of(self, i: int) -> tuple[Array | None, bool]:
        """The velocity of parameter number ``i``, and whether it is zeros made now.

        None without momentum. With a new one there is no dampening.

        Raises:
            ValueError: a velocity of another shape than the parameter.
        """
        if not self.momentum:
            return None, False
        p, before = self.params[i].data, self.velocity[i]
        if before is not None and before.shape != p.shape:
            raise ValueError(
                f"SGD: the velocity of parameter {i} has shape {before.shape}; wanted {p.shape}"
            )
        v = self.velocity[i] = self._velocity_like(p, before)
        return v, before is None

    def _update(self, i: int, g: Array) -> None:
        p = self.params[i].data
        if g.shape != p.shape:
            raise ValueError(
                f"SGD: the gradient of parameter {i} has shape {g.shape}; wanted {p.shape}"
            )
        if is_host(p) and not p.flags.writeable:
            raise ValueError(f"SGD: the array of parameter {i} is read-only; wanted one to change")
        v, is_new = self.velocity_of(i)
        lr, momentum, dampening, *others = self.settings()
        kernels.of(p).sgd(p, g, v, lr, momentum, 0 if is_new else dampening, *others)

    def _velocity_like(self, p: Array, v: Array | None) -> Array:
        """Zeros at the first step, later v; where p is, which may have been moved or converted."""
        if v is None:
            return array_module(p).zeros_like(p)
        return to_device(v, device_of(p)).astype(p.dtype, copy=False)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.params:
            p.grad = None


class LambdaLR:
    """The learning rate at the start times ``factor(epoch)``; ``step()`` at the end of an epoch."""

    def __init__(self, optimizer: SGD, factor: Callable[[int], float]):
        self.optimizer, self.factor = optimizer, factor
        self.base_lr, self.epoch = optimizer.lr, 0
        self._set()

    def step(self) -> None:
        """Go to the next epoch."""
        self.epoch += 1
        self._set()

    def _set(self) -> None:
        self.optimizer.lr = self.base_lr * self.factor(self.epoch)


class StepLR(LambdaLR):
    """The learning rate times ``gamma`` after every ``step_size`` epochs."""

    def __init__(self, optimizer: SGD, step_size: int, gamma: float = 0.1):
        super().__init__(optimizer, lambda epoch: gamma ** (epoch // step_size))


class MultiStepLR(LambdaLR):
    """The learning rate times ``gamma`` at each epoch of ``milestones``."""

    def __init__(self, optimizer: SGD, milestones: Sequence[int], gamma: float = 0.1):
        super().__init__(optimizer, lambda epoch: gamma ** sum(m <= epoch for m in milestones))


class CosineAnnealingLR(LambdaLR):
    """Half a cosine from the learning rate at the start down to ``eta_min`` in ``T_max`` epochs.

    After SGDR (Loshchilov and Hutter, 2017). As in PyTorch, the cosine then climbs back.
    """

    def __init__(self, optimizer: SGD, T_max: int, eta_min: float = 0.0):  # noqa: N803
        low = eta_min / optimizer.lr if optimizer.lr else 1.0
        super().__init__(
            optimizer,
            lambda epoch: low + (1 - low) * (1 + math.cos(math.pi * epoch / T_max)) / 2,
        )
