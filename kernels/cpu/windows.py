"""Windows that slide over a picture, and the picture's frame of padding."""

from __future__ import annotations

import numpy as np

from .jit import jit

at = np.uintp  # an index that is known not to be negative: spares the test for wrapping around


@jit
def inside(start, step, size, count):
    """The k, from the first to before the last, of 0..count-1 with 0 <= start + k * step < size."""
    if start >= 0 and start + (count - 1) * step < size:  # all of them, and no division
        return 0, count
    first = min(count, max(0, (-start + step - 1) // step))
    last = min(count, max(first, (size - start + step - 1) // step))
    return first, last


@jit
def reach(size, padding, kernel, stride, output):
    """Rows of the picture in its frame, or of all windows if (``ceil_mode``) they reach further."""
    return max(size + 2 * padding, (output - 1) * stride + kernel)


@jit
def frame(x, ph, pw, rows, cols):
    """The picture in a frame of zeros, rows x cols large; itself if it has that size."""
    height, width = x.shape
    if rows == height and cols == width:
        return x
    framed = np.zeros((rows, cols), x.dtype)
    for h in range(height):
        for w in range(width):
            framed[at(ph + h), at(pw + w)] = x[h, w]
    return framed


@jit
def empty_frame(x, rows, cols):
    """Zeros, rows x cols; in the place of the picture itself if it has that size."""
    if x.shape[0] == rows and x.shape[1] == cols:
        x[:] = 0
        return x
    return np.zeros((rows, cols), x.dtype)


@jit
def unframe(framed, x, ph, pw):
    """The picture without its frame, written to x; nothing to do where there is no frame."""
    if framed.shape == x.shape:
        return
    for h in range(x.shape[0]):
        for w in range(x.shape[1]):
            x[h, w] = framed[at(ph + h), at(pw + w)]
