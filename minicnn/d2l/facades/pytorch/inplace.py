"""Writing into PyTorch's tensors: ``x += 1``, ``x[i] = 1``, ``x.zero_()``.

``Tensor`` inherits ``InPlace``. Where a gradient has to be remembered, the engine computes a new
tensor, and this one means it from then on: ``Y += X`` in a residual block. (Unlike in PyTorch a
view that was taken before, ``Y[0]``, keeps the old numbers then.)
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Self

from minicnn import nn
from minicnn.kernels import Array
from minicnn.ops import Index, Operation
from minicnn.ops.arithmetic import unbroadcast
from minicnn.shape import plain_key
from minicnn.tensor import Tensor as EngineTensor
from minicnn.tensor import apply, as_tensor

from ..arrays import plain
from .computing import Computing
from .mistakes import call


class Put(Operation):
    """y = x, but for y[key] = v;  dx = dy, 0 at those cells;  dv = dy[key].

    v may be broadcast: its gradients are added up. ``key``: numbers and slices.
    """

    reads = ()

    def __init__(self, key: Any):
        self.key = key

    def forward(self, x: Array, v: Array) -> Array:
        if not Index(self.key).takes_a_cell_once():
            raise TypeError("[...] =: wanted numbers and slices where a gradient is followed")
        self.v_shape = v.shape
        y = x.copy()
        y[self.key] = v
        return y

    def backward(self, dy: Array) -> tuple[Array, Array]:
        dx = dy.copy()
        dx[self.key] = 0
        return dx, unbroadcast(dy[self.key], self.v_shape).reshape(self.v_shape)


class InPlace(Computing):
    """The methods that ``Tensor`` inherits."""

    __slots__ = ("_past",)

    _past: str | None  # see ``history.name_of``

    def __iadd__(self, other: Any) -> Self:
        return self._updated("+=", operator.add, other)

    def __isub__(self, other: Any) -> Self:
        return self._updated("-=", operator.sub, other)

    def __imul__(self, other: Any) -> Self:
        return self._updated("*=", operator.mul, other)

    def __itruediv__(self, other: Any) -> Self:
        return self._updated("/=", operator.truediv, other)

    def __ipow__(self, other: Any) -> Self:
        return self._updated("**=", operator.pow, other)

    def add_(self, other: Any, *, alpha: float = 1) -> Self:
        """Add ``alpha * other`` to this tensor's own numbers."""
        return self._updated("add_", operator.add, other if alpha == 1 else other * alpha)

    def sub_(self, other: Any, *, alpha: float = 1) -> Self:
        """Subtract ``alpha * other`` from this tensor's own numbers."""
        return self._updated("sub_", operator.sub, other if alpha == 1 else other * alpha)

    def mul_(self, other: Any) -> Self:
        """Multiply this tensor's own numbers by ``other``."""
        return self._updated("mul_", operator.mul, other)

    def div_(self, other: Any) -> Self:
        """Divide this tensor's own numbers by ``other``."""
        return self._updated("div_", operator.truediv, other)

    def relu_(self) -> Self:
        """Make what is below 0 zero."""
        return self._updated("relu_", lambda x, _: x.relu(), None)

    def zero_(self) -> Self:
        """Make every cell 0."""
        return self._written(self.tensor.zero_)

    def fill_(self, value: Any) -> Self:
        """Make every cell ``value``."""
        return self._written(self.tensor.fill_, value)

    def copy_(self, src: Any) -> Self:
        """Take the numbers of ``src``, broadcast and converted."""
        return self._written(self.tensor.copy_, src)

    def normal_(self, mean: float = 0, std: float = 1) -> Self:
        """Draw every cell from the normal distribution."""
        call(self.tensor._check_writable, "normal_")
        return self._written(nn.init.normal_, self, mean, std)

    def uniform_(self, a: float = 0, b: float = 1) -> Self:
        """Draw every cell uniformly from [a, b)."""
        call(self.tensor._check_writable, "uniform_")
        return self._written(nn.init.uniform_, self, a, b)

    def __setitem__(self, key: Any, value: Any) -> None:
        old, new = self.tensor, plain(value)
        is_followed = old._is_recorded() and not old.is_leaf
        if not is_followed and not (isinstance(new, EngineTensor) and new._is_recorded()):
            self._written(self.tensor.__setitem__, key, value)
            return
        if old.is_leaf:
            call(old._check_tape, "[...] =")
        values = call(as_tensor, new, old).to(old.dtype)
        self.tensor = call(apply, Put(plain_key(plain(key))), old, values)
        self._past = "CopySlices"

    def _written(self, write: Callable[..., Any], *arguments: Any) -> Self:
        call(write, *map(plain, arguments))
        return self

    def _updated(self, sign: str, operation: Callable[[Any, Any], Any], other: Any) -> Self:
        old, other = self.tensor, plain(other)
        is_followed = old._is_recorded() and not old.is_leaf
        if not is_followed and not (isinstance(other, EngineTensor) and other._is_recorded()):
            call(old._updated, sign, operation, other)
            return self
        if old.is_leaf:
            call(old._check_tape, sign)
        new = call(operation, old, other)
        if (new.shape, new.dtype) != (old.shape, old.dtype):
            raise RuntimeError(
                f"{sign}: the result is {new.dtype} of shape {new.shape}; this tensor holds "
                f"{old.dtype} of shape {old.shape}"
            )
        self.tensor, self._past = new, None
        return self
