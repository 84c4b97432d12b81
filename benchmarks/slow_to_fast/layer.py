"""The sizes of a layer, the arrays that go in, and the layers that every version is checked on."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from minicnn.kernels.arrays import output_sizes

Array = np.ndarray
Pair = tuple[int, int]


class Layer(NamedTuple):
    """A convolution or a pooling; the names are those of ``minicnn.ops``.

    ``out_channels`` is 0 for a pooling, whose output has the channels of its input.
    """

    channels: int
    size: Pair
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    out_channels: int = 0

    @property
    def output(self) -> Pair:
        """Rows and columns of the output: (OH, OW)."""
        return output_sizes(self.size, self.kernel, self.stride, self.padding, (1, 1))

    @property
    def x_shape(self) -> tuple[int, ...]:
        """Of an image of the input: (C, H, W)."""
        return self.channels, *self.size

    @property
    def y_shape(self) -> tuple[int, ...]:
        """Of an image of the output: (O, OH, OW)."""
        return self.out_channels or self.channels, *self.output

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(O, C, KH, KW)."""
        return self.out_channels, self.channels, *self.kernel

    @property
    def flops(self) -> int:
        """Of an image of a convolution, in each direction: a product and a sum for each weight."""
        return 2 * prod(self.y_shape) * self.channels * prod(self.kernel)

    @property
    def bytes(self) -> int:
        """That a pooling has to move for an image, in float32: x and y, or dy and dx, once each."""
        return 4 * (prod(self.x_shape) + prod(self.y_shape))

    def __str__(self) -> str:
        shapes = ["x".join(map(str, shape)) for shape in (self.x_shape, self.y_shape)]
        options = f", {self.kernel[0]}x{self.kernel[1]} windows"
        options += f", stride {self.stride[0]}x{self.stride[1]}" if self.stride != (1, 1) else ""
        options += f", padding {self.padding[0]}x{self.padding[1]}" if any(self.padding) else ""
        return " -> ".join(shapes) + options


class Inputs(NamedTuple):
    """The arrays of a layer: x (N, C, H, W), weight (O, C, KH, KW), bias (O,), dy (N, O, OH, OW).

    A pooling has neither weight nor bias: they are empty.
    """

    x: Array
    weight: Array
    bias: Array
    dy: Array


def inputs(layer: Layer, images: int, dtype: Any, whole: bool = False) -> Inputs:
    """Random numbers. ``whole``: whole numbers from -3 to 3, so that sums are exact, and equal
    cells are frequent.
    """
    rng = np.random.default_rng(0)

    def numbers(*shape: int) -> Array:
        drawn = rng.integers(-3, 4, shape) if whole else rng.standard_normal(shape)
        return drawn.astype(dtype)

    return Inputs(
        numbers(images, *layer.x_shape),
        numbers(*layer.weight_shape),
        numbers(layer.out_channels),
        numbers(images, *layer.y_shape),
    )


LENET = {  # the layers of LeNet, the first and the second of each kind
    "conv": [
        Layer(1, (28, 28), (5, 5), padding=(2, 2), out_channels=6),
        Layer(6, (14, 14), (5, 5), out_channels=16),
    ],
    "max_pool": [
        Layer(6, (28, 28), (2, 2), (2, 2)),
        Layer(16, (10, 10), (2, 2), (2, 2)),
    ],
}

# Unequal sizes, strides that leave a remainder, windows that overlap or reach over the edge.
AWKWARD = {
    "conv": [
        Layer(3, (6, 5), (2, 3), out_channels=4),
        Layer(2, (8, 9), (3, 2), (2, 3), out_channels=5),
        Layer(3, (8, 7), (3, 2), (2, 1), (1, 2), out_channels=2),
    ],
    "max_pool": [
        Layer(3, (6, 7), (2, 3), (2, 3)),
        Layer(2, (9, 8), (3, 2), (2, 1)),
        Layer(2, (8, 11), (3, 5), (2, 3), (1, 2)),
    ],
}
