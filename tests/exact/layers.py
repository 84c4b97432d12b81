"""Random layers with whole numbers, each as minicnn's module and as loops."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minicnn import Tensor, nn
from minicnn.compiler.cpu.form import forms_of
from tests.exact import loops
from tests.exact.loops import Shape

SCALE = 2.0**14  # of the last layer's weights: see nets.py


class Layer:
    """What it computes stays whole: all of it is a multiple of ``unit``.

    Attributes:
        output: the shape of one image's result.
        parameters: its arrays, float64, in the module's order.
        gradients: theirs, after ``backward``.
    """

    unit = 1.0
    output: Shape

    def __init__(self) -> None:
        self.parameters: list[np.ndarray] = []
        self.gradients: list[np.ndarray] = []

    def module(self) -> nn.Module:
        raise NotImplementedError

    def forward(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def backward(self, dy: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def of_absolute_values(self) -> Layer:
        """The same layer with the absolute values of its parameters: its sums bound all others."""
        other = copy.copy(self)
        other.parameters = [np.abs(p) for p in self.parameters]
        return other


class Axis(NamedTuple):
    """A window along one axis; ``places`` where it stands."""

    size: int
    stride: int
    padding: int
    dilation: int
    places: int


def axis(rng: random.Random, cells: int, sizes: Sequence[int], pools: bool) -> Axis:
    """Of a convolution or, with ``pools``, of a pooling, whose padding is half a window at most."""
    padding = 0 if pools else rng.choice([0, 0, 1, 1, 2, 3])
    size = rng.choice([k for k in sizes if k <= cells + 2 * padding])
    if pools:
        padding = rng.randint(0, size // 2)
    room = cells + 2 * padding
    dilation = 1 if pools else rng.choice([d for d in (1, 1, 2, 3) if d * (size - 1) < room])
    stride = rng.choice([1, 1, 2, 3])
    return Axis(size, stride, padding, dilation, (room - dilation * (size - 1) - 1) // stride + 1)


class Windows(Layer):
    """What slides a window over pictures of a shape."""

    sizes: Sequence[int]
    pools = True

    def __init__(self, rng: random.Random, shape: Shape):
        super().__init__()
        axes = [axis(rng, cells, self.sizes, self.pools) for cells in shape[1:]]
        self.size, self.stride, self.padding, self.dilation, self.places = zip(*axes, strict=True)
        self.output = (shape[0], *self.places)


class Conv(Windows):
    sizes: Sequence[int] = (1, 2, 3, 4)
    pools = False
    groups = 1

    def __init__(self, rng: random.Random, shape: Shape):
        super().__init__(rng, shape)
        self.channels = shape[0]
        self.output = (self._outputs(rng), *self.places)
        self.has_bias = rng.random() < 0.7
        numbers = np.random.default_rng(rng.randrange(1 << 30))
        of_weight = self.output[0], self.channels // self.groups, *self.size
        weight = numbers.integers(-2, 3, of_weight).astype(float)
        bias = numbers.integers(-3, 4, self.output[0]) * float(self.has_bias)
        self.parameters = [weight, bias]

    def _outputs(self, rng: random.Random) -> int:
        return rng.randint(1, 7)

    def module(self) -> nn.Module:
        window = self.size, self.stride, self.padding, self.dilation
        return nn.Conv2d(self.channels, self.output[0], *window, self.groups, self.has_bias)

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x, ys = x, []
        for (one,), (w, b) in zip(self._each(x), self._each(*self.parameters, axis=0), strict=True):
            ys.append(np.zeros((len(x), len(w), *self.places)))
            loops.conv(one, w, b, self.stride, self.padding, self.dilation, ys[-1])
        return np.concatenate(ys, axis=1)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        window = self.stride, self.padding, self.dilation
        parts = zip(self._each(self.x, dy), self._each(self.parameters[0], axis=0), strict=True)
        found = [loops.conv_backward(x, w, of_y, *window) for (x, of_y), (w,) in parts]
        dxs, dws, dbs = zip(*found, strict=True)
        self.gradients = [np.concatenate(dws), np.concatenate(dbs)]
        return np.concatenate(dxs, axis=1)

    def _each(self, *arrays: np.ndarray, axis: int = 1) -> list[tuple[np.ndarray, ...]]:
        """Each group's part of the arrays."""
        parts = (map(np.ascontiguousarray, np.split(a, self.groups, axis)) for a in arrays)
        return list(zip(*parts, strict=True))


