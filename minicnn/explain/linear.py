"""A dense layer, cell by cell: y = x Wᵀ + b."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import kernels, nn, ops

from .explained import Explained, check_cells, check_layer
from .notes import Note, Notes, Token, every, joined, note, ref
from .numbers import as_numbers
from .page import FAMILIES
from .page.grid import Grid
from .questions import Questions, then
from .words import Sentence


def check_size(rows: int, features: int, outputs: int) -> None:
    """Refuse a layer that is too large for a page."""
    cells = 2 * (rows * features + outputs * features + rows * outputs + outputs)
    check_cells(cells, f"{features} features, {outputs} outputs and a batch of {rows}")


def linear(layer: nn.Linear, x: Any, dy: Any = None) -> Explained:
    """Explain the dense layer ``layer`` on the rows of ``x``, forward and backward.

    Args:
        layer: a layer of K features and O outputs.
        x: (M, K), or one row (K,).
        dy: the loss's gradient with respect to the output, (M, O); ones without it.

    Raises:
        TypeError: ``layer`` is not an ``nn.Linear``.
        ValueError: shapes that do not fit, numbers that are not finite, too many cells.
    """
    check_layer("linear", layer, nn.Linear)
    x, weight = as_numbers("linear", "x", x, 2), as_numbers("linear", "weight", layer.weight, 2)
    if x.shape[1] != weight.shape[1]:
        raise ValueError(f"explain.linear: x has shape {x.shape}; wanted (M, {weight.shape[1]})")
    check_size(len(x), x.shape[1], len(weight))
    shape = (len(x), len(weight))
    dy = np.ones(shape) if dy is None else as_numbers("linear", "dy", dy, 2)
    if dy.shape != shape:
        raise ValueError(f"explain.linear: dy has shape {dy.shape}; wanted {shape}")
    bias = None if layer.bias is None else as_numbers("linear", "bias", layer.bias, 1)

    inputs = (x, weight) if bias is None else (x, weight, bias)
    operation = ops.Linear()
    operation.needs_gradient = (True,) * len(inputs)
    with kernels.by_reference():
        y = operation.forward(*inputs)
        gradients: Any = operation.backward(dy)

    def matrix(grid: str, symbol: str, title: str, family: str, values: Any) -> Grid:
        return Grid(grid, symbol, title, family, values[None, None], axes="ij")

    def vector(grid: str, symbol: str, title: str, family: str, values: Any) -> Grid:
        return Grid(grid, symbol, title, family, values[None, None, None], axes="j")

    above = [
        matrix("x", "x", Sentence("linear.x_grid"), "x", x),
        matrix("weight", "W", Sentence("linear.weight_grid"), "weight", weight),
        matrix("y", "y", Sentence("page.y"), "x", y),
    ]
    below = [
        matrix("dx", "dx", Sentence("linear.dx_grid"), "gradient", gradients[0]),
        matrix("dweight", "dW", Sentence("linear.dweight_grid"), "gradient", gradients[1]),
        matrix("dy", "dy", Sentence("page.dy"), "gradient", dy),
    ]
    if bias is not None:
        dbias = gradients[2]
        above.insert(2, vector("bias", "b", Sentence("page.bias"), "weight", bias))
        below.insert(2, vector("dbias", "db", Sentence("page.dbias"), "gradient", dbias))
    rules = _Rules(len(x), x.shape[1], len(weight), bias is not None)
    return Explained(
        Sentence("linear.title"),
        f"Linear({layer.extra_repr()})",
        "y = x Wᵀ + b &emsp; y[m, o] = Σ<sub>k</sub> x[m, k] · W[o, k] + b[o]",
        "dx = dy W &emsp; dW = dyᵀ x &emsp; db = Σ<sub>m</sub> dy",
        above,
        below,
        rules.notes(),
        ["y", "0,0"],
        {**FAMILIES, "x": Sentence("linear.inputs")},
        _questions(len(x), bias is not None),
    )


def _questions(rows: int, has_bias: bool) -> Questions:
    """On the sum over the batch, and the bias."""
    batch = then(Sentence("linear.batch_answer"), "linear.batch_hint", rows == 1)
    asked = {"batch": (Sentence("conv.batch"), batch, ("dweight", "0,0"))}
    if has_bias:
        asked["bias"] = (
            Sentence("conv.bias_asked"),
            Sentence("linear.bias_answer"),
            ("dbias", "0"),
        )
    return asked


class _Rules:
    """What every cell is made of: a method for each grid. m: sample, k: feature, o: output."""

    def __init__(self, rows: int, features: int, outputs: int, has_bias: bool):
        self.ms, self.ks, self.os = range(rows), range(features), range(outputs)
        self.has_bias = has_bias

    def notes(self) -> Notes:
        rows, features, outputs = len(self.ms), len(self.ks), len(self.os)
        notes = {
            "x": every((rows, features), self.x),
            "weight": every((outputs, features), self.weight),
            "y": every((rows, outputs), self.y),
            "dx": every((rows, features), self.dx),
            "dweight": every((outputs, features), self.dweight),
            "dy": every((rows, outputs), self.dy),
        }
        if self.has_bias:
            notes |= {"bias": every((outputs,), self.bias), "dbias": every((outputs,), self.dbias)}
        return notes

    def x(self, m: int, k: int) -> Note:
        lit = [ref("y", m, o) for o in self.os]
        tail = Sentence("linear.x_tail", count=len(lit))
        return note(lit=lit, tail=tail, linked=[ref("dx", m, k)])

    def weight(self, o: int, k: int) -> Note:
        lit = [ref("y", m, o) for m in self.ms]
        tail = Sentence("linear.weight_tail", count=len(lit))
        return note(lit=lit, tail=tail, linked=[ref("dweight", o, k)])

    def bias(self, o: int) -> Note:
        lit = [ref("y", m, o) for m in self.ms]
        return note(lit=lit, tail=Sentence("linear.bias_tail", count=len(lit)))

    def y(self, m: int, o: int) -> Note:
        products: list[list[Token]] = [[ref("x", m, k), "·", ref("weight", o, k)] for k in self.ks]
        with_bias = products + [[ref("bias", o)]] * self.has_bias
        return note(*joined(with_bias), words=Sentence("linear.y", m=m, o=o))

    def dx(self, m: int, k: int) -> Note:
        products: list[list[Token]] = [[ref("dy", m, o), "·", ref("weight", o, k)] for o in self.os]
        return note(*joined(products), words=Sentence("linear.dx"), linked=[ref("x", m, k)])

    def dweight(self, o: int, k: int) -> Note:
        products: list[list[Token]] = [[ref("dy", m, o), "·", ref("x", m, k)] for m in self.ms]
        linked = [ref("weight", o, k)]
        return note(*joined(products), words=Sentence("linear.dweight"), linked=linked)

    def dbias(self, o: int) -> Note:
        gradients = joined([[ref("dy", m, o)] for m in self.ms])
        return note(*gradients, words=Sentence("linear.dbias"))

    def dy(self, m: int, o: int) -> Note:
        return note(
            words=Sentence("linear.dy"),
            lit=[ref("dx", m, k) for k in self.ks],
            tail=Sentence("linear.dy_tail", count=len(self.ks)),
            linked=[ref("y", m, o)],
        )
