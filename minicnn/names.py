"""PyTorch's names for what a tensor does here under NumPy's.

A tensor's methods have NumPy's names: ``reshape``, ``transpose``, ``axis``. Whoever knows PyTorch
types others without thinking, and a program that stops at ``x.view`` teaches nothing. The rule for
what is here: PyTorch's name for something that ``Tensor`` can do already, written with its methods.
Nothing is computed here, and what the engine cannot do has no name here.

    view, view_as, squeeze, unsqueeze, contiguous    reshape
    permute, t                                       transpose
    float, double, int, long, bool, cpu, cuda        to
    eq, ne, lt, le, gt, ge                           ==, !=, <, <=, >, >=
    dim(), size(), numel(), tolist()                 ndim, shape, size, numpy()
    dim=, keepdim=                                   axis=, keepdims=

``Tensor`` inherits ``Names``; functions of the same kind (``minicnn.zeros``) are in ``functions``.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Sequence
from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from minicnn.checks import check_integer
from minicnn.formats import shown

if TYPE_CHECKING:
    from minicnn.tensor import Tensor

Axes = int | tuple[int, ...] | None


class Size(int):
    """The number of cells: ``x.size``. Called, the lengths of the axes, as PyTorch's ``x.size()``.

    It is an ``int`` in everything else.
    """

    shape: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], cells: int) -> Size:
        """That of a tensor of this shape."""
        size = cls(cells)
        size.shape = shape
        return size

    @overload
    def __call__(self) -> tuple[int, ...]: ...
    @overload
    def __call__(self, dim: int) -> int: ...
    def __call__(self, dim: int | None = None) -> tuple[int, ...] | int:
        if dim is None:
            return self.shape
        return self.shape[from_front("size", "dim", dim, len(self.shape))]


class Largest(NamedTuple):
    """What ``x.max(dim=...)`` returns."""

    values: Tensor
    indices: Tensor


class Names:
    """The names that ``Tensor`` inherits: ``self`` is always one."""

    __slots__ = ()

    def view(self: Any, *shape: Any) -> Tensor:
        """The same cells in another shape, as ``reshape`` (and like it a copy where it must be)."""
        return self.reshape(*shape)

    def view_as(self: Any, other: Tensor) -> Tensor:
        """The same cells in ``other``'s shape."""
        if not hasattr(other, "shape"):
            raise TypeError(f"view_as: other is of type {type(other).__name__}; wanted a tensor")
        return self.reshape(other.shape)

    def permute(self: Any, *dims: Any) -> Tensor:
        """The axes in the order ``dims``."""
        return self.transpose(*dims)

    def t(self: Any) -> Tensor:
        """A matrix turned over, as ``T``; a vector or a number as it is.

        Raises:
            ValueError: more than two axes.
        """
        if self.ndim > 2:
            raise ValueError(f"t: this tensor has shape {self.shape}; wanted at most 2 axes")
        return self.T

    def unsqueeze(self: Any, dim: int) -> Tensor:
        """With one more axis, of length 1, which becomes axis ``dim``."""
        dim = from_front("unsqueeze", "dim", dim, self.ndim + 1)
        return self.reshape(*self.shape[:dim], 1, *self.shape[dim:])

    def squeeze(self: Any, dim: int | Sequence[int] | None = None) -> Tensor:
        """Without all axes of length 1, or without those in ``dim`` that have length 1."""
        dims = range(self.ndim) if dim is None else one_tuple((dim,))
        gone = {from_front("squeeze", "dim", d, max(1, self.ndim)) for d in dims}
        shape = [n for d, n in enumerate(self.shape) if n != 1 or d not in gone]
        return self.reshape(shape)

    def contiguous(self: Any) -> Tensor:
        """The same cells, one after the other in memory; itself if they are."""
        return self if self.data.flags.c_contiguous else self.reshape(-1).reshape(self.shape)

    def dim(self: Any) -> int:
        """The number of axes."""
        return self.ndim

    def numel(self: Any) -> int:
        """The number of cells."""
        return int(self.size)

    def tolist(self: Any) -> Any:
        """The cells as Python numbers, in nested lists."""
        return self.numpy().tolist()

    def requires_grad_(self: Any, requires_grad: builtins.bool = True) -> Tensor:
        """Set ``requires_grad``, and return this tensor."""
        self.requires_grad = requires_grad
        return self

    def eq(self: Any, other: Any) -> Tensor:
        """Whether each cell equals ``other``'s."""
        return self == other

    def ne(self: Any, other: Any) -> Tensor:
        """Whether each cell differs from ``other``'s."""
        return self != other

    def lt(self: Any, other: Any) -> Tensor:
        """Whether each cell is less than ``other``'s."""
        return self < other

    def le(self: Any, other: Any) -> Tensor:
        """Whether each cell is at most ``other``'s."""
        return self <= other

    def gt(self: Any, other: Any) -> Tensor:
        """Whether each cell is greater than ``other``'s."""
        return self > other

    def ge(self: Any, other: Any) -> Tensor:
        """Whether each cell is at least ``other``'s."""
        return self >= other

    def cpu(self: Any) -> Tensor:
        """On the CPU."""
        return self.to("cpu")

    def cuda(self: Any) -> Tensor:
        """On the first GPU."""
        return self.to("gpu")

    def double(self: Any) -> Tensor:
        """In float64."""
        return self.to(np.float64)

    def long(self: Any) -> Tensor:
        """In int64."""
        return self.to(np.int64)

    # Last: from here on, float, bool and int mean these methods in the class.

    def float(self: Any) -> Tensor:
        """In float32."""
        return self.to(np.float32)

    def bool(self: Any) -> Tensor:
        """In booleans: whether each cell differs from 0."""
        return self.to(np.bool_)

    def int(self: Any) -> Tensor:
        """In int32."""
        return self.to(np.int32)


