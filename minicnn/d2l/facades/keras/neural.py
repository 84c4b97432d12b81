"""``tf.nn``, activations and initialisers, by name and as objects."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.d2l.facades.keras import functions, making, windows
from minicnn.d2l.facades.keras.arrays import PICTURES, Tensor, as_tensor, on_one_device, operands_of
from minicnn.d2l.facades.keras.dtypes import as_dtype
from minicnn.nn import functional as F
from minicnn.random import default_generator

# Activations --------------------------------------------------------------------------------------


def relu(x: Any) -> Tensor:
    """max(x, 0)."""
    return functions.nonnegative(x)


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + exp(-x))."""
    return functions.sigmoid(x)


def tanh(x: Any) -> Tensor:
    """The hyperbolic tangent."""
    return functions.tanh(x)


def softmax(x: Any, axis: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) over ``axis``."""
    return Tensor(as_tensor(x).tensor.softmax(axis))


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """x - log(sum(exp(x))) over ``axis``."""
    return Tensor(F.log_softmax(as_tensor(x).tensor, axis))


def leaky_relu(features: Any, alpha: float = 0.2) -> Tensor:
    """x above 0, alpha x below."""
    x = as_tensor(features)
    return functions.nonnegative(x) - alpha * functions.nonnegative(-x)


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x above 0, alpha (exp(x) - 1) below."""
    x = as_tensor(x)
    return functions.nonnegative(x) + alpha * (functions.exp(-functions.nonnegative(-x)) - 1)


def softplus(x: Any) -> Tensor:
    """log(1 + exp(x))."""
    x = as_tensor(x)
    return functions.nonnegative(x) + functions.log(1 + functions.exp(-abs(x)))


def swish(x: Any) -> Tensor:
    """x sigmoid(x)."""
    x = as_tensor(x)
    return x * functions.sigmoid(x)


def linear(x: Any) -> Any:
    """x itself."""
    return x


ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "elu": elu,
    "linear": linear,
    "log_softmax": log_softmax,
    "relu": relu,
    "sigmoid": sigmoid,
    "softmax": softmax,
    "softplus": softplus,
    "swish": swish,
    "tanh": tanh,
}


def activation(identifier: Any) -> Callable[[Any], Any]:
    """``tf.keras.activations.get``: a name, a function, or None for none.

    Raises:
        ValueError: an unknown name.
    """
    if identifier is None:
        return linear
    if callable(identifier):
        return identifier
    if identifier not in ACTIVATIONS:
        raise ValueError(
            f"Unknown activation function: {identifier!r}; wanted {', '.join(ACTIVATIONS)}, or a "
            "function"
        )
    return ACTIVATIONS[identifier]


# tf.nn --------------------------------------------------------------------------------------------


def conv2d(input: Any, filters: Any, strides: Any, padding: str) -> Tensor:
    """Pictures (N, H, W, C) convolved with kernels (KH, KW, C, O)."""
    x, w = as_tensor(input), as_tensor(filters)
    how, stride = windows.padding("conv2d", padding), windows.pair("strides", _inner(strides))
    pictures, weight = on_one_device(x.held(PICTURES), w.held((2, 3, 1, 0)))
    kernel = (w.shape[0], w.shape[1])
    around = windows.frame(pictures.shape[2:], kernel, stride, how)
    pictures, zeros = windows.framed(pictures, around, kernel)
    return Tensor(F.conv2d(pictures, weight, None, stride, zeros), PICTURES)


def max_pool2d(input: Any, ksize: Any, strides: Any, padding: str) -> Tensor:
    """The largest of each window. input: (N, H, W, C)."""
    return _pooled(windows.max_pool, "max_pool2d", input, ksize, strides, padding)


def avg_pool2d(input: Any, ksize: Any, strides: Any, padding: str) -> Tensor:
    """The mean of each window. input: (N, H, W, C)."""
    return _pooled(windows.avg_pool, "avg_pool2d", input, ksize, strides, padding)


def _pooled(
    pool: Callable[..., Any], name: str, input: Any, ksize: Any, strides: Any, padding: str
) -> Tensor:
    window, stride = windows.pair("ksize", _inner(ksize)), windows.pair("strides", _inner(strides))
    x = as_tensor(input).held(PICTURES)
    return Tensor(pool(x, window, stride, windows.padding(name, padding)), PICTURES)


def _inner(value: Any) -> Any:
    """(h, w) of (1, h, w, 1)."""
    whole = isinstance(value, list | tuple) and len(value) == 4
    return value[1:3] if whole and value[0] == value[3] == 1 else value


def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any) -> Tensor:
    """The cross-entropy of each row of logits with its class's number."""
    x, y = on_one_device(as_tensor(logits).tensor, as_tensor(labels).tensor)
    return Tensor(F.cross_entropy(x, y, reduction="none"))


