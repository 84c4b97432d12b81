"""TensorFlow's padding of windows, in the engine's words.

``'valid'``: no frame. ``'same'``: ceil(size / stride) windows, and zeros, of which an odd one comes
at the end; zeros never win a maximum and do not count in a mean.
Source: https://www.tensorflow.org/api_docs/python/tf/nn ("Notes on padding").
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn.nn import functional as F
from minicnn.tensor import Tensor

Pair = tuple[int, int]
Frame = tuple[Pair, Pair]  # cells before and after, of rows and of columns


def pair(name: str, value: Any) -> Pair:
    """Two whole numbers of at least 1; one stands for both.

    Raises:
        ValueError: anything else.
    """
    both = (value, value) if isinstance(value, int | np.integer) else tuple(value)
    if len(both) != 2 or any(not isinstance(n, int | np.integer) or n < 1 for n in both):
        raise ValueError(f"{name} is {value!r}; wanted an integer of at least 1, or two of them")
    return int(both[0]), int(both[1])


def padding(layer: str, value: Any) -> str:
    """``'valid'`` or ``'same'``, in small letters.

    Raises:
        ValueError: anything else; a number is what MXNet and PyTorch want.
    """
    name = value.lower() if isinstance(value, str) else value
    if name not in ("valid", "same"):
        raise ValueError(
            f"{layer}: padding is {value!r}; wanted 'valid' or 'same' (a frame of numbers: "
            "tf.keras.layers.ZeroPadding2D)"
        )
    return str(name)


def frame(sizes: tuple[int, ...], kernel: Pair, stride: Pair, how: str) -> Frame:
    """The frame that ``how`` asks for, of pictures of these sizes."""
    if how == "valid":
        if any(size < window for size, window in zip(sizes, kernel, strict=True)):
            raise ValueError(
                f"a window of {kernel} is larger than the pictures, of {sizes[0]} x {sizes[1]}; "
                "wanted (batch, height, width, channels)"
            )
        return (0, 0), (0, 0)
    axes = [_around(*axis) for axis in zip(sizes, kernel, stride, strict=True)]
    return axes[0], axes[1]


def _around(size: int, kernel: int, stride: int) -> Pair:
    outputs = math.ceil(size / stride)
    zeros = max((outputs - 1) * stride + kernel - size, 0)
    return zeros // 2, zeros - zeros // 2


def framed(x: Tensor, around: Frame, most: Pair, value: float = 0.0) -> tuple[Tensor, Pair]:
    """The pictures, and the padding that is left to the engine: what is even, up to ``most``."""
    (top, bottom), (left, right) = around
    if top == bottom <= most[0] and left == right <= most[1]:
        return x, (top, left)
    return F.pad(x, (left, right, top, bottom), value=value), (0, 0)


def max_pool(x: Tensor, window: Pair, stride: Pair, how: str) -> Tensor:
    """The largest of each window. x: (N, C, H, W)."""
    around = frame(x.shape[2:], window, stride, how)
    half = (window[0] // 2, window[1] // 2)
    x, padding = framed(x, around, half, -math.inf)
    return F.max_pool2d(x, window, stride, padding)


def avg_pool(x: Tensor, window: Pair, stride: Pair, how: str) -> Tensor:
    """The mean of each window's cells inside the picture. x: (N, C, H, W)."""
    around = frame(x.shape[2:], window, stride, how)
    half = (window[0] // 2, window[1] // 2)
    inside, padding = framed(x, around, half)
    if inside is x:
        return F.avg_pool2d(x, window, stride, padding, count_include_pad=False)
    sums = F.avg_pool2d(inside, window, stride, divisor_override=1)
    rows, cols = (
        _cells(*axis)
        for axis in zip(x.shape[2:], window, stride, around, sums.shape[2:], strict=True)
    )
    return sums / Tensor(np.outer(rows, cols).astype(x.dtype), device=x.device)


def _cells(size: int, window: int, stride: int, around: Pair, outputs: int) -> np.ndarray:
    """How many cells of the picture each window has, along an axis."""
    first = np.arange(outputs) * stride - around[0]
    return np.minimum(first + window, size) - np.maximum(first, 0)