# Arguments ----------------------------------------------------------------------------------------


def axes(function: str, axis: Axes | list[int], dim: Axes | list[int]) -> Axes:
    """What ``function`` reduces over: NumPy's ``axis`` or PyTorch's ``dim``; a list as a tuple.

    Raises:
        TypeError: both, or no integers.
    """
    if axis is not None and dim is not None:
        raise TypeError(f"{function}: received axis {axis} and dim {dim}, two names of one thing")
    name, chosen = ("axis", axis) if dim is None else ("dim", dim)
    if chosen is None:
        return None
    for one in chosen if isinstance(chosen, list | tuple) else [chosen]:
        check_integer(f"{function}: {name}", one)
    return tuple(chosen) if isinstance(chosen, list) else chosen


def largest(x: Tensor, dim: int, keepdim: bool) -> Largest:
    """The largest values along ``dim``, and where the first of each stands.

    The gradient goes to that one cell. (``ops.Max`` shares it among equal ones.)
    """
    if x.ndim == 0:  # PyTorch lets it have an axis 0 here
        return largest(x.reshape(1), dim, keepdim=False)
    along = from_front("max", "dim", dim, x.ndim)
    indices = x.argmax(along, keepdims=True)
    places: list[Any] = list(np.ogrid[tuple(slice(n) for n in x.shape)])
    places[along] = indices
    both = Largest(x[tuple(places)], indices)
    return both if keepdim else Largest(*(part.squeeze(along) for part in both))


def from_front(function: str, name: str, dim: int, ndim: int) -> int:
    """``dim`` counted from the front: -1 is the last of ``ndim`` axes.

    Raises:
        AxisError (an IndexError, as PyTorch's, and a ValueError): there is no such axis.
        TypeError: not an integer.
    """
    check_integer(f"{function}: {name}", dim)
    place = index(dim)
    if not -ndim <= place < ndim:
        wanted = f"wanted {-ndim} to {ndim - 1}" if ndim else "a 0-d tensor has no axes"
        raise np.exceptions.AxisError(f"{function}: {name} is {dim}; {wanted}")
    return place % ndim


def size_of(shape: tuple[Any, ...], size: Any) -> tuple[Any, ...]:
    """The axes of a new tensor, of ``shape`` or, where that is empty, of ``size``.

    Raises:
        TypeError: no integers.
        ValueError: a negative one, or one that no array can have.
    """
    axes = one_tuple(shape or (size,))
    for axis in axes:
        check_integer("size: an axis", axis, 0)
        if axis > sys.maxsize:
            raise ValueError(f"size: an axis is {shown(axis)}; wanted at most {sys.maxsize}")
    return axes


def one_tuple(sizes: tuple[Any, ...]) -> tuple[Any, ...]:
    """(2, 3) from f(2, 3) as from f((2, 3))."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], list | tuple) else sizes
