"""The dense layer in ONNX: ``Gemm``, or ``MatMul`` and ``Add``."""

from __future__ import annotations

from minicnn import nn

from .writing import Writer


def write_linear(writer: Writer, layer: nn.Linear) -> None:
    """``Gemm`` with our weight, (O, K), transposed; for (..., K) ``MatMul`` and ``Add``."""
    if writer.input_shape is None or len(writer.input_shape) == 2:
        writer.node("Gemm", *writer.parameters(layer, "weight", "bias"), transB=1)
        return
    writer.node("MatMul", writer.constant("weight.T", layer.weight.numpy().T))
    if layer.bias is not None:
        writer.node("Add", *writer.parameters(layer, "bias"))
