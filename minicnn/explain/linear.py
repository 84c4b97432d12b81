"""A dense layer, cell by cell."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import kernels, nn, ops

from .explained import Explained, check_cells, check_layer
from .notes import Notes, Token, joined, key, note, ref
from .numbers import as_numbers
from .page.grid import Grid


def check_size(rows: int, features: int, outputs: int) -> None:
    """Refuse what no page can show."""
    cells = 2 * (rows * features + outputs * features + rows * outputs + outputs)
    check_cells(cells, f"{features} features, {outputs} outputs and a batch of {rows}")


def linear(layer: nn.Linear, x: Any, dy: Any = None) -> Explained:
    """Explain the dense layer ``layer`` on the rows of ``x``, given its output's gradient.

    Args:
        layer: a layer of K features and O outputs.
        x: (M, K), or one row (K,).
        dy: (M, O); ones without it.

    Raises:
        TypeError: ``layer`` is no ``nn.Linear``.
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

    above = [
        matrix("x", "x", "the input, a row a sample", "x", x),
        matrix("weight", "W", "the weights, a row an output", "weight", weight),
        matrix("y", "y", "the output", "x", y),
    ]
    below = [
        matrix("dx", "dx", "the input’s gradient", "gradient", gradients[0]),
        matrix("dweight", "dW", "the weights’ gradient", "gradient", gradients[1]),
        matrix("dy", "dy", "the gradient from above", "gradient", dy),
    ]
    if bias is not None:
        vectors = (("bias", "b", "the bias", "weight", bias),
                   ("dbias", "db", "the bias’s gradient", "gradient", gradients[2]))  # fmt: skip
        grids = [Grid(*v[:4], v[4][None, None, None], axes="j") for v in vectors]
        above.insert(2, grids[0])
        below.insert(2, grids[1])
    notes = _notes(len(x), x.shape[1], len(weight), bias is not None)
    return Explained(
        "A dense layer, forward and backward",
        f"Linear({layer.extra_repr()})",
        "y = x Wᵀ + b &emsp; y[m, o] = Σ<sub>k</sub> x[m, k] · W[o, k] + b[o]",
        "dx = dy W &emsp; dW = dyᵀ x &emsp; db = Σ<sub>m</sub> dy",
        above,
        below,
        notes,
        ["y", "0,0"],
        {"x": "input and output", "weight": "weights", "gradient": "gradients"},
    )


def _notes(rows: int, features: int, outputs: int, has_bias: bool) -> Notes:
    ms, ks, os = range(rows), range(features), range(outputs)
    notes: Notes = {
        name: {} for name in ("x", "weight", "y", "dx", "dweight", "dy", "bias", "dbias")
    }
    for m in ms:
        for o in os:
            products: list[list[Token]] = [[ref("x", m, k), "·", ref("weight", o, k)] for k in ks]
            with_bias = products + [[ref("bias", o)]] * has_bias
            notes["y"][key(m, o)] = note(
                *joined(with_bias), words=f"Row {m} of x times row {o} of W."
            )
            notes["dy"][key(m, o)] = note(
                words="It goes to every feature of its sample, times a weight each.",
                lit=[ref("dx", m, k) for k in ks], tail=f"goes to {features} cells of dx",
                linked=[ref("y", m, o)],
            )  # fmt: skip
        for k in ks:
            fed: list[list[Token]] = [[ref("dy", m, o), "·", ref("weight", o, k)] for o in os]
            words = "It fed every output of its sample: the same weights, read down a column."
            notes["dx"][key(m, k)] = note(*joined(fed), words=words, linked=[ref("x", m, k)])
            notes["x"][key(m, k)] = note(
                lit=[ref("y", m, o) for o in os], tail=f"feeds {outputs} outputs",
                linked=[ref("dx", m, k)],
            )  # fmt: skip
    for o in os:
        for k in ks:
            met: list[list[Token]] = [[ref("dy", m, o), "·", ref("x", m, k)] for m in ms]
            words = "Every sample passed through this weight: summed over the batch."
            notes["dweight"][key(o, k)] = note(*joined(met), words=words,
                                               linked=[ref("weight", o, k)])  # fmt: skip
            notes["weight"][key(o, k)] = note(
                lit=[ref("y", m, o) for m in ms], tail=f"takes part in {rows} outputs",
                linked=[ref("dweight", o, k)],
            )  # fmt: skip
        notes["bias"][key(o)] = note(lit=[ref("y", m, o) for m in ms],
                                     tail=f"is added to {rows} outputs")  # fmt: skip
        notes["dbias"][key(o)] = note(*joined([[ref("dy", m, o)] for m in ms]),
                                      words="Summed over the batch.")  # fmt: skip
    if not has_bias:
        del notes["bias"], notes["dbias"]
    return notes
