"""Activations and dropout in ONNX."""

from __future__ import annotations

from minicnn import nn

from .writing import Writer


def write_plain(writer: Writer, layer: nn.Module) -> None:
    """``Relu``, ``Sigmoid``, ``Tanh``."""
    writer.node(type(layer).__name__.capitalize())


def write_softmax(writer: Writer, layer: nn.Softmax | nn.LogSoftmax) -> None:
    """``Softmax`` and ``LogSoftmax``, over the same axis."""
    writer.node(type(layer).__name__, axis=layer.dim)


def write_nothing(writer: Writer, layer: nn.Module) -> None:
    """Dropout in evaluation mode, and Identity."""
