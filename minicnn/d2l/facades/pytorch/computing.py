"""What PyTorch's tensors compute and how they change shape: names, arguments and defaults of torch.

``Tensor`` inherits ``Computing``. The engine computes; ``past`` is the name that PyTorch gives the
operation where it differs from the engine's.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minicnn import functions
from minicnn.device import on_device_of
from minicnn.kernels import is_host
from minicnn.names import axes, from_front
from minicnn.tensor import Tensor as EngineTensor

from ..arrays import Wrapped, plain
from .kinds import numpy_dtype
from .mistakes import call

if TYPE_CHECKING:
    from .tensor import Tensor

Dim = int | tuple[int, ...] | list[int] | None


class MaxAlong(NamedTuple):
    """What ``x.max(dim)`` returns."""

    values: Any
    indices: Any

    def __repr__(self) -> str:
        return (
            f"torch.return_types.{type(self).__name__[:3].lower()}(\n"
            f"values={self.values!r},\nindices={self.indices!r})"
        )


class MinAlong(MaxAlong):
    """What ``x.min(dim)`` returns."""

    __slots__ = ()


def _same(name: str, past: str | None = None) -> Callable[..., Tensor]:
    """The method that the engine's tensors have under this name too."""

    def method(self: Any, *arguments: Any, **options: Any) -> Tensor:
        return self._of(call(getattr(self.tensor, name), *plain(arguments), **options), past)

    method.__name__ = name
    method.__doc__ = getattr(EngineTensor, name).__doc__
    return method


def _operator(symbol: str) -> Callable[..., Tensor]:
    """``x.add(y)`` for ``x + y``, and so on."""

    def method(self: Any, other: Any) -> Tensor:
        return getattr(self, symbol)(other)

    return method


def _root(x: EngineTensor) -> EngineTensor:
    """The square root, whose gradient is 0 at 0 (``sqrt``'s is infinite there)."""
    zero = EngineTensor((x.data == 0).astype(x.dtype))
    return (x + zero).sqrt() - zero


def _product(name: str, *ranks: int) -> Callable[..., Tensor]:
    """A matrix product of tensors with these numbers of axes."""

    def method(self: Any, other: Any) -> Tensor:
        received = (self.tensor.ndim, plain(other).ndim)
        if received != ranks:
            raise RuntimeError(
                f"{name}: wanted tensors of {ranks[0]} and {ranks[1]} axes, received "
                f"{received[0]} and {received[1]}; torch.matmul takes any"
            )
        return self @ other

    return method


