"""The convolution as a function."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from minicnn import ops
from minicnn.checks import check_is
from minicnn.dtypes import check_same_dtype
from minicnn.formats import shown
from minicnn.kernels import is_host
from minicnn.kernels.arrays import output_sizes
from minicnn.nn.arguments import (
    IntOrPair,
    Pair,
    as_input,
    as_tensors,
    channels_hint,
    check_floating,
    check_kernel_fits,
    check_pictures,
    convolution_window,
    pair,
)
from minicnn.tensor import Tensor, apply, is_grad_enabled

from .shape import batch_of_one, pad


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Tensor:
    """2-D convolution (cross-correlation). Formula: ``minicnn.ops.conv``.

    The columns of a large batch are laid out an image at a time, and again in backward.

    Args:
        input: (N, C, H, W), or one picture (C, H, W).
        weight: (O, C / groups, KH, KW).
        bias: (O,).
        padding: zeros on each side; ``'valid'`` for none; ``'same'`` for OH = H and OW = W (stride
            1 only; an odd number of zeros puts the odd one at the end).
        groups: input and output channels are cut into this many groups, each convolved by itself.

    Returns:
        (N, O, OH, OW) with OH = floor((H + 2 PH - DH (KH - 1) - 1) / SH) + 1, OW likewise.

    Raises:
        ValueError: shapes or arguments that do not fit.
        TypeError: input, weight and bias of different dtypes.
    """
    input = as_input("conv2d", input)
    weight, bias = as_tensors(input, weight, bias)
    check_conv2d(input, weight, bias, groups)
    stride, padding, dilation = convolution_window("conv2d", stride, padding, dilation)
    kernel_size = pair("conv2d: kernel_size", weight.shape[2:])
    x = input if input.ndim == 4 else batch_of_one(input)
    if isinstance(padding, str):  # 'same'
        x, padding = _framed_same(x, kernel_size, dilation)
    output = output_sizes(x.shape[2:], kernel_size, stride, padding, dilation)
    check_kernel_fits("conv2d", input, kernel_size, padding, dilation, output)

    def convolve(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        inputs = (x, w) if b is None else (x, w, b)
        columns = math.prod(w.shape[1:]) * math.prod(output) * x.dtype.itemsize  # an image's
        return _apply_to_batch((stride, padding, dilation, output), columns, *inputs)

    y = convolve(x, weight, bias) if groups == 1 else _in_groups(convolve, x, weight, bias, groups)
    return y if input.ndim == 4 else y[0]


CACHED_BYTES = 2**20  # of columns, at most, that are laid out at once in the computer's own memory
KEPT_BYTES = 256 * 2**20  # and on a GPU, where they are kept for backward
PIECE_BYTES = 32 * 2**20  # of columns, about, of each piece of a larger batch there


def _apply_to_batch(arguments: tuple[Pair, ...], columns: int, *inputs: Tensor) -> Tensor:
    """Apply a convolution that lays out ``columns`` bytes an image; a large batch bit by bit."""
    whole, images = partial(ops.Conv2d, *arguments), len(inputs[0])
    if is_host(inputs[0]._data):
        small = images * columns <= CACHED_BYTES
        return apply(whole() if small else ops.Conv2dByImage(*arguments), *inputs)
    is_recorded = is_grad_enabled() and any(x.requires_grad for x in inputs)
    if images * columns <= (KEPT_BYTES if is_recorded else PIECE_BYTES):
        return apply(whole(), *inputs)
    size = max(16, PIECE_BYTES // columns)  # a small batch of large pictures stays whole
    return apply(whole() if images <= size else ops.InPieces(whole, size), *inputs)


def _framed_same(x: Tensor, kernel_size: Pair, dilation: Pair) -> tuple[Tensor, Pair]:
    """Pictures and padding for ``'same'``; an odd number of zeros puts the odd one at the end."""
    rows, cols = (d * (k - 1) for d, k in zip(dilation, kernel_size, strict=True))
    if rows % 2 or cols % 2:
        x = pad(x, (0, cols % 2, 0, rows % 2))
    return x, (rows // 2, cols // 2)


def _in_groups(
    convolve: Callable[..., Tensor], x: Tensor, weight: Tensor, bias: Tensor | None, groups: int
) -> Tensor:
    c, o = weight.shape[1], weight.shape[0] // groups
    parts = [
        convolve(
            x[:, g * c : (g + 1) * c],
            weight[g * o : (g + 1) * o],
            None if bias is None else bias[g * o : (g + 1) * o],
        )
        for g in range(groups)
    ]
    return apply(ops.Concatenate(axis=1), *parts)


def check_conv2d(input: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> None:
    check_pictures("conv2d", input)
    check_is("conv2d: weight", weight, Tensor, "a Tensor")
    if weight.ndim != 4:
        raise ValueError(f"conv2d: weight has shape {weight.shape}; wanted (O, C, KH, KW)")
    if not isinstance(groups, int) or groups < 1 or weight.shape[0] % groups:
        raise ValueError(
            f"conv2d: groups is {shown(groups, str)}; wanted a divisor of the {weight.shape[0]} "
            "output channels"
        )
    channels = weight.shape[1] * groups
    if input.shape[-3] != channels:
        raise ValueError(
            f"conv2d: input {input.shape} has {input.shape[-3]} channels, weight {weight.shape} "
            f"with groups={groups} wants {channels}{channels_hint(input, channels)}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"conv2d: bias has shape {bias.shape}; wanted {weight.shape[:1]}")
    check_floating("conv2d", input)
    check_same_dtype("conv2d", input=input, weight=weight, bias=bias)
