"""Which operation a function is, seen by its result: a convolution, a pooling, a dense layer.

``minicnn.gradcheck`` has a function, its inputs and a wrong gradient. If the result is that of a
convolution with some stride, padding and dilation, the slips of that convolution can be computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from . import conv, linear, pool
from .resemblances import Close
from .sums import Array, Pair, Window
from .windows import GEOMETRY

MOST = (3, 3, 2)  # the largest stride, padding and dilation that are tried, in rows and columns
LARGEST = 500_000  # products of a convolution, for which the search still takes a moment only


class Known(NamedTuple):
    """An operation, its gradients' slips, and the arguments that each slip takes.

    Attributes:
        name: as one would write it: ``conv2d(stride=(2, 1), padding=(1, 2))``.
        slips: for each input its catalogue.
        arguments: for each input the arguments of the functions in its catalogue.
    """

    name: str
    slips: Sequence[conv.Catalogue]
    arguments: Sequence[tuple[object, ...]]


def recognise(inputs: Sequence[Array], y: Array, dy: Array, close: Close) -> Known | None:
    """The operation that gives ``y`` for these inputs; None where it is none of those known."""
    if len(inputs) in (2, 3) and inputs[0].ndim == inputs[1].ndim == y.ndim == 4:
        return _convolution(inputs, y, dy, close)
    if len(inputs) in (2, 3) and inputs[0].ndim == inputs[1].ndim == y.ndim == 2:
        return _dense(inputs, y, dy, close)
    if len(inputs) == 1 and inputs[0].ndim == y.ndim == 4:
        return _pooling(inputs[0], y, dy, close)
    return None


def _pairs(least: int, most: int) -> Iterator[Pair]:
    return ((rows, columns) for rows, columns in product(range(least, most + 1), repeat=2))


def _windows(x: Array, kernel: Pair, output: tuple[int, ...], most: Sequence[int]) -> list[Window]:
    """All windows that give an output of this size, the usual ones first."""
    strides, paddings, dilations = _pairs(1, most[0]), _pairs(0, most[1]), _pairs(1, most[2])
    every = (Window(kernel, *sizes) for sizes in product(strides, paddings, dilations))
    return [window for window in every if window.output(x.shape[2], x.shape[3]) == output]


# A convolution ------------------------------------------------------------------------------------


def _convolution(inputs: Sequence[Array], y: Array, dy: Array, close: Close) -> Known | None:
    x, weight = inputs[:2]
    bias = inputs[2] if len(inputs) == 3 else np.zeros(len(weight))
    fits = x.shape[1] == weight.shape[1] and y.shape[:2] == (len(x), len(weight))
    if not fits or bias.shape != (len(weight),) or weight[0].size * y.size > LARGEST:
        return None
    kernel = weight.shape[2], weight.shape[3]
    for window in _windows(x, kernel, y.shape[2:], MOST):
        if close(_output(x, weight, window) + bias[:, None, None], y).all():
            name = _written("conv2d", window)
            of_x = conv.table(conv.dx, {**conv.DX_SLIPS, **GEOMETRY})
            of_weight = conv.table(conv.dweight, {**conv.DWEIGHT_SLIPS, **GEOMETRY})
            arguments = (dy, weight, x.shape, *window[1:]), (dy, x, window), (dy,)
            return Known(name, (of_x, of_weight, conv.DBIAS), arguments)
    return None


def _output(x: Array, weight: Array, window: Window) -> Array:
    """y without the bias: one product of matrices of each window's cells, all at once."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = window
    framed = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    rows, columns = window.output(x.shape[2], x.shape[3])
    h = np.arange(rows)[:, None] * sh + np.arange(kh) * dh
    w = np.arange(columns)[:, None] * sw + np.arange(kw) * dw
    cells = framed[:, :, h[:, None, :, None], w[None, :, None, :]]  # (N, C, OH, OW, KH, KW)
    return np.einsum("ncpqij,ocij->nopq", cells, weight)


def _written(name: str, window: Window) -> str:
    """conv2d(stride=(2, 1)): what is not the default."""
    usual = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}
    sizes = zip(usual, window[1:], strict=True)
    return f"{name}({', '.join(f'{key}={size}' for key, size in sizes if size != usual[key])})"


# Pooling and dense layers -------------------------------------------------------------------------


def _pooling(x: Array, y: Array, dy: Array, close: Close) -> Known | None:
    """Pooling without padding, of windows of at most 4 x 4."""
    if y.shape[:2] != x.shape[:2] or y.size * 16 > LARGEST:
        return None
    for kernel in _pairs(1, 4):
        for window in _windows(x, kernel, y.shape[2:], (4, 0, 1)) if max(kernel) > 1 else ():
            cells = _cells(x, window)
            written = f"kernel_size={kernel}, stride={window.stride}"
            if close(cells.max(axis=-1), y).all():
                arguments = ((dy, x, kernel, window.stride),)
                return Known(f"max_pool2d({written})", (pool.MAX_POOL,), arguments)
            if close(cells.mean(axis=-1), y).all():
                shaped = ((dy, x.shape, kernel, window.stride),)
                return Known(f"avg_pool2d({written})", (pool.AVG_POOL,), shaped)
    return None


def _cells(x: Array, window: Window) -> Array:
    """(N, C, OH, OW, KH KW)."""
    ones = np.eye(window.kernel[0] * window.kernel[1]).reshape(-1, 1, *window.kernel)
    n, c, height, width = x.shape
    copied = _output(x.reshape(n * c, 1, height, width), ones, window)
    return np.moveaxis(copied.reshape(n, c, *copied.shape[1:]), 2, -1)


def _dense(inputs: Sequence[Array], y: Array, dy: Array, close: Close) -> Known | None:
    x, weight = inputs[:2]
    bias = inputs[2] if len(inputs) == 3 else np.zeros(len(weight))
    if x.shape[1] != weight.shape[1] or bias.shape != (len(weight),):
        return None
    if y.shape != (len(x), len(weight)) or not close(x @ weight.T + bias, y).all():
        return None
    return Known("linear()", (linear.DX, linear.DWEIGHT, linear.DBIAS), ((dy, x, weight),) * 3)
