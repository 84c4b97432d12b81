"""``grad_fn``: how a tensor was computed, in PyTorch's names for the engine's operations."""

from __future__ import annotations

from types import EllipsisType
from typing import Any

import numpy as np

from minicnn import ops

SIMPLE = {
    ops.Add: "Add", ops.Subtract: "Sub", ops.Multiply: "Mul", ops.Divide: "Div", ops.Negate: "Neg",
    ops.Exp: "Exp", ops.Log: "Log", ops.Sqrt: "Sqrt", ops.Sigmoid: "Sigmoid",
    ops.Tanh: "Tanh", ops.ReLU: "Relu", ops.Softmax: "Softmax", ops.LogSoftmax: "LogSoftmax",
    ops.Dropout: "Mul", ops.Reshape: "View", ops.Transpose: "Permute", ops.Concatenate: "Cat",
    ops.Pad: "ConstantPadNd", ops.Cast: "ToCopy", ops.Move: "ToCopy", ops.Conv2d: "Convolution",
    ops.Conv2dByImage: "Convolution",
    ops.InPieces: "Convolution", ops.MaxPool2d: "MaxPool2DWithIndices",
    ops.AvgPool2d: "AvgPool2D", ops.BatchNorm: "NativeBatchNorm",
    ops.FixedBatchNorm: "NativeBatchNorm", ops.SoftmaxCrossEntropy: "NllLoss",
    ops.NegativeLogLikelihood: "NllLoss",
}  # fmt: skip


class GradFn:
    """The operation that a tensor was computed by; its name is all that it tells."""

    def __init__(self, name: str):
        self._name = name

    def name(self) -> str:
        """``AddBackward0``."""
        return self._name

    def __repr__(self) -> str:
        return f"<{self._name} object at {id(self):#x}>"


def name_of(tensor: Any, past: str | None) -> str | None:
    """The name of ``grad_fn``; None for a leaf, and where ``backward`` has freed it unseen.

    Args:
        tensor: the engine's.
        past: the name that whoever computed it gave, where one PyTorch operation is several here.
    """
    if tensor.node is None:
        return past if tensor._freed else None
    if past is not None:
        return past
    operation, inputs = tensor.node.operation, tensor.node.inputs
    if isinstance(operation, ops.Index):
        return f"{_index(operation.key)}Backward0"
    if isinstance(operation, ops.Reshape) and not np.may_share_memory(tensor.data, inputs[0].data):
        return "UnsafeViewBackward0"
    if isinstance(operation, ops.Power):
        return f"PowBackward{int(inputs[1].ndim > 0)}"
    if isinstance(operation, ops.Max):
        return f"MaxBackward{int(operation.axis is None)}"
    if isinstance(operation, ops.Sum | ops.Mean):
        return f"{operation.name}Backward{int(operation.axis is not None)}"
    if isinstance(operation, ops.Linear):
        return "AddmmBackward0" if len(inputs) == 3 else "MmBackward0"
    if isinstance(operation, ops.MatMul):
        ranks = tuple(min(x.ndim, 3) for x in inputs)
        return {(1, 1): "Dot", (2, 1): "Mv", (2, 2): "Mm"}.get(ranks, "UnsafeView") + "Backward0"
    return SIMPLE.get(type(operation), operation.name) + "Backward0"


def _index(key: Any) -> str:
    """What the last part of an index does; slices of everything do nothing."""
    parts = key if isinstance(key, tuple) else (key,)
    for part in reversed(parts):
        if part is None:
            return "Unsqueeze"
        if isinstance(part, slice) and part != slice(None):
            return "Slice"
        if isinstance(part, int):
            return "Select"
        if not isinstance(part, slice | EllipsisType):
            return "Index"
    return "Alias"
