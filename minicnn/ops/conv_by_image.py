"""Convolution of a large batch: im2col as in ``conv``, for one image after the other."""

from __future__ import annotations

from minicnn import kernels
from minicnn.kernels import Array

from .conv import Conv2d


class Conv2dByImage(Conv2d):
    """``Conv2d`` with the columns of one image at a time, which stay in the processor's cache.

    The columns of a batch are KH·KW times as large as x, and nearly all the time would go into
    writing them to memory and reading them back. Here ``backward`` lays them out again:

        y[n] = W im2col(x)[n] + b,  dx[n] = col2im(Wᵀ dy[n]),  dW = sum_n dy[n] im2col(x)[n]ᵀ
    """

    reads = ((1,), (0,), ())

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        self.x, self.weight = x, weight
        return kernels.of(x).conv2d(x, weight, bias, *self.window)

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        loops, kernel_size = kernels.of(dy), self.weight.shape[2:]
        dx = dweight = dbias = None
        if any(self.needs_gradient[1:]):
            dweight, dbias = loops.conv2d_dweight(self.x, dy, kernel_size, *self.window)
        if self.needs_gradient[0]:
            dx = loops.conv2d_dx(dy, self.weight, self.x.shape, *self.window)
        return (dx, dweight, dbias)[: len(self.needs_gradient)]

    def whole(self) -> Conv2d:
        """The same operation with the columns of the whole batch."""
        return Conv2d(*self.window, self.output)

    @property
    def name(self) -> str:
        """What error messages and drawings call the operation."""
        return "Conv2d"
