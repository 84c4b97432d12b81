"""What convolution and pooling share: where a window lies, and the picture's frame of padding."""

from __future__ import annotations

import numpy as np

from ..arrays import Array, Pair
from .jit import jit

# An index known not to be negative. Python counts a negative one from the end, and with ``at`` the
# compiled loop need not test for that.
at = np.uintp


@jit
def inside(start: int, step: int, size: int, count: int) -> Pair:
    """Which of the cells start + k * step, k = 0..count-1, lie in 0..size-1.

    Returns the first such k and the one after the last.
    """
    if start >= 0 and start + (count - 1) * step < size:  # all of them, and no division
        return 0, count
    first = min(count, max(0, (-start + step - 1) // step))  # start / step, rounded up
    last = min(count, max(first, (size - start + step - 1) // step))
    return first, last


@jit
def reach(size: int, padding: int, kernel: int, stride: int, output: int) -> int:
    """Rows of the picture in its frame, or of all windows if (``ceil_mode``) they reach further."""
    return max(size + 2 * padding, (output - 1) * stride + kernel)


@jit
def frame(x: Array, padding: Pair, rows: int, cols: int) -> Array:
    """The picture in a frame of zeros, rows x cols large; itself if it has that size."""
    height, width = x.shape
    if rows == height and cols == width:
        return x
    ph, pw = padding
    framed = np.zeros((rows, cols), x.dtype)
    for h in range(height):
        for w in range(width):
            framed[at(ph + h), at(pw + w)] = x[h, w]
    return framed


@jit
def empty_frame(x: Array, rows: int, cols: int) -> Array:
    """Zeros, rows x cols; written over the picture itself if it has that size."""
    if x.shape[0] == rows and x.shape[1] == cols:
        x[:] = 0
        return x
    return np.zeros((rows, cols), x.dtype)


@jit
def unframe(framed: Array, x: Array, padding: Pair) -> None:
    """The picture without its frame, written to x; nothing to do where there is no frame."""
    if framed.shape == x.shape:
        return
    ph, pw = padding
    for h in range(x.shape[0]):
        for w in range(x.shape[1]):
            x[h, w] = framed[at(ph + h), at(pw + w)]
