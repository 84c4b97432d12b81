"""The learner's functions as layers of a net: an operation each, as the engine's own are.

A convolution is three matrix products between im2col and col2im. The plain sums of the first
exercises (forward, dweight, dx) are not among them: as loops they would take days.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import minicnn
from minicnn import nn, optim
from minicnn.explain.numbers import as_pair
from minicnn.kernels import Array
from minicnn.ops import Operation
from minicnn.tensor import Tensor

from .child import ERRORS, load, raised
from .course import COURSE, Exercise

Functions = Mapping[str, Callable[..., Any]]  # by the exercises' names
USED = (
    "dbias",
    "im2col",
    "col2im",
    "max_pool",
    "avg_pool",
    "dense",
    "cross_entropy",
    "sigmoid",
    "sgd",
)


def functions_of(folder: Path) -> Functions:
    """The functions that a net needs, from the learner's files.

    Raises:
        ValueError: a file cannot be run, or has no such function; one that is called raises it for
            every error of its own. The message names the exercise, the file and the line.
    """
    return {e.name: _function_of(e, folder) for e in COURSE.values() if e.name in USED}


def _function_of(exercise: Exercise, folder: Path) -> Callable[..., Any]:
    file = (folder / exercise.file).resolve()
    fn = load(file, exercise.function)
    place = f"exercise {exercise.number}: {exercise.file}"
    if not callable(fn):
        _, about = fn
        told = f", line {about['line']}: {about['error']}" if "error" in about else ""
        raise ValueError(f"{place}{told or f' has no function {exercise.function}'}")

    @functools.wraps(fn)
    def call(*arguments: Any) -> Any:
        try:
            returned = fn(*arguments)
            return _checked(returned, len(exercise.outputs))
        except ERRORS as error:
            _, about = raised(error, str(file))
            raise ValueError(f"{place}, line {about['line']}: {about['error']}") from error

    return call


def _checked(returned: Any, count: int) -> Any:
    """What a function returns: an array, or ``count`` of them.

    Raises:
        TypeError: it is something else.
    """
    parts = returned if count > 1 and isinstance(returned, tuple | list) else (returned,)
    arrays = tuple(map(np.asarray, parts))
    if len(arrays) != count or any(array.dtype.kind not in "fiu" for array in arrays):
        names = ", ".join(type(part).__name__ for part in parts)
        raise TypeError(f"it returns {names}; wanted {count} of floating-point numbers")
    return arrays if count > 1 else arrays[0]


class Learners(Operation):
    """An operation of the learner's functions; what they return gets the input's dtype."""

    def __init__(self, functions: Functions):
        self.functions = functions

    def call(self, name: str, *arguments: Any, like: Array) -> Any:
        """The function of an exercise; its arrays in the dtype of ``like``."""
        returned = self.functions[name](*arguments)
        if isinstance(returned, tuple):
            return tuple(np.asarray(part, like.dtype) for part in returned)
        return np.asarray(returned, like.dtype)


class Convolution(Learners):
    """y = W im2col(x) + b, of stride 1; backward dW = dy columnsᵀ and dx = col2im(Wᵀ dy)."""

    def __init__(self, functions: Functions, padding: tuple[int, int]):
        super().__init__(functions)
        self.padding = padding

    def forward(self, x: Array, weight: Array, bias: Array) -> Array:
        self.x_shape, self.weight = x.shape, weight
        self.window = weight.shape[2:], (1, 1), self.padding, (1, 1)
        self.columns = self.call("im2col", x, *self.window, like=x)  # (N, C KH KW, OH OW)
        y = weight.reshape(len(weight), -1) @ self.columns + bias[:, None]
        sizes = zip(x.shape[2:], weight.shape[2:], self.padding, strict=True)
        return y.reshape(len(x), len(weight), *(n + 2 * p - k + 1 for n, k, p in sizes))

    def backward(self, dy: Array) -> tuple[Array, ...]:
        rows = dy.reshape(*dy.shape[:2], -1)  # (N, O, OH OW)
        dweight = (rows @ self.columns.swapaxes(1, 2)).sum(axis=0)
        dcolumns = self.weight.reshape(len(self.weight), -1).T @ rows
        dx = self.call("col2im", dcolumns, self.x_shape, *self.window, like=dy)
        return dx, dweight.reshape(self.weight.shape), self.call("dbias", dy, like=dy)


class Pooling(Learners):
    """Windows of 2 x 2 side by side: their columns' largest numbers, or means."""

    def __init__(self, functions: Functions, kind: str):
        super().__init__(functions)
        self.kind = kind

    def forward(self, x: Array) -> Array:
        self.x, (n, c, h, w) = x, x.shape
        window = (2, 2), (2, 2), (0, 0), (1, 1)
        columns = self.call("im2col", x.reshape(n * c, 1, h, w), *window, like=x)
        y = columns.max(axis=1) if self.kind == "max_pool" else columns.mean(axis=1)
        return y.reshape(n, c, h // 2, w // 2)

    def backward(self, dy: Array) -> Array:
        x = self.x if self.kind == "max_pool" else self.x.shape
        dx: Array = self.call(self.kind, dy, x, (2, 2), (2, 2), like=dy)
        return dx


class Dense(Learners):
    """y = x Wᵀ + b."""

    def forward(self, x: Array, weight: Array, bias: Array) -> Array:
        self.x, self.weight = x, weight
        return x @ weight.T + bias

    def backward(self, dy: Array) -> tuple[Array, ...]:
        gradients: tuple[Array, ...] = self.call("dense", dy, self.x, self.weight, like=dy)
        return gradients


class Logistic(Learners):
    """y = 1 / (1 + exp(-x)); the exercise's function computes y and dx at once."""

    def forward(self, x: Array) -> Array:
        self.x = x
        y: Array = self.call("sigmoid", x, np.zeros_like(x), like=x)[0]
        return y

    def backward(self, dy: Array) -> Array:
        dx: Array = self.call("sigmoid", self.x, dy, like=dy)[1]
        return dx


class CrossEntropy(Learners):
    """The mean loss of logits and labels; its gradient is there when the loss is."""

    def __init__(self, functions: Functions, labels: Array):
        super().__init__(functions)
        self.labels = labels

    def forward(self, logits: Array) -> Array:
        loss, self.dlogits = self.call("cross_entropy", logits, self.labels, like=logits)
        return loss

    def backward(self, dy: Array) -> Array:
        return dy * self.dlogits


# As layers, loss and optimiser --------------------------------------------------------------------


# Each is the engine's layer, its parameters and all, with the learner's arithmetic.


class Conv2d(nn.Conv2d):
    functions: Functions

    def forward(self, x: Tensor) -> Tensor:
        operation = Convolution(self.functions, as_pair(self.padding))
        return minicnn.apply(operation, x, self.weight, self.bias)


class Linear(nn.Linear):
    functions: Functions

    def forward(self, x: Tensor) -> Tensor:
        return minicnn.apply(Dense(self.functions), x, self.weight, self.bias)


class Sigmoid(nn.Sigmoid):
    functions: Functions

    def forward(self, x: Tensor) -> Tensor:
        return minicnn.apply(Logistic(self.functions), x)


class AvgPool2d(nn.AvgPool2d):
    functions: Functions

    def forward(self, x: Tensor) -> Tensor:
        return minicnn.apply(Pooling(self.functions, "avg_pool"), x)


class MaxPool2d(nn.MaxPool2d):
    functions: Functions

    def forward(self, x: Tensor) -> Tensor:
        return minicnn.apply(Pooling(self.functions, "max_pool"), x)


LAYERS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: Conv2d,
    nn.Linear: Linear,
    nn.Sigmoid: Sigmoid,
    nn.AvgPool2d: AvgPool2d,
    nn.MaxPool2d: MaxPool2d,
}


