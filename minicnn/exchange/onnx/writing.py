"""An ONNX graph that grows layer by layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.exchange.libraries import library
from minicnn.nn import Module
from minicnn.tensor import Tensor

Shape = tuple[int, ...]


class UnsupportedError(Exception):
    """Why a layer cannot be written, or a node cannot be read."""


class Writer:
    """The nodes so far, a chain: each takes the value that the one before it made.

    Attributes:
        nodes, initializers: as ONNX's helpers make them.
        value: the name of the chain's last value.
        input_shape, output_shape: of the layer that is being written, for the example's batch;
            None without an example.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.value = "input"
        self.layer = ""
        self.input_shape: Shape | None = None
        self.output_shape: Shape | None = None

    def begin(self, name: str, input: Tensor | None, output: Tensor | None) -> None:
        """The nodes that follow belong to the layer ``name``, such as ``"3"`` or ``"0.conv"``."""
        self.layer = name
        self.input_shape = None if input is None else input.shape
        self.output_shape = None if output is None else output.shape

    def node(self, operator: str, *inputs: str, **attributes: Any) -> None:
        """Add a node that takes the last value, and then ``inputs``."""
        name = f"{self.layer}/{operator}" if self.layer else operator
        made = library("onnx").helper.make_node(
            operator, [self.value, *inputs], [name], name, **attributes
        )
        self.nodes.append(made)
        self.value = name

    def constant(self, name: str, array: Any) -> str:
        """Keep ``array`` in the file, under the name that it has in a state_dict; returns that."""
        name = f"{self.layer}.{name}" if self.layer else name
        values = np.ascontiguousarray(Tensor(array).numpy())
        self.initializers.append(library("onnx").numpy_helper.from_array(values, name))
        return name

    def parameters(self, layer: Module, *names: str) -> list[str]:
        """Keep these parameters and buffers of ``layer``, without those that are None."""
        tensors = {name: getattr(layer, name) for name in names}
        return [self.constant(name, t) for name, t in tensors.items() if t is not None]

    def sizes(self, why: str) -> tuple[Shape, Shape]:
        """The layer's input and output shape, which it needs to know because of ``why``."""
        if self.input_shape is None or self.output_shape is None:
            raise UnsupportedError(f"{why}; pass example=, a batch of the net's input")
        return self.input_shape, self.output_shape
