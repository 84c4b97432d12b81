"""Convolution by im2col, forward and backward.

Notation: N images, C input channels, H x W pictures; O output channels, KH x KW kernels; stride
(SH, SW), padding (PH, PW), dilation (DH, DW); OH x OW output pictures. x̄ is x in its frame of PH
and PW zeros.

**Forward.** Every output is the product of one window with one kernel. As in every deep-learning
library the kernel is not flipped (a mathematician would call this a cross-correlation), and the
sum runs over all input channels:

    y[n, o, oh, ow] = b[o] + sum_{c, i, j} W[o, c, i, j] x̄[n, c, oh SH + i DH, ow SW + j DW]

im2col writes each window out as a column. With r = (c, i, j) numbering the C·KH·KW cells of a
window and l = (oh, ow) numbering the OH·OW windows,

    X[n, r, l] = x̄[n, c, oh SH + i DH, ow SW + j DW]

and the convolution is a matrix product, W read as an O x (C·KH·KW) matrix:

    y[n] = W X[n] + b

A 3 x 3 picture and a 2 x 2 kernel have four windows, so four columns:

    1 2 3          1 2 4 5      row r = 0: what the windows see at (i, j) = (0, 0)
    4 5 6   --->   2 3 5 6              1:                                  (0, 1)
    7 8 9          4 5 7 8              2:                                  (1, 0)
                   5 6 8 9              3:                                  (1, 1)

**Backward.** dy is the gradient of the loss with respect to y. W[o, r] multiplies X[n, r, l] on
the way to y[n, o, l], for every image and every window; so, collecting what multiplies each,

    dW[o, r]    = sum_{n, l} dy[n, o, l] X[n, r, l]      dW    = sum_n dy[n] X[n]ᵀ
    db[o]       = sum_{n, l} dy[n, o, l]                 db    = sum_n dy[n] 1
    dX[n, r, l] = sum_o W[o, r] dy[n, o, l]              dX[n] = Wᵀ dy[n]

(1 is a column of OH·OW ones: to multiply by it is to sum.)

A pixel of x stands in as many columns as windows cover it, so its gradient is the *sum* over those
places: col2im adds every column back to the window it came from. (im2col is linear and col2im is
its transpose: <im2col(x), c> = <x, col2im(c)> for all x and c.) Written out for one pixel of x̄,
col2im(Wᵀ dy) is

    dx̄[n, c, h, w] = sum_{o, i, j} W[o, c, i, j] dy[n, o, (h - i DH) / SH, (w - j DW) / SW]

over the (i, j) for which the divisions come out even: a convolution of dy with the kernel turned by
180 degrees. Cells of x that no window reaches (when the stride does not fit) get 0; the frame's
gradients are dropped.
"""

from __future__ import annotations

from minicnn import kernels
from minicnn.kernels import Array

from .operation import Operation

Pair = tuple[int, int]


class Conv2d(Operation):
    """y = conv(x, W) + b; the module's docstring derives what stands here.

    x: (N, C, H, W), weight: (O, C, KH, KW), bias: (O,) or none, y: (N, O, OH, OW) with
    OH = floor((H + 2 PH - DH (KH - 1) - 1) / SH) + 1, OW likewise.
    """

    reads: tuple[tuple[int, ...], ...] = ((1,), (), ())
    gives_new_arrays = True

    def __init__(self, stride: Pair, padding: Pair, dilation: Pair, output: Pair):
        self.window = stride, padding, dilation
        self.output = output

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        loops, (out_channels, _, kh, kw) = kernels.of(x), weight.shape
        self.x_shape, self.weight = x.shape, weight

        self.columns = loops.im2col(x, (kh, kw), *self.window)  # (N, C·KH·KW, OH·OW)
        w = weight.reshape(out_channels, -1)  # (O, C·KH·KW)
        b = None if bias is None else bias[:, None]
        y = loops.matmul(w, self.columns, plus=b)  # W X + b: (N, O, OH·OW)
        return y.reshape(len(x), out_channels, *self.output)

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        loops, (out_channels, _, kh, kw) = kernels.of(dy), self.weight.shape
        dy = dy.reshape(len(dy), out_channels, self.columns.shape[2])  # (N, O, OH·OW)
        dx = dweight = dbias = None

        if self.needs_gradient[1]:
            dw = loops.matmul(self.columns, dy.swapaxes(1, 2))  # X dyᵀ = (dy Xᵀ)ᵀ: faster so
            dweight = loops.sum_over(dw, 0).T.reshape(self.weight.shape)  # from (C·KH·KW, O)
        if any(self.needs_gradient[2:]):
            ones = kernels.array_module(dy).ones((dy.shape[2], 1), dy.dtype)
            rows = loops.matmul(dy, ones)  # (N, O, 1): faster than to sum dy at once
            dbias = loops.sum_over(rows, (0, 2))
        if self.needs_gradient[0]:
            w = self.weight.reshape(out_channels, -1)
            dcolumns = loops.matmul(w.T, dy)  # (N, C·KH·KW, OH·OW)
            dx = loops.col2im(dcolumns, self.x_shape, (kh, kw), *self.window)
        return (dx, dweight, dbias)[: len(self.needs_gradient)]
