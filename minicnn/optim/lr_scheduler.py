"""Learning-rate schedules, as torch.optim.lr_scheduler defines them.

A schedule changes the optimiser's ``lr`` at the end of an epoch. All but ``LambdaLR`` compute the
new rate from the present one: so several may run together, and they go on from a rate that is set
by hand between two epochs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from minicnn.checks import check_number
from minicnn.formats import shown

from .optimizer import Optimizer


class LRScheduler:
    """What all schedules share: call ``step()`` at the end of each epoch.

    Attributes:
        optimizer: whose ``lr`` is set, for the first epoch too.
        base_lr: the rate that the optimiser had when its first schedule was made.
        last_epoch: the number of the present epoch, counted from 0.

    Raises:
        TypeError: something that is no optimiser, or a setting that is no number.
        ValueError: a number of epochs below 1.
    """

    def __init__(self, optimizer: Optimizer):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: optimizer is a {type(optimizer).__name__}; wanted one of "
                "minicnn.optim"
            )
        if optimizer.initial_lr is None:
            optimizer.initial_lr = optimizer.lr
        self.optimizer, self.base_lr, self.last_epoch = optimizer, optimizer.initial_lr, 0
        optimizer.lr = self.get_lr()

    def step(self) -> None:
        """Go to the next epoch."""
        self.last_epoch += 1
        self.optimizer.lr = self.get_lr()

    def get_lr(self) -> float:
        """The rate of epoch ``last_epoch``, from the optimiser's present one."""
        raise NotImplementedError

    def get_last_lr(self) -> list[float]:
        """The present rate; in a list of one, as in PyTorch."""
        return [self.optimizer.lr]

    def _check(self, **settings: Any) -> None:
        for name, value in settings.items():
            check_number(f"{type(self).__name__}: {name}", value)

    def _check_epochs(self, **settings: Any) -> None:
        for name, value in settings.items():
            check_number(f"{type(self).__name__}: {name}", value, at_least=1)


class LambdaLR(LRScheduler):
    """lr = base_lr * lr_lambda(epoch), whatever the rate was before."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]):
        if not callable(lr_lambda):
            raise TypeError(
                f"LambdaLR: lr_lambda is a {type(lr_lambda).__name__}; wanted a function of the "
                "epoch"
            )
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def get_lr(self) -> float:
        """See the class."""
        return self.base_lr * self.lr_lambda(self.last_epoch)


class StepLR(LRScheduler):
    """lr = gamma * lr after every ``step_size`` epochs."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1):
        self._check_epochs(step_size=step_size)
        self._check(gamma=gamma)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def get_lr(self) -> float:
        """See the class."""
        is_due = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return self.optimizer.lr * self.gamma if is_due else self.optimizer.lr


class MultiStepLR(LRScheduler):
    """lr = gamma * lr at each epoch of ``milestones``, twice at one that is named twice."""

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1):
        if not isinstance(milestones, Iterable):
            raise TypeError(
                f"MultiStepLR: milestones is {shown(milestones)}; wanted a list of epochs"
            )
        self._check(gamma=gamma)
        self.milestones, self.gamma = list(milestones), gamma
        for epoch in self.milestones:
            check_number("MultiStepLR: an epoch of milestones", epoch)
        super().__init__(optimizer)

    def get_lr(self) -> float:
        """See the class."""
        return self.optimizer.lr * self.gamma ** self.milestones.count(self.last_epoch)


class ExponentialLR(StepLR):
    """lr = gamma * lr after every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float):
        super().__init__(optimizer, 1, gamma)


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from the learning rate at the start down to ``eta_min`` in ``T_max`` epochs.

    With c(t) = 1 + cos(pi t / T_max), the rate lr = eta_min + (base_lr - eta_min) c(t) / 2 of epoch
    t is computed from that of the epoch before:

        lr = eta_min + (lr - eta_min) c(t) / c(t - 1)

    After SGDR (Loshchilov and Hutter, 2017). As in PyTorch, the cosine then climbs back.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0):  # noqa: N803
        self._check_epochs(T_max=T_max)
        self._check(eta_min=eta_min)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def get_lr(self) -> float:
        """See the class."""
        t, lr = self.last_epoch, self.optimizer.lr
        if t == 0:
            return lr
        if (t - 1) % (2 * self.T_max) == self.T_max:  # c(t - 1) is 0: up from the lowest point
            return lr + (self.base_lr - self.eta_min) * self._c(1 + self.T_max) / 2
        return self.eta_min + (lr - self.eta_min) * self._c(t) / self._c(t - 1)

    def _c(self, t: int) -> float:
        return 1 + math.cos(math.pi * t / self.T_max)
