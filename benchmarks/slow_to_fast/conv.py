"""The versions of convolution: y = conv(x, W) + b, dW and dX.

A version gets ready what is not timed (memory for the results, the layout of the arrays) and
returns the work of each direction. db, a sum over dy, is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numba
import numpy as np

from minicnn import rungs
from minicnn.kernels.arrays import LANES
from minicnn.kernels.cpu.jit import FASTMATH

from .layer import Array, Inputs, Layer
from .layout import framed, from_lines, from_tiles, to_lines, to_tiles, unframed
from .version import Work, Works

# ``cache`` is Numba's own. It knows a function by its file; none here calls one of another file.
compiled = numba.njit(fastmath=FASTMATH, error_model="numpy", nogil=True, cache=True)


def loops(layer: Layer, arrays: Inputs) -> Works:
    """The definition: every product, one at a time."""
    x, weight, bias, dy = arrays
    operation = rungs.Loops(layer.stride, layer.padding, (1, 1), layer.output)
    operation.forward(x, weight, bias)  # keeps the weight, and the picture in its frame

    def dweight() -> Array:
        dw = np.zeros_like(weight)
        for output, tap, pixel in operation.products():
            dw[tap] += dy[output] * operation.framed[pixel]
        return dw

    def dinput() -> Array:
        dx = np.zeros_like(operation.framed)
        for output, tap, pixel in operation.products():
            dx[pixel] += dy[output] * weight[tap]
        return unframed(dx, layer)

    return {
        "forward": Work(lambda: operation.forward(x, weight, bias)),
        "dW": Work(dweight),
        "dX": Work(dinput),
    }


def im2col(operation_of: Callable[..., Any], layer: Layer, arrays: Inputs) -> Works:
    """Columns and a matrix product: the engine's operation. dW takes the columns of forward."""
    x, weight, bias, dy = arrays
    operation = operation_of(layer.stride, layer.padding, (1, 1), layer.output)
    operation.forward(x, weight, bias)

    def gradient(number: int) -> Array:
        operation.needs_gradient = tuple(k == number for k in range(3))
        return operation.backward(dy)[number]

    return {
        "forward": Work(lambda: operation.forward(x, weight, bias)),
        "dW": Work(partial(gradient, 1)),
        "dX": Work(partial(gradient, 0)),
    }


# The loops, compiled ------------------------------------------------------------------------------


@compiled
def forward_loops(x, weight, bias, y, sh, sw):
    """y[n, o, oh, ow] = b[o] + sum_{c, i, j} W[o, c, i, j] x[n, c, oh SH + i, ow SW + j]."""
    images, out_channels, rows, columns = y.shape
    _, channels, kh, kw = weight.shape
    for n in range(images):
        for o in range(out_channels):
            for oh in range(rows):
                for ow in range(columns):
                    total = bias[o]
                    for c in range(channels):
                        for i in range(kh):
                            for j in range(kw):
                                pixel = x[n, c, oh * sh + i, ow * sw + j]
                                total += weight[o, c, i, j] * pixel
                    y[n, o, oh, ow] = total


@compiled
def dweight_loops(x, dy, dweight, sh, sw):
    """dW[o, c, i, j] = sum_{n, oh, ow} dy[n, o, oh, ow] x[n, c, oh SH + i, ow SW + j]."""
    images, out_channels, rows, columns = dy.shape
    _, channels, kh, kw = dweight.shape
    for o in range(out_channels):
        for c in range(channels):
            for i in range(kh):
                for j in range(kw):
                    total = dweight.dtype.type(0)
                    for n in range(images):
                        for oh in range(rows):
                            for ow in range(columns):
                                pixel = x[n, c, oh * sh + i, ow * sw + j]
                                total += dy[n, o, oh, ow] * pixel
                    dweight[o, c, i, j] = total


@compiled
def dinput_loops(weight, dy, dx, sh, sw):
    """dx[n, c, oh SH + i, ow SW + j] += W[o, c, i, j] dy[n, o, oh, ow]."""
    images, out_channels, rows, columns = dy.shape
    _, channels, kh, kw = weight.shape
    dx[:] = 0
    for n in range(images):
        for o in range(out_channels):
            for oh in range(rows):
                for ow in range(columns):
                    g = dy[n, o, oh, ow]
                    for c in range(channels):
                        for i in range(kh):
                            for j in range(kw):
                                dx[n, c, oh * sh + i, ow * sw + j] += weight[o, c, i, j] * g


