"""Max and average pooling as functions."""

from __future__ import annotations

import functools

import numpy as np

from minicnn import ops
from minicnn.device import to_device
from minicnn.kernels import Array
from minicnn.kernels.arrays import output_size
from minicnn.nn.arguments import (
    IntOrPair,
    Pair,
    as_input,
    check_divisor,
    check_floating,
    check_kernel_fits,
    check_pictures,
    pooling_window,
)
from minicnn.ops import Operation
from minicnn.tensor import Tensor, apply

from .shape import batch_of_one


def max_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest value of each window. Formula: ``minicnn.ops.pool``.

    Args:
        input: (N, C, H, W), or one picture (C, H, W).
        stride: ``kernel_size`` by default.
        padding: at most half the kernel; padding never wins.
        ceil_mode: also take the windows that begin inside and reach beyond the end.

    Returns:
        (N, C, OH, OW).

    Raises:
        ValueError: shapes or arguments that do not fit.
    """
    input = as_input("max_pool2d", input)
    window = pooling_window("max_pool2d", kernel_size, stride, padding, dilation)
    output = _pooled_sizes("max_pool2d", input, *window, ceil_mode)
    return _of_pictures(ops.MaxPool2d(*window, output), input)


def avg_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window. Formula: ``minicnn.ops.pool``.

    Args:
        input: (N, C, H, W), or one picture (C, H, W).
        stride: ``kernel_size`` by default.
        padding: zeros on each side, at most half the kernel.
        ceil_mode: also take the windows that begin inside and reach beyond the end.
        count_include_pad: whether the zeros count in the mean.
        divisor_override: divide every sum by this instead.

    Returns:
        (N, C, OH, OW).

    Raises:
        ValueError: shapes or arguments that do not fit, a divisor of 0.
    """
    input = as_input("avg_pool2d", input)
    check_divisor("avg_pool2d", divisor_override)
    window = pooling_window("avg_pool2d", kernel_size, stride, padding)
    output = _pooled_sizes("avg_pool2d", input, *window, ceil_mode)
    kernel_size, stride, padding, _ = window
    kind = input.dtype, input.device
    if divisor_override is None:
        divisor = _cells_of_windows(input.shape[-2:], window[:3], output, count_include_pad, *kind)
    else:
        divisor = _everywhere(divisor_override, output, *kind)
    return _of_pictures(ops.AvgPool2d(kernel_size, stride, padding, divisor), input)


def _of_pictures(operation: Operation, input: Tensor) -> Tensor:
    """``operation`` on a batch of pictures; one picture is a batch of one."""
    return apply(operation, input) if input.ndim == 4 else apply(operation, batch_of_one(input))[0]


@functools.lru_cache
def _cells_of_windows(
    picture: tuple[int, ...],
    window: tuple[Pair, Pair, Pair],
    output: Pair,
    count_include_pad: bool,
    dtype: np.dtype,
    device: str,
) -> Array:
    """How many cells count in each window: (OH, OW). Cached, and so copied to a GPU once.

    window: kernel size, stride and padding.
    """
    axes = zip(picture, *window, output, strict=True)
    rows, cols = (_cells_counted(*axis, count_include_pad) for axis in axes)
    return to_device(np.outer(rows, cols).astype(dtype), device)


@functools.lru_cache
def _everywhere(divisor: int, output: Pair, dtype: np.dtype, device: str) -> Array:
    """``divisor`` for each window: (OH, OW). Cached, as the counts are."""
    return to_device(np.full(output, divisor, dtype), device)


def _pooled_sizes(
    function: str,
    input: Tensor,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> Pair:
    """(OH, OW) for ``input``, which is checked."""
    check_pictures(function, input)
    check_floating(function, input)
    axes = zip(input.shape[-2:], kernel_size, stride, padding, dilation, strict=True)
    rows, cols = (_pooled_size(*axis, ceil_mode) for axis in axes)
    check_kernel_fits(function, input, kernel_size, padding, dilation, (rows, cols))
    return rows, cols


def _pooled_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    if not ceil_mode:
        return output_size(size, kernel, stride, padding, dilation)
    output = output_size(size + stride - 1, kernel, stride, padding, dilation)
    # the last window must begin inside the picture or its left frame, not in the right one
    return output - 1 if (output - 1) * stride >= size + padding else output


def _cells_counted(
    size: int, kernel: int, stride: int, padding: int, output: int, count_include_pad: bool
) -> np.ndarray:
    """How many rows (or columns) count in each window: its own, less those beyond the frame."""
    frame = padding if count_include_pad else 0
    first = np.arange(output) * stride - padding
    return np.minimum(first + kernel, size + frame) - np.maximum(first, -frame)
