"""Batch normalisation in ONNX: ``BatchNormalization``."""

from __future__ import annotations

import numpy as np

from minicnn import nn

from .writing import UnsupportedError, Writer


def write_batch_norm2d(writer: Writer, layer: nn.BatchNorm2d) -> None:
    """``BatchNormalization`` with the running statistics."""
    if layer.running_mean is None:
        raise UnsupportedError(
            "without running statistics it normalises by the batch, which ONNX does in training "
            "only; wanted track_running_stats=True"
        )
    ones = np.ones(layer.num_features, np.float32)
    writer.node(
        "BatchNormalization",
        writer.constant("weight", ones if layer.weight is None else layer.weight),
        writer.constant("bias", 0 * ones if layer.bias is None else layer.bias),
        *writer.parameters(layer, "running_mean", "running_var"),
        epsilon=layer.eps,
    )
