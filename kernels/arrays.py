"""Which array module an array belongs to, and the arithmetic of sliding windows."""

from __future__ import annotations

import sys
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any  # numpy.ndarray or cupy.ndarray
Pair: TypeAlias = tuple[int, int]  # of rows and columns
Shape: TypeAlias = tuple[int, int, int, int]  # (N, C, H, W)
Axes: TypeAlias = int | tuple[int, ...] | None  # of a reduction; None for all

LANES = 16  # images in a tile of a compiled plan (``tiles``)
NONE, SIGMOID, TANH, RELU, MASK = range(5)  # activations (``tiles``, common.cuh); dropout's mask


def is_host(array: Array) -> bool:
    """Whether ``array`` lies in the computer's own memory (NumPy)."""
    return isinstance(array, np.ndarray | np.generic)


def array_module(array: Array) -> Any:
    """The module, ``numpy`` or ``cupy``, that ``array`` comes from; imports neither."""
    return sys.modules[type(array).__module__.partition(".")[0]]


def output_size(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """How many windows fit along an axis: floor((size + 2P - D(K - 1) - 1) / S) + 1."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def output_sizes(
    picture: tuple[int, ...], kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Pair:
    """``output_size`` along the rows and the columns of an (H, W) picture: (OH, OW)."""
    rows, cols = (
        output_size(*axis)
        for axis in zip(picture, kernel_size, stride, padding, dilation, strict=True)
    )
    return rows, cols


def framed_by(x: Array, padding: Pair, value: float, window: Pair | None = None) -> Array:
    """``x`` in a frame of ``value``; rows and columns at least those of ``window``."""
    (ph, pw), (h, w) = padding, x.shape[2:]
    rows, cols = h + 2 * ph, w + 2 * pw
    if window is not None:
        rows, cols = max(rows, window[0]), max(cols, window[1])
    xp = array_module(x)
    frame = xp.full((*x.shape[:2], rows, cols), value, dtype=x.dtype)
    frame[:, :, ph : ph + h, pw : pw + w] = x
    return frame


def reach(kernel_size: Pair, stride: Pair, dilation: Pair, output: Pair) -> Pair:
    """Rows and columns from the first window's begin to the last one's end.

    More than the framed picture has where ``ceil_mode`` lets the last window begin inside it.
    """
    whole = tuple(
        s * (o - 1) + d * (k - 1) + 1
        for k, s, d, o in zip(kernel_size, stride, dilation, output, strict=True)
    )
    return whole  # type: ignore[return-value]
