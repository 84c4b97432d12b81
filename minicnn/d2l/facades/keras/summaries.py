"""The table of a net, in the form of Keras 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.d2l.facades.keras.arrays import as_tensor
from minicnn.d2l.facades.keras.dtypes import TensorShape

if TYPE_CHECKING:
    from minicnn.d2l.facades.keras.models import Model

WIDTHS = (29, 26, 10)


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
    line, thick = "_" * sum(WIDTHS), "=" * sum(WIDTHS)
    rows = [("Layer (type)", "Output Shape", "Param #")]
    for layer, shape in zip(net.layers, shapes(net), strict=True):
        title = f"{layer.name} ({type(layer).__name__})"
        rows.append((title, str(shape), str(layer.count_params())))
    trained = sum(int(v._held.size) for v in net.trainable_weights)
    fixed = sum(int(v._held.size) for v in net.non_trainable_weights)
    head, *others = ["".join(f"{c:{w}}" for c, w in zip(r, WIDTHS, strict=True)) for r in rows]
    return "\n".join(
        [
            f'Model: "{net.name}"',
            line,
            head.rstrip(),
            thick,
            "\n\n".join(row.rstrip() for row in others),
            thick,
            f"Total params: {trained + fixed:,}",
            f"Trainable params: {trained:,}",
            f"Non-trainable params: {fixed:,}",
            line,
        ]
    )
