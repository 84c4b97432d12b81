"""Keras' optimisers: its names and formulas, with the engine's steps where they are the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minicnn import kernels, optim
from minicnn.d2l.facades.keras import mistakes
from minicnn.d2l.facades.keras.arrays import Tensor, moved
from minicnn.d2l.facades.keras.gradients import GradientTape, Variable
from minicnn.kernels import Array
from minicnn.terminal import complain


class Optimizer:
    """``apply_gradients`` takes a step for each variable.

    Args:
        learning_rate: may be assigned to between steps, as all settings.
        name: what prints.
    """

    def __init__(self, learning_rate: float, name: str | None, **options: Any):
        kind = type(self).__name__
        rate = options.pop("lr", learning_rate)  # Keras' older name
        mistakes.refuse(kind, options)
        if not isinstance(rate, int | float | np.number | Tensor):
            raise TypeError(f"{kind}: learning_rate is {rate!r:.60}; wanted a number")
        self.name = name or kind
        self._rate = Variable(float(rate), trainable=False, name="learning_rate")
        self.iterations = 0
        self._engines: dict[int, Any] = {}  # an engine's optimiser for each variable

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(mistakes.of_optimizer(self, name), name=name, obj=self)

    @property
    def learning_rate(self) -> Variable:
        """The learning rate, a variable: ``optimizer.learning_rate = 0.1`` or ``.assign(0.1)``."""
        return self._rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._rate.assign(float(value))

    lr = learning_rate

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Any]]) -> None:
        """Take a step: ``apply_gradients(zip(tape.gradient(loss, variables), variables))``.

        Raises:
            ValueError: no gradient at all.
        """
        pairs = list(grads_and_vars)
        for pair in pairs:
            if not (isinstance(pair, tuple | list) and isinstance(pair[-1], Variable)):
                raise TypeError(
                    "apply_gradients: wanted pairs (gradient, variable), received "
                    f"{type(pair).__name__}; write zip(gradients, net.trainable_variables)"
                )
        missing = [v.name for g, v in pairs if g is None]
        if len(missing) == len(pairs):
            raise ValueError(
                f"No gradients provided for any variable: {missing}; compute the net and the loss "
                "inside `with tf.GradientTape() as tape:`, with tf functions alone"
            )
        if missing:
            complain(f"gradients do not exist for variables {missing} when minimizing the loss")
        rate = float(self._rate)
        for grad, variable in pairs:
            if grad is not None:
                self._step(variable, grad.held(variable._order), rate)
        self.iterations += 1

    def minimize(self, loss: Any, var_list: Any, tape: Any = None) -> None:
        """Take a step down ``loss``: computed with ``tape``, or a function without arguments."""
        if tape is None:
            with GradientTape() as tape:
                loss = loss()
        variables = list(var_list)
        self.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    def _step(self, variable: Variable, grad: Any, rate: float) -> None:
        held = variable._held
        engine = self._engines.get(id(held))
        if engine is None:
            engine = self._engines[id(held)] = self._engine(held)
        engine.lr = rate
        self._hand_on(engine)
        engine.update(0, moved(grad, held.device).data)

    def _engine(self, held: Any) -> Any:
        """The engine's optimiser of one variable."""
        raise NotImplementedError(f"{type(self).__name__} has no step")

    def _hand_on(self, engine: Any) -> None:
        """Give the engine's optimiser the present settings."""


class SGD(Optimizer):
    """w = w - learning_rate g; with momentum v = momentum v - learning_rate g, w = w + v."""

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        name: str | None = None,
        **options: Any,
    ):
        super().__init__(learning_rate, name, **options)
        if not 0 <= momentum <= 1:
            raise ValueError(f"SGD: momentum is {momentum}; wanted a number from 0 to 1")
        self.momentum, self.nesterov = momentum, nesterov

    def _engine(self, held: Any) -> optim.SGD:
        return _Descent([held], 0.0)

    def _hand_on(self, engine: Any) -> None:
        engine.momentum, engine.nesterov = self.momentum, self.nesterov and self.momentum > 0


class _Descent(optim.SGD):
    """Keras' momentum has the learning rate inside: it shows when the rate changes."""

    def descend(self, p: Array, g: Array, state: list[Array], step: int) -> None:
        """v = momentum v - lr g;  p = p + (momentum v - lr g if nesterov else v)."""
        if not self.momentum:
            super().descend(p, g, state, step)
            return
        v, rate, momentum = state[0], p.dtype.type(self.lr), p.dtype.type(self.momentum)
        v *= momentum
        v -= rate * g
        p += momentum * v - rate * g if self.nesterov else v


class Adam(Optimizer):
    """Adam, with epsilon next to the uncorrected root ("epsilon hat" of Kingma and Ba, 2015)."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        name: str | None = None,
        **options: Any,
    ):
        super().__init__(learning_rate, name, **options)
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad

    def _engine(self, held: Any) -> optim.Adam:
        return _Adam([held], 0.0)

    def _hand_on(self, engine: Any) -> None:
        engine.betas = self.beta_1, self.beta_2
        engine.eps, engine.amsgrad = self.epsilon, self.amsgrad


class _Adam(optim.Adam):
    def descend(self, p: Array, g: Array, state: list[Array], step: int) -> None:
        """The engine's formula; its epsilon stands next to the corrected root, sqrt(v')."""
        m, v, *largest = state
        lr, beta1, beta2, eps, decay, decoupled, maximize = self.settings()
        eps = eps / math.sqrt(1 - beta2**step)
        largest_v = largest[0] if largest else None
        settings = (lr, beta1, beta2, eps, decay, decoupled, maximize)
        kernels.of(p).adam(p, g, m, v, largest_v, step, *settings)


class Adadelta(Optimizer):
    """Adadelta (Zeiler, 2012), as the engine's, with Keras' defaults."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        name: str | None = None,
        **options: Any,
    ):
        super().__init__(learning_rate, name, **options)
        self.rho, self.epsilon = rho, epsilon

    def _engine(self, held: Any) -> optim.Adadelta:
        return optim.Adadelta([held], 0.0)

    def _hand_on(self, engine: Any) -> None:
        engine.rho, engine.eps = self.rho, self.epsilon


OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {"adadelta": Adadelta, "adam": Adam, "sgd": SGD}


def optimizer_of(identifier: Any) -> Optimizer:
    """An optimiser by name or object.

    Raises:
        ValueError: an unknown name, or a class.
    """
    if isinstance(identifier, str) and identifier.lower() in OPTIMIZERS:
        return OPTIMIZERS[identifier.lower()]()
    if isinstance(identifier, Optimizer):
        return identifier
    raise ValueError(
        f"Could not interpret optimizer identifier: {identifier!r:.80}; wanted "
        f"{', '.join(OPTIMIZERS)}, or an object such as tf.keras.optimizers.SGD(learning_rate=0.1)"
    )
