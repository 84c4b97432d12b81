"""Initial weights: functions that fill a tensor in place and return it (names of torch.nn.init).

Numbers are drawn on the CPU by ``generator``, or by the one that ``minicnn.manual_seed`` set.
"""

from __future__ import annotations

import math
from numbers import Real

import numpy as np

from minicnn.checks import check_is, check_number, check_one_of
from minicnn.device import on_device_of, to_device
from minicnn.random import drawing
from minicnn.tensor import Tensor

Generator = np.random.Generator | None


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out): how many products add up to an output, and how many an input goes into.

    For a weight (O, K) these are K and O; for (O, C, KH, KW) the kernel's cells times C and O.

    Raises:
        ValueError: fewer than two axes.
    """
    _check(tensor)
    if tensor.ndim < 2:
        raise ValueError(f"init: tensor has shape {tensor.shape}; wanted at least two axes")
    cells = math.prod(tensor.shape[2:])
    return tensor.shape[1] * cells, tensor.shape[0] * cells


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through this activation, as torch.nn.init states it.

    Raises:
        ValueError: an unknown activation.
    """
    slope = 0.01 if param is None else param
    check_number("param", slope)
    gains = {
        "linear": 1.0, "conv2d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + slope**2)),
    }  # fmt: skip
    check_one_of("nonlinearity", nonlinearity, gains)
    return gains[nonlinearity]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator = None) -> Tensor:
    """Uniform in [a, b)."""
    _check(tensor, a=a, b=b)
    return _fill(tensor, drawing(generator).uniform(a, b, tensor.shape))


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator = None
) -> Tensor:
    """Normal with this mean and standard deviation."""
    _check(tensor, mean=mean)
    check_number("init: std", std, 0)
    return _fill(tensor, drawing(generator).normal(mean, std, tensor.shape))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """``val`` everywhere."""
    _check(tensor)
    check_is("init: val", val, Real, "a number")
    return _fill(tensor, np.full(tensor.shape, val))


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere."""
    return constant_(tensor, 1.0)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Uniform with variance gain² 2 / (fan_in + fan_out): Glorot and Bengio, 2010."""
    _check(tensor, gain=gain)
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Normal with variance gain² 2 / (fan_in + fan_out): Glorot and Bengio, 2010."""
    _check(tensor, gain=gain)
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor))), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator = None,
) -> Tensor:
    """Uniform with variance gain² / fan: He et al., 2015. ``a``: the slope of a leaky relu."""
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator = None,
) -> Tensor:
    """Normal with variance gain² / fan: He et al., 2015. ``a``: the slope of a leaky relu."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    _check(tensor, a=a)
    check_one_of("mode", mode, ("fan_in", "fan_out"))
    fan = fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(1, fan))


def _check(tensor: Tensor, **settings: float) -> None:
    """Refuse what is no tensor, and settings that are no finite numbers (TypeError, ValueError)."""
    check_is("init: tensor", tensor, Tensor, "a Tensor")
    for name, value in settings.items():
        check_number(f"init: {name}", value)


def _fill(tensor: Tensor, values: np.ndarray) -> Tensor:
    with on_device_of(tensor.data):
        tensor.data[...] = to_device(values.astype(tensor.dtype), tensor.device)
    tensor.increment_version()
    return tensor
