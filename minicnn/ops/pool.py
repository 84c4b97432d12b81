"""Pooling: what is left of a window is its largest value, or its mean.

Notation as in ``conv``; every channel is pooled by itself. A window that reaches beyond the
picture (padding, ``ceil_mode``) pools the cells that are there.
"""

from __future__ import annotations

from minicnn import kernels
from minicnn.kernels import Array

from .operation import Operation

Pair = tuple[int, int]


class MaxPool2d(Operation):
    """y[n, c, oh, ow] = max_{i, j} x[n, c, oh SH - PH + i DH, ow SW - PW + j DW].

    dx: each dy goes to the cell that won its window (of equal ones the first in row order; a NaN
    wins); a cell that won several windows adds their gradients up.

    x: (N, C, H, W), y: (N, C, OH, OW).
    """

    reads = ()
    gives_new_arrays = True

    def __init__(
        self, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, output: Pair
    ):
        self.window = kernel_size, stride, padding, dilation, output

    def forward(self, x: Array) -> Array:
        self.x_shape = x.shape
        y, self.winner = kernels.of(x).max_pool(x, *self.window)
        return y

    def backward(self, dy: Array) -> Array:
        return kernels.of(dy).max_pool_backward(dy, self.winner, self.x_shape)


class AvgPool2d(Operation):
    """y[n, c, oh, ow] = sum_{i, j} x[n, c, oh SH - PH + i, ow SW - PW + j] / divisor[oh, ow].

    dx: every cell of a window gets the share dy / divisor; windows that overlap add up.

    x: (N, C, H, W), divisor: (OH, OW) (how many cells each window counts), y: (N, C, OH, OW).
    """

    reads = ()
    gives_new_arrays = True

    def __init__(self, kernel_size: Pair, stride: Pair, padding: Pair, divisor: Array):
        self.divisor = divisor
        self.window = kernel_size, stride, padding

    def forward(self, x: Array) -> Array:
        self.x_shape = x.shape
        return kernels.of(x).avg_pool(x, self.divisor, *self.window)

    def backward(self, dy: Array) -> Array:
        return kernels.of(dy).avg_pool_backward(dy, self.divisor, self.x_shape, *self.window)
