"""The convolution in ONNX: ``Conv``."""

from __future__ import annotations

from typing import Any

from minicnn import nn
from minicnn.nn.arguments import convolution_window

from .reading import Chain, Node, filled, padding_of
from .writing import UnsupportedError, Writer


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


def read_conv(node: Node, chain: Chain) -> None:
    """``Conv`` with two axes to slide over."""
    chain.check_pictures()
    weight = node.needed(0, "constant weight")
    if weight.ndim != 4:
        raise UnsupportedError(f"its weight has shape {weight.shape}; wanted (O, C, KH, KW)")
    stride, dilation = node.pairs("strides", "dilations")
    kernel = weight.shape[2:]
    pads = padding_of(node, chain, kernel, stride, dilation)
    frames = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    padding: Any
    if all(before == after for before, after in pads):
        padding = pads[0][0], pads[1][0]
    elif stride == (1, 1) and pads == [(n // 2, n - n // 2) for n in frames]:
        padding = "same"
    else:
        (top, bottom), (left, right) = pads
        chain.add(nn.ZeroPad2d((left, right, top, bottom)))
        padding = 0
    groups, bias = node.attributes.get("group", 1), node.constant(1)
    layer = nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        kernel,
        stride,
        padding,
        dilation,
        groups,
        bias is not None,
    )
    chain.add(filled(layer, weight=weight, bias=bias))
