"""An ONNX graph as a chain of layers: what the readers of operators share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minicnn.nn import Module, ZeroPad2d
from minicnn.tensor import Tensor, no_grad

from .limits import check_padding
from .writing import Shape, UnsupportedError

SIZE_IS_OPEN = "the file leaves the picture's size open, and it depends on it"


@dataclass
class Node:
    """A node, its attributes as Python values and its constant inputs as arrays.

    Attributes:
        constants: the other inputs in ONNX's order, without the chain's value; None where one
            is missing, or depends on sizes that the file leaves open.
        opset: the version of the operators.
    """

    operator: str
    attributes: dict[str, Any]
    constants: list[np.ndarray | None]
    opset: int = 0

    def constant(self, index: int) -> np.ndarray | None:
        """The constant input ``index``, None where it is missing."""
        return self.constants[index] if index < len(self.constants) else None

    def needed(self, index: int, what: str) -> np.ndarray:
        """The constant input ``index``."""
        array = self.constant(index)
        if array is None:
            raise UnsupportedError(f"it has no {what}")
        return array

    def pairs(self, *names: str) -> list[tuple[int, int]]:
        """Attributes for rows and columns, (1, 1) where they are missing."""
        found = [tuple(self.attributes.get(name, (1, 1))) for name in names]
        if any(len(pair) != 2 for pair in found):
            raise UnsupportedError(f"it has {len(found[0])} axes to slide over; minicnn has two")
        return found


@dataclass
class Chain:
    """The layers so far, and what is known of their result.

    Attributes:
        x: a batch of zeros of the input, gone through the layers: it tells shapes and dtype. None
            where the file does not fix the sizes.
        axes: the file's value is ``x.transpose(axes)``. TensorFlow's converter writes (0, 2, 3, 1)
            before it flattens: channels last.
        order: for a flattened value, which of our features each of the file's is; None: the same.
        lowest: (before, after) for rows and columns of a frame of -inf, for the next max pooling.
        input_calls: what was done to the input before the first layer, as methods to write.
        is_lost: a node before could not be read: what is wrong because of that is not told.
    """

    x: Tensor | None
    layers: list[Module] = field(default_factory=list)
    axes: tuple[int, ...] = ()
    order: np.ndarray | None = None
    lowest: list[tuple[int, int]] = field(default_factory=list)
    input_calls: list[str] = field(default_factory=list)
    is_lost: bool = False

    def add(self, *layers: Module) -> None:
        """Append layers, and send the zeros through them."""
        for layer in layers:
            self.layers.append(layer)
            if self.x is not None:
                with no_grad():
                    self.x = layer.eval()(self.x)

    def taken_frame(self, kernel: Sequence[int]) -> tuple[int, int]:
        """Rows and columns of zeros that the last layer put on both sides; the layer is taken out.

        (0, 0), and nothing is done, where the last layer is another, or its frame wider than half
        of ``kernel``.
        """
        last = self.layers[-1] if self.layers else None
        if not isinstance(last, ZeroPad2d) or last.padding[::2] != last.padding[1::2]:
            return 0, 0
        left, _, top, _ = last.padding
        if 2 * top > kernel[0] or 2 * left > kernel[1]:
            return 0, 0
        self.layers.pop()
        if self.x is not None:
            self.x = ZeroPad2d((-left, -left, -top, -top))(self.x)
        return top, left

    @property
    def shape(self) -> Shape | None:
        """The file's shape of the value, with the batch of the zeros."""
        if self.x is None:
            return None
        return tuple(self.x.shape[axis] for axis in self.axes) if self.axes else self.x.shape

    def sizes(self) -> tuple[int, int]:
        """Height and width."""
        if self.x is None:
            raise UnsupportedError("" if self.is_lost else SIZE_IS_OPEN)
        return self.x.shape[2], self.x.shape[3]

    def check_pictures(self) -> None:
        """Refuse what is no batch of pictures in the order (N, C, H, W)."""
        if self.axes:
            raise UnsupportedError(f"its input was transposed to {self.axes}; wanted (N, C, H, W)")
        if self.x is not None and self.x.ndim != 4:
            raise UnsupportedError(f"its input has {self.x.ndim} axes; wanted (N, C, H, W)")

    def check_plain(self, what: str) -> None:
        """Refuse a value whose axes or features stand in another order than in the file."""
        if self.axes or self.order is not None:
            raise UnsupportedError(f"{what} after a transposition")


def padding_of(
    node: Node, chain: Chain, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> list[tuple[int, int]]:
    """(before, after) for rows and columns, from ``pads`` or ``auto_pad``."""
    auto = node.attributes.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", "VALID"):
        pads = node.attributes.get("pads", (0, 0, 0, 0)) if auto == "NOTSET" else (0, 0, 0, 0)
        frame = [(pads[0], pads[2]), (pads[1], pads[3])]
        if chain.x is not None:
            check_padding(chain.x.shape, frame)
        return frame
    sizes = chain.sizes() if tuple(stride) != (1, 1) else (0, 0)  # with stride 1 the same for all
    found = []
    for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        whole = max((math.ceil(size / s) - 1) * s + (k - 1) * d + 1 - size, 0)
        whole = (k - 1) * d if s == 1 else whole
        less, more = whole // 2, whole - whole // 2
        found.append((less, more) if auto == "SAME_UPPER" else (more, less))
    return found


def filled(layer: Module, **tensors: Any) -> Any:
    """The layer with these arrays as its parameters and buffers; None stays as it is."""
    for name, array in tensors.items():
        if array is not None:
            target = getattr(layer, name)
            if tuple(array.shape) != target.shape:
                raise UnsupportedError(f"its {name} has shape {array.shape}; wanted {target.shape}")
            target.data = np.ascontiguousarray(array)
    return layer
