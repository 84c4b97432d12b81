"""What tensors compute: operators, comparisons, functions of each cell, reductions.

``Tensor`` inherits ``Arithmetic``. The formulas and their derivatives stand in ``minicnn.ops``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, overload

from minicnn import names, ops
from minicnn.device import on_device_of
from minicnn.dtypes import check_same_device, check_same_dtype, in_one_dtype
from minicnn.formats import shown
from minicnn.kernels import Array
from minicnn.names import Axes

if TYPE_CHECKING:
    from minicnn.tensor import Tensor


class Arithmetic:
    """The operators and functions that ``Tensor`` inherits: ``self`` is always one.

    ``_apply`` applies an operation to the tensor, ``_operand`` makes a tensor of another operand.
    """

    __slots__ = ()

    def __add__(self: Any, other: Any) -> Tensor:
        return _binary(ops.Add, self, self._operand(other))

    def __radd__(self: Any, other: Any) -> Tensor:
        return _binary(ops.Add, self._operand(other), self)

    def __sub__(self: Any, other: Any) -> Tensor:
        return _binary(ops.Subtract, self, self._operand(other))

    def __rsub__(self: Any, other: Any) -> Tensor:
        return _binary(ops.Subtract, self._operand(other), self)

    def __mul__(self: Any, other: Any) -> Tensor:
        return _binary(ops.Multiply, self, self._operand(other))

    def __rmul__(self: Any, other: Any) -> Tensor:
        return _binary(ops.Multiply, self._operand(other), self)

    def __truediv__(self: Any, other: Any) -> Tensor:
        return _binary(ops.Divide, self, self._operand(other))

    def __rtruediv__(self: Any, other: Any) -> Tensor:
        return _binary(ops.Divide, self._operand(other), self)

    def __pow__(self: Any, other: Any) -> Tensor:
        return _binary(ops.Power, self, self._operand(other))

    def __rpow__(self: Any, other: Any) -> Tensor:
        return _binary(ops.Power, self._operand(other), self)

    def __matmul__(self: Any, other: Any) -> Tensor:
        return _matmul(self, self._operand(other))

    def __rmatmul__(self: Any, other: Any) -> Tensor:
        return _matmul(self._operand(other), self)

    def __neg__(self: Any) -> Tensor:
        return self._apply(ops.Negate())

    # Comparisons ----------------------------------------------------------------------------------

    __hash__ = object.__hash__  # == compares cells, the hash is the object's

    def __eq__(self: Any, other: object) -> Tensor:  # type: ignore[override]
        return _compare(operator.eq, self, other)

    def __ne__(self: Any, other: object) -> Tensor:  # type: ignore[override]
        return _compare(operator.ne, self, other)

    def __lt__(self: Any, other: Any) -> Tensor:
        return _compare(operator.lt, self, other)

    def __le__(self: Any, other: Any) -> Tensor:
        return _compare(operator.le, self, other)

    def __gt__(self: Any, other: Any) -> Tensor:
        return _compare(operator.gt, self, other)

    def __ge__(self: Any, other: Any) -> Tensor:
        return _compare(operator.ge, self, other)

    # Functions of each cell -----------------------------------------------------------------------

    def exp(self: Any) -> Tensor:
        """exp(x), cell by cell."""
        return self._floating()._apply(ops.Exp())

    def log(self: Any) -> Tensor:
        """The natural logarithm, cell by cell."""
        return self._floating()._apply(ops.Log())

    def sqrt(self: Any) -> Tensor:
        """The square root, cell by cell."""
        return self._floating()._apply(ops.Sqrt())

    def relu(self: Any) -> Tensor:
        """max(x, 0), cell by cell."""
        return self._apply(ops.ReLU())

    def sigmoid(self: Any) -> Tensor:
        """1 / (1 + exp(-x)), cell by cell."""
        return self._floating()._apply(ops.Sigmoid())

    def tanh(self: Any) -> Tensor:
        """The hyperbolic tangent, cell by cell."""
        return self._floating()._apply(ops.Tanh())

    def softmax(self: Any, axis: int = -1, *, dim: int | None = None) -> Tensor:
        """exp(x) / sum(exp(x)) over ``axis``."""
        return self._floating()._apply(ops.Softmax(axis if dim is None else dim))

    # Reductions -----------------------------------------------------------------------------------

    def sum(
        self: Any,
        axis: Axes = None,
        keepdims: bool = False,
        *,
        dim: Axes = None,
        keepdim: bool = False,
    ) -> Tensor:
        """The sum over ``axis`` (one, several, or all). Booleans are counted."""
        return self._apply(ops.Sum(names.axes("sum", axis, dim), keepdims or keepdim))

    def mean(
        self: Any,
        axis: Axes = None,
        keepdims: bool = False,
        *,
        dim: Axes = None,
        keepdim: bool = False,
    ) -> Tensor:
        """The mean over ``axis`` (one, several, or all); float32 for integers and booleans."""
        operation = ops.Mean(names.axes("mean", axis, dim), keepdims or keepdim)
        return self._floating()._apply(operation)

    @overload
    def max(
        self, axis: Axes = None, keepdims: bool = False, *, keepdim: bool = False
    ) -> Tensor: ...
    @overload
    def max(self, *, dim: int, keepdims: bool = False, keepdim: bool = False) -> names.Largest: ...
    def max(
        self: Any,
        axis: Axes = None,
        keepdims: bool = False,
        *,
        dim: int | None = None,
        keepdim: bool = False,
    ) -> Tensor | names.Largest:
        """The largest values over ``axis``; equal ones share the gradient equally.

        With ``dim`` instead of ``axis`` as in PyTorch: a pair ``(values, indices)``, and of equal
        values the first alone receives the gradient.
        """
        axis = names.axes("max", axis, dim)
        if dim is not None:
            return names.largest(self, dim, keepdims or keepdim)
        return self._apply(ops.Max(axis, keepdims or keepdim))

    def argmax(
        self: Any,
        axis: int | None = None,
        keepdims: bool = False,
        *,
        dim: int | None = None,
        keepdim: bool = False,
    ) -> Tensor:
        """Where the largest value stands along ``axis``, int64; of equal ones the first."""
        along = names.axes("argmax", axis, dim)
        if isinstance(along, tuple):
            raise TypeError(f"argmax: the axis (dim) is {shown(along)}; wanted an integer or None")
        with on_device_of(self.data):
            return self._of_array(self.data.argmax(axis=along, keepdims=keepdims or keepdim))


def _binary(operation: type[ops.Operation], a: Tensor, b: Tensor) -> Tensor:
    a, b = in_one_dtype(operation.__name__.lower(), a, b)
    if operation is ops.Divide:
        a, b = a._floating(), b._floating()
    return a._apply(operation(), b)


def _matmul(a: Tensor, b: Tensor) -> Tensor:
    check_same_dtype("matmul", a=a, b=b)
    rows = b.shape[-2 if b.ndim > 1 else -1] if b.ndim else None
    if a.ndim == 0 or a.shape[-1] != rows:
        raise ValueError(
            f"matmul: shapes {a.shape} and {b.shape} do not fit; wanted (..., M, K) @ (..., K, N)"
        )
    return a._apply(ops.MatMul(), b)


def _compare(relation: Callable[[Array, Array], Array], a: Any, b: Any) -> Tensor:
    if b is None or isinstance(b, str):
        return NotImplemented
    if _is_tensor(b):
        check_same_device(relation.__name__, (a, b))
        b = b.data
    with on_device_of(a.data):
        return a._of_array(relation(a.data, b))


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Arithmetic)
