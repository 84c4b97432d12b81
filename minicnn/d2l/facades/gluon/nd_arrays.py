"""mxnet.nd: the first edition's arrays.

Every array has at least one axis; a comparison gives 0 and 1 in the array's dtype, ``argmax``
too gives numbers of this dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.d2l.facades.arrays import Wrapped, plain
from minicnn.tensor import Tensor

from . import functions
from .arrays import Array
from .context import MXNetError
from .mistakes import OF_ND


class NDArray(Array):
    """An array of the first edition."""

    __slots__ = ()
    __module__ = "mxnet.ndarray.ndarray"
    kind, others = "NDArray", OF_ND

    def _check_operands(self, function: Callable[..., Any], operands: tuple[Any, ...]) -> None:
        super()._check_operands(function, operands)
        for other in operands:
            if isinstance(other, Wrapped) and other.tensor.dtype != self.tensor.dtype:
                dtypes = f"{self.tensor.dtype} and {other.tensor.dtype}"
                raise MXNetError(
                    f"{function.__name__}: the operands are {dtypes}; write Y.astype('float32') "
                    "for that of integers"
                )
        if function.__name__ == "truediv" and self.tensor.dtype.kind in "iu":
            raise TypeError(
                f"truediv: {self.tensor.dtype} cells, of whose quotients MXNet cuts the fraction "
                "off; write X.astype('float32') first"
            )

    def _of(self, tensor: Tensor) -> NDArray:
        return NDArray(tensor if tensor.ndim else tensor.reshape(1))

    def _compare(self, relation: Callable[..., Tensor], other: Any) -> Any:
        if other is None or isinstance(other, str):
            return NotImplemented
        dtype = self.tensor.dtype
        return self._compute(_named(relation, lambda a, b: relation(a, b).to(dtype)), self, other)

    def __matmul__(self, other: Any) -> Any:
        raise TypeError("@ is not there for NDArray; write nd.dot(X, Y)")

    def __float__(self) -> float:
        raise TypeError("float(X) is not there for NDArray; write X.asscalar()")

    def __int__(self) -> int:
        raise TypeError(
            "int(X) is not there for NDArray; write int(X.asscalar()), or for many X.asnumpy()"
        )

    def __index__(self) -> int:
        raise TypeError("an NDArray is no index here; write int(X.asscalar())")

    def __format__(self, spec: str) -> str:
        if spec:
            raise TypeError(f"{{:{spec}}} does not print an NDArray; write X.asscalar()")
        return str(self)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.shape))
        return f"\n{self.tensor.numpy()}\n<NDArray {shape} @{self.context}>"

    @property
    def dtype(self) -> type:
        """The type of the cells, as NumPy's class."""
        return self.tensor.dtype.type

    def asscalar(self) -> Any:
        """The only cell, as NumPy's scalar.

        Raises:
            ValueError: not one cell.
        """
        if self.tensor.size != 1:
            raise ValueError(
                f"asscalar: the array has shape {self.shape}; wanted one cell: X.sum().asscalar()"
            )
        return self.tensor.numpy().reshape(())[()]

    # Reductions -----------------------------------------------------------------------------------

    def sum(self, axis: Any = None, keepdims: bool = False) -> NDArray:
        """The sum over ``axis``, or of all cells: shape (1,)."""
        return self._recorded(lambda x: functions.total(x, axis, keepdims), self)

    def mean(self, axis: Any = None, keepdims: bool = False) -> NDArray:
        """The mean over ``axis``, or of all cells: shape (1,)."""
        return self._recorded(lambda x: x.mean(axis, keepdims).to(x.dtype), self)

    def max(self, axis: Any = None, keepdims: bool = False) -> NDArray:
        """The largest cells over ``axis``; each of equal ones receives the whole gradient."""
        return self._recorded(lambda x: functions.largest(x, axis, keepdims), self)

    def min(self, axis: Any = None, keepdims: bool = False) -> NDArray:
        """The smallest cells over ``axis``."""
        return self._recorded(lambda x: functions.smallest(x, axis, keepdims), self)

    def norm(self) -> NDArray:
        """The root of the sum of squares."""
        return self._recorded(functions.norm, self)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> NDArray:
        """Where the largest cell stands along ``axis``, in the array's dtype."""
        return self._recorded(lambda x: x.argmax(axis, keepdims).to(x.dtype), self)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> NDArray:
        """Where the smallest cell stands along ``axis``, in the array's dtype."""
        return self._recorded(
            lambda x: functions.where_smallest(x, axis, keepdims).to(x.dtype), self
        )

    # Shapes ---------------------------------------------------------------------------------------

    def reshape(self, *shape: Any, **named: Any) -> NDArray:
        """A view in another shape: 0 keeps the length of this axis, -1 is what remains.

        Raises:
            ValueError: MXNet's other codes, -2 to -4.
        """
        wanted = named.pop("shape", None) or shape
        wanted = wanted[0] if len(wanted) == 1 and isinstance(wanted[0], tuple | list) else wanted
        if named or min(wanted, default=0) < -1:
            raise ValueError(f"reshape: shape is {wanted}; wanted lengths, 0 or -1")
        sizes = [self.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
        return self._recorded(lambda x: x.reshape(*sizes), self)

    def flatten(self) -> NDArray:
        """(N, ...) as (N, all the rest), a copy."""
        return self.reshape(len(self), -1).copy()

    def broadcast_to(self, shape: tuple[int, ...]) -> NDArray:
        """The same cells again and again, in this shape."""
        return self + self._filled(0, shape)

    def take(self, indices: NDArray) -> NDArray:
        """The slices at ``indices`` of the first axis."""
        return self[indices]

    def zeros_like(self) -> NDArray:
        """Zeros of this shape and dtype."""
        return self._filled(0, self.shape)

    def ones_like(self) -> NDArray:
        """Ones of this shape and dtype."""
        return self._filled(1, self.shape)

    def _filled(self, value: float, shape: tuple[int, ...]) -> NDArray:
        cells = np.full(shape, value, self.tensor.dtype)
        return NDArray(Tensor(cells, device=self.tensor.device))


def _named(like: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    function.__name__ = like.__name__
    return function


def _method(name: str, function: Callable[..., Tensor]) -> Callable[..., NDArray]:
    """``function`` of tensors as a method."""

    def method(self: NDArray, *arguments: Any, **options: Any) -> NDArray:
        return self._recorded(lambda x: function(x, *map(plain, arguments), **options), self)

    method.__name__, method.__doc__ = name, function.__doc__
    return method


# Of each cell; as methods and as functions of the module.
CELLS: dict[str, Callable[..., Tensor]] = {
    "exp": Tensor.exp,
    "log": Tensor.log,
    "sqrt": Tensor.sqrt,
    "relu": Tensor.relu,
    "sigmoid": Tensor.sigmoid,
    "tanh": Tensor.tanh,
    "abs": functions.absolute,
    "square": functions.square,
    "softmax": Tensor.softmax,
    "log_softmax": functions.log_softmax,
    "clip": functions.clip,
}
for _name, _function in CELLS.items():
    setattr(NDArray, _name, _method(_name, _function))
