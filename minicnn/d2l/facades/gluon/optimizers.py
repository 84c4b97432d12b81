"""mxnet.optimizer: MXNet's formulas, on the engine's kernels."""

from __future__ import annotations

import math
from typing import Any

from minicnn import kernels
from minicnn.checks import check_number
from minicnn.device import on_device_of
from minicnn.kernels import Array, array_module

from .autograd import Variable
from .parameters import Parameter


class Optimizer:
    """What MXNet's optimisers share.

    Args:
        learning_rate: see the class; may be changed between steps.
        wd: weight decay: g + wd w takes the place of g.
        rescale_grad: a factor of all gradients, besides 1 / batch_size.
        clip_gradient: gradients beyond ± this are cut off; None for none.

    Raises:
        ValueError, TypeError: settings that are no numbers, or out of range.
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        wd: float = 0.0,
        rescale_grad: float = 1.0,
        clip_gradient: float | None = None,
    ):
        self._check(learning_rate=learning_rate, wd=wd, rescale_grad=rescale_grad)
        self.learning_rate, self.wd = learning_rate, wd
        self.rescale_grad, self.clip_gradient = rescale_grad, clip_gradient
        self.states: dict[int, list[Array]] = {}
        self.steps: dict[int, int] = {}

    def _check(self, **settings: float) -> None:
        for name, value in settings.items():
            check_number(f"{type(self).__name__}: {name}", value, 0.0)

    def update(self, i: int, parameter: Parameter, scale: float) -> None:
        """The step of parameter number ``i``; its gradient counts ``scale`` times."""
        variable = parameter.variable
        p, g = variable.data, variable.gradient.data
        with on_device_of(p):
            if self.clip_gradient is not None:
                limit, xp = abs(self.clip_gradient), array_module(g)
                g, scale = xp.clip(g * scale * self.rescale_grad, -limit, limit), 1.0
            else:
                scale *= self.rescale_grad
            self.steps[i] = self.steps.get(i, 0) + 1
            rate, decay = self.learning_rate * parameter.lr_mult, self.wd * parameter.wd_mult
            self.descend(i, variable, g, (scale, rate, decay))
        variable.increment_version()

    def descend(
        self, i: int, variable: Variable, g: Array, numbers: tuple[float, float, float]
    ) -> None:
        """Change the variable. ``numbers``: the gradient's scale, learning rate, weight decay."""
        raise NotImplementedError

    def _state(self, i: int, p: Array, count: int) -> list[Array]:
        """``count`` arrays of p's shape that are kept from step to step, 0 at first."""
        if i not in self.states or self.states[i][0].shape != p.shape:
            self.states[i] = [array_module(p).zeros_like(p) for _ in range(count)]
        return self.states[i]


class SGD(Optimizer):
    """w = w - lr (s g + wd w), s = 1 / batch_size.

    With momentum v = momentum v - lr (s g + wd w), w = w + v: the learning rate is inside v, so a
    rate that is changed later changes later gradients alone.
    """

    nesterov = False

    def __init__(self, momentum: float = 0.0, **options: Any):
        super().__init__(**options)
        self._check(momentum=momentum)
        self.momentum = momentum

    def descend(
        self, i: int, variable: Variable, g: Array, numbers: tuple[float, float, float]
    ) -> None:
        scale, rate, decay = numbers
        p = variable.data
        sgd = kernels.of(p).sgd
        if not self.momentum:  # the kernel's rate is lr s, its decay wd / s
            sgd(p, g, None, rate * scale, 0.0, 0.0, decay / scale, False, False)
        else:  # the kernel's rate is 1: -v and lr s g, with the decay lr wd
            (v,) = self._state(i, p, 1)
            scaled = g * g.dtype.type(rate * scale)
            sgd(p, scaled, v, 1.0, self.momentum, 0.0, rate * decay, self.nesterov, False)


class NAG(SGD):
    """SGD with Nesterov's momentum: w = w + momentum v - lr s g, v as in ``SGD``.

    Raises:
        ValueError: weight decay, which MXNet puts elsewhere in the formula than this engine.
    """

    nesterov = True

    def __init__(self, momentum: float = 0.0, **options: Any):
        super().__init__(momentum, **options)
        if self.wd:
            raise ValueError(f"NAG: wd is {self.wd}; wanted 0, or the optimiser 'sgd'")


class Adam(Optimizer):
    """Adam, whose epsilon is added to the root of v before v is corrected.

    m and v are the running means of s g + wd w and of its square, t counts the steps:

        w = w - lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon)
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        **options: Any,
    ):
        super().__init__(learning_rate, **options)
        self._check(beta1=beta1, beta2=beta2, epsilon=epsilon)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon

    def descend(
        self, i: int, variable: Variable, g: Array, numbers: tuple[float, float, float]
    ) -> None:
        scale, rate, decay = numbers
        p, step = variable.data, self.steps[i]
        m, v = self._state(i, p, 2)
        epsilon = self.epsilon / math.sqrt(1 - self.beta2**step)  # the engine's: sqrt(v') + eps
        settings = rate, self.beta1, self.beta2, epsilon, decay, False, False
        kernels.of(p).adam(p, g * g.dtype.type(scale), m, v, None, step, *settings)


class AdaDelta(Optimizer):
    """Adadelta with rho 0.9 and epsilon 1e-5; there is no learning rate in its formula.

    Raises:
        ValueError: weight decay, which MXNet puts elsewhere in the formula than this engine.
    """

    def __init__(self, rho: float = 0.9, epsilon: float = 1e-5, **options: Any):
        super().__init__(**options)
        if self.wd:
            raise ValueError(f"AdaDelta: wd is {self.wd}; wanted 0")
        self._check(rho=rho, epsilon=epsilon)
        self.rho, self.epsilon = rho, epsilon

    def descend(
        self, i: int, variable: Variable, g: Array, numbers: tuple[float, float, float]
    ) -> None:
        p = variable.data
        v, u = self._state(i, p, 2)
        scaled = g * g.dtype.type(numbers[0])
        kernels.of(p).adadelta(p, scaled, v, u, 1.0, self.rho, self.epsilon, 0.0, False)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "nag": NAG,
    "adam": Adam,
    "adadelta": AdaDelta,
}
