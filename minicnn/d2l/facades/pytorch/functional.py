"""``torch.nn.functional``: the engine's functions under PyTorch's names, arguments and defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.nn import functional as F
from minicnn.nn.arguments import pair
from minicnn.tensor import Tensor as EngineTensor

from .mistakes import call, refuse
from .tensor import Tensor, engine_tensor, wrap


def window(engine: Any) -> tuple[Any, Any, Any]:
    """Kernel size, stride and padding of an engine's layer."""
    return engine.kernel_size, engine.stride, engine.padding


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """2-D convolution: input (N, C, H, W), weight (O, C / groups, KH, KW), bias (O,)."""
    inputs = _inputs("conv2d", input=input, weight=weight, bias=bias)
    return wrap(call(F.conv2d, *inputs, stride, padding, dilation, groups))


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x Wᵀ + b over the last axis: input (..., K), weight (O, K), bias (O,)."""
    return wrap(call(F.linear, *_inputs("linear", input=input, weight=weight, bias=bias)))


def max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """The largest value of each window."""
    refuse("max_pool2d", return_indices=(return_indices, False))
    (x,) = _inputs("max_pool2d", input=input)
    return wrap(call(F.max_pool2d, x, kernel_size, stride, padding, dilation, ceil_mode))


def avg_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window."""
    (x,) = _inputs("avg_pool2d", input=input)
    how = (ceil_mode, count_include_pad, divisor_override)
    return wrap(call(F.avg_pool2d, x, kernel_size, stride, padding, *how))


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Means of (OH, OW) windows of one size.

    Raises:
        ValueError: H or W is no multiple of the output's.
    """
    (x,) = _inputs("adaptive_avg_pool2d", input=input)
    output = pair("adaptive_avg_pool2d: output_size", output_size)
    if x.ndim < 3 or any(n % m for n, m in zip(x.shape[-2:], output, strict=True)):
        raise ValueError(
            f"adaptive_avg_pool2d: output_size is {output}, input {x.shape}; minicnn has windows "
            "of one size alone: wanted divisors of height and width"
        )
    kernel = tuple(n // m for n, m in zip(x.shape[-2:], output, strict=True))
    past = "MeanBackward1" if output == (1, 1) else "AdaptiveAvgPool2DBackward0"
    return wrap(call(F.avg_pool2d, x, kernel), past)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0); with ``inplace`` the input is changed, and is the result."""
    engine_tensor("relu", "input", input)
    return input.relu_() if inplace else input.relu()


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return wrap(call(F.sigmoid, *_inputs("sigmoid", input=input)))


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return wrap(call(F.tanh, *_inputs("tanh", input=input)))


def softmax(input: Tensor, dim: int) -> Tensor:
    """exp(x) / sum(exp(x)) over the axis ``dim``."""
    return wrap(call(F.softmax, *_inputs("softmax", input=input), dim))


def log_softmax(input: Tensor, dim: int) -> Tensor:
    """x - log(sum(exp(x))) over the axis ``dim``."""
    return wrap(call(F.log_softmax, *_inputs("log_softmax", input=input), dim))


def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero each cell with probability ``p`` and scale the others by 1 / (1 - p), in training."""
    return wrap(call(F.dropout, *_inputs("dropout", input=input), p, training))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel, by the batch's statistics in training, by the running ones else."""
    inputs = _inputs(
        "batch_norm",
        input=input,
        running_mean=running_mean,
        running_var=running_var,
        weight=weight,
        bias=bias,
    )
    return wrap(call(F.batch_norm, *inputs, training, momentum, eps))


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Tensor:
    """Frame ``input`` with ``value``: (left, right, top, bottom, ...), the last axis first."""
    refuse("pad", mode=(mode, "constant"))
    (x,) = _inputs("pad", input=input)
    return wrap(call(F.pad, x, pad, "constant", value or 0.0))


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    ignore_index: int = -100,
    reduce: None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Softmax cross-entropy of logits (N, C, ...) with class indices, or class probabilities."""
    refuse("cross_entropy", size_average=(size_average, None), reduce=(reduce, None))
    x, y, w = _inputs("cross_entropy", input=input, target=target, weight=weight)
    check_order("cross_entropy", x, y)
    return wrap(call(F.cross_entropy, x, y, w, ignore_index, reduction, label_smoothing))


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    ignore_index: int = -100,
    reduce: None = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of log-probabilities (N, C, ...) with class indices."""
    refuse("nll_loss", size_average=(size_average, None), reduce=(reduce, None))
    x, y, w = _inputs("nll_loss", input=input, target=target, weight=weight)
    check_order("nll_loss", x, y)
    return wrap(call(F.nll_loss, x, y, w, ignore_index, reduction))


def check_order(function: str, input: Any, target: Any) -> None:
    """Refuse labels where the scores belong (TypeError), and short integers (RuntimeError)."""
    if input.dtype.kind in "iub" and target.dtype.kind == "f":
        raise TypeError(
            f"{function}: input is {input.dtype} of shape {input.shape}, target {target.dtype} of "
            f"shape {target.shape}: they are exchanged; write loss(y_hat, y), the scores first"
        )
    if target.dtype.kind != "f" and target.dtype not in (np.int64, np.uint8):
        raise RuntimeError(
            f"{function}: target is torch.{target.dtype}; wanted torch.int64: target.long()"
        )


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean of (input - target)² over all cells."""
    refuse("mse_loss", size_average=(size_average, None), reduce=(reduce, None))
    difference = _difference("mse_loss", input, target, reduction)
    return _reduced(difference * difference, reduction, "MseLossBackward0")


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean of |input - target| over all cells."""
    refuse("l1_loss", size_average=(size_average, None), reduce=(reduce, None))
    return _reduced(_difference("l1_loss", input, target, reduction).abs(), reduction, None)


def _difference(function: str, input: Tensor, target: Tensor, reduction: str) -> Tensor:
    x, y = _inputs(function, input=input, target=target)
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{function}: reduction is {reduction!r}; wanted 'mean', 'sum' or 'none'")
    if x.shape != y.shape:  # PyTorch warns: their difference would have another shape
        raise ValueError(
            f"{function}: input has shape {x.shape}, target {y.shape}; write "
            f"target.reshape(input.shape)"
        )
    return input - target


def _reduced(losses: Tensor, reduction: str, past: str | None) -> Tensor:
    if reduction == "none":
        return wrap(losses.tensor, past)
    return wrap(losses.tensor.mean() if reduction == "mean" else losses.tensor.sum(), past)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """(..., C) int64: 1 at each number's place. ``num_classes`` -1: as many as there are."""
    (x,) = _inputs("one_hot", tensor=tensor)
    if x.dtype != np.int64:
        raise RuntimeError(f"one_hot: tensor is torch.{x.dtype}; wanted tensor.long()")
    classes = int(x.data.max()) + 1 if num_classes == -1 else num_classes
    rows = np.eye(classes, dtype=np.int64)
    return wrap(EngineTensor(rows, device=x.device)[x])


def _inputs(function: str, **tensors: Any) -> list[Any]:
    """The engine's tensors; None stays None."""
    return [
        value
        if value is None and name not in ("input", "target", "tensor")
        else engine_tensor(function, name, value)
        for name, value in tensors.items()
    ]


FUNCTIONS = (
    adaptive_avg_pool2d, avg_pool2d, batch_norm, conv2d, cross_entropy, dropout, l1_loss,
    linear, log_softmax, max_pool2d, mse_loss, nll_loss, one_hot, pad, relu, sigmoid,
    softmax, tanh,
)  # fmt: skip
