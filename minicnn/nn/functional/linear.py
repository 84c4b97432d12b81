"""The dense layer as a function."""

from __future__ import annotations

import math

from minicnn import ops
from minicnn.checks import check_is
from minicnn.dtypes import check_same_dtype
from minicnn.nn.arguments import as_input, as_tensors, check_floating, features_hint
from minicnn.tensor import Tensor, apply


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x Wᵀ + b over the last axis. Formula: ``minicnn.ops.linear``.

    input: (..., K), weight: (O, K), bias: (O,); returns (..., O).

    Raises:
        ValueError: shapes that do not fit.
        TypeError: input, weight and bias of different dtypes.
    """
    input = as_input("linear", input)
    weight, bias = as_tensors(input, weight, bias)
    check_is("linear: weight", weight, Tensor, "a Tensor")
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
