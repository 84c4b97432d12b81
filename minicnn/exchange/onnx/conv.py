"""The convolution in ONNX: ``Conv``."""

from __future__ import annotations

from minicnn import nn
from minicnn.nn.arguments import convolution_window

from .writing import Writer


def write_conv2d(writer: Writer, layer: nn.Conv2d) -> None:
    """``Conv``: its weight has our layout, (O, C / groups, KH, KW)."""
    stride, padding, dilation = convolution_window(
        "Conv2d", layer.stride, layer.padding, layer.dilation
    )
    frames = [d * (k - 1) for d, k in zip(dilation, layer.kernel_size, strict=True)]
    before = [n // 2 for n in frames] if isinstance(padding, str) else [*padding]
    after = [n - n // 2 for n in frames] if isinstance(padding, str) else [*padding]
    writer.node(
        "Conv",
        *writer.parameters(layer, "weight", "bias"),
        kernel_shape=layer.kernel_size,
        strides=stride,
        pads=before + after,
        dilations=dilation,
        group=layer.groups,
    )
