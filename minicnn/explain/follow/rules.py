"""What each cell of a followed net is made of: a rule for each array.

The formulas are those of ``minicnn.ops``; p, q are the row and column of an output, o, c channels.
A gradient's terms begin with the gradient that they carry on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..conv.arguments import example_of
from ..conv.numbers import Convolution
from ..conv.terms import Factor, Product
from ..numbers import Pair, as_pair, numbers
from .net import Layer, gradient_of

Arrays = dict[str, np.ndarray]
Terms = Callable[..., list[Product]]

SLOPES: dict[str, Callable[[float], float]] = {  # of an activation, from its output
    "sigmoid": lambda y: y * (1 - y),
    "relu": lambda y: float(y > 0),
    "tanh": lambda y: 1 - y * y,
}


@dataclass(frozen=True)
class Rule:
    """What the cells of an array are made of: see ``Followed.terms`` and ``.function``."""

    terms: Terms
    function: str = "sum"


def made_of(layers: list[Layer], arrays: Arrays, kept: Arrays) -> list[Any]:
    """For each layer the ``Made`` of its kind."""
    return [MAKERS[layer.kind](layer, arrays, kept) for layer in layers]


def rules_of(made: list[Any], arrays: Arrays, label: int) -> dict[str, Rule]:
    """The rule of each array."""
    logits = made[-1].y_name
    loss = _Loss(arrays, logits, label)
    found = {name: Rule(lambda *_: [], "given") for name in arrays}
    found |= {"p": Rule(loss.p, "softmax"), "L": Rule(loss.loss, "log")}
    found[gradient_of(logits)] = Rule(loss.dlogits)
    for layer in made:
        found[layer.y_name] = Rule(layer.y, layer.function)
        found[gradient_of(layer.below)] = Rule(layer.dx)
        for name in layer.layer.parameters:
            rule = layer.dweight if name.endswith("W") else layer.dbias
            found[gradient_of(name)] = Rule(rule)
    return found


class Made:
    """What the cells of a layer's arrays are made of; this is what all kinds share.

    A kind has ``y``, ``dx`` and, where it has weights, ``dweight`` and ``dbias``: from the index of
    a cell to its terms.
    """

    function = "sum"

    def __init__(self, layer: Layer, arrays: Arrays, kept: Arrays):
        self.layer, self.arrays, self.name = layer, arrays, layer.name
        self.below, self.y_name = layer.below, f"{layer.name}.y"
        self.dy_name = f"{layer.name}.dy"
        self.shape, self.output = arrays[layer.below].shape, arrays[self.y_name].shape
        self.prepare(kept)

    def prepare(self, kept: Arrays) -> None:
        """What a kind needs more."""

    def geometry(self) -> dict[str, Any]:
        """What the page's scripts need to know about it, but for names and shapes."""
        return {}

    def cell(self, array: str, *at: int) -> Factor:
        return _cell(self.arrays, array, *at)

    def dy(self, *at: int) -> Factor:
        return self.cell(self.dy_name, *at)


def _cell(arrays: Arrays, array: str, *at: int) -> Factor:
    at = tuple(int(k) for k in at)
    return Factor(array, at, float(arrays[array][at]))


def _times(cell: Factor, number: float = 1.0) -> Product:
    return Product(cell, Factor("number", (), number))


class _Conv(Made):
    def prepare(self, kept: Arrays) -> None:
        x, dy = self.arrays[self.below][None], self.arrays[self.dy_name][None]
        self.conv = Convolution(*example_of(self.layer.module, x, dy))

    def geometry(self) -> dict[str, Any]:
        conv = self.conv
        return _letters(conv.kernel_size, conv.stride, conv.padding, conv.dilation)

    def window(self, p: int, q: int) -> Iterator[tuple[int, int, int, int]]:
        """(i, j, h, w): the cells of the window of output (p, q) that lie in the picture."""
        for i, j in np.ndindex(self.conv.kernel_size):
            h, w = self.conv.pixel(p, q, i, j)
            if self.conv.in_picture(h, w):
                yield i, j, h, w

    def y(self, o: int, p: int, q: int) -> list[Product]:
        has_bias = self.conv.bias is not None
        bias = [_times(self.cell(f"{self.name}.b", o))] if has_bias else []
        return bias + [
            Product(self.cell(f"{self.name}.W", o, c, i, j), self.cell(self.below, c, h, w))
            for c in range(self.shape[0])
            for i, j, h, w in self.window(p, q)
        ]

    def dx(self, c: int, h: int, w: int) -> list[Product]:
        over = [*self.conv.windows_over(h, w)]
        return [
            Product(self.dy(o, p, q), self.cell(f"{self.name}.W", o, c, i, j))
            for o in range(self.output[0])
            for p, q, i, j in over
        ]

    def dweight(self, o: int, c: int, i: int, j: int) -> list[Product]:
        places = ((p, q, *self.conv.pixel(p, q, i, j)) for p, q in np.ndindex(self.conv.output))
        return [
            Product(self.dy(o, p, q), self.cell(self.below, c, h, w))
            for p, q, h, w in places
            if self.conv.in_picture(h, w)
        ]

    def dbias(self, o: int) -> list[Product]:
        return [_times(self.dy(o, p, q)) for p, q in np.ndindex(self.conv.output)]


