"""mxnet.init: how weights begin. Numbers are drawn by the engine's generator."""

from __future__ import annotations

import math
from typing import Any

from minicnn.nn import init as engine
from minicnn.tensor import Tensor

from .arrays import Array


class Initializer:
    """Fills new parameters: write ``_init_weight(self, name, data)``, which writes into data."""

    def __call__(self, name: str, data: Array) -> None:
        self._init_weight(name, data)

    def _init_weight(self, name: str, data: Array) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no _init_weight(self, name, data)")


class _Filling(Initializer):
    """One of MXNet's own, which fills the tensor itself."""

    def _init_weight(self, name: str, data: Array) -> None:
        self.fill(name, data.tensor)

    def fill(self, name: str, tensor: Tensor) -> None:
        raise NotImplementedError


class Uniform(_Filling):
    """Uniform in ±scale. A net that is told nothing else begins with ±0.07."""

    def __init__(self, scale: float = 0.07):
        self.scale = scale

    def fill(self, name: str, tensor: Tensor) -> None:
        engine.uniform_(tensor, -self.scale, self.scale)


class Normal(_Filling):
    """Normal with mean 0 and standard deviation sigma."""

    def __init__(self, sigma: float = 0.01):
        self.sigma = sigma

    def fill(self, name: str, tensor: Tensor) -> None:
        engine.normal_(tensor, 0.0, self.sigma)


class Constant(_Filling):
    """One number everywhere."""

    def __init__(self, value: float):
        self.value = value

    def fill(self, name: str, tensor: Tensor) -> None:
        engine.constant_(tensor, self.value)


class Zero(Constant):
    """0 everywhere."""

    def __init__(self) -> None:
        super().__init__(0.0)


class One(Constant):
    """1 everywhere."""

    def __init__(self) -> None:
        super().__init__(1.0)


class Xavier(_Filling):
    """Variance magnitude / (3 fan) for uniform numbers, magnitude / fan for normal ones.

    Uniform in ±sqrt(magnitude / fan), or normal with the standard deviation sqrt(magnitude / fan).
    With MXNet's defaults, magnitude 3 and the mean of fan_in and fan_out, that is Glorot and
    Bengio's ±sqrt(6 / (fan_in + fan_out)).

    Raises:
        ValueError: another ``rnd_type`` or ``factor_type``; at filling, a parameter of one axis.
    """

    def __init__(self, rnd_type: str = "uniform", factor_type: str = "avg", magnitude: float = 3):
        if rnd_type not in ("uniform", "gaussian"):
            raise ValueError(f"Xavier: rnd_type is {rnd_type!r}; wanted 'uniform' or 'gaussian'")
        if factor_type not in ("avg", "in", "out"):
            raise ValueError(f"Xavier: factor_type is {factor_type!r}; wanted 'avg', 'in' or 'out'")
        self.rnd_type, self.factor_type, self.magnitude = rnd_type, factor_type, magnitude

    def fill(self, name: str, tensor: Tensor) -> None:
        if tensor.ndim < 2:
            raise ValueError(
                f"Xavier: {name} has shape {tensor.shape}; wanted at least two axes; give such a "
                "parameter an init of its own: init.Zero()"
            )
        fan_in, fan_out = engine.fans(tensor)
        fan = {"avg": (fan_in + fan_out) / 2, "in": fan_in, "out": fan_out}[self.factor_type]
        scale = math.sqrt(self.magnitude / fan)
        if self.rnd_type == "uniform":
            engine.uniform_(tensor, -scale, scale)
        else:
            engine.normal_(tensor, 0.0, scale)


class MSRAPrelu(Xavier):
    """Normal with variance 2 / ((1 + slope²) fan), for a leaky relu: He et al., 2015."""

    def __init__(self, factor_type: str = "avg", slope: float = 0.25):
        super().__init__("gaussian", factor_type, 2 / (1 + slope**2))


BY_NAME: dict[str, Any] = {
    kind.__name__.lower(): kind for kind in (Uniform, Normal, Zero, One, Xavier, MSRAPrelu)
} | {"zeros": Zero, "ones": One}


def create(init: Any) -> Initializer:
    """An initialiser from itself or from its name.

    Raises:
        ValueError, TypeError: there is none of this name; something else, as a class.
    """
    if isinstance(init, str):
        if init.lower() not in BY_NAME:
            raise ValueError(f"init is {init!r}; wanted one of {', '.join(BY_NAME)}")
        return BY_NAME[init.lower()]()
    if isinstance(init, type) and issubclass(init, Initializer):
        raise TypeError(f"init is the class {init.__name__}; write init.{init.__name__}()")
    if not isinstance(init, Initializer):
        raise TypeError(f"init is {type(init).__name__}; wanted an initialiser: init.Xavier()")
    return init


NAMES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (Initializer, Uniform, Normal, Constant, Zero, One, Xavier, MSRAPrelu)
} | {"create": create}
