"""mxnet.np.ndarray: the second edition's arrays, which behave as NumPy's.

Numbers without a dtype are float32; a comparison gives booleans, ``argmax`` int64, a sum of all
cells has no axes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as onp

from minicnn.d2l.facades.arrays import Wrapped
from minicnn.tensor import Tensor

from . import functions
from .arrays import Array
from .context import Context, MXNetError
from .mistakes import OF_NP
from .nd_arrays import NDArray

OF_ONE_DTYPE = ("eq", "ne", "lt", "le", "gt", "ge", "maximum", "minimum")


class ndarray(Array):  # noqa: N801 (MXNet's name)
    """An array of the second edition."""

    __slots__ = ()
    __module__ = "mxnet.numpy"
    kind, others = "np.ndarray", OF_NP

    def _check_operands(self, function: Callable[..., Any], operands: tuple[Any, ...]) -> None:
        super()._check_operands(function, operands)
        if function.__name__ in OF_ONE_DTYPE:
            for other in operands:
                if isinstance(other, Wrapped) and other.tensor.dtype != self.tensor.dtype:
                    raise MXNetError(
                        f"{function.__name__}: the operands are {self.tensor.dtype} and "
                        f"{other.tensor.dtype}; write X.astype(Y.dtype)"
                    )

    def _compare(self, relation: Callable[..., Tensor], other: Any) -> Any:
        if other is None or isinstance(other, str):
            return NotImplemented
        return self._compute(relation, self, other)

    def __repr__(self) -> str:
        cells, dtype = self.tensor.numpy(), self.tensor.dtype
        text = onp.array2string(cells, separator=", ", prefix="array(")
        text += "" if dtype in (onp.float32, onp.bool_) else f", dtype={dtype}"
        return f"array({text}" + ("" if self.tensor.device == "cpu" else f", ctx={self.ctx}") + ")"

    def __str__(self) -> str:
        return str(self.tensor.numpy())

    @property
    def dtype(self) -> onp.dtype[Any]:
        """The type of the cells."""
        return self.tensor.dtype

    @property
    def ctx(self) -> Context:
        """Where it lies."""
        return self.context

    def as_in_ctx(self, ctx: Context) -> ndarray:
        """The same numbers in a context; itself if it is there already."""
        return self.as_in_context(ctx)

    def item(self) -> float | int | bool:
        """The only cell, as Python's number.

        Raises:
            ValueError: not one cell.
        """
        return self.tensor.item()

    def tolist(self) -> Any:
        """The cells as Python's numbers, in nested lists."""
        return self.tensor.tolist()

    def as_nd_ndarray(self) -> NDArray:
        """The same numbers as an array of the first edition."""
        return NDArray(self.tensor)

    # Reductions -----------------------------------------------------------------------------------

    def sum(self, axis: Any = None, keepdims: bool = False) -> ndarray:
        """The sum over ``axis``, or of all cells; booleans are counted."""
        return self._recorded(lambda x: functions.total(x, axis, keepdims), self)

    def mean(self, axis: Any = None, keepdims: bool = False) -> ndarray:
        """The mean over ``axis``, or of all cells."""
        return self._recorded(lambda x: x.mean(axis, keepdims), self)

    def max(self, axis: Any = None, keepdims: bool = False) -> ndarray:
        """The largest cells over ``axis``; each of equal ones receives the whole gradient."""
        return self._recorded(lambda x: functions.largest(x, axis, keepdims), self)

    def min(self, axis: Any = None, keepdims: bool = False) -> ndarray:
        """The smallest cells over ``axis``."""
        return self._recorded(lambda x: functions.smallest(x, axis, keepdims), self)

    def std(self, axis: Any = None, keepdims: bool = False) -> ndarray:
        """The root of the mean square of what the mean leaves; its gradient at 0 is 0."""
        rest = self - self.mean(axis, True)
        spread = (rest * rest).mean(axis, keepdims)
        return spread._recorded(functions.root, spread)

    def argmax(self, axis: int | None = None) -> ndarray:
        """Where the largest cell stands along ``axis``, int64."""
        return self._recorded(lambda x: x.argmax(axis), self)

    def argmin(self, axis: int | None = None) -> ndarray:
        """Where the smallest cell stands along ``axis``, int64."""
        return self._recorded(lambda x: functions.where_smallest(x, axis), self)

    def cumsum(self, axis: int | None = None) -> ndarray:
        """The sums of the first cell, the first two, and so on; without gradients."""
        return self._unrecorded("np.cumsum", lambda x: onp.cumsum(x, axis))

    # Shapes and products --------------------------------------------------------------------------

    def reshape(self, *shape: Any) -> ndarray:
        """A copy of the cells in another shape, of which one axis may be -1."""
        return self._recorded(lambda x: functions.own(x.reshape(*shape)), self)

    def flatten(self) -> ndarray:
        """A copy of all cells in one axis."""
        return self.reshape(-1)

    def dot(self, b: ndarray) -> ndarray:
        """The matrix product; over b's last axis but one, if it has more than two.

        With a number: the product of each cell.
        """
        if self.ndim == 0 or b.ndim == 0:
            return self * b
        return self._compute(functions.dot, self, b, -2)
