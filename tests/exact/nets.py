"""Random nets whose whole training step is exact: every number of it is a small whole one.

Two things would not be whole. Average pooling divides: windows of 2 or 4 cells a side leave
halves to sixteenths. And the softmax: with two classes whose logits differ by more than 745, which
``layers.SCALE`` sees to, the probabilities are 0 and 1, bit for bit; with equal logits both are
1 / 2. So the gradient with respect to the logits, p - 1[class = y], is whole or a half.

A sum of whole numbers is the same in every order as long as no partial sum leaves the numbers that
the dtype holds: 2^24 in float32. Their absolute values, summed up, bound all of them: ``largest``.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from minicnn import Tensor, nn
from minicnn.device import to_device
from tests.exact.layers import (
    SCALE,
    AvgPool,
    Conv,
    Dense,
    Flatten,
    Layer,
    MaxPool,
    Relu,
    Winograd,
    of_module,
)

CLASSES = 2


class Exact:
    """Net number ``number``, a batch for it, and what a training step computes, by loops.

    Attributes:
        x: pictures, float64, whole numbers; y: labels.
        unit: all numbers are multiples of it.
        logits: of the pictures; dx: the gradient of the pictures.
        results: logits, the gradients of ``net().parameters()``, dx.
        largest: no number that is part of a sum is larger than that many units.
    """

    def __init__(self, number: int, kinds: Callable[[random.Random], list[type[Any]]]):
        rng = random.Random(number)
        numbers = np.random.default_rng(number)
        images = rng.choice([1, 2, 3, 5, 15, 16, 17, 33])
        shape: tuple[int, ...] = (rng.randint(1, 4), rng.randint(3, 11), rng.randint(3, 12))
        self.number, self.layers = number, list[Layer]()
        self.x = numbers.integers(-2, 3, (images, *shape)).astype(float)
        self.y = numbers.integers(0, CLASSES, images)
        for kind in kinds(rng):
            self._add(kind(rng, shape))
            shape = self.layers[-1].output
        self._add(Flatten(rng, shape))
        if rng.random() < 0.5 and Winograd not in map(type, self.layers):
            self._add(Dense(rng, self.layers[-1].output, rng.randint(1, 18)))
            self._add(Relu(rng, self.layers[-1].output))
        self._add(Dense(rng, self.layers[-1].output, CLASSES, SCALE))
        self.logits, self.dx = self._step(self.layers, self.x)
        gradients = [g for layer in self.layers for g in of_module(layer, layer.gradients)]
        self.results = [self.logits, *gradients, self.dx]
        self.unit = (0.5 * math.prod(layer.unit for layer in self.layers)) ** 2
        self.largest = self._bound()

    def __str__(self) -> str:
        return f"net {self.number}"

    def _add(self, layer: Layer) -> None:
        self.layers.append(layer)

    def _step(self, layers: list[Layer], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        for layer in layers:
            x = layer.forward(x)
        logits, other = x, x[:, ::-1]
        p = np.where(logits == other, 0.5, np.where(logits > other, 1.0, 0.0))
        dy = p - (np.arange(CLASSES) == self.y[:, None])
        for layer in reversed(layers):
            dy = layer.backward(dy)
        return logits, dy

    def _bound(self) -> float:
        """The same step with absolute values everywhere, in units."""
        layers, x = [layer.of_absolute_values() for layer in self.layers], np.abs(self.x)
        layers[-1].parameters = [p / SCALE for p in layers[-1].parameters]
        results = [x]
        for layer in layers:
            results.append(layer.forward(results[-1]))
        dy = np.ones_like(results[-1])
        for layer in reversed(layers):
            if isinstance(layer, Relu):  # lets more through than the real one
                layer.x = np.ones_like(layer.x)
            dy = layer.backward(dy)
            results += [dy, *layer.gradients]
        return max(float(a.max()) for a in results if a.size) / self.unit

    def net(self, dtype: str, device: str = "cpu") -> nn.Sequential:
        """The same net of minicnn's layers."""
        net = nn.Sequential(*(layer.module() for layer in self.layers)).to(dtype)
        arrays = [p for layer in self.layers for p in of_module(layer, layer.parameters)]
        for p, array in zip(net.parameters(), arrays, strict=True):
            p.data[...] = array
        return net.to(device)

    def batch(self, dtype: str, device: str = "cpu") -> tuple[Tensor, Tensor]:
        """Pictures in ``dtype`` and labels."""
        x, y = (to_device(a, device) for a in (self.x.astype(dtype), self.y))
        return Tensor(x), Tensor(y)

    def fits(self, dtype: str) -> bool:
        """Whether all sums are exact in ``dtype``."""
        return self.largest < 2.0 ** {"float32": 24, "float64": 53}[dtype]


def _kinds(rng: random.Random) -> list[type[Any]]:
    """One to three convolutions, with ReLU or not, pooling after some."""
    kinds: list[type[Any]] = []
    for _ in range(rng.choice([0, 1, 1, 2, 2, 3])):
        kinds.append(Conv)
        kinds += rng.choice([[], [Relu], [Relu], [MaxPool], [AvgPool], [Relu, MaxPool],
                             [Relu, AvgPool], [MaxPool, Relu]])  # fmt: skip
    return kinds or [rng.choice([MaxPool, AvgPool])]


def _kinds_at_points(rng: random.Random) -> list[type[Any]]:
    """One or two convolutions by Winograd's algorithm. It rounds, which must decide nothing: ReLU
    and max pooling ask which number is larger."""
    return rng.choice([[Winograd], [Conv, Winograd], [Winograd, AvgPool], [Winograd, Winograd]])


@lru_cache(maxsize=512)
def exact(number: int) -> Exact:
    return Exact(number, _kinds)


@lru_cache(maxsize=512)
def exact_at_points(number: int) -> Exact:
    return Exact(number, _kinds_at_points)
