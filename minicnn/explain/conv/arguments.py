"""The layer and the pictures to explain, checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import kernels, nn
from minicnn.kernels.arrays import output_sizes
from minicnn.tensor import Tensor, no_grad

from ..numbers import Pair, as_numbers, as_pair


def example_of(conv: nn.Conv2d, x: Any, dy: Any = None) -> tuple[Any, ...]:
    """The arguments of ``Convolution`` for the layer ``conv``, pictures ``x`` and gradient ``dy``.

    What they may be, and the errors: see ``conv2d``.
    """
    if not isinstance(conv, nn.Conv2d):
        raise TypeError(f"explain.conv2d: conv is {type(conv).__name__}; wanted an nn.Conv2d")
    picture = as_numbers("conv2d", "x", x, 4)
    if isinstance(conv, nn.LazyConv2d):
        with no_grad(), kernels.by_reference():
            conv(Tensor(picture.astype(np.float32)))
    if picture.shape[1] != conv.in_channels:
        raise ValueError(
            f"explain.conv2d: x has {picture.shape[1]} channels; wanted {conv.in_channels}"
        )
    stride, dilation = as_pair(conv.stride), as_pair(conv.dilation)
    padding = _padding(conv, dilation)
    output = output_sizes(picture.shape[2:], conv.kernel_size, stride, padding, dilation)
    if min(output) < 1:
        raise ValueError(
            f"explain.conv2d: kernel {conv.kernel_size} with dilation {dilation} is larger than "
            f"the padded picture: x {picture.shape}, padding {padding}"
        )
    shape = (len(picture), conv.out_channels, *output)
    cotangent = np.ones(shape) if dy is None else as_numbers("conv2d", "dy", dy, 4)
    if cotangent.shape != shape:
        raise ValueError(f"explain.conv2d: dy has shape {cotangent.shape}; wanted {shape}")
    weight = as_numbers("conv2d", "weight", conv.weight, 4)
    bias = None if conv.bias is None else as_numbers("conv2d", "bias", conv.bias, 1)
    return picture, weight, bias, cotangent, stride, padding, dilation, conv.groups


def _padding(conv: nn.Conv2d, dilation: Pair) -> Pair:
    if conv.padding == "valid":
        return (0, 0)
    if conv.padding != "same":
        return as_pair(conv.padding)
    zeros = [d * (k - 1) for d, k in zip(dilation, conv.kernel_size, strict=True)]
    if zeros[0] % 2 or zeros[1] % 2:
        raise ValueError(
            f"explain.conv2d: padding is 'same' with kernel {conv.kernel_size}, an odd number of "
            "zeros; wanted as many on both sides"
        )
    return zeros[0] // 2, zeros[1] // 2
