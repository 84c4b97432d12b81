"""Convolution with fewer products, by Winograd's algorithm, in plain NumPy: a rung of ``rungs``.

docs/winograd.md derives it. ``minicnn.compile`` computes the same where it is faster:
``kernels/tiles/winograd.py``.
"""

from __future__ import annotations

import numpy as np

from minicnn.kernels import Array
from minicnn.kernels.winograd import matrices
from minicnn.ops import Operation
from minicnn.ops.conv import Pair

PIECE = 4  # neighbouring outputs of a line, computed together
WIDTHS = 2, 5  # the narrowest and the widest kernel


class Winograd(Operation):
    """y = conv(x, W) + b, a line in pieces of four outputs. Each piece sees KW + 3 columns.

        y  = Aᵀ sum_{c, i}     (G W) * (Bᵀ x̄)
        dx̄ = B  sum_{o, i}     (G W) * (A dy)
        dW = Gᵀ sum_{n, oh, k} (A dy) * (Bᵀ x̄)

    x̄ is x in its frame of PH and PW zeros. The maps (``kernels.winograd``) take a line of W,
    piece k of a line of x̄ and piece k of a line of dy to KW + 3 numbers each, one a *point*, and
    back. * multiplies numbers at the same point, so at each point the sum is a matrix product.
    Line oh of y and line oh + i of x̄ meet at line i of the kernel.

    x: (N, C, H, W), weight: (O, C, KH, KW), bias: (O,) or none, y: (N, O, OH, OW).

    Raises:
        ValueError: what ``why_not`` names.
    """

    def __init__(self, stride: Pair, padding: Pair, dilation: Pair, output: Pair):
        self.stride, self.padding, self.dilation, self.output = stride, padding, dilation, output

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        out_channels, _, kh, kw = weight.shape
        if reason := why_not(self.stride, self.dilation, (kh, kw)):
            raise ValueError(f"conv2d: {reason}")
        self.x_shape = x.shape
        a, g, b = self.maps = [m.astype(x.dtype) for m in matrices(PIECE, kw)]  # Aᵀ, G, Bᵀ

        self.w = (weight @ g.T).transpose(2, 3, 0, 1)  # (KH, points, O, C)
        self.x = to_points(x, self.padding, self.output[1], b)
        y = sum(self.w[i] @ self.seen_through(i) for i in range(kh))  # (points, O, N OH pieces)
        number = self.x.shape[-1]  # of pieces in a line
        y = from_points(y.reshape(len(b), out_channels, len(x), self.output[0], number), a)
        y = y.reshape(*y.shape[:3], number * PIECE)[..., : self.output[1]]
        return y if bias is None else y + bias[:, None, None]

    def backward(self, dy: Array) -> tuple[Array, ...]:
        a, g, b = self.maps
        at_points = to_points(dy, (0, 0), self.output[1], a.T)
        columns = at_points.reshape(*at_points.shape[:2], -1)  # (points, O, N OH pieces)
        dx, dw = np.zeros_like(self.x), np.zeros_like(self.w)
        seen = *dx.shape[:3], *at_points.shape[3:]  # points, C, N, OH, pieces
        for i, w in enumerate(self.w):
            dx[:, :, :, self.lines(i)] += (w.swapaxes(1, 2) @ columns).reshape(seen)
            dw[i] = columns @ self.seen_through(i).swapaxes(1, 2)
        dx = add_pieces(from_points(dx, b.T), self.x_shape, self.padding)
        dweight = dw.transpose(2, 3, 0, 1) @ g
        return (dx, dweight, dy.sum(axis=(0, 2, 3)))[: len(self.needs_gradient)]

    def lines(self, i: int) -> slice:
        """The lines of x̄ that the outputs see through line i of the kernel."""
        return slice(i, i + self.output[0])

    def seen_through(self, i: int) -> Array:
        """These lines at the points: (points, C, N OH pieces)."""
        return self.x[:, :, :, self.lines(i)].reshape(*self.x.shape[:2], -1)


def to_points(x: Array, padding: Pair, columns: int, matrix: Array) -> Array:
    """The matrix times each piece of x̄: (points, C, N, H + 2 PH, pieces)."""
    return (pieces(x, padding, columns, matrix.shape[1]) @ matrix.T).transpose(4, 1, 0, 2, 3)


def from_points(x: Array, matrix: Array) -> Array:
    """The matrix times the numbers at the points, piece by piece: (N, C, H, pieces, cells)."""
    return x.transpose(2, 1, 3, 4, 0) @ matrix.T


def pieces(x: Array, padding: Pair, columns: int, size: int) -> Array:
    """The ``size`` columns that each piece sees of x̄: (N, C, H + 2 PH, pieces, size).

    columns: OW; the last piece may reach beyond, and sees zeros there.
    """
    (ph, pw), number = padding, -(-columns // PIECE)
    beyond = (number - 1) * PIECE + size - (x.shape[3] + 2 * pw)
    framed = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw + max(0, beyond))))
    windows = np.lib.stride_tricks.sliding_window_view(framed, size, axis=3)
    return windows[:, :, :, : number * PIECE : PIECE]


def add_pieces(dpieces: Array, x_shape: tuple[int, ...], padding: Pair) -> Array:
    """Add each piece to the columns it saw, (N, C, H, W): the transpose of ``pieces``."""
    (*_, height, width), (ph, pw) = x_shape, padding
    *planes, number, size = dpieces.shape
    framed = np.zeros((*planes, max(2 * pw + width, (number - 1) * PIECE + size)), dpieces.dtype)
    for j in range(size):  # neighbours overlap, and their cells are added up
        framed[..., j : j + number * PIECE : PIECE] += dpieces[..., j]
    return framed[:, :, ph : ph + height, pw : pw + width]


def why_not(stride: Pair, dilation: Pair, kernel_size: Pair) -> str:
    """Why a convolution cannot be computed so; empty where it can."""
    for name, value in {"stride": stride, "dilation": dilation}.items():
        if value != (1, 1):
            return f"{name} is {value}; rung 'winograd' wants 1"
    if not WIDTHS[0] <= kernel_size[1] <= WIDTHS[1]:
        return f"kernel has KW = {kernel_size[1]}; rung 'winograd' wants 2 to 5"
    return ""
