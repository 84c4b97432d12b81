"""Batch normalisation in ONNX: ``BatchNormalization``."""

from __future__ import annotations

import numpy as np

from minicnn import nn

from .reading import Chain, Node, filled
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
        **({} if layer.momentum is None else {"momentum": 1 - layer.momentum}),
    )


def read_batch_normalization(node: Node, chain: Chain) -> None:
    """``BatchNormalization`` of pictures, with its running statistics."""
    chain.check_pictures()
    if node.attributes.get("training_mode", 0):
        raise UnsupportedError("training_mode is 1; wanted a file for inference")
    names = ("weight", "bias", "running_mean", "running_var")
    tensors = {name: node.needed(i, f"constant {name}") for i, name in enumerate(names)}
    # ONNX's momentum is the share of the old statistics, PyTorch's that of the new
    layer = nn.BatchNorm2d(
        len(tensors["weight"]),
        eps=node.attributes.get("epsilon", 1e-5),
        momentum=round(1 - node.attributes.get("momentum", 0.9), 6),
    )
    chain.add(filled(layer, **tensors))
