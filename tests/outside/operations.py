"""Which operation of PyTorch's list is which of ours, called as PyTorch's samples call it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import minicnn
from minicnn.nn import functional as F


def method(name: str) -> Callable[..., Any]:
    """The method of this name of ``Tensor``."""
    return lambda x, *args, **kwargs: getattr(x, name)(*args, **kwargs)


# By PyTorch's name of the operation, and of its variant after a dot.
OPERATIONS: dict[str, Callable[..., Any]] = {
    # layers and losses
    "nn.functional.conv2d": F.conv2d,
    "nn.functional.linear": F.linear,
    "nn.functional.max_pool2d": F.max_pool2d,
    "nn.functional.avg_pool2d": F.avg_pool2d,
    "nn.functional.relu": F.relu,
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
    "softmax": F.softmax,
    "softmax.with_dtype": F.softmax,
    "log_softmax": F.log_softmax,
    "log_softmax.with_dtype": F.log_softmax,
    "nn.functional.dropout": F.dropout,
    "nn.functional.batch_norm": F.batch_norm,
    "nn.functional.pad.constant": F.pad,
    "constant_pad_nd": lambda x, widths, value=0.0: F.pad(x, widths, value=value),
    "nn.functional.cross_entropy": F.cross_entropy,
    "nn.functional.nll_loss": F.nll_loss,
    # arithmetic
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div.no_rounding_mode": lambda a, b: a / b,
    "true_divide": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
    "__radd__": lambda a, b: b + a,
    "__rsub__": lambda a, b: b - a,
    "__rmul__": lambda a, b: b * a,
    "__rdiv__": lambda a, b: b / a,
    "__rpow__": lambda a, b: b**a,
    "neg": lambda x: -x,
    "matmul": lambda a, b: a @ b,
    "mm": lambda a, b: a @ b,
    "mv": lambda a, b: a @ b,
    "bmm": lambda a, b: a @ b,
    "__rmatmul__": lambda a, b: b @ a,
    "exp": method("exp"),
    "log": method("log"),
    "sqrt": method("sqrt"),
    # comparison
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    # reductions
    "sum": method("sum"),
    "mean": method("mean"),
    # NumPy's max: no indices, and equal cells share the gradient
    "amax": lambda x, dim=None, keepdim=False: x.max(dim, keepdim),
    "max.reduction_no_dim": method("max"),
    "max.reduction_with_dim": lambda x, dim, keepdim=False: x.max(dim=dim, keepdim=keepdim),
    "argmax": method("argmax"),
    # shape
    "reshape": method("reshape"),
    "view": method("view"),
    "view_as": method("view_as"),
    "flatten": method("flatten"),
    "squeeze": method("squeeze"),
    "squeeze.multiple": method("squeeze"),
    "unsqueeze": method("unsqueeze"),
    "transpose": method("transpose"),
    "permute": method("permute"),
    "T": lambda x: x.T,
    "t": method("t"),
    "__getitem__": lambda x, key: x[key],
    "cat": minicnn.cat,
    "stack": minicnn.stack,
    # making and converting
    "zeros": minicnn.zeros,
    "ones": minicnn.ones,
    "zeros_like": minicnn.zeros_like,
    "ones_like": minicnn.ones_like,
    "arange": minicnn.arange,
    "randn": minicnn.randn,
    "clone": method("clone"),
    "contiguous": method("contiguous"),
    "to": method("to"),
    "float": method("float"),
    "double": method("double"),
    "long": method("long"),
    "int": method("int"),
    "bool": method("bool"),
    "item": method("item"),
    # in place
    "add_": method("add_"),
    "sub_": method("sub_"),
    "mul_": method("mul_"),
    "div.no_rounding_mode_": method("div_"),
    "zero_": method("zero_"),
}

# What has one of our names in PyTorch's list and is not compared, and why.
OTHER_MODES = "Frames are of one value: another mode is refused."
NOT_COMPARED = {
    "max.binary": "The larger of two tensors is not offered: max is a reduction.",
    "nn.functional.batch_norm.without_cudnn": "It has samples for a GPU alone.",
    "nn.functional.pad.circular": OTHER_MODES,
    "nn.functional.pad.reflect": OTHER_MODES,
    "nn.functional.pad.replicate": OTHER_MODES,
    "nn.functional.pad.replicate_negative": OTHER_MODES,
}
