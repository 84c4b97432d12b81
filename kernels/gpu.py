"""The kernels in CUDA C, on CuPy arrays.

Same names and signatures as ``reference``, which says what each one means. The sources lie beside
this file (``*.cu``); CuPy has them compiled at the first use (NVRTC) and keeps the result on disk.
A kernel sees a bare pointer: so that strides and dtypes cannot go wrong, everything that is passed
is made contiguous and of the dtype the source names, and each number is passed as a NumPy scalar
of the parameter's type. docs/gpu.md tells how all this is checked on machines without a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import cupy
import numpy as np

from .arrays import NONE, SIGMOID, Array, Pair, output_sizes
from .reference import matmul, relu_backward, sum_over

__all__ = [
    "adadelta",
    "adam",
    "avg_pool",
    "avg_pool_backward",
    "col2im",
    "im2col",
    "matmul",
    "max_pool",
    "max_pool_backward",
    "random_uniform",
    "relu_backward",
    "sgd",
    "sigmoid",
    "sigmoid_backward",
    "softmax_cross_entropy",
    "sum_over",
]

BLOCK = 256  # threads of a block
MOST_BLOCKS = 4096  # of a grid: enough to keep every multiprocessor busy, the rest is a loop
FILES = ("windows.cu", "cells.cu", "steps.cu")

I32, I64, U64 = np.int32, np.int64, np.uint64


def source() -> str:
    """The text of all kernels."""
    folder = Path(__file__).parent
    return "\n".join((folder / name).read_text() for name in ("common.cuh", *FILES))


@cache
def module(dtype: str) -> Any:
    """All kernels with ``real`` as float32 or float64, compiled at the first launch."""
    real = {"float32": "float", "float64": "double"}[dtype]
    return cupy.RawModule(code=source(), options=(f"-DREAL={real}",))


@cache
def kernel(name: str, dtype: str) -> Any:
    """One of them, ready to be launched."""
    return module(dtype).get_function(name)


def blocks(cells: int) -> int:
    """Blocks of a grid for so many cells, a cell a thread; a grid has to have one at least."""
    return max(1, min(MOST_BLOCKS, -(-cells // BLOCK)))


def _launch(name: str, dtype: Any, cells: int, *arguments: Any, grid: int | None = None) -> None:
    """Run a kernel on blocks of 256 threads; nothing is launched where there is nothing to do."""
    if cells:
        kernel(name, np.dtype(dtype).name)((grid or blocks(cells),), (BLOCK,), arguments)


def _ints(*groups: Any) -> tuple[np.int32, ...]:
    """Numbers and pairs of numbers, one after the other, as the kernels' int."""
    pairs = [group if isinstance(group, tuple) else (group,) for group in groups]
    return tuple(I32(n) for pair in pairs for n in pair)


