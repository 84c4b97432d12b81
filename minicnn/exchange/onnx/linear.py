"""The dense layer in ONNX: ``Gemm``, or ``MatMul`` and ``Add``."""

from __future__ import annotations

import numpy as np

from minicnn import nn

from .reading import Chain, Node, filled
from .writing import UnsupportedError, Writer


def write_linear(writer: Writer, layer: nn.Linear) -> None:
    """``Gemm`` with our weight, (O, K), transposed; for (..., K) ``MatMul`` and ``Add``."""
    if writer.input_shape is None or len(writer.input_shape) == 2:
        writer.node("Gemm", *writer.parameters(layer, "weight", "bias"), transB=1)
        return
    writer.node("MatMul", writer.constant("weight.T", layer.weight.numpy().T))
    if layer.bias is not None:
        writer.node("Add", *writer.parameters(layer, "bias"))


def read_gemm(node: Node, chain: Chain) -> None:
    """``Gemm``: alpha * x B + beta * C, where B may have to be transposed."""
    alpha, beta = (node.attributes.get(name, 1.0) for name in ("alpha", "beta"))
    if node.attributes.get("transA", 0):
        raise UnsupportedError("transA is 1: it multiplies the transposed value")
    matrix, bias = node.needed(0, "constant matrix"), node.constant(1)
    weight = matrix if node.attributes.get("transB", 0) else matrix.T
    scaled = np.asarray(alpha * weight, weight.dtype)
    _add_linear(chain, scaled, None if bias is None else np.asarray(beta * bias, weight.dtype))


def read_matmul(node: Node, chain: Chain) -> None:
    """``MatMul`` with a constant matrix (K, O): a dense layer without a bias."""
    matrix = node.needed(0, "constant matrix")
    if matrix.ndim != 2:
        raise UnsupportedError(f"wanted x @ a constant matrix; the constant has {matrix.shape}")
    _add_linear(chain, matrix.T, None)


def _add_linear(chain: Chain, weight: np.ndarray, bias: np.ndarray | None) -> None:
    """Append a dense layer, whose columns take the features in our order."""
    if chain.axes:
        raise UnsupportedError(f"its input was transposed to {chain.axes}")
    outputs, features = weight.shape
    if chain.order is not None:
        ours = np.empty_like(weight)
        ours[:, chain.order] = weight
        weight, chain.order = ours, None
    layer = nn.Linear(features, outputs, bias is not None)
    if bias is not None:
        if bias.size not in (1, outputs) or bias.shape[-1:] not in ((), (bias.size,)):
            raise UnsupportedError(f"it adds {bias.shape}; wanted a number for each of {outputs}")
        bias = np.broadcast_to(bias.reshape(-1), outputs)
    chain.add(filled(layer, weight=weight, bias=bias))


def read_add(node: Node, chain: Chain) -> None:
    """``Add`` of a constant: the bias of the dense layer or convolution before it."""
    layer = chain.layers[-1] if chain.layers else None
    if not isinstance(layer, nn.Linear | nn.Conv2d) or layer.bias is not None:
        raise UnsupportedError("wanted a constant added to a dense layer or convolution")
    added = node.needed(0, "constant to add")
    axis = 3 if isinstance(layer, nn.Conv2d) else 0
    rank = 4 if axis else 2 if chain.x is None else chain.x.ndim
    if added.ndim > rank:
        raise UnsupportedError(f"it adds {added.shape} to a value of {rank} axes")
    added = added.reshape((1,) * (axis + 1 - added.ndim) + added.shape)
    if chain.axes:
        added = added.transpose(np.argsort(chain.axes))
    channels = layer.weight.shape[0]
    if added.size not in (1, channels) or added.shape[1 if axis else -1] != added.size:
        raise UnsupportedError(f"it adds {added.shape}; wanted a number for each channel")
    layer.bias = nn.Parameter(np.broadcast_to(added.ravel(), channels).copy())
    layer.has_bias = True
