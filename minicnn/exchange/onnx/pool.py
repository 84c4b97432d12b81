"""Pooling in ONNX: ``MaxPool``, ``AveragePool``, ``GlobalAveragePool``.

ONNX's ``ceil_mode`` is not written: what it means was changed in ONNX 1.16, and runtimes differ.
The windows that reach over the end are written as padding there, which is the same.
"""

from __future__ import annotations

import numpy as np

from minicnn import nn
from minicnn.nn.arguments import pooling_window

from .writing import Writer

Pair = tuple[int, int]


def write_max_pool2d(writer: Writer, layer: nn.MaxPool2d) -> None:
    """``MaxPool``: padding never wins, there as here."""
    kernel, stride, padding, dilation = pooling_window(
        "MaxPool2d", layer.kernel_size, layer.stride, layer.padding, layer.dilation
    )
    over = _over_the_end(writer, layer.ceil_mode, kernel, stride, padding, dilation)
    writer.node(
        "MaxPool",
        kernel_shape=kernel,
        strides=stride,
        pads=[*padding, *(p + n for p, n in zip(padding, over, strict=True))],
        dilations=dilation,
    )


def write_avg_pool2d(writer: Writer, layer: nn.AvgPool2d) -> None:
    """``AveragePool``; with ``divisor_override`` a ``Mul`` after it.

    Zeros that count are padding with ``count_include_pad``. What lies beyond them, where windows
    reach over the end, never counts: then the zeros are written as a ``Pad`` before the pooling.
    """
    kernel, stride, padding, _ = pooling_window(
        "AvgPool2d", layer.kernel_size, layer.stride, layer.padding
    )
    over = _over_the_end(writer, layer.ceil_mode, kernel, stride, padding, (1, 1))
    counts = layer.count_include_pad or layer.divisor_override is not None
    if any(over) and any(padding) and layer.count_include_pad and not layer.divisor_override:
        frame = np.array([0, 0, *padding, 0, 0, *padding], np.int64)
        writer.node("Pad", writer.constant("frame", frame))
        padding = (0, 0)
    if any(over) and not layer.divisor_override:
        counts = False
    writer.node(
        "AveragePool",
        kernel_shape=kernel,
        strides=stride,
        pads=[*padding, *(p + n for p, n in zip(padding, over, strict=True))],
        count_include_pad=int(counts),
    )
    if layer.divisor_override:
        factor = np.array(kernel[0] * kernel[1] / layer.divisor_override, np.float32)
        writer.node("Mul", writer.constant("factor", factor))


def _over_the_end(
    writer: Writer, ceil_mode: bool, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> list[int]:
    """By how many rows and columns the last windows reach over the padded picture."""
    if not ceil_mode:
        return [0, 0]
    before, after = writer.sizes("with ceil_mode its windows depend on the picture's size")
    axes = zip(before[-2:], after[-2:], kernel, stride, padding, dilation, strict=True)
    return [
        max((count - 1) * s + (k - 1) * d + 1 - (size + 2 * p), 0)
        for size, count, k, s, p, d in axes
    ]
