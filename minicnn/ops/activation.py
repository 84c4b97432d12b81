"""Activations and dropout: one cell, or one row, at a time."""

from __future__ import annotations

import operator

from minicnn import kernels
from minicnn.formats import shown
from minicnn.kernels import Array, array_module

from .operation import RESULT, Operation


class Sigmoid(Operation):
    """s = 1 / (1 + exp(-x));  dx = dy * s * (1 - s).  Any shape."""

    reads = ((RESULT,),)
    gives_new_arrays = True

    def forward(self, x: Array) -> Array:
        self.s = kernels.of(x).sigmoid(x)
        return self.s

    def backward(self, dy: Array) -> Array:
        return kernels.of(dy).sigmoid_backward(dy, self.s)


class Tanh(Operation):
    """t = tanh(x);  dx = dy * (1 - t**2).  Any shape."""

    reads = ((RESULT,),)
    gives_new_arrays = True

    def forward(self, x: Array) -> Array:
        self.t = kernels.of(x).tanh(x)
        return self.t

    def backward(self, dy: Array) -> Array:
        return kernels.of(dy).tanh_backward(dy, self.t)


class ReLU(Operation):
    """y = max(x, 0), NaN stays NaN;  dx = 0 where x <= 0, otherwise dy.  Any shape."""

    reads = ((RESULT,),)
    gives_new_arrays = True

    def forward(self, x: Array) -> Array:
        self.y = kernels.of(x).relu(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return kernels.of(dy).relu_backward(dy, self.y)


class OverAxis(Operation):
    """What is computed over one axis. An array without cells is its own result."""

    def __init__(self, axis: int):
        try:
            self.axis = operator.index(axis)
        except TypeError:
            name = type(self).__name__
            raise TypeError(
                f"{name}: the axis (dim) is {shown(axis)}; wanted an integer, 1 for logits (N, C)"
            ) from None


class Softmax(OverAxis):
    """p = exp(x) / sum(exp(x)) over ``axis``;  dx = p * (dy - sum(dy * p)).

    From dp_i/dx_j = p_i (1[i = j] - p_j):  dx_j = sum_i dy_i p_i (1[i = j] - p_j).
    """

    reads = ((RESULT,),)

    def forward(self, x: Array) -> Array:
        if x.size == 0:
            self.p = x
            return x
        e = array_module(x).exp(x - x.max(axis=self.axis, keepdims=True))
        self.p = e / kernels.of(x).sum_over(e, self.axis, keepdims=True)
        return self.p

    def backward(self, dy: Array) -> Array:
        dot = kernels.of(dy).sum_over(dy * self.p, self.axis, keepdims=True)
        return self.p * (dy - dot)


class LogSoftmax(OverAxis):
    """y = x - log(sum(exp(x))) over ``axis``;  dx = dy - softmax(x) * sum(dy)."""

    reads = ((RESULT,),)

    def forward(self, x: Array) -> Array:
        if x.size == 0:
            self.y = x
            return x
        xp = array_module(x)
        shifted = x - x.max(axis=self.axis, keepdims=True)
        self.y = shifted - xp.log(kernels.of(x).sum_over(xp.exp(shifted), self.axis, keepdims=True))
        return self.y

    def backward(self, dy: Array) -> Array:
        total = kernels.of(dy).sum_over(dy, self.axis, keepdims=True)
        return dy - array_module(dy).exp(self.y) * total


class Dropout(Operation):
    """y = x * mask / (1 - p): each cell is dropped with probability p;  dx = dy * mask / (1 - p).

    ``key`` = (seed, number of the mask): see ``kernels.reference.random_uniform``. The rows of x
    get those of the mask from ``first`` on.
    """

    reads = ()

    def __init__(self, p: float, key: tuple[int, int], first: int = 0):
        self.p, self.key, self.first = p, key, first

    def forward(self, x: Array) -> Array:
        first = self.first * x[:1].size if self.first else 0
        kept = kernels.of(x).random_uniform(x, *self.key, first) >= self.p
        scale = 1 / (1 - self.p) if self.p < 1 else 0.0
        self.mask = kept.astype(x.dtype) * x.dtype.type(scale)
        return x * self.mask

    def backward(self, dy: Array) -> Array:
        return dy * self.mask
