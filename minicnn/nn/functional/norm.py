"""Batch normalisation as a function."""

from __future__ import annotations

import math

import numpy as np

from minicnn import ops
from minicnn.checks import check_number
from minicnn.device import on_device_of
from minicnn.dtypes import check_same_dtype
from minicnn.kernels import Array
from minicnn.nn.arguments import as_input, as_tensors, check_eps, check_floating
from minicnn.tensor import Tensor, apply


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

    In training with the statistics of the batch (an empty one has none), which also move
    ``running_mean`` and ``running_var`` (the unbiased variance) by ``momentum``; otherwise with the
    running statistics, or the batch's where there are none. Running statistics are constants: no
    gradient flows to them.

    input: (N, C, ...); all others (C,). Returns input's shape.

    Raises:
        ValueError: shapes that do not fit; a single value a channel in training; one running
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

    check_number("batch_norm: momentum", momentum)
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
    with on_device_of(mean):
        unbiased = var * (count / (count - 1))
        for running, now in ((running_mean, mean), (running_var, unbiased)):
            running.data += momentum * (now - running.data)
