"""Activations and dropout as functions."""

from __future__ import annotations

from numbers import Real

from minicnn import ops, random
from minicnn.checks import check_is
from minicnn.nn.arguments import as_input, check_floating
from minicnn.tensor import Tensor, apply, as_tensor


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0). ``inplace`` is accepted, as in PyTorch, and ignored."""
    return as_tensor(input).relu()


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return as_tensor(input).sigmoid()


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return as_tensor(input).tanh()


def softmax(input: Tensor, dim: int) -> Tensor:
    """exp(x) / sum(exp(x)) over the axis ``dim``; an empty input stays empty.

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

    The masks follow from ``minicnn.manual_seed`` alone, on every device. ``inplace`` is accepted,
    as in PyTorch, and ignored.

    Raises:
        ValueError: p outside [0, 1].
    """
    check_is("dropout: p", p, Real, "a number")
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is {p}; wanted a probability from 0 to 1")
    input = as_input("dropout", input)
    check_floating("dropout", input)
    if not training or p == 0:
        return input
    return apply(ops.Dropout(p, random.next_mask_key(), random.first_row()), input)
