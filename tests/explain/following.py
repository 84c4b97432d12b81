"""Nets to follow, and what their cells are made of by the definitions, written as loops."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import minicnn
from minicnn import explain, models, nn
from minicnn.explain.follow.states import State
from minicnn.explain.follow.trained import FollowedRun
from minicnn.train.kept import KeptState

Index = tuple[int, ...]
Cell = tuple[str, Index]
Term = tuple[float, tuple[Cell, ...]]  # a number, and the cells that it is multiplied by

CLASSES = [
    "bag",
    "boot",
    "coat",
    "dress",
    "pullover",
    "sandal",
    "shirt",
    "sneaker",
    "top",
    "trousers",
]


def small() -> tuple[nn.Sequential, np.ndarray, int]:
    """Every kind of layer; strides, paddings and dilations that differ, windows that overlap."""
    minicnn.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2)), nn.Tanh(),
        nn.MaxPool2d((2, 3), stride=2, padding=(1, 0)), nn.Dropout(0.5),
        nn.Sequential(nn.Conv2d(3, 2, (2, 3), bias=False), nn.ReLU(), nn.AvgPool2d(2, stride=1)),
        nn.Flatten(), nn.Linear(6, 3), nn.Sigmoid(), nn.Linear(3, 4, bias=False),
    )  # fmt: skip
    x = np.random.default_rng(3).standard_normal((2, 7, 11))
    return net, x, 2


def followed_small() -> explain.Followed:
    return explain.follow(*small())


def lenet(states: int, **settings: float) -> FollowedRun:
    """A LeNet whose weights change from state to state, with updates as ``--keep-states`` has."""
    minicnn.manual_seed(1)
    rng = np.random.default_rng(1)
    net, x = models.lenet(), rng.random((1, 28, 28)) * (rng.random((1, 28, 28)) < 0.5)
    found = []
    for k in range(states):
        for p in net.parameters():
            p.data = p.numpy() * 1.1 + 0.01 * rng.standard_normal(p.shape).astype(np.float32)
        gradient = {n: rng.standard_normal(p.shape) for n, p in net.named_parameters()}
        velocity = {n: 2 * g for n, g in gradient.items()} if settings and k else {}
        step = {"lr": 0.9, "momentum": 0.0, "weight_decay": 0.0, **settings}
        is_last = k == states - 1
        kept = KeptState(50 * k, {}, {} if is_last else gradient, velocity, {} if is_last else step)
        found.append(State(explain.follow(net, x, 7), kept))
    return FollowedRun(found, CLASSES, states)


# The definitions ----------------------------------------------------------------------------------


def as_kept(followed: explain.Followed) -> dict[str, np.ndarray]:
    """Its arrays as the page has them: in float32, a dense layer's dW as a product of such."""
    arrays = {n: a.astype(np.float32).astype(np.float64) for n, a in followed.arrays.items()}
    for layer in followed.layers:
        if layer.kind == "dense":
            outer = np.multiply.outer(arrays[f"{layer.name}.dy"], arrays[layer.below].ravel())
            arrays[f"{layer.name}.dW"] = outer
    return arrays


def pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


class Definition:
    """What every cell of a net is made of: searched for among all products of its layers."""

    def __init__(self, followed: explain.Followed):
        self.layers, self.label = followed.layers, followed.label
        self.a = as_kept(followed)
        self.exact = followed.arrays  # by which the engine chose the winners of max pooling

    @functools.cache  # noqa: B019
    def terms(self, array: str, at: Index) -> list[Term]:
        """The terms of a cell's sum, or of the function that it is."""
        name, _, role = array.rpartition(".")
        names = [layer.name for layer in self.layers]
        end = f"{names[-1]}.y"
        if array == "p":
            return [(1.0, ((end, (c,)),)) for c in range(self.a["p"].size)]
        if array == "L":
            return [(1.0, (("p", (self.label,)),))]
        if role in ("dy", "dx"):
            number = names.index(name) + 1 if name else 0
            if number == len(names):
                return [(1.0, (("p", at),)), (-1.0, (("t", at),))]
            return [*self.gradients(number, array, at)]
        number = names.index(name)
        if role == "y":
            return [(f, cells) for _, f, cells in self.products(number, y=at)]
        return [*self.gradients(number, f"{name}.{role}", at)]

    def gradients(self, number: int, array: str, at: Index) -> Iterator[Term]:
        """The terms of the gradient of a cell that this layer reads."""
        layer = self.layers[number]
        owner, dot, role = array.rpartition(".")
        cell = f"{owner}{dot}{role[1:]}", at
        for y, f, cells in self.products(number, cell=cell):
            dy = f"{layer.name}.dy", y
            if layer.kind in ("sigmoid", "tanh", "relu"):
                value = self.a[f"{layer.name}.y"][y]
                slope = {"sigmoid": value * (1 - value), "tanh": 1 - value**2,
                         "relu": float(value > 0)}[layer.kind]  # fmt: skip
                yield slope, (dy,)
            elif layer.kind != "max_pool":
                yield f, (dy, *(other for other in cells if other != cell))
            elif self.winner(number, y) == cell[1]:
                yield 1.0, (dy,)

    def winner(self, number: int, y: Index) -> Index:
        """The first of the largest cells in a window of max pooling."""
        below = self.exact[self.layers[number].below]
        cells = [cells[0][1] for _, _, cells in self.products(number, y=y)]
        return max(cells, key=lambda cell: below[cell])

    def products(
        self, number: int, y: Index | None = None, cell: Cell | None = None
    ) -> Iterator[tuple[Index, float, tuple[Cell, ...]]]:
        """The products of a layer: the output's index, a number, the cells.

        Of all of them, or of those of the output ``y``, or of those that ``cell`` is a factor of.
        """
        layer = self.layers[number]
        shape, output = self.a[layer.below].shape, self.a[f"{layer.name}.y"].shape
        outputs = np.ndindex(output) if y is None else [y]
        for product in MAKERS[layer.kind](layer, shape, outputs, cell or ("", ())):
            if cell is None or cell in product[2]:
                yield product

    def value(self, term: Term) -> float:
        number, cells = term
        return number * math.prod(float(self.a[name][at]) for name, at in cells)


