"""Single operations on random whole numbers, of drawn geometries, with a cotangent of their own."""

from __future__ import annotations

import math
import random
from functools import lru_cache
from typing import Any

import numpy as np

from minicnn import nn
from minicnn.winograd import why_not
from tests.exact.layers import AvgPool, Conv, Dense, GroupedConv, Layer, MaxPool, Sum, of_module

KINDS = ("convolution", "convolution in groups", "dense", "average pool", "max pool", "sum")
FRACTIONS = "convolution in fractions"


class Unstrided(Conv):
    """One that ``minicnn.winograd`` can compute."""

    sizes = (1, 2, 3, 4, 5)

    def __init__(self, rng: random.Random, shape: tuple[int, ...]):
        while True:
            super().__init__(rng, shape)
            if not why_not(self.stride, self.dilation, self.size):
                return


class Operation:
    """Number ``number`` of a kind: numbers for it, and what it computes, by loops.

    Attributes:
        x, dy: float64, whole numbers.
        results: y, the gradients of the module's parameters, the gradient of x.
        largest: no number that is part of a sum is larger than that many units.
    """

    def __init__(self, kind: str, number: int):
        rng = random.Random(f"{kind} {number}")
        numbers = np.random.default_rng(rng.randrange(1 << 30))
        images = rng.choice([1, 2, 3, 5, 15, 16, 17, 33])
        height, width = rng.randint(3, 13), rng.randint(3, 14)
        shape: tuple[int, ...] = (rng.choice([1, 2, 3, 4, 6]), height, width)
        if kind == FRACTIONS:  # which take their time
            images, shape = rng.randint(1, 2), (shape[0] % 3 + 1, *(n % 7 + 3 for n in shape[1:]))
        self.kind, self.number = kind, number
        self.layer = _layer(kind, rng, shape)
        shape = (math.prod(shape),) if kind == "dense" else shape
        self.x = numbers.integers(-3, 4, (images, *shape)).astype(float)
        self.dy = numbers.integers(-3, 4, (images, *self.layer.output)).astype(float)
        self.results = _computed(self.layer, self.x, self.dy)
        absolute = self.layer.of_absolute_values()
        most = _computed(absolute, np.abs(self.x), np.abs(self.dy))
        self.largest = max(float(a.max()) for a in most if a.size) / self.layer.unit

    def __str__(self) -> str:
        return f"{self.kind} {self.number}"

    def fits(self, dtype: str) -> bool:
        """Whether all sums are exact in ``dtype``."""
        return self.largest < 2.0 ** {"float32": 24, "float64": 53}[dtype]

    def module(self, dtype: str) -> nn.Module:
        """minicnn's."""
        module = self.layer.module().to(dtype)
        arrays = of_module(self.layer, self.layer.parameters)
        for p, array in zip(module.parameters(), arrays, strict=True):
            p.data[...] = array
        return module


def _layer(kind: str, rng: random.Random, shape: tuple[int, ...]) -> Layer:
    if kind == "dense":
        return Dense(rng, (math.prod(shape),), rng.randint(1, 40))
    kinds: dict[str, Any] = {
        "convolution": Conv,
        "convolution in groups": GroupedConv,
        "average pool": AvgPool,
        "max pool": MaxPool,
        "sum": Sum,
        FRACTIONS: Unstrided,
    }
    layer: Layer = kinds[kind](rng, shape)
    return layer


def _computed(layer: Layer, x: np.ndarray, dy: np.ndarray) -> list[np.ndarray]:
    y = layer.forward(x)
    dx = layer.backward(dy)
    return [y, *of_module(layer, layer.gradients), dx]


@lru_cache(maxsize=512)
def operation(kind: str, number: int) -> Operation:
    return Operation(kind, number)