class Computing(Wrapped):
    """The methods that ``Tensor`` inherits."""

    __slots__ = ()

    exp, log, sqrt = _same("exp"), _same("log"), _same("sqrt")
    relu, sigmoid, tanh = _same("relu"), _same("sigmoid"), _same("tanh")
    reshape = _same("reshape")
    permute, t = _same("permute"), _same("t", "TBackward0")
    flatten, contiguous = _same("flatten"), _same("contiguous")
    squeeze, unsqueeze = (
        _same("squeeze", "SqueezeBackward0"),
        _same("unsqueeze", "UnsqueezeBackward0"),
    )
    clone, detach = _same("clone", "CloneBackward0"), _same("detach")
    add, sub, mul, div = map(_operator, ("__add__", "__sub__", "__mul__", "__truediv__"))
    pow, matmul, neg = _operator("__pow__"), _operator("__matmul__"), lambda self: -self
    mm, mv, dot = _product("mm", 2, 2), _product("mv", 2, 1), _product("dot", 1, 1)
    eq, ne, lt = _operator("__eq__"), _operator("__ne__"), _operator("__lt__")
    le, gt, ge = _operator("__le__"), _operator("__gt__"), _operator("__ge__")

    def _of(self, tensor: EngineTensor, past: str | None = None) -> Any:
        raise NotImplementedError

    def __rsub__(self, other: Any) -> Any:
        return self._reflected(operator.sub, other, "RsubBackward1")

    def __rtruediv__(self, other: Any) -> Any:
        return self._reflected(operator.truediv, other, "MulBackward0")

    def __rpow__(self, other: Any) -> Any:
        return self._reflected(operator.pow, other, "PowBackward2")

    def _reflected(self, function: Callable[..., Any], other: Any, past: str) -> Any:
        """What PyTorch computes for a number on the left."""
        return self._of(self._compute(function, other, self).tensor, past)

    def __rmatmul__(self, other: Any) -> Any:
        return self._compute(operator.matmul, other, self)

    def square(self) -> Any:
        """x**2, cell by cell."""
        return self**2

    def abs(self) -> Tensor:
        """|x|, cell by cell; its gradient is 0 at 0."""
        t = self.tensor
        if t.dtype.kind != "f" or not t.requires_grad:
            return self._of(EngineTensor(abs(t.data)))
        return self._of(t.relu() + (-t).relu(), "AbsBackward0")

    __abs__ = abs

    def softmax(self, dim: int) -> Tensor:
        """exp(x) / sum(exp(x)) over the axis ``dim``."""
        return self._of(call(self.tensor.softmax, dim=dim))

    def log_softmax(self, dim: int) -> Tensor:
        """x - log(sum(exp(x))) over the axis ``dim``."""
        from minicnn.nn.functional import log_softmax

        return self._of(call(log_softmax, self.tensor, dim))

    # Axes -----------------------------------------------------------------------------------------

    def view(self, *shape: Any) -> Tensor:
        """The same memory in another shape.

        Raises:
            RuntimeError: the cells do not lie in that order in memory.
        """
        result = self.reshape(*shape)
        old, new = self.tensor.data, result.tensor.data
        if is_host(old) and old.size and not np.may_share_memory(old, new):
            raise RuntimeError(
                "view: the cells do not lie in this order in memory (after transpose, T, ...); "
                "write x.reshape(...)"
            )
        return result

    def view_as(self, other: Tensor) -> Tensor:
        """The same memory in ``other``'s shape."""
        return self.view(other.shape)

    def reshape_as(self, other: Tensor) -> Tensor:
        """The same cells in ``other``'s shape."""
        return self.reshape(other.shape)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """The axes ``dim0`` and ``dim1`` exchanged. (NumPy's takes an order: ``permute``.)"""
        n = self.tensor.ndim
        a, b = (call(from_front, "transpose", "dim", dim, n) for dim in (dim0, dim1))
        order = list(range(n))
        order[a], order[b] = b, a
        return self._of(self.tensor.transpose(*order), "TransposeBackward0")

    @property
    def T(self) -> Tensor:  # noqa: N802 (PyTorch's name)
        """The axes reversed."""
        return self._of(self.tensor.T)

    @property
    def mT(self) -> Tensor:  # noqa: N802 (PyTorch's name)
        """The last two axes exchanged."""
        return self.transpose(-2, -1)

    # Reductions -----------------------------------------------------------------------------------

    def sum(
        self,
        dim: Dim = None,
        keepdim: bool = False,
        *,
        dtype: Any = None,
        axis: Dim = None,
        keepdims: bool = False,
    ) -> Tensor:
        """The sum over ``dim`` (one axis, several, or all), in ``dtype``; of integers in int64."""
        usual = self.tensor.dtype if self.tensor.dtype.kind == "f" else np.int64
        t = self.tensor.to(numpy_dtype(dtype) or usual)
        return self._of(call(t.sum, axes("sum", axis, dim), keepdim or keepdims))

    def mean(
        self,
        dim: Dim = None,
        keepdim: bool = False,
        *,
        dtype: Any = None,
        axis: Dim = None,
        keepdims: bool = False,
    ) -> Tensor:
        """The mean over ``dim`` (one axis, several, or all), in ``dtype``.

        Raises:
            RuntimeError: integers or booleans without a dtype.
        """
        t = self.tensor.to(numpy_dtype(dtype) or self.tensor.dtype)
        self._of(t)._check_fractions("mean")
        return self._of(call(t.mean, axes("mean", axis, dim), keepdim or keepdims))

    def var(
        self,
        dim: Any = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        axis: Dim = None,
        correction: int | None = None,
    ) -> Tensor:
        """The variance over ``dim``: squares about the mean, by their number less 1.

        Args:
            unbiased: False divides by their number; ``correction`` subtracts another number of it.
        """
        return self._of(
            self._variance("var", dim, unbiased, keepdim, axis, correction), "VarBackward0"
        )

    def std(
        self,
        dim: Any = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        axis: Dim = None,
        correction: int | None = None,
    ) -> Tensor:
        """The root of ``var``."""
        variance = self._variance("std", dim, unbiased, keepdim, axis, correction)
        return self._of(_root(variance), "StdBackward0")

    def _variance(
        self,
        function: str,
        dim: Any,
        unbiased: bool,
        keepdim: bool,
        axis: Dim,
        correction: int | None,
    ) -> EngineTensor:
        self._check_fractions(function)
        if isinstance(dim, bool):  # x.var(False)
            dim, unbiased = None, dim
        t, over = self.tensor, axes(function, axis, dim)
        from_mean = t - call(t.mean, over, True)
        squares = (from_mean * from_mean).sum(over, keepdim)
        count = t.size // max(1, squares.size)
        return squares / (count - (int(unbiased) if correction is None else correction))

    def norm(self, p: float = 2, dim: Dim = None, keepdim: bool = False) -> Tensor:
        """The root of the sum of squares over ``dim``; for ``p`` = 1 the sum of |x|."""
        self._check_fractions("norm")
        if p not in (1, 2, "fro"):
            raise ValueError(f"norm: p is {p!r}; wanted 1 or 2")
        t = self.abs().tensor if p == 1 else self.tensor * self.tensor
        total = call(t.sum, axes("norm", None, dim), keepdim)
        return self._of(total if p == 1 else _root(total), "LinalgVectorNormBackward0")

    def max(self, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> Tensor | MaxAlong:
        """The largest value; along an axis a pair (values, indices); with a tensor see ``maximum``.

        Equal values share the gradient equally; along an axis the first receives it all.
        """
        if isinstance(dim, Wrapped):
            return self.maximum(dim)
        along: Any = axes("max", axis, dim)
        if along is None:
            return self._of(call(self.tensor.max))
        values, indices = call(self.tensor.max, dim=along, keepdim=keepdim)
        return MaxAlong(self._of(values, "MaxBackward0"), self._of(indices))

    def min(self, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> Tensor | MaxAlong:
        """The smallest value, as ``max``."""
        if isinstance(dim, Wrapped):
            return self.minimum(dim)
        along: Any = axes("min", axis, dim)
        t = self.tensor
        t = t if t.dtype.kind == "f" else t.to(np.int64)
        if along is None:
            return self._of((-call((-t).max)).to(self.tensor.dtype), "MinBackward1")
        values, indices = call((-t).max, dim=along, keepdim=keepdim)
        values = self._of((-values).to(self.tensor.dtype), "MinBackward0")
        return MinAlong(values, self._of(indices))

    def maximum(self, other: Any) -> Tensor:
        """The larger of each two cells; equal ones share the gradient."""
        pair = functions.stack(self._broadcast(other))
        return self._of(pair.max(axis=0), "MaximumBackward0")

    def minimum(self, other: Any) -> Tensor:
        """The smaller of each two cells; equal ones share the gradient."""
        pair = functions.stack([-t for t in self._broadcast(other)])
        return self._of(-pair.max(axis=0), "MinimumBackward0")

    def _broadcast(self, other: Any) -> list[EngineTensor]:
        a, b = self.tensor, plain(other)
        if not isinstance(b, EngineTensor):
            raise TypeError(f"wanted a tensor, received {type(other).__name__}")
        if a.shape == b.shape:
            return [a, b]
        zeros = np.zeros(call(np.broadcast_shapes, a.shape, b.shape), np.float32)
        frame = EngineTensor(zeros, dtype=a.dtype, device=a.device)
        return [a + frame, call(b.__add__, frame)]

    def argmax(self, dim: int | None = None, keepdim: bool = False, *, axis: Any = None) -> Tensor:
        """Where the largest value stands; of equal ones the first."""
        return self._of(call(self.tensor.argmax, axes("argmax", axis, dim), keepdim))

    def argmin(self, dim: int | None = None, keepdim: bool = False, *, axis: Any = None) -> Tensor:
        """Where the smallest value stands; of equal ones the first."""
        return self._counted("argmin", axis=axes("argmin", axis, dim), keepdims=keepdim)

    def all(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """Whether all cells are true."""
        return self._counted("all", axis=dim, keepdims=keepdim)

    def any(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """Whether any cell is true."""
        return self._counted("any", axis=dim, keepdims=keepdim)

    def _counted(self, method: str, **options: Any) -> Tensor:
        """What NumPy's method gives for the cells alone: no gradient comes from it."""
        with on_device_of(self.tensor.data):
            return self._of(EngineTensor(call(getattr(self.tensor.data, method), **options)))

    def _check_fractions(self, function: str) -> None:
        if self.tensor.dtype.kind != "f":
            raise RuntimeError(
                f"{function}: this tensor is torch.{self.tensor.dtype}; wanted fractions: "
                f"x.float().{function}()"
            )