class _Dense(Made):
    """Flattening numbers the cells below in their order, so feature k is the k-th cell."""

    def x(self, k: int) -> Factor:
        return self.cell(self.below, *(int(a) for a in np.unravel_index(k, self.shape)))

    def y(self, o: int) -> list[Product]:
        bias = [_times(self.cell(n, o)) for n in self.layer.parameters if n.endswith("b")]
        features = range(int(np.prod(self.shape)))
        return bias + [Product(self.cell(f"{self.name}.W", o, k), self.x(k)) for k in features]

    def dx(self, *at: int) -> list[Product]:
        k = int(np.ravel_multi_index(at, self.shape))
        outputs = range(self.output[0])
        return [Product(self.dy(o), self.cell(f"{self.name}.W", o, k)) for o in outputs]

    def dweight(self, o: int, k: int) -> list[Product]:
        return [Product(self.dy(o), self.x(k))]

    def dbias(self, o: int) -> list[Product]:
        return [_times(self.dy(o))]


class _Pool(Made):
    def prepare(self, kept: Arrays) -> None:
        module = self.layer.module
        self.kernel_size, self.stride = as_pair(module.kernel_size), as_pair(module.stride)
        self.padding, self.dilation = (
            as_pair(module.padding),
            as_pair(getattr(module, "dilation", 1)),
        )
        self.covering: dict[Pair, list[Pair]] = {}  # a cell: the outputs that see it
        for p, q in np.ndindex(self.output[1:]):
            for cell in self.window(p, q):
                self.covering.setdefault(cell, []).append((p, q))

    def geometry(self) -> dict[str, Any]:
        return _letters(self.kernel_size, self.stride, self.padding, self.dilation)

    def window(self, p: int, q: int) -> Iterator[Pair]:
        """The cells of the picture in the window of output (p, q)."""
        (sh, sw), (ph, pw), (dh, dw) = self.stride, self.padding, self.dilation
        for i, j in np.ndindex(self.kernel_size):
            h, w = p * sh + i * dh - ph, q * sw + j * dw - pw
            if 0 <= h < self.shape[1] and 0 <= w < self.shape[2]:
                yield h, w

    def over(self, h: int, w: int) -> list[Pair]:
        return self.covering.get((h, w), [])


class _MaxPool(_Pool):
    function = "max"

    def prepare(self, kept: Arrays) -> None:
        super().prepare(kept)
        self.winner = kept[f"{self.name}.winner"]

    def y(self, c: int, p: int, q: int) -> list[Product]:
        return [_times(self.cell(self.below, c, h, w)) for h, w in self.window(p, q)]

    def dx(self, c: int, h: int, w: int) -> list[Product]:
        won = [(p, q) for p, q in self.over(h, w) if self.winner[c, p, q] == h * self.shape[2] + w]
        return [_times(self.dy(c, p, q)) for p, q in won]


class _AvgPool(_Pool):
    def prepare(self, kept: Arrays) -> None:
        super().prepare(kept)
        self.divisor = kept[f"{self.name}.divisor"]

    def geometry(self) -> dict[str, Any]:
        return {**super().geometry(), "divisor": numbers(self.divisor)}

    def y(self, c: int, p: int, q: int) -> list[Product]:
        share = 1 / float(self.divisor[p, q])
        return [_times(self.cell(self.below, c, h, w), share) for h, w in self.window(p, q)]

    def dx(self, c: int, h: int, w: int) -> list[Product]:
        over = self.over(h, w)
        return [_times(self.dy(c, p, q), 1 / float(self.divisor[p, q])) for p, q in over]


class _Activation(Made):
    def prepare(self, kept: Arrays) -> None:
        self.function = self.layer.kind

    def y(self, *at: int) -> list[Product]:
        return [_times(self.cell(self.below, *at))]

    def dx(self, *at: int) -> list[Product]:
        slope = SLOPES[self.layer.kind](float(self.arrays[self.y_name][at]))
        return [Product(self.dy(*at), Factor("slope", at, slope))]


class _Loss:
    """Softmax and cross-entropy: p = softmax(z), L = -log p[label], dz = p - t."""

    def __init__(self, arrays: Arrays, logits: str, label: int):
        self.arrays, self.logits, self.label = arrays, logits, label

    def p(self, _: int) -> list[Product]:
        return [_times(_cell(self.arrays, self.logits, c)) for c in range(self.arrays["p"].size)]

    def loss(self) -> list[Product]:
        return [_times(_cell(self.arrays, "p", self.label))]

    def dlogits(self, c: int) -> list[Product]:
        return [_times(_cell(self.arrays, "p", c)), _times(_cell(self.arrays, "t", c), -1.0)]


MAKERS: dict[str, type[Made]] = {
    "conv": _Conv,
    "dense": _Dense,
    "max_pool": _MaxPool,
    "avg_pool": _AvgPool,
    "sigmoid": _Activation,
    "relu": _Activation,
    "tanh": _Activation,
}


def _letters(kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> dict[str, int]:
    """{"kh": 5, "kw": 5, "sh": 1, ...}."""
    pairs = {"k": kernel, "s": stride, "p": padding, "d": dilation}
    return {
        f"{a}{b}": size for a, pair in pairs.items() for b, size in zip("hw", pair, strict=True)
    }
