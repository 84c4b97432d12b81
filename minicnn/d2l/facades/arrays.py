"""Operators, for an array of a facade: it wraps a tensor of the engine, which does the computing.

What all three frameworks do alike is here. Each facade's class adds its own names, and changes what
its framework does otherwise.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np

from minicnn.tensor import Tensor


def plain(value: Any) -> Any:
    """A wrapped array's tensor, also inside lists and tuples; anything else as it is."""
    if isinstance(value, Wrapped):
        return value.tensor
    if type(value) in (list, tuple):
        return type(value)(plain(part) for part in value)
    if isinstance(value, slice):
        return slice(plain(value.start), plain(value.stop), plain(value.step))
    return value


class Wrapped:
    """An array that computes with ``tensor``, one of the engine's."""

    __slots__ = ("__weakref__", "tensor")
    __array_priority__ = 1000  # NumPy's operators leave it to ours

    tensor: Tensor

    def __init__(self, tensor: Tensor):
        self.tensor = tensor

    def _compute(self, function: Callable[..., Tensor], *operands: Any) -> Self:
        """``function`` of the operands' tensors, as an array of this kind."""
        return self._of(function(*map(plain, operands)))

    def _of(self, tensor: Tensor) -> Self:
        """A computed tensor as an array of this kind (never as one of a subclass)."""
        raise NotImplementedError

    def _compare(self, relation: Callable[..., Tensor], other: Any) -> Any:
        """What ``==``, ``<``... give."""
        return self._compute(relation, self, other)

    # Arithmetic -----------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Self:
        return self._compute(operator.add, self, other)

    def __radd__(self, other: Any) -> Self:
        return self._compute(operator.add, other, self)

    def __sub__(self, other: Any) -> Self:
        return self._compute(operator.sub, self, other)

    def __rsub__(self, other: Any) -> Self:
        return self._compute(operator.sub, other, self)

    def __mul__(self, other: Any) -> Self:
        return self._compute(operator.mul, self, other)

    def __rmul__(self, other: Any) -> Self:
        return self._compute(operator.mul, other, self)

    def __truediv__(self, other: Any) -> Self:
        return self._compute(operator.truediv, self, other)

    def __rtruediv__(self, other: Any) -> Self:
        return self._compute(operator.truediv, other, self)

    def __matmul__(self, other: Any) -> Self:
        return self._compute(operator.matmul, self, other)

    def __pow__(self, other: Any) -> Self:
        return self._compute(operator.pow, self, other)

    def __neg__(self) -> Self:
        return self._compute(operator.neg, self)

    # Comparison: == gives an array, so equal arrays cannot be found in a set ----------------------

    def __eq__(self, other: Any) -> Any:
        return self._compare(operator.eq, other)

    def __ne__(self, other: Any) -> Any:
        return self._compare(operator.ne, other)

    def __lt__(self, other: Any) -> Any:
        return self._compare(operator.lt, other)

    def __le__(self, other: Any) -> Any:
        return self._compare(operator.le, other)

    def __gt__(self, other: Any) -> Any:
        return self._compare(operator.gt, other)

    def __ge__(self, other: Any) -> Any:
        return self._compare(operator.ge, other)

    __hash__ = object.__hash__

    # As a sequence and as a number ----------------------------------------------------------------

    def __getitem__(self, key: Any) -> Self:
        return self._compute(operator.getitem, self, key)

    def __len__(self) -> int:
        return len(self.tensor)

    def __iter__(self) -> Iterator[Self]:
        if not self.tensor.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.tensor)

    def __float__(self) -> float:
        return float(self.tensor)

    def __int__(self) -> int:
        return int(self.tensor)

    def __index__(self) -> int:
        return operator.index(self.tensor)

    def __format__(self, spec: str) -> str:
        return format(self.tensor.item(), spec) if spec else str(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.tensor.numpy(), dtype=dtype, copy=copy)
