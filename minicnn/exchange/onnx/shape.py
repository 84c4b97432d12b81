"""Flattening in ONNX: ``Flatten``, ``Reshape``."""

from __future__ import annotations

import numpy as np

from minicnn import nn

from .writing import Writer


def write_flatten(writer: Writer, layer: nn.Flatten) -> None:
    """``Flatten`` where all axes but the first become one; otherwise ``Reshape``."""
    if (layer.start_dim, layer.end_dim) == (1, -1):
        writer.node("Flatten", axis=1)
        return
    before, _ = writer.sizes("its result depends on the input's shape")
    start, end = layer.start_dim % len(before), layer.end_dim % len(before)
    # 0 stands for "as the input's", -1 for the rest
    shape = np.array([*[0] * start, -1, *before[end + 1 :]], np.int64)
    writer.node("Reshape", writer.constant("shape", shape))