def as_learners(net: nn.Sequential, functions: Functions) -> nn.Sequential:
    """One of the LeNets, whose layers from now on compute with the learner's functions."""
    for layer in net:
        if type(layer) in LAYERS:
            layer.__class__ = LAYERS[type(layer)]
            layer.functions = functions
    return net


def loss_of(functions: Functions) -> Callable[[Tensor, Tensor], Tensor]:
    """The learner's cross-entropy, as ``fit`` takes a loss."""
    return lambda logits, y: minicnn.apply(CrossEntropy(functions, y.numpy()), logits)


class SGD(optim.Optimizer):
    """The learner's step, with a velocity of zeros to begin with."""

    def __init__(self, net: nn.Module, functions: Functions, lr: float, momentum: float):
        super().__init__(net.parameters(), lr)
        self.functions, self.momentum = functions, momentum
        self.velocities = [np.zeros(p.shape, p.dtype) for p in self.params]

    def state_of(self, i: int) -> tuple[list[Array], int]:
        """See ``Optimizer``: the velocity."""
        return [self.velocities[i]], 1

    def descend(self, p: Array, g: Array, state: list[Array], step: int) -> None:
        """The learner's formula."""
        p[...], state[0][...] = self.functions["sgd"](p, g, state[0], self.lr, self.momentum)
