"""Activations as C functions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from minicnn import nn, ops
from minicnn.kernels import Array

from .step import Place, Step, to_int8
from .text import sizes


@dataclass(frozen=True)
class Rectifier(Step):
    """max(x, 0)."""

    word = "relu"
    what = "What is negative becomes 0."
    cell_by_cell = keeps_scale = True
    template = """
static void $name(const $x *x, $y *y)
{
    for (int i = 0; i < $cells; i++)
        y[i] = x[i] < 0 ? 0 : x[i];
}
"""

    def parts(self, number: int) -> dict[str, Any]:
        return {"cells": math.prod(self.input_shape)}

    def compute(self, x: Array) -> Array:
        return np.maximum(x, x.dtype.type(0))


@dataclass(frozen=True)
class Curve(Step):
    """A function of each cell. In int8 there are 255 inputs: their results are a table.

    Attributes:
        table: int8 (256,), of int8 alone: the result of each input from -128.
    """

    table: Array | None = None

    cell_by_cell = True
    formula: ClassVar[str]
    operation: ClassVar[type[ops.Operation]]
    template = """
static void $name(const $x *x, $y *y)
{
    for (int i = 0; i < $cells; i++)
        y[i] = $formula;
}
"""

    def constants(self) -> dict[str, Array]:
        return {} if self.table is None else {"table": self.table}

    def parts(self, number: int) -> dict[str, Any]:
        formula = self.formula if self.table is None else f"table_{number}[x[i] + 128]"
        return {"cells": math.prod(self.input_shape), "formula": formula}

    def compute(self, x: Array) -> Array:
        if self.table is not None:
            return self.table[x.astype(int) + 128]
        return self.operation().forward(x)

    def quantised(self, x_step: float, y_step: float) -> Self:
        results = self.operation().forward(np.arange(-128, 128) * x_step) / y_step
        return replace(super().quantised(x_step, y_step), table=to_int8(results))


@dataclass(frozen=True)
class Sigmoid(Curve):
    """1 / (1 + exp(-x)); at the limit it is within half a step of int8 of 1."""

    word = "sigmoid"
    what = "Each cell becomes 1 / (1 + exp(-x)), a number from 0 to 1."
    limit = 6.0
    formula = "1.0f / (1.0f + expf(-x[i]))"
    operation = ops.Sigmoid


@dataclass(frozen=True)
class Tanh(Curve):
    """The hyperbolic tangent; at the limit it is within half a step of int8 of 1."""

    word = "tanh"
    what = "Each cell becomes its hyperbolic tangent, a number from -1 to 1."
    limit = 3.0
    formula = "tanhf(x[i])"
    operation = ops.Tanh


@dataclass(frozen=True)
class Softmax(Step):
    """exp(x) / sum(exp(x)) over one axis.

    Attributes:
        axis: of one picture's shape.
        log: whether the logarithm of it is computed.
    """

    axis: int = 0
    log: bool = False

    word = "softmax"
    what = "Numbers that are positive and add up to 1; the largest is taken away before exp."
    template = """
static void $name(const $x *x, $y *y)
{
    $sizes

    for (int a = 0; a < BEFORE; a++)
        for (int b = 0; b < AFTER; b++) {
            const int first = a * N * AFTER + b;
            float largest = x[first], sum = 0.0f;
            for (int n = 1; n < N; n++)
                largest = fmaxf(largest, x[first + n * AFTER]);
            for (int n = 0; n < N; n++)
                sum += expf(x[first + n * AFTER] - largest);
            for (int n = 0; n < N; n++)
                y[first + n * AFTER] = $result;
        }
}
"""
    cell_by_cell = True  # each is read before it is written

    def parts(self, number: int) -> dict[str, Any]:
        shape, axis = self.input_shape, self.axis
        before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
        value = "x[first + n * AFTER] - largest"
        return {
            "sizes": sizes(BEFORE=before, N=shape[axis], AFTER=after),
            "result": f"{value} - logf(sum)" if self.log else f"expf({value}) / sum",
        }

    def compute(self, x: Array) -> Array:
        operation = (ops.LogSoftmax if self.log else ops.Softmax)(self.axis + 1)
        return operation.forward(x)

    def quantised(self, x_step: float, y_step: float) -> Self:
        raise ValueError(
            f"export: {self.title} stands before a layer with weights; int8 wants it at the end"
        )


def relu_from_layer(layer: nn.ReLU, operation: ops.ReLU, place: Place) -> Rectifier:
    """The step of a ReLU."""
    return Rectifier(*place)


def sigmoid_from_layer(layer: nn.Sigmoid, operation: ops.Sigmoid, place: Place) -> Sigmoid:
    """The step of a sigmoid."""
    return Sigmoid(*place)


def tanh_from_layer(layer: nn.Tanh, operation: ops.Tanh, place: Place) -> Tanh:
    """The step of a tanh."""
    return Tanh(*place)


def softmax_from_layer(layer: Any, operation: Any, place: Place) -> Softmax:
    """The step of a softmax or its logarithm.

    Raises:
        ValueError: it is taken over the pictures of a batch.
    """
    axis = operation.axis % (len(place.input_shape) + 1) - 1
    if axis < 0:
        raise ValueError(f"{place.title} joins the pictures of a batch")
    return Softmax(*place, axis=axis, log=isinstance(operation, ops.LogSoftmax))
