"""The table of a net, in the form of Keras 2.8."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.d2l.facades.keras.arrays import as_tensor
from minicnn.d2l.facades.keras.dtypes import TensorShape

if TYPE_CHECKING:
    from minicnn.d2l.facades.keras.models import Model

ENDS = (29, 55, 65)  # of the columns


def shapes(net: Model) -> list[TensorShape | str]:
    """The shape of each layer's output, None for the batch; "multiple" where that is not known."""
    sample = net._input_sample
    if sample is None or not hasattr(net, "_stack"):
        return ["multiple"] * len(net.layers)
    x: Any = as_tensor(np.zeros((1, *sample), np.float32))
    found: list[TensorShape | str] = []
    for layer in net.layers:
        x = layer(x, training=False)
        found.append(TensorShape([None, *x.shape[1:]]))
    return found


def table(net: Model) -> str:
    """The layers, their outputs' shapes and numbers of weights."""
    line, thick = "_" * ENDS[-1], "=" * ENDS[-1]
    rows = []
    for layer, shape in zip(net.layers, shapes(net), strict=True):
        title = f"{layer.name} ({type(layer).__name__})"
        rows.append("\n".join(_lines(title, str(shape), str(layer.count_params()))))
    trained = sum(int(v._held.size) for v in net.trainable_weights)
    fixed = sum(int(v._held.size) for v in net.non_trainable_weights)
    return "\n".join(
        [
            f'Model: "{net.name}"',
            line,
            *_lines("Layer (type)", "Output Shape", "Param #"),
            thick,
            *(f"{row}\n" for row in rows),
            thick,
            f"Total params: {trained + fixed:,}",
            f"Trainable params: {trained:,}",
            f"Non-trainable params: {fixed:,}",
            line,
        ]
    )


def _lines(*cells: str) -> Iterator[str]:
    """A row of the table; what is too long for its column goes on in the next line."""
    rest = list(cells)
    while any(rest):
        line = " "
        for i, end in enumerate(ENDS):
            room = end - len(line) - 1
            cut, rest[i] = rest[i][:room], rest[i][room:]
            line = (line + cut + ("  " if rest[i] else "")).ljust(end)
        yield line.rstrip()
