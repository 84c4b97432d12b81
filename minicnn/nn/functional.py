"""The operations as functions of tensors: names, arguments and defaults of torch.nn.functional.

Each function checks its arguments, reduces the convenient forms (one picture instead of a batch,
a number for a pair, ``'same'``, groups) to the plain one, and applies the operation of
``minicnn.ops``, whose docstring holds formula and derivation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn import ops, random
from minicnn.device import beside, to_device
from minicnn.kernels import Array, array_module, is_host
from minicnn.kernels.arrays import output_size, output_sizes
from minicnn.ops import Operation
from minicnn.tensor import Tensor, apply, as_tensor, check_same_dtype, is_grad_enabled

from .arguments import (
    IntOrPair,
    Pair,
    as_input,
    as_tensors,
    channels_hint,
    check_divisor,
    check_eps,
    check_floating,
    check_loss_settings,
    check_pictures,
    convolution_window,
    features_hint,
    pair,
    pooling_window,
)

# Convolution and dense layers ---------------------------------------------------------------------


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

    The columns of a large batch are laid out a piece at a time, and once more in backward.

    Args:
        input: (N, C, H, W), or one picture (C, H, W).
        weight: (O, C / groups, KH, KW).
        bias: (O,).
        padding: zeros on each side; ``'valid'`` for none; ``'same'`` for OH = H and OW = W (stride
            1 only; an odd number of zeros puts the odd one at the end).
        groups: input and output channels are cut into so many groups, each convolved by itself.

    Returns:
        (N, O, OH, OW) with OH = floor((H + 2 PH - DH (KH - 1) - 1) / SH) + 1, OW likewise.

    Raises:
        ValueError: shapes or arguments that do not fit.
        TypeError: input, weight and bias of different dtypes.
    """
    input = as_input("conv2d", input)
    weight, bias = as_tensors(input, weight, bias)
    _check_conv2d(input, weight, bias, groups)
    stride, padding, dilation = convolution_window("conv2d", stride, padding, dilation)
    kernel_size = pair("conv2d: kernel_size", weight.shape[2:])
    x = input if input.ndim == 4 else _batch_of_one(input)
    if isinstance(padding, str):  # 'same'
        x, padding = _framed_same(x, kernel_size, dilation)
    output = output_sizes(x.shape[2:], kernel_size, stride, padding, dilation)
    if min(output) < 1:
        raise ValueError(
            f"conv2d: kernel {kernel_size} with dilation {dilation} is larger than the padded "
            f"input: input {input.shape}, padding {padding}"
        )

    def convolve(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        def operation() -> Operation:
            return ops.Conv2d(stride, padding, dilation, output)

        inputs = (x, w) if b is None else (x, w, b)
        columns = math.prod(w.shape[1:]) * math.prod(output) * x.dtype.itemsize  # of an image
        return _apply_to_batch(operation, columns, *inputs)

    y = convolve(x, weight, bias) if groups == 1 else _in_groups(convolve, x, weight, bias, groups)
    return y if input.ndim == 4 else y[0]


KEPT_BYTES = 256 * 2**20  # the columns of a batch that a convolution keeps for backward, at most
PIECE_BYTES = 32 * 2**20  # the columns of a piece of a larger batch


def _apply_to_batch(operation: Callable[[], Operation], columns: int, *inputs: Tensor) -> Tensor:
    """Apply a convolution that lays out ``columns`` bytes an image: a large batch in pieces."""
    images = len(inputs[0])
    is_recorded = is_grad_enabled() and any(x.requires_grad for x in inputs)
    if images * columns <= (KEPT_BYTES if is_recorded else PIECE_BYTES):
        return apply(operation(), *inputs)
    size = max(16, PIECE_BYTES // columns)  # that a picture is large does not cut a small batch
    return apply(operation() if images <= size else ops.InPieces(operation, size), *inputs)


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


def _check_conv2d(input: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> None:
    check_pictures("conv2d", input)
    if weight.ndim != 4:
        raise ValueError(f"conv2d: weight has shape {weight.shape}; wanted (O, C, KH, KW)")
    if not isinstance(groups, int) or groups < 1 or weight.shape[0] % groups:
        raise ValueError(
            f"conv2d: groups is {groups}; wanted a divisor of the {weight.shape[0]} output channels"
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


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x Wᵀ + b over the last axis. Formula: ``minicnn.ops.linear``.

    input: (..., K), weight: (O, K), bias: (O,); returns (..., O).

    Raises:
        ValueError: shapes that do not fit.
        TypeError: input, weight and bias of different dtypes.
    """
    input = as_input("linear", input)
    weight, bias = as_tensors(input, weight, bias)
    if weight.ndim != 2 or input.ndim == 0 or input.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"linear: input {input.shape} and weight {weight.shape} do not fit; "
            f"wanted (..., K) and (O, K){features_hint(input, weight.shape[-1])}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"linear: bias has shape {bias.shape}; wanted {weight.shape[:1]}")
    check_floating("linear", input)
    check_same_dtype("linear", input=input, weight=weight, bias=bias)
    leading = input.shape[:-1]
    rows = input if input.ndim == 2 else input.reshape(math.prod(leading), input.shape[-1])
    y = apply(ops.Linear(), *((rows, weight) if bias is None else (rows, weight, bias)))
    return y if input.ndim == 2 else y.reshape(*leading, weight.shape[0])


# Pooling ------------------------------------------------------------------------------------------


def max_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest value of each window. Formula: ``minicnn.ops.pool``.

    Args:
        input: (N, C, H, W), or one picture (C, H, W).
        stride: ``kernel_size`` by default.
        padding: at most half the kernel; padding never wins.
        ceil_mode: also take the windows that begin inside and reach over the end.

    Returns:
        (N, C, OH, OW).

    Raises:
        ValueError: shapes or arguments that do not fit.
    """
    input = as_input("max_pool2d", input)
    window = pooling_window("max_pool2d", kernel_size, stride, padding, dilation)
    output = _pooled_sizes("max_pool2d", input, *window, ceil_mode)
    return _of_pictures(ops.MaxPool2d(*window, output), input)


def avg_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window. Formula: ``minicnn.ops.pool``.

    Args:
        input: (N, C, H, W), or one picture (C, H, W).
        stride: ``kernel_size`` by default.
        padding: zeros on each side, at most half the kernel.
        ceil_mode: also take the windows that begin inside and reach over the end.
        count_include_pad: whether the zeros count in the mean.
        divisor_override: divide every sum by this instead.

    Returns:
        (N, C, OH, OW).

    Raises:
        ValueError: shapes or arguments that do not fit, a divisor of 0.
    """
    input = as_input("avg_pool2d", input)
    check_divisor("avg_pool2d", divisor_override)
    window = pooling_window("avg_pool2d", kernel_size, stride, padding)
    output = _pooled_sizes("avg_pool2d", input, *window, ceil_mode)
    kernel_size, stride, padding, _ = window
    geometry = input.shape[-2:], kernel_size, stride, padding, output
    divisor = _divisors(*geometry, count_include_pad, divisor_override, input.dtype, input.device)
    return _of_pictures(ops.AvgPool2d(kernel_size, stride, padding, divisor), input)


def _of_pictures(operation: Operation, input: Tensor) -> Tensor:
    """``operation`` of a batch of pictures; one picture is a batch of one."""
    return apply(operation, input) if input.ndim == 4 else apply(operation, _batch_of_one(input))[0]


@functools.lru_cache
def _divisors(
    picture: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    output: Pair,
    count_include_pad: bool,
    override: int | None,
    dtype: np.dtype,
    device: str,
) -> Array:
    """What each window's sum is divided by: (OH, OW). Kept, so that a GPU gets it once."""
    if override is not None:
        return to_device(np.full(output, override, dtype), device)
    axes = zip(picture, kernel_size, stride, padding, output, strict=True)
    rows, cols = (_cells_counted(*axis, count_include_pad) for axis in axes)
    return to_device(np.outer(rows, cols).astype(dtype), device)


def _pooled_sizes(
    function: str,
    input: Tensor,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> Pair:
    """(OH, OW) of pictures, which are checked."""
    check_pictures(function, input)
    check_floating(function, input)
    axes = zip(input.shape[-2:], kernel_size, stride, padding, dilation, strict=True)
    rows, cols = (_pooled_size(*axis, ceil_mode) for axis in axes)
    if min(rows, cols) < 1:
        raise ValueError(
            f"{function}: kernel {kernel_size} with dilation {dilation} is larger than the padded "
            f"input: input {input.shape}, padding {padding}"
        )
    return rows, cols


def _pooled_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    if not ceil_mode:
        return output_size(size, kernel, stride, padding, dilation)
    output = output_size(size + stride - 1, kernel, stride, padding, dilation)
    # the last window must begin inside the picture or its left frame, not in the right one
    return output - 1 if (output - 1) * stride >= size + padding else output


def _cells_counted(
    size: int, kernel: int, stride: int, padding: int, output: int, count_include_pad: bool
) -> np.ndarray:
    """How many rows (or columns) count in each window: its own, less those beyond the frame."""
    frame = padding if count_include_pad else 0
    first = np.arange(output) * stride - padding
    return np.minimum(first + kernel, size + frame) - np.maximum(first, -frame)


# Activations, dropout, normalisation --------------------------------------------------------------


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0). ``inplace`` is taken, as PyTorch's; the input stays as it is."""
    return as_tensor(input).relu()


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return as_tensor(input).sigmoid()


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return as_tensor(input).tanh()


def softmax(input: Tensor, dim: int) -> Tensor:
    """exp(x) / sum(exp(x)) over the axis ``dim``; of nothing, nothing.

    Raises:
        TypeError: ``dim`` is no integer. (For None PyTorch guesses an axis, with a warning.)
    """
    return as_tensor(input).softmax(dim)


def log_softmax(input: Tensor, dim: int) -> Tensor:
    """x - log(sum(exp(x))) over the axis ``dim``. See ``softmax``."""
    input = as_input("log_softmax", input)
    check_floating("log_softmax", input)
    return apply(ops.LogSoftmax(dim), input)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each cell with probability ``p`` and scale the others by 1 / (1 - p), in training.

    The masks follow from ``minicnn.manual_seed`` alone, on every device. ``inplace`` is taken, as
    PyTorch's; the input stays as it is.

    Raises:
        ValueError: p outside [0, 1].
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is {p}; wanted a probability from 0 to 1")
    input = as_input("dropout", input)
    check_floating("dropout", input)
    if not training or p == 0:
        return input
    return apply(ops.Dropout(p, random.next_mask_key()), input)


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
    """Normalise each channel. Formula: ``minicnn.ops.norm``.

    In training by the statistics of the batch (an empty one has none), which also move
    ``running_mean`` and ``running_var`` (the unbiased variance) by ``momentum``; otherwise by the
    running statistics (by the batch's where there are none). They are constants: no gradient flows
    to them.

    input: (N, C, ...); all others (C,). Returns input's shape.

    Raises:
        ValueError: shapes that do not fit; one single value a channel in training; one running
            statistic without the other; an eps below 0, or of 0 for the batch's statistics.
    """
    input = as_input("batch_norm", input)
    running_mean, running_var = as_tensors(input, running_mean, running_var)
    weight, bias = as_tensors(input, weight, bias)
    if input.ndim < 2:
        raise ValueError(f"batch_norm: input has shape {input.shape}; wanted (N, C, ...)")
    check_floating("batch_norm", input)
    channels = input.shape[1:2]
    for name, tensor in (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    ):
        if tensor is not None and tensor.shape != channels:
            raise ValueError(f"batch_norm: {name} has shape {tensor.shape}; wanted {channels}")
    if (running_mean is None) != (running_var is None):
        raise ValueError("batch_norm: wanted running_mean and running_var together, or neither")
    check_same_dtype(
        "batch_norm",
        input=input,
        weight=weight,
        bias=bias,
        running_mean=running_mean,
        running_var=running_var,
    )

    if training or running_mean is None or running_var is None:
        return _batch_norm_of_batch(
            input, running_mean, running_var, weight, bias, momentum if training else 0, eps
        )
    check_eps("batch_norm", eps)
    operation = ops.FixedBatchNorm(running_mean.data, running_var.data, eps)
    return apply(operation, *_with_affine(input, weight, bias))


def _with_affine(input: Tensor, weight: Tensor | None, bias: Tensor | None) -> tuple[Tensor, ...]:
    """The inputs; for one of weight and bias alone the other is ones or zeros."""
    if weight is None and bias is None:
        return (input,)
    return (
        input,
        _constant(1, input) if weight is None else weight,
        _constant(0, input) if bias is None else bias,
    )


def _constant(value: float, input: Tensor) -> Tensor:
    """``value`` for each channel: (C,)."""
    return Tensor(np.full(input.shape[1], value, input.dtype), device=input.device)


def _batch_norm_of_batch(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    momentum: float,
    eps: float,
) -> Tensor:
    check_eps("batch_norm", eps, of_batch=True)
    count = math.prod(input.shape) // max(input.shape[1], 1)
    if count == 0:  # nothing to normalise, and no statistics: any will do
        nobodys = _constant(0, input).data, _constant(1, input).data
        return apply(ops.FixedBatchNorm(*nobodys, eps), *_with_affine(input, weight, bias))
    if count == 1:
        raise ValueError(
            f"batch_norm: input {input.shape} has 1 value a channel; the statistics of a batch "
            "need two or more"
        )
    operation = ops.BatchNorm(eps)
    output = apply(operation, *_with_affine(input, weight, bias))
    if momentum and running_mean is not None and running_var is not None:
        move_running(running_mean, running_var, operation.mean, operation.var, count, momentum)
    return output


def move_running(
    running_mean: Tensor,
    running_var: Tensor,
    mean: Array,
    var: Array,
    count: int,
    momentum: float,
) -> None:
    """Move running statistics towards those of a batch: ``count`` values a channel, biased var."""
    with beside(mean):
        unbiased = var * (count / (count - 1))
        for running, now in ((running_mean, mean), (running_var, unbiased)):
            running.data += momentum * (now - running.data)


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Tensor:
    """Frame ``input`` with ``value``; negative widths cut cells off.

    ``pad`` counts from the last axis backwards, as in PyTorch: (left, right, top, bottom, ...).

    Raises:
        ValueError: an odd number of widths, more than twice the axes, another mode, or an axis cut
            below nothing.
    """
    input = as_input("pad", input)
    if mode != "constant":
        raise ValueError(f"pad: mode is {mode!r}; wanted 'constant'")
    widths = list(zip(pad[::2], pad[1::2], strict=False))
    if len(pad) % 2 or len(widths) > input.ndim:
        raise ValueError(
            f"pad: received {len(pad)} widths for input {input.shape}; wanted a pair an axis, "
            "from the last axis on"
        )
    widths = [(0, 0)] * (input.ndim - len(widths)) + widths[::-1]
    if any(
        n + before + after < 0 or n + min(before, 0) + min(after, 0) < 0
        for n, (before, after) in zip(input.shape, widths, strict=True)
    ):
        raise ValueError(f"pad: widths {tuple(pad)} cut more than there is of input {input.shape}")
    return apply(ops.Pad(tuple(widths), value), input)


# Losses -------------------------------------------------------------------------------------------


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Softmax cross-entropy of logits. Formula: ``minicnn.ops.loss``.

    Args:
        input: logits (N, C), (N, C, d1, ...) or (C,).
        target: class indices, integers (N,), (N, d1, ...) or (); or class probabilities of input's
            shape and dtype, which receive gradients too.
        weight: (C,), how much each class counts.
        ignore_index: rows with this target do not count, whatever their logits (indices only).
        reduction: ``'mean'`` (over the weights of the targets; over the rows for probabilities),
            ``'sum'`` or ``'none'``.
        label_smoothing: the share, 0 to 1, of the target that is spread evenly over the classes.

    Returns:
        A scalar, or one loss a row for ``'none'``. The mean of no rows at all is nan.

    Raises:
        IndexError: a class index out of range.
        ValueError: shapes or arguments that do not fit.
        TypeError: input, weight and probabilities of different dtypes.
    """
    input, target = as_input("cross_entropy", input), _as_target(target, input)
    check_loss_settings("cross_entropy", reduction, label_smoothing)
    if target.dtype.kind != "f" and label_smoothing == 0:
        return _loss_of_indices(
            ops.SoftmaxCrossEntropy, input, target, weight, ignore_index, reduction
        )
    weight = None if weight is None else as_tensor(weight, like=input).detach()
    _check_loss("cross_entropy", input, target, weight)
    with beside(input.data):
        if target.dtype.kind != "f":
            return _smoothed_cross_entropy(
                input, target, weight, ignore_index, reduction, label_smoothing
            )
        if ignore_index >= 0:
            raise ValueError(
                f"cross_entropy: ignore_index is {ignore_index}, target holds class probabilities; "
                "wanted class indices, or no ignore_index"
            )
        return _cross_entropy_of_probabilities(input, target, weight, reduction, label_smoothing)


def _as_target(target: Any, input: Tensor) -> Tensor:
    """A target as a tensor; a list of integers holds class indices, others take input's dtype."""
    if isinstance(target, int | Sequence) and np.asarray(target).dtype.kind in "iu":
        return Tensor(np.asarray(target), device=input.device)
    return as_tensor(target, like=input)


def _cross_entropy_of_probabilities(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float
) -> Tensor:
    rows = _as_rows(input)
    classes = rows.shape[1]
    log_p = log_softmax(rows, 1)
    weighted = log_p if weight is None else log_p * weight
    smoothed = _as_rows(target) * (1 - label_smoothing) + label_smoothing / max(classes, 1)
    losses = -(weighted * smoothed).sum(1)
    counted = len(rows) if classes else 0  # without classes the mean is nan, as in PyTorch
    divisor = array_module(rows.data).full((), counted, rows.dtype)
    return _reduced(losses, divisor, input, reduction)


def _smoothed_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    """(1 - smoothing) of the loss of class indices, the rest of that of equal probabilities."""
    rows = _rows_of_classes(input)
    indices, row_weight = _indices(
        target, input.shape[_classes_axis(input)], weight, ignore_index, input
    )
    counts = Tensor((indices >= 0).astype(input.dtype))
    log_p = log_softmax(apply(ops.IgnoreRows(indices), rows), 1)
    weighted = log_p if weight is None else log_p * weight
    picked = apply(ops.NegativeLogLikelihood(row_weight, "none"), log_p, Tensor(indices))
    spread = -weighted.sum(1) * counts
    losses = picked * (1 - label_smoothing) + spread * (label_smoothing / rows.shape[1])
    divisor = counts.data.sum() if row_weight is None else row_weight.sum()
    return _reduced(losses, divisor, input, reduction)


def _reduced(losses: Tensor, divisor: Array, input: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return losses.reshape(_target_shape(input))
    total = losses.sum()
    if reduction == "sum":
        return total
    # the mean of no rows is nan; chosen without looking, which on a GPU would be to wait
    xp, none, number = array_module(divisor), divisor == 0, divisor.dtype.type
    nothing = xp.where(none, number(math.nan), number(0))
    return total / Tensor(xp.where(none, number(1), divisor)) + Tensor(nothing)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of log-probabilities: -w[t] x[m, t]. See ``cross_entropy``.

    Raises:
        TypeError: a target of floating-point numbers; and as ``cross_entropy``.
    """
    input = as_input("nll_loss", input)
    target = _as_target(target, input)
    return _loss_of_indices(
        ops.NegativeLogLikelihood, input, target, weight, ignore_index, reduction
    )


def _loss_of_indices(
    operation: type[ops.SoftmaxCrossEntropy] | type[ops.NegativeLogLikelihood],
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
) -> Tensor:
    function = "cross_entropy" if operation is ops.SoftmaxCrossEntropy else "nll_loss"
    indices, row_weight = class_indices(function, input, target, weight, ignore_index, reduction)
    loss = apply(operation(row_weight, reduction), _rows_of_classes(input), Tensor(indices))
    return loss.reshape(_target_shape(input)) if reduction == "none" else loss


def class_indices(
    function: str,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
) -> tuple[Array, Array | None]:
    """What a loss of class indices needs, its arguments checked (see ``cross_entropy``).

    Returns:
        The target of each row, -1 where it is to be ignored, and its weight (None: all 1).
    """
    weight = None if weight is None else as_tensor(weight, like=input).detach()
    check_loss_settings(function, reduction)
    if target.dtype.kind == "f":
        raise TypeError(
            f"{function}: target is {target.dtype}; wanted class indices, integers: "
            "minicnn.Tensor(target).to('int64')"
        )
    _check_loss(function, input, target, weight)
    with beside(input.data):
        return _indices(target, input.shape[_classes_axis(input)], weight, ignore_index, input)


def _check_loss(function: str, input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    check_floating(function, input)
    if input.ndim == 0:
        raise ValueError(f"{function}: input has shape {input.shape}; wanted (N, C, ...) or (C,)")
    probabilities = target.dtype.kind == "f"
    wanted = input.shape if probabilities else _target_shape(input)
    if target.shape != wanted:
        kind = "class probabilities" if probabilities else "class indices"
        raise ValueError(
            f"{function}: target has shape {target.shape} and dtype {target.dtype}; {kind} for "
            f"input {input.shape} have shape {wanted}{_target_hint(input, target)}"
        )
    if probabilities and target.dtype != input.dtype:
        raise TypeError(
            f"{function}: input is {input.dtype}, target is {target.dtype}; convert one, for "
            f"example target.to('{input.dtype}')"
        )
    classes = input.shape[_classes_axis(input)]
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"{function}: weight has shape {weight.shape}; wanted ({classes},)")
    check_same_dtype(function, input=input, weight=weight)


def _target_hint(input: Tensor, target: Tensor) -> str:
    """What may have been meant by a target of a shape that does not fit."""
    shape, given, to_integers = _target_shape(input), "target", ""
    if target.dtype.kind == "f":
        given, to_integers = "minicnn.Tensor(target)", ".to('int64')"
    elif target.shape == input.shape:
        return "; class indices of one-hot rows are target.argmax(1)"
    if target.size == math.prod(shape) and target.shape != shape:
        return f"; class indices are integers of shape {shape}: {given}.reshape{shape}{to_integers}"
    return f"; class indices are integers: {given}{to_integers}" if to_integers else ""


def _classes_axis(input: Tensor) -> int:
    return min(1, input.ndim - 1)


def _target_shape(input: Tensor) -> tuple[int, ...]:
    return input.shape[:1] + input.shape[2:] if input.ndim > 1 else ()


def _as_rows(input: Tensor) -> Tensor:
    """(N, C, d1, ...) as (N·d1·..., C): the classes last, a row each."""
    if input.ndim == 2:
        return input
    if input.ndim == 1:
        return input.reshape(1, -1)
    rows = math.prod(_target_shape(input))
    return input.transpose(0, *range(2, input.ndim), 1).reshape(rows, input.shape[1])


def _rows_of_classes(input: Tensor) -> Tensor:
    """``_as_rows``; rows without a class, which are all ignored, get one that no target names."""
    rows = _as_rows(input)
    return rows if rows.shape[1] else pad(rows, (0, 1))


def _indices(
    target: Tensor, classes: int, weight: Tensor | None, ignore_index: int, input: Tensor
) -> tuple[Array, Array | None]:
    """The targets, -1 for those to be ignored, and the weight of each row (None: all 1)."""
    xp = array_module(target.data)
    weight = weight if classes else None
    given = target.data.reshape(-1).astype(xp.int64, copy=False)
    if not is_host(given):
        return _indices_unseen(given, classes, weight, ignore_index, input)
    if weight is None and not 0 <= ignore_index < classes and are_classes(given, classes):
        return given.copy(), None  # somebody may write into the labels before backward reads them
    ignored = given == ignore_index
    outside = ((given < 0) | (given >= classes)) & ~ignored
    if outside.any():
        raise IndexError(
            f"target: class {int(given[outside][0])} is out of range; wanted 0 to {classes - 1}"
        )
    indices = xp.where(ignored, -1, given)
    if weight is None:
        return indices, None
    return indices, xp.where(ignored, 0, weight.data[indices]).astype(input.dtype)


def are_classes(target: np.ndarray, classes: int) -> bool:
    """Whether all of ``target``, int64 and at least one, are from 0 to classes - 1."""
    if target.dtype != np.int64 or target.size == 0:
        return False
    return bool(target.view(np.uint64).max() < classes)  # without its sign, -1 is a large number


def _indices_unseen(
    given: Array, classes: int, weight: Tensor | None, ignore_index: int, input: Tensor
) -> tuple[Array, Array]:
    """``_indices`` on a GPU, where to look would be to wait: no class weighs nan."""
    xp = array_module(given)
    ignored = given == ignore_index
    outside = ((given < 0) | (given >= classes)) & ~ignored
    indices = xp.where(outside, 0, xp.where(ignored, -1, given))
    weights = xp.ones(max(classes, 1), input.dtype) if weight is None else weight.data
    weights = xp.where(ignored, 0, xp.where(outside, float("nan"), weights[indices]))
    return indices, weights.astype(input.dtype)


def _batch_of_one(input: Tensor) -> Tensor:
    return input.reshape(1, *input.shape)
