"""A net as an ONNX file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import minicnn
from minicnn import nn
from minicnn.checks import check_is
from minicnn.exchange.leaves import leaves
from minicnn.exchange.libraries import library
from minicnn.files import write_whole
from minicnn.nn import Module
from minicnn.nn.modes import in_evaluation_mode
from minicnn.tensor import Tensor, no_grad

from .activation import write_nothing, write_plain, write_softmax
from .conv import write_conv2d
from .linear import write_linear
from .norm import write_batch_norm2d
from .pool import write_avg_pool2d, write_max_pool2d
from .shape import write_flatten, write_zero_pad2d
from .writing import UnsupportedError, Writer

# What ONNX Runtime reads from 1.12 (July 2022) on: the oldest pair with all that is written here.
OPSET, IR_VERSION = 17, 8

LAYERS: dict[type[Module], Callable[[Writer, Any], None]] = {
    nn.Conv2d: write_conv2d,
    nn.Linear: write_linear,
    nn.MaxPool2d: write_max_pool2d,
    nn.AvgPool2d: write_avg_pool2d,
    nn.BatchNorm2d: write_batch_norm2d,
    nn.Flatten: write_flatten,
    nn.ZeroPad2d: write_zero_pad2d,
    nn.ReLU: write_plain,
    nn.Sigmoid: write_plain,
    nn.Tanh: write_plain,
    nn.Softmax: write_softmax,
    nn.LogSoftmax: write_softmax,
    nn.Dropout: write_nothing,
    nn.Identity: write_nothing,
}


def export(
    net: Module,
    path: str | Path,
    example: Any = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write ``net``, as it is in evaluation mode, to an ONNX file for batches of any size.

    The file is of opset 17 and IR version 8: ONNX Runtime reads it from 1.12 on. It has one input,
    ``input``, and one output, ``output``, both float32; the parameters have their names of
    ``net.state_dict()``. ONNX's own checker has passed it, shapes included, before the file
    appears under its name.

    Args:
        net: a ``nn.Sequential`` (nested or not) of minicnn's layers, or one such layer.
        example: a batch of the net's input, an array or tensor of float32, (N, ...), on the net's
            device; it fixes all sizes but N, and lazy layers take theirs from it. May be left out
            where the first layer is a ``Conv2d``, (N, C, any height, any width), or a ``Linear``,
            (N, K).
        metadata: names and values to keep in the file, such as ``{"classes": ["cat", "dog"]}``.
            A text is written as it is, everything else as JSON.

    Raises:
        ImportError: the package onnx (the extra ``onnx``) is missing.
        TypeError: ``net`` is no module, or its numbers are not float32.
        ValueError: a layer cannot be written (all such layers are named), or a needed example is
            missing.
        OSError: the file cannot be written; see ``minicnn.files.write_whole``.
    """
    write_whole(path, model_of(net, example, metadata).SerializeToString(deterministic=True))


def model_of(net: Module, example: Any, metadata: Mapping[str, Any] | None = None) -> Any:
    """What ``export`` writes, as an ``onnx.ModelProto``."""
    onnx = library("onnx")
    if metadata is not None:
        check_is("export: metadata", metadata, Mapping, "names and values, as a dict")
    x = _checked(net, example)
    with in_evaluation_mode(net), no_grad():
        writer = _written(net, x)
    inputs = _input_dimensions(net, x)
    if not writer.nodes:
        writer.node("Identity")
    writer.nodes[-1].output[0] = "output"
    float32 = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        writer.nodes,
        "net",
        [onnx.helper.make_tensor_value_info("input", float32, inputs)],
        [onnx.helper.make_tensor_value_info("output", float32, None)],
        writer.initializers,
        doc_string=repr(net),
    )
    model = onnx.helper.make_model(
        graph,
        ir_version=IR_VERSION,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        producer_name="minicnn",
        producer_version=minicnn.__version__,
    )
    values = {k: v if isinstance(v, str) else json.dumps(v) for k, v in (metadata or {}).items()}
    onnx.helper.set_model_props(model, values)
    return _with_output_shape(model)


def _checked(net: Module, example: Any) -> Tensor | None:
    """One picture of the example, and so a batch of one; what does not fit is refused."""
    if not isinstance(net, Module):
        raise TypeError(f"export: net is of type {type(net).__name__}; wanted a minicnn module")
    if example is None:
        x = None
    else:
        x = nn.arguments.as_input("export: example", example)[:1].detach()
        if x.dtype != np.float32:
            raise TypeError(f"export: example is {x.dtype}; wanted float32")
        with in_evaluation_mode(net), no_grad():
            net(x)
    for name, tensor in net.state_dict().items():
        if tensor.dtype not in (np.float32, np.int64):
            raise TypeError(f"export: {name} is {tensor.dtype}; wanted float32, as net.float()")
    return x


def _written(net: Module, x: Tensor | None) -> Writer:
    """All layers as nodes; those that cannot be written, in one error."""
    writer, refused = Writer(), []
    for name, layer in leaves(net):
        y = None if x is None else layer(x)
        writer.begin(name, x, y)
        kind = type(layer).__name__
        try:
            if type(layer) not in LAYERS or "forward" in vars(layer):
                raise UnsupportedError(
                    "it is none of minicnn's layers, and its forward() is not read"
                )
            LAYERS[type(layer)](writer, layer)
        except UnsupportedError as error:
            refused.append(f"layer {name} ({kind}): {error}" if name else f"{kind}: {error}")
        x = y
    if refused:
        raise ValueError(f"export: {'; '.join(refused)}")
    return writer


def _input_dimensions(net: Module, x: Tensor | None) -> list[int | str]:
    """The input's shape, with names for the sizes that are free."""
    if x is not None:
        return ["N", *x.shape[1:]]
    first = next((layer for _, layer in leaves(net) if type(layer) is not nn.Identity), None)
    if isinstance(first, nn.Conv2d):
        return ["N", first.in_channels, "H", "W"]
    if isinstance(first, nn.Linear):
        return ["N", first.in_features]
    raise ValueError(
        "export: the net's first layer does not tell the shape of its input; pass example=, "
        "for example np.zeros((1, 1, 28, 28), 'float32')"
    )


def _with_output_shape(model: Any) -> Any:
    """The model with the output shape that ONNX infers, checked in full."""
    onnx = library("onnx")
    try:
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        model.graph.output[0].CopyFrom(inferred.graph.output[0])
        onnx.checker.check_model(model, full_check=True)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"export: ONNX's checker refuses the net: {reason}") from None
    return model