def softmax_cross_entropy_with_logits(labels: Any, logits: Any) -> Tensor:
    """The cross-entropy of each row of logits with its row of probabilities."""
    y, x = operands_of(as_tensor(labels), as_tensor(logits))
    return functions.reduce_sum(-y * log_softmax(x), axis=-1)


def dropout(x: Any, rate: float) -> Tensor:
    """Each cell 0 with probability ``rate``, the others times 1 / (1 - rate)."""
    return as_tensor(x).each(lambda t: F.dropout(t, rate, True))


NN: dict[str, Any] = {
    **{name: function for name, function in ACTIVATIONS.items() if name != "linear"},
    "avg_pool2d": avg_pool2d,
    "conv2d": conv2d,
    "dropout": dropout,
    "leaky_relu": leaky_relu,
    "max_pool2d": max_pool2d,
    "softmax_cross_entropy_with_logits": softmax_cross_entropy_with_logits,
    "sparse_softmax_cross_entropy_with_logits": sparse_softmax_cross_entropy_with_logits,
}

# Initialisers -------------------------------------------------------------------------------------


class Initializer:
    """Draws weights of a shape; ``seed`` makes them the same in every call."""

    def __init__(self, seed: int | None = None):
        self.seed = seed

    def __call__(self, shape: Any, dtype: Any = "float32") -> Tensor:
        sizes = making.sizes(shape)
        seeded = self.seed is not None
        generator = np.random.default_rng(self.seed) if seeded else default_generator()
        drawn = np.asarray(self.draw(sizes, generator))
        return making.new(drawn.astype(as_dtype(dtype).as_numpy_dtype))

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> Any:
        """The numbers."""
        raise NotImplementedError


class Zeros(Initializer):
    """0."""

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> Any:
        return np.zeros(shape)


class Ones(Initializer):
    """1."""

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> Any:
        return np.ones(shape)


class Constant(Initializer):
    """``value``."""

    def __init__(self, value: Any = 0):
        super().__init__()
        self.value = value

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> Any:
        return np.broadcast_to(np.asarray(self.value), shape)


class RandomNormal(Initializer):
    """Normal."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None):
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> Any:
        return generator.normal(self.mean, self.stddev, shape)


class RandomUniform(Initializer):
    """Uniform."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None):
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> Any:
        return generator.uniform(self.minval, self.maxval, shape)


class _Scaled(Initializer):
    """Variance ``scale`` / n: n is the fan-in, or the mean of both fans (``averaged``)."""

    scale, averaged, uniform = 1.0, True, True

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> Any:
        fan_in, fan_out = fans(shape)
        variance = self.scale / max(1.0, (fan_in + fan_out) / 2 if self.averaged else fan_in)
        if self.uniform:
            bound = math.sqrt(3 * variance)
            return generator.uniform(-bound, bound, shape)
        # what lies beyond two deviations is drawn again, which takes 0.8796 of the deviation away
        drawn = generator.standard_normal(shape)
        while (beyond := abs(drawn) > 2).any():
            drawn = np.where(beyond, generator.standard_normal(shape), drawn)
        return drawn * math.sqrt(variance) / 0.87962566103423978


class GlorotUniform(_Scaled):
    """Uniform in ±sqrt(6 / (fan_in + fan_out)): Glorot and Bengio, 2010."""


class GlorotNormal(_Scaled):
    """Truncated normal with variance 2 / (fan_in + fan_out)."""

    uniform = False


class HeUniform(_Scaled):
    """Uniform in ±sqrt(6 / fan_in): He et al., 2015."""

    scale, averaged = 2.0, False


class HeNormal(_Scaled):
    """Truncated normal with variance 2 / fan_in."""

    scale, averaged, uniform = 2.0, False, False


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_in, fan_out) of a kernel in TensorFlow's order: (in, out) or (KH, KW, in, out)."""
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    cells = math.prod(shape[:-2])
    return shape[-2] * cells, shape[-1] * cells


INITIALIZERS: dict[str, type[Initializer]] = {
    "constant": Constant,
    "glorot_normal": GlorotNormal,
    "glorot_uniform": GlorotUniform,
    "he_normal": HeNormal,
    "he_uniform": HeUniform,
    "ones": Ones,
    "random_normal": RandomNormal,
    "random_uniform": RandomUniform,
    "zeros": Zeros,
}


def initializer(identifier: Any) -> Callable[..., Any]:
    """``tf.keras.initializers.get``: a name, a class, an object or a function.

    Raises:
        ValueError: an unknown name.
    """
    named = {kind.__name__: kind for kind in INITIALIZERS.values()} | INITIALIZERS
    if isinstance(identifier, str) and identifier in named:
        return named[identifier]()
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"Unknown initializer: {identifier!r}; wanted {', '.join(INITIALIZERS)}")