def im2col(x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """See ``reference.im2col``."""
    x, (n, c, h, w) = cupy.ascontiguousarray(x), x.shape
    output = output_sizes((h, w), kernel_size, stride, padding, dilation)
    rows = c * kernel_size[0] * kernel_size[1]
    columns = cupy.empty((n, rows, output[0] * output[1]), x.dtype)
    window = _ints(c, h, w, kernel_size, stride, padding, dilation, output)
    _launch("im2col", x.dtype, columns.size, x, columns, I64(columns.size), *window)
    return columns


def col2im(
    columns: Array,
    input_shape: tuple[int, int, int, int],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> Array:
    """See ``reference.col2im``."""
    columns, (_, c, h, w) = cupy.ascontiguousarray(columns), input_shape
    output = output_sizes((h, w), kernel_size, stride, padding, dilation)
    x = cupy.empty(input_shape, columns.dtype)
    window = _ints(c, h, w, kernel_size, stride, padding, dilation, output)
    _launch("col2im", x.dtype, x.size, columns, x, I64(x.size), *window)
    return x


def max_pool(
    x: Array, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, output: Pair
) -> tuple[Array, Array]:
    """See ``reference.max_pool``."""
    x, (n, c, h, w) = cupy.ascontiguousarray(x), x.shape
    y, index = cupy.empty((n, c, *output), x.dtype), cupy.empty((n, c, *output), np.int64)
    window = _ints(h, w, kernel_size, stride, padding, dilation, output)
    _launch("max_pool", x.dtype, y.size, x, y, index, I64(y.size), *window)
    return y, index


def max_pool_backward(dy: Array, index: Array, input_shape: tuple[int, int, int, int]) -> Array:
    """See ``reference.max_pool_backward``. Sums of overlapping windows come in any order."""
    dy, index = cupy.ascontiguousarray(dy), cupy.ascontiguousarray(index)
    dx = cupy.zeros(input_shape, dy.dtype)
    planes = _ints(dy.shape[2] * dy.shape[3], input_shape[2] * input_shape[3])
    _launch("max_pool_backward", dy.dtype, dy.size, dy, index, dx, I64(dy.size), *planes)
    return dx


def avg_pool(x: Array, divisor: Array, kernel_size: Pair, stride: Pair, padding: Pair) -> Array:
    """See ``reference.avg_pool``."""
    x, (n, c, h, w) = cupy.ascontiguousarray(x), x.shape
    divisor = cupy.ascontiguousarray(divisor, x.dtype)
    y = cupy.empty((n, c, *divisor.shape), x.dtype)
    window = _ints(h, w, kernel_size, stride, padding, divisor.shape)
    _launch("avg_pool", x.dtype, y.size, x, divisor, y, I64(y.size), *window)
    return y


def avg_pool_backward(
    dy: Array,
    divisor: Array,
    input_shape: tuple[int, int, int, int],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
) -> Array:
    """See ``reference.avg_pool_backward``."""
    dy, dx = cupy.ascontiguousarray(dy), cupy.empty(input_shape, dy.dtype)
    divisor = cupy.ascontiguousarray(divisor, dy.dtype)
    window = _ints(input_shape[2:], kernel_size, stride, padding, divisor.shape)
    arrays = dy, divisor, dy, dx  # no activation: its result is not read
    _launch("avg_pool_dinput", dx.dtype, dx.size, *arrays, I64(dx.size), I32(NONE), *window)
    return dx


def sigmoid(x: Array) -> Array:
    """See ``reference.sigmoid``."""
    x = cupy.ascontiguousarray(x)
    s = cupy.empty_like(x)
    _launch("activate", x.dtype, x.size, x, s, I64(x.size), I32(SIGMOID))
    return s


def sigmoid_backward(dy: Array, s: Array) -> Array:
    """See ``reference.sigmoid_backward``."""
    dy, s = cupy.ascontiguousarray(dy), cupy.ascontiguousarray(s)
    dx = cupy.empty_like(dy)
    _launch("activate_backward", dy.dtype, dy.size, dy, s, dx, I64(dy.size), I32(SIGMOID))
    return dx


def softmax_cross_entropy(logits: Array, target: Array) -> tuple[Array, Array]:
    """See ``reference.softmax_cross_entropy``."""
    logits = cupy.ascontiguousarray(logits)
    target = cupy.ascontiguousarray(target, np.int64)
    rows, classes = logits.shape
    losses, probabilities = cupy.empty(rows, logits.dtype), cupy.empty_like(logits)
    arguments = (logits, target, losses, probabilities, I32(rows), I32(classes))
    _launch("softmax_cross_entropy", logits.dtype, rows, *arguments, grid=blocks(32 * rows))
    return losses, probabilities


def sgd(
    p: Array,
    g: Array,
    v: Array | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """See ``reference.sgd``."""
    numbers = [p.dtype.type(x) for x in (lr, momentum, dampening, weight_decay)]
    arrays = [p, v] if v is not None else [p]
    with _contiguous(*arrays) as whole:
        _launch("sgd", p.dtype, p.size, whole[0], cupy.ascontiguousarray(g), whole[-1],
                I64(p.size), *numbers, *_ints(nesterov, maximize))  # fmt: skip


def adam(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    largest: Array | None,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None:
    """See ``reference.adam``."""
    size, root = lr / (1 - beta1**step), 1 / (1 - beta2**step) ** 0.5
    rates = (lr, size, root, 1 - beta1, 1 - beta2, eps, weight_decay)
    numbers = [p.dtype.type(x) for x in rates]
    arrays = [p, m, v] if largest is None else [p, m, v, largest]
    with _contiguous(*arrays) as whole:
        _launch("adam", p.dtype, p.size, whole[0], cupy.ascontiguousarray(g), *whole[1:3],
                whole[-1], I64(p.size), *numbers,
                *_ints(largest is not None, decoupled, maximize))  # fmt: skip


def adadelta(
    p: Array,
    g: Array,
    v: Array,
    u: Array,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """See ``reference.adadelta``."""
    numbers = [p.dtype.type(x) for x in (lr, 1 - rho, eps, weight_decay)]
    with _contiguous(p, v, u) as whole:
        _launch("adadelta", p.dtype, p.size, whole[0], cupy.ascontiguousarray(g), *whole[1:],
                I64(p.size), *numbers, *_ints(maximize))  # fmt: skip


@contextmanager
def _contiguous(*arrays: Array) -> Iterator[list[Array]]:
    """The arrays, or contiguous copies of those that are not, which are copied back at the end."""
    whole = [cupy.ascontiguousarray(array) for array in arrays]
    yield whole
    for array, changed in zip(arrays, whole, strict=True):
        if array is not changed:  # a transposed parameter, say
            array[...] = changed


def random_uniform(like: Array, seed: int, draw: int) -> Array:
    """See ``reference.random_uniform``."""
    numbers = cupy.empty(like.shape, np.float32)
    arguments = numbers, I64(numbers.size), U64(seed), U64(draw)
    _launch("random_uniform", np.float32, numbers.size, *arguments)
    return numbers
