"""Operations with a gradient that is wrong."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import GradientError, Tensor, gradcheck
from minicnn.ops import Operation


def random(*shape: int, seed: int = 0, requires_grad: bool = True) -> Tensor:
    array = np.random.default_rng(seed).uniform(0.5, 1.5, shape)
    return Tensor(array, requires_grad=requires_grad)


class Wrong(Operation):
    """y = forward(inputs), with the gradients that the test invents."""

    def __init__(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        self.function, self.derivative = forward, backward

    def forward(self, *inputs: Any) -> Any:
        self.inputs = inputs
        return self.function(*inputs)

    def backward(self, dy: Any) -> Any:
        return self.derivative(dy, *self.inputs)


def operation(forward: Callable[..., Any], backward: Callable[..., Any]) -> Callable[..., Tensor]:
    return lambda *inputs: minicnn.apply(Wrong(forward, backward), *inputs)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x)
    return e / e.sum(axis=-1, keepdims=True)


WRONG: dict[str, Callable[..., Tensor]] = {
    "sign": operation(np.exp, lambda dy, x: -dy * np.exp(x)),
    "factor": operation(np.square, lambda dy, x: dy * x),
    "one per mille": operation(np.square, lambda dy, x: 2.002 * dy * x),
    "constant": operation(np.sin, lambda dy, x: dy),
    "transposed": operation(lambda x: x @ x, lambda dy, x: dy @ x + x.T @ dy),
    "cotangent forgotten": operation(np.exp, lambda dy, x: np.exp(x)),
    "sum not spread": operation(lambda x: x.sum(0), lambda dy, x: np.eye(*x.shape) * dy),
    "zero": operation(np.exp, lambda dy, x: np.zeros_like(x)),
    "log_softmax as softmax": operation(
        lambda x: np.log(softmax(x)), lambda dy, x: dy - softmax(x) * dy
    ),
}


def message_of(fn: Callable[..., Tensor], *inputs: Tensor) -> str:
    with pytest.raises(GradientError) as caught:
        gradcheck(fn, inputs)
    return str(caught.value)


class Convolution(Operation):
    """A convolution as a learner writes it, and right. Each bug below replaces one method."""

    def forward(self, x: Any, weight: Any, bias: Any) -> Any:
        (ph, pw), (kh, kw) = PADDING, weight.shape[2:]
        self.weight = weight
        self.framed = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
        self.out = [
            (size - k) // s + 1
            for size, k, s in zip(self.framed.shape[2:], (kh, kw), STRIDE, strict=True)
        ]
        self.columns = np.empty((*x.shape[:2], kh, kw, *self.out))
        for i, j in np.ndindex(kh, kw):
            self.columns[:, :, i, j] = self.framed[:, :, self.seen(0, i), self.seen(1, j)]
        return np.einsum("ocij,ncijhw->nohw", weight, self.columns) + bias[:, None, None]

    def seen(self, axis: int, offset: int) -> slice:
        """The rows (axis 0) or columns that all windows see at an offset."""
        return slice(offset, offset + STRIDE[axis] * (self.out[axis] - 1) + 1, STRIDE[axis])

    def backward(self, dy: Any) -> Any:
        return self.dx(dy), self.dweight(dy), self.dbias(dy)

    def dbias(self, dy: Any) -> Any:
        return dy.sum(axis=(0, 2, 3))

    def dweight(self, dy: Any) -> Any:
        return np.einsum("nohw,ncijhw->ocij", dy, self.columns)

    def dx(self, dy: Any) -> Any:
        return self.cut_off(self.col2im(self.dcolumns(dy)))

    def dcolumns(self, dy: Any) -> Any:
        return np.einsum("ocij,nohw->ncijhw", self.weight, dy)

    def col2im(self, dcolumns: Any) -> Any:
        framed = np.zeros_like(self.framed)
        for i, j in np.ndindex(*self.weight.shape[2:]):
            framed[:, :, self.seen(0, i), self.seen(1, j)] += dcolumns[:, :, i, j]
        return framed

    def cut_off(self, framed: Any) -> Any:
        (ph, pw), (rows, columns) = PADDING, framed.shape[2:]
        return framed[:, :, ph : rows - ph, pw : columns - pw]


STRIDE, PADDING = (2, 1), (1, 2)


def overwrite(self: Convolution, dcolumns: Any) -> Any:
    framed = np.zeros_like(self.framed)
    for i, j in np.ndindex(*self.weight.shape[2:]):
        framed[:, :, self.seen(0, i), self.seen(1, j)] = dcolumns[:, :, i, j]
    return framed