def compiled_loops(layer: Layer, arrays: Inputs) -> Works:
    """The loops of the definition, compiled; one thread."""
    x, weight, bias, dy = arrays
    x_framed, y, dw = framed(x, layer.padding), np.empty_like(dy), np.empty_like(weight)
    dx, (sh, sw) = np.empty_like(x_framed), layer.stride
    return {
        "forward": Work(lambda: forward_loops(x_framed, weight, bias, y, sh, sw), lambda _: y),
        "dW": Work(lambda: dweight_loops(x_framed, dy, dw, sh, sw), lambda _: dw),
        "dX": Work(lambda: dinput_loops(weight, dy, dx, sh, sw), lambda _: unframed(dx, layer)),
    }


# 16 images innermost ------------------------------------------------------------------------------
# ``run``: a line of outputs of 16 images, OW x 16 neighbouring cells. What it sees of the input at
# (i, j) is a run as well (``layout.to_lines``). A slice is indexed from 0 on: of an index that may
# be negative the compiler would have to ask at every cell whether it counts from the end.


@compiled
def forward_tiles(first, last, x, weight, bias, y, sh):
    """A line of outputs is the sum of the runs that it sees, each times its weight."""
    _, out_channels, rows, run = y.shape
    _, channels, kh, kw = weight.shape
    sw = x.shape[3]
    for t in range(first, last):
        for o in range(out_channels):
            for oh in range(rows):
                line = y[t, o, oh]
                line[:] = bias[o]
                for c in range(channels):
                    for i in range(kh):
                        for j in range(kw):
                            w, start = weight[o, c, i, j], j // sw * LANES
                            seen = x[t, c, oh * sh + i, j % sw, start : start + run]
                            for m in range(run):
                                line[m] += w * seen[m]


@compiled
def dweight_tiles(first, last, x, dy, dweight, sh):
    """dW[o, c, i, j] is the sum of dy's lines times the runs that were seen at (i, j)."""
    tiles, _, rows, run = dy.shape
    _, channels, kh, kw = dweight.shape
    sw = x.shape[3]
    for o in range(first, last):
        for c in range(channels):
            for i in range(kh):
                for j in range(kw):
                    total, start = dweight.dtype.type(0), j // sw * LANES
                    for t in range(tiles):
                        for oh in range(rows):
                            seen = x[t, c, oh * sh + i, j % sw, start : start + run]
                            line = dy[t, o, oh]
                            for m in range(run):
                                total += line[m] * seen[m]
                    dweight[o, c, i, j] = total


@compiled
def dinput_tiles(first, last, weight, dy, dx, sh):
    """Each line of dy, times the weight, is added to the run that was seen at (i, j)."""
    _, out_channels, rows, run = dy.shape
    _, channels, kh, kw = weight.shape
    sw = dx.shape[3]
    for t in range(first, last):
        dx[t] = 0
        for o in range(out_channels):
            for oh in range(rows):
                line = dy[t, o, oh]
                for c in range(channels):
                    for i in range(kh):
                        for j in range(kw):
                            w, start = weight[o, c, i, j], j // sw * LANES
                            seen = dx[t, c, oh * sh + i, j % sw, start : start + run]
                            for m in range(run):
                                seen[m] += w * line[m]


def images_innermost(share: Callable[..., None], layer: Layer, arrays: Inputs) -> Works:
    """No columns: a row (c, i, j) of them is, for one line of outputs, a run of the input."""
    x, weight, bias, dy = arrays
    x_framed, (sh, sw) = framed(x, layer.padding), layer.stride
    x_lines, dy_lines = to_lines(to_tiles(x_framed), sw), to_lines(to_tiles(dy), 1)[:, :, :, 0]
    y, dx, dw = np.empty_like(dy_lines), np.empty_like(x_lines), np.empty_like(weight)

    def y_of_images(_: None) -> Array:
        return from_tiles(y.reshape(-1, *layer.y_shape, LANES), len(x))

    def dx_of_images(_: None) -> Array:
        return unframed(from_tiles(from_lines(dx, x_framed.shape[3]), len(x)), layer)

    return {
        "forward": Work(
            lambda: share(forward_tiles, len(y), x_lines, weight, bias, y, sh), y_of_images
        ),
        "dW": Work(lambda: share(dweight_tiles, len(dw), x_lines, dy_lines, dw, sh), lambda _: dw),
        "dX": Work(lambda: share(dinput_tiles, len(dx), weight, dy_lines, dx, sh), dx_of_images),
    }