class GroupedConv(Conv):
    """Input and output channels in groups, each convolved by itself."""

    def _outputs(self, rng: random.Random) -> int:
        self.groups = rng.choice([g for g in (1, 2, 3, 4) if self.channels % g == 0])
        return self.groups * rng.randint(1, 3)


class Winograd(Conv):
    """One that Winograd's algorithm can compute."""

    sizes = (1, 2, 3, 5)

    def __init__(self, rng: random.Random, shape: Shape):
        while True:
            super().__init__(rng, shape)
            if self.dilation == (1, 1) and forms_of(self.size, self.stride):
                return


class MaxPool(Windows):
    sizes = (1, 2, 3)

    def module(self) -> nn.Module:
        return nn.MaxPool2d(self.size, self.stride, self.padding)

    def forward(self, x: np.ndarray) -> np.ndarray:
        y = np.zeros((len(x), *self.output))
        self.shape, self.winner = x.shape, np.zeros((*y.shape, 2), np.int64)
        loops.max_pool(x, self.size, self.stride, self.padding, y, self.winner)
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        dx = np.zeros(self.shape)
        loops.max_pool_backward(self.winner, dy, dx)
        return dx


class AvgPool(Windows):
    sizes = (1, 2, 4)  # it divides by powers of 2

    def __init__(self, rng: random.Random, shape: Shape):
        super().__init__(rng, shape)
        self.unit = 1 / math.prod(self.size)

    def module(self) -> nn.Module:
        return nn.AvgPool2d(self.size, self.stride, self.padding)

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.shape, y = x.shape, np.zeros((len(x), *self.output))
        loops.avg_pool(x, self.size, self.stride, self.padding, y)
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        dx = np.zeros(self.shape)
        loops.avg_pool_backward(dy, self.size, self.stride, self.padding, dx)
        return dx


class Relu(Layer):
    def __init__(self, rng: random.Random, shape: Shape):
        super().__init__()
        self.output = shape

    def module(self) -> nn.Module:
        return nn.ReLU()

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x = x
        return np.where(x > 0, x, 0.0)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return np.where(self.x > 0, dy, 0.0)


class Flatten(Layer):
    def __init__(self, rng: random.Random, shape: Shape):
        super().__init__()
        self.output = (int(np.prod(shape)),)

    def module(self) -> nn.Module:
        return nn.Flatten()

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return dy.reshape(self.shape)


class Dense(Layer):
    def __init__(self, rng: random.Random, shape: Shape, width: int, scale: float = 1.0):
        super().__init__()
        self.width, self.output = shape[0], (width,)
        numbers = np.random.default_rng(rng.randrange(1 << 30))
        self.parameters = [
            scale * numbers.integers(-1, 2, (width, shape[0])),
            scale * numbers.integers(-2, 3, width),
        ]

    def module(self) -> nn.Module:
        return nn.Linear(self.width, self.output[0])

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x, y = x, np.zeros((len(x), *self.output))
        w, b = self.parameters
        loops.dense(x, w, b, y)
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        dx, w = np.zeros_like(self.x), self.parameters[0]
        self.gradients = [np.zeros_like(p) for p in self.parameters]
        loops.dense_backward(self.x, w, dy, dx, *self.gradients)
        return dx


class Sum(Layer):
    """Over some of the axes, or all; the images stay."""

    def __init__(self, rng: random.Random, shape: Shape):
        super().__init__()
        self.axes = tuple(sorted(rng.sample((1, 2, 3), rng.randint(1, 3))))
        self.output = tuple(n for axis, n in enumerate(shape, 1) if axis not in self.axes)

    def module(self) -> nn.Module:
        return SumOver(self.axes)

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x, y = x, np.zeros((len(x), math.prod(self.output)))
        kept = [axis for axis in range(4) if axis not in self.axes]
        loops.sums(x.transpose(*kept, *self.axes).reshape(*y.shape, -1), y)
        return y.reshape(len(x), *self.output)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return np.zeros_like(self.x) + np.expand_dims(dy, self.axes)


class SumOver(nn.Module):
    def __init__(self, axes: tuple[int, ...]):
        super().__init__()
        self.axes = axes

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(self.axes)


def of_module(layer: Layer, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Those that the module has too: a convolution may have no bias."""
    return arrays[:1] if isinstance(layer, Conv) and not layer.has_bias else arrays