def _conv(layer: Any, shape: Index, outputs: Any, cell: Cell) -> Iterator[Any]:
    m, below, (name, at) = layer.module, layer.below, cell
    place, taps = places(m), [*np.ndindex(shape[0], *m.kernel_size)]
    for o, p, q in outputs:
        if m.bias is not None:
            yield (o, p, q), 1.0, ((f"{layer.name}.b", (o,)),)
        for c, i, j in taps:
            h, w = place(p, q, i, j)
            if (name == below and (c, h, w) != at) or (name == f"{layer.name}.W" and o != at[0]):
                continue  # no product of the cell: not even written down
            if 0 <= h < shape[1] and 0 <= w < shape[2]:
                yield (o, p, q), 1.0, ((f"{layer.name}.W", (o, c, i, j)), (below, (c, h, w)))


def places(m: Any) -> Callable[[int, int, int, int], tuple[int, int]]:
    """From an output (p, q) and a place (i, j) in its window to the row and column below."""
    (sh, sw), (ph, pw), (dh, dw) = map(pair, (m.stride, m.padding, getattr(m, "dilation", 1)))
    return lambda p, q, i, j: (p * sh - ph + i * dh, q * sw - pw + j * dw)


def _dense(layer: Any, shape: Index, outputs: Any, cell: Cell) -> Iterator[Any]:
    for (o,) in outputs:
        if layer.module.bias is not None:
            yield (o,), 1.0, ((f"{layer.name}.b", (o,)),)
        for k, at in enumerate(np.ndindex(shape)):
            if cell[0] == layer.below and cell[1] != at:
                continue
            yield (o,), 1.0, ((f"{layer.name}.W", (o, k)), (layer.below, at))


def _pool(layer: Any, shape: Index, outputs: Any, cell: Cell) -> Iterator[Any]:
    m = layer.module
    kh, kw = pair(m.kernel_size)
    over = 1.0 if layer.kind == "max_pool" else 1 / (kh * kw)
    for c, p, q in outputs:
        for i, j in np.ndindex(kh, kw):
            h, w = places(m)(p, q, i, j)
            if 0 <= h < shape[1] and 0 <= w < shape[2]:
                yield (c, p, q), over, ((layer.below, (c, h, w)),)


def _each(layer: Any, shape: Index, outputs: Any, cell: Cell) -> Iterator[Any]:
    for at in outputs:
        yield at, 1.0, ((layer.below, at),)


MAKERS: dict[str, Callable[..., Iterator[Any]]] = {
    "conv": _conv, "dense": _dense, "max_pool": _pool, "avg_pool": _pool,
    "sigmoid": _each, "tanh": _each, "relu": _each,
}  # fmt: skip


def applied(function: str, values: list[float], at: Index) -> float:
    """A cell from its terms."""
    if function == "softmax":
        return math.exp(values[at[0]]) / sum(map(math.exp, values))
    functions: dict[str, Callable[[float], float]] = {
        "sigmoid": lambda x: 1 / (1 + math.exp(-x)), "tanh": math.tanh,
        "relu": lambda x: max(x, 0.0), "log": lambda p: -math.log(p),
    }  # fmt: skip
    return max(values) if function == "max" else functions.get(function, float)(sum(values))


def walks(definition: Definition, array: str, at: Index) -> Iterator[tuple[float, list[Cell]]]:
    """All paths from a gradient to p - t, one by one, with their products."""
    if array == f"{definition.layers[-1].name}.dy":
        yield float(definition.a[array][at]), [(array, at)]
        return
    for number, (dy, *others) in definition.terms(array, at):
        factor = definition.value((number, tuple(others)))
        for product, cells in walks(definition, *dy):
            yield factor * product, [(array, at), *cells]
