"""Activations and dropout in ONNX."""

from __future__ import annotations

from minicnn import nn

from .reading import Chain, Node
from .writing import UnsupportedError, Writer


def write_plain(writer: Writer, layer: nn.Module) -> None:
    """``Relu``, ``Sigmoid``, ``Tanh``."""
    writer.node(type(layer).__name__.capitalize())


def write_softmax(writer: Writer, layer: nn.Softmax | nn.LogSoftmax) -> None:
    """``Softmax`` and ``LogSoftmax``, over the same axis."""
    writer.node(type(layer).__name__, axis=layer.dim)


def write_nothing(writer: Writer, layer: nn.Module) -> None:
    """Dropout in evaluation mode, and Identity."""


def read_plain(node: Node, chain: Chain) -> None:
    """``Relu``, ``Sigmoid``, ``Tanh``: cell by cell, whatever the order of axes."""
    chain.add({"Relu": nn.ReLU, "Sigmoid": nn.Sigmoid, "Tanh": nn.Tanh}[node.operator]())


def read_softmax(node: Node, chain: Chain) -> None:
    """``Softmax`` and ``LogSoftmax``; before opset 13 over all axes from ``axis`` on."""
    axis = node.attributes.get("axis", 1 if node.opset < 13 else -1)
    rank = None if chain.x is None else chain.x.ndim
    if node.opset < 13 and axis != -1 and rank != axis + 1:
        raise UnsupportedError(f"it goes over all axes from {axis} on; minicnn has one axis")
    dim = chain.axes[axis] if chain.axes else axis
    chain.add({"Softmax": nn.Softmax, "LogSoftmax": nn.LogSoftmax}[node.operator](dim))


def read_dropout(node: Node, chain: Chain) -> None:
    """``Dropout``, which a file for inference may still have."""
    ratio, is_training = node.constant(0), node.constant(1)
    if is_training is not None and is_training.item():
        raise UnsupportedError("training_mode is true: it drops cells; wanted a file for inference")
    p = node.attributes.get("ratio", 0.5) if ratio is None else float(ratio.item())
    chain.add(nn.Dropout(round(p, 6)))


def read_nothing(node: Node, chain: Chain) -> None:
    """``Identity``."""
