"""Losses as functions: softmax cross-entropy and negative log-likelihood."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import kernels, ops
from minicnn.checks import check_integer
from minicnn.device import on_device_of
from minicnn.dtypes import check_same_dtype
from minicnn.kernels import Array, array_module, is_host
from minicnn.nn.arguments import as_input, check_floating, check_loss_settings
from minicnn.tensor import Tensor, apply, as_tensor

from .activation import log_softmax
from .shape import pad


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
    check_integer("cross_entropy: ignore_index", ignore_index)
    if target.dtype.kind != "f" and label_smoothing == 0:
        return _loss_of_indices(
            ops.SoftmaxCrossEntropy, input, target, weight, ignore_index, reduction
        )
    weight = None if weight is None else as_tensor(weight, like=input).detach()
    _check_loss("cross_entropy", input, target, weight)
    with on_device_of(input.data):
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
    """(1 - s) times the loss of class indices plus s times that of equal probabilities.

    s: ``label_smoothing``.
    """
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
    # the mean of no rows is nan; chosen without reading the divisor: on a GPU that would wait
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
    check_integer(f"{function}: ignore_index", ignore_index)
    if target.dtype.kind == "f":
        raise TypeError(
            f"{function}: target is {target.dtype}; wanted class indices, integers: "
            "minicnn.Tensor(target).to('int64')"
        )
    _check_loss(function, input, target, weight)
    with on_device_of(input.data):
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
    shape, text, to_integers = _target_shape(input), "target", ""
    if target.dtype.kind == "f":
        text, to_integers = "minicnn.Tensor(target)", ".to('int64')"
    elif target.shape == input.shape:
        return "; class indices of one-hot rows are target.argmax(1)"
    if target.size == math.prod(shape) and target.shape != shape:
        return f"; class indices are integers of shape {shape}: {text}.reshape{shape}{to_integers}"
    return f"; class indices are integers: {text}{to_integers}" if to_integers else ""


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
    labels = target.data.reshape(-1).astype(xp.int64, copy=False)
    if not is_host(labels):  # reading would wait: a target that is no class weighs nan
        numbers = None if weight is None else weight.data
        return kernels.of(labels).class_indices(labels, numbers, classes, ignore_index, input.dtype)
    if weight is None and not 0 <= ignore_index < classes and are_classes(labels, classes):
        return labels.copy(), None  # somebody may write into the labels before backward reads them
    ignored = labels == ignore_index
    outside = ((labels < 0) | (labels >= classes)) & ~ignored
    if outside.any():
        raise IndexError(
            f"target: class {int(labels[outside][0])} is out of range; wanted 0 to {classes - 1}"
        )
    indices = xp.where(ignored, -1, labels)
    if weight is None:
        return indices, None
    return indices, xp.where(ignored, 0, weight.data[indices]).astype(input.dtype)


def are_classes(target: np.ndarray, classes: int) -> bool:
    """Whether all of ``target``, int64 and at least one, are from 0 to classes - 1."""
    if target.dtype != np.int64 or target.size == 0:
        return False
    return bool(target.view(np.uint64).max() < classes)  # without its sign, -1 is a large number
