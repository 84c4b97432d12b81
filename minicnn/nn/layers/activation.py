"""Activations and dropout as layers."""

from __future__ import annotations

from minicnn.checks import check_integer, check_number
from minicnn.nn import functional as F
from minicnn.nn.module import Module
from minicnn.tensor import Tensor


class Sigmoid(Module):
    """1 / (1 + exp(-x)), any shape."""

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class ReLU(Module):
    """max(x, 0), any shape. ``inplace`` is accepted, as in PyTorch, and ignored."""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Tanh(Module):
    """The hyperbolic tangent, any shape."""

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class Softmax(Module):
    """exp(x) / sum(exp(x)) over the axis ``dim``, any shape."""

    def __init__(self, dim: int):
        super().__init__()
        check_integer(f"{type(self).__name__}: dim", dim)
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """x - log(sum(exp(x))) over the axis ``dim``, any shape: for ``NLLLoss``."""

    def __init__(self, dim: int):
        super().__init__()
        check_integer(f"{type(self).__name__}: dim", dim)
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Dropout(Module):
    """In training, zero each cell with probability ``p``: see ``F.dropout``. Any shape.

    ``inplace`` is accepted, as in PyTorch, and ignored.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        check_number("Dropout: p", p)
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is {p}; wanted a probability from 0 to 1")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"
