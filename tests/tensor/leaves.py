"""Tensors, operators and an operation for the tests of tensors."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import Tensor
from minicnn.ops import Operation

Binary = Callable[[Any, Any], Any]

ARITHMETIC: list[Binary] = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.pow,
    operator.matmul,
]


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values, np.float32), requires_grad=True)


def grad_of(tensor: Tensor) -> np.ndarray:
    assert tensor.grad is not None
    return tensor.grad.numpy()


class Double(Operation):
    """y = 2 x, counting how often its backward runs."""

    def __init__(self) -> None:
        self.calls = 0

    def forward(self, x: np.ndarray) -> np.ndarray:
        return 2 * x

    def backward(self, dy: np.ndarray) -> np.ndarray:
        self.calls += 1
        return 2 * dy
