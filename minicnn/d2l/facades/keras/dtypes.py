"""Dtypes and shapes, as TensorFlow's objects print and compare."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

NAMES = (
    "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "bool",
)  # fmt: skip


class DType:
    """``tf.float32`` and the others: equal to their name and to NumPy's type."""

    __slots__ = ("as_numpy_dtype", "name")

    def __init__(self, name: str):
        self.name = name
        self.as_numpy_dtype = np.dtype(name).type

    @property
    def is_floating(self) -> bool:
        """Whether it has fractions, and so gradients."""
        return self.name.startswith("float")

    @property
    def is_integer(self) -> bool:
        """Whether it counts."""
        return "int" in self.name

    def __eq__(self, other: object) -> bool:
        try:
            return as_dtype(other) is self
        except TypeError:
            return False

    def __hash__(self) -> int:
        return hash(self.name)

    def __str__(self) -> str:
        return f"<dtype: {self.name!r}>"

    def __repr__(self) -> str:
        return f"tf.{self.name}"


DTYPES = {name: DType(name) for name in NAMES}


def as_dtype(dtype: Any) -> DType:
    """TensorFlow's object of a name, a NumPy dtype or a Python type.

    Raises:
        TypeError: none of those that the engine computes with.
    """
    if isinstance(dtype, DType):
        return dtype
    try:
        name = "float32" if dtype is float else np.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    if dtype is None or name not in DTYPES:
        raise TypeError(
            f"Cannot convert value {dtype!r} to a TensorFlow DType; minicnn has "
            + ", ".join(f"tf.{name}" for name in NAMES)
        )
    return DTYPES[name]


class TensorShape(tuple[int | None, ...]):
    """The length of each axis; prints as ``(2, 3)``. None is a length that is not known yet."""

    __slots__ = ()

    def __new__(cls, dims: Iterable[int | None] = ()) -> TensorShape:
        return super().__new__(cls, dims)

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self)

    ndims = rank

    def as_list(self) -> list[int | None]:
        """The lengths as a list."""
        return list(self)

    def num_elements(self) -> int | None:
        """The number of cells; None where a length is not known."""
        return None if None in self else math.prod(d for d in self if d is not None)

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        return TensorShape(part) if isinstance(key, slice) else part

    def __add__(self, other: Any) -> TensorShape:
        return TensorShape((*self, *other))

    def __radd__(self, other: Any) -> TensorShape:
        return TensorShape((*other, *self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple | list) and tuple(self) == tuple(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __str__(self) -> str:
        return f"({', '.join(map(str, self))}{',' if len(self) == 1 else ''})"

    def __repr__(self) -> str:
        return f"TensorShape([{', '.join(map(str, self))}])"
