"""An ONNX file as a net."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minicnn import formats, nn
from minicnn.exchange.libraries import library
from minicnn.files import expand
from minicnn.random import Draws, drawing_from

from .activation import read_dropout, read_nothing, read_plain, read_softmax
from .conv import read_conv
from .limits import check_functions
from .linear import read_add, read_gemm, read_matmul
from .norm import read_batch_normalization
from .pool import read_average_pool, read_global_pool, read_max_pool, read_mul, read_reduce_mean
from .reading import Chain, Node
from .shape import read_flatten, read_pad, read_reshape, read_squeeze, read_transpose
from .walk import Walk

OPERATORS: dict[str, Callable[[Node, Chain], None]] = {
    "Conv": read_conv,
    "Gemm": read_gemm,
    "MatMul": read_matmul,
    "Add": read_add,
    "MaxPool": read_max_pool,
    "AveragePool": read_average_pool,
    "GlobalAveragePool": read_global_pool,
    "GlobalMaxPool": read_global_pool,
    "ReduceMean": read_reduce_mean,
    "Mul": read_mul,
    "Relu": read_plain,
    "Sigmoid": read_plain,
    "Tanh": read_plain,
    "Softmax": read_softmax,
    "LogSoftmax": read_softmax,
    "Dropout": read_dropout,
    "Identity": read_nothing,
    "BatchNormalization": read_batch_normalization,
    "Flatten": read_flatten,
    "Reshape": read_reshape,
    "Squeeze": read_squeeze,
    "Pad": read_pad,
    "Transpose": read_transpose,
}


def load(path: str | Path) -> nn.Sequential:
    """Read an ONNX file as a ``nn.Sequential``, in evaluation mode.

    It takes a file of ``minicnn.onnx.export``, of PyTorch's exporters or of TensorFlow's, if its
    nodes are a chain of operators that minicnn has: ``OPERATORS`` in this file. Constants are
    computed, weights kept next to the file are read, and weights in float16 become float32.

    The net takes (N, C, H, W). Where the file transposes or reshapes its input first, as
    TensorFlow's do, a warning says what to do with the input instead.

    Raises:
        ImportError: the package onnx (the extra ``onnx``) is missing.
        FileNotFoundError: no such file, or none with its weights.
        ValueError: no ONNX file, a damaged one, or nodes that cannot be read: all are named, each
            with the reason.

    Warns:
        UserWarning: the net takes its input in another shape than the file; weights in float16.
    """
    model = _model(path)
    try:
        with drawing_from(Draws(0)):  # weights are drawn, and replaced
            walk = Walk(model, OPERATORS)
            refused = walk.read()
    except Exception as error:  # a damaged file raises what it happens to lead to
        raise ValueError(f"load: {path} is damaged: {formats.in_short(error)}") from error
    if refused:
        told = "; ".join(map(formats.shortened, refused))
        raise ValueError(f"load: {path} has what minicnn does not read: {told}")
    if walk.chain.input_calls:
        calls = "".join(f".{call}" for call in walk.chain.input_calls)
        warnings.warn(f"load: {path}: the net takes the file's input x as x{calls}", stacklevel=2)
    if walk.halves:
        warnings.warn(
            f"load: {path}: {walk.halves} tensors in float16 or bfloat16 became float32, which "
            "holds all their numbers",
            stacklevel=2,
        )
    return nn.Sequential(*walk.chain.layers).eval()


def _model(path: str | Path) -> Any:
    """The file's model with its weights, checked, and with functions of its own written out."""
    onnx, decode_error = library("onnx"), library("google.protobuf.message").DecodeError
    file = expand(path)
    content = file.read_bytes()
    try:
        model = onnx.load_model_from_string(content)
        onnx.load_external_data_for_model(model, str(file.parent))
        for output in model.graph.output:  # some exporters leave out what nobody needs
            output.type.tensor_type.shape.SetInParent()
        onnx.checker.check_model(model)
        check_functions(model)
    except decode_error:
        what = formats.kind_of(content) or "something else, or damaged"
        raise ValueError(f"{path} is not an ONNX file, it is {what}") from None
    except FileNotFoundError:  # its weights, next to it
        raise
    except Exception as error:  # the checker's, protobuf's, of weights next to the file
        reason = formats.in_short(error)
        raise ValueError(f"{path} is damaged, or not an ONNX file: {reason}") from None
    return onnx.inliner.inline_local_functions(model) if model.functions else model
