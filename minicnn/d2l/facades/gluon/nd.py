"""mxnet.nd: functions that make and compute the first edition's arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import random as draws
from minicnn.tensor import Tensor

from . import functions
from .arrays import Array
from .context import Context, MXNetError, device_of
from .nd_arrays import CELLS, NDArray

Shape = int | tuple[int, ...]

# Making arrays ------------------------------------------------------------------------------------


def array(source: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """An array with a copy of ``source``: float32, whatever NumPy's array is; an NDArray's dtype
    is kept.
    """
    if dtype is None:
        dtype = source.dtype if isinstance(source, NDArray) else np.float32
    cells = np.array(source.asnumpy() if isinstance(source, Array) else source, dtype=dtype)
    return NDArray(Tensor(cells, device=device_of(ctx)))


def full(shape: Shape, val: float, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """``val`` everywhere, by default float32.

    Raises:
        MXNetError: a shape without cells, which MXNet does not have; a GPU that is not there.
    """
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if not sizes or math.prod(sizes) == 0:
        raise MXNetError(f"shape is {shape}; wanted a cell at least, as (1,): an NDArray has axes")
    return array(np.full(sizes, val), ctx, np.float32 if dtype is None else dtype)


def zeros(shape: Shape, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """Zeros, by default float32."""
    return full(shape, 0, ctx, dtype)


def ones(shape: Shape, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """Ones, by default float32."""
    return full(shape, 1, ctx, dtype)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    *,
    ctx: Any = None,
    dtype: Any = None,
) -> NDArray:
    """start, start + step... before stop; ``arange(n)``: 0 to n - 1. By default float32."""
    start, stop = (0, start) if stop is None else (start, stop)
    return array(np.arange(start, stop, step), ctx, dtype)


def linspace(start: float, stop: float, num: int, ctx: Any = None, dtype: Any = None) -> NDArray:
    """``num`` numbers in equal steps from ``start`` to ``stop``."""
    return array(np.linspace(start, stop, num), ctx, dtype)


def eye(N: int, M: int = 0, ctx: Any = None, dtype: Any = None) -> NDArray:  # noqa: N803
    """Ones on the diagonal."""
    return array(np.eye(N, M or N), ctx, dtype)


# Functions of arrays ------------------------------------------------------------------------------


def _function(method: str) -> Callable[..., NDArray]:
    """``nd.sum(X, axis=0)`` for ``X.sum(axis=0)``."""

    def function(data: NDArray, *arguments: Any, **options: Any) -> NDArray:
        if not isinstance(data, NDArray):
            raise TypeError(f"nd.{method}: data is {type(data).__name__}; wanted an NDArray")
        return getattr(data, method)(*arguments, **options)

    function.__name__ = method
    return function


def reshape(data: NDArray, shape: tuple[int, ...]) -> NDArray:
    """A copy of the cells in another shape (``X.reshape`` is a view): see there."""
    return data.copy().reshape(shape)


def dot(lhs: NDArray, rhs: NDArray) -> NDArray:
    """The matrix product; of two vectors the sum of products, shape (1,).

    If ``rhs`` has more than two axes, the products are summed over its first.
    """
    return lhs._compute(functions.dot, lhs, rhs, 0)


def concat(*data: NDArray, dim: int = 1) -> NDArray:
    """Arrays joined along ``dim``: by default the second axis, the channels."""
    return data[0]._recorded(lambda parts: functions.concatenate(parts, dim), list(data))


def concatenate(arrays: list[NDArray], axis: int = 0) -> NDArray:
    """Arrays joined along ``axis``."""
    return concat(*arrays, dim=axis)


def stack(*data: NDArray, axis: int = 0) -> NDArray:
    """Arrays of one shape as the slices of a new axis."""
    return data[0]._recorded(lambda parts: functions.stack(parts, axis), list(data))


def add_n(*args: NDArray) -> NDArray:
    """The sum of several arrays."""
    return args[0]._recorded(functions.sum_of, list(args))


def pick(data: NDArray, index: NDArray) -> NDArray:
    """data[i, index[i]] for each row i."""
    return data._recorded(functions.pick, data, index)


def one_hot(indices: NDArray, depth: int) -> NDArray:
    """A row for each index: 1 at this place, otherwise 0."""
    return indices._recorded(functions.one_hot, indices, depth)


def maximum(lhs: NDArray, rhs: Any) -> NDArray:
    """The larger of two cells; ``rhs`` an array or a number."""
    return lhs._compute(functions.maximum, lhs, rhs)


def minimum(lhs: NDArray, rhs: Any) -> NDArray:
    """The smaller of two cells; ``rhs`` an array or a number."""
    return lhs._compute(functions.minimum, lhs, rhs)


def waitall() -> None:
    """Nothing to wait for: what is computed is there."""


# Random numbers -----------------------------------------------------------------------------------


def uniform(
    low: float = 0, high: float = 1, shape: Shape = (1,), dtype: Any = None, ctx: Any = None
) -> NDArray:
    """Uniform in [low, high)."""
    return array(draws.default_generator().uniform(low, high, shape), ctx, dtype)


def normal(
    loc: float = 0, scale: float = 1, shape: Shape = (1,), dtype: Any = None, ctx: Any = None
) -> NDArray:
    """Normal with mean ``loc`` and standard deviation ``scale``."""
    return array(draws.default_generator().normal(loc, scale, shape), ctx, dtype)


def randint(
    low: int, high: int, shape: Shape = (1,), dtype: Any = None, ctx: Any = None
) -> NDArray:
    """Integers from ``low`` to ``high`` - 1, int32."""
    drawn = draws.default_generator().integers(low, high, shape)
    return array(drawn, ctx, np.int32 if dtype is None else dtype)


def shuffle(data: NDArray) -> NDArray:
    """The slices of the first axis in another order, as a new array."""
    return data[draws.default_generator().permutation(len(data))]


RANDOM = {"uniform": uniform, "normal": normal, "randint": randint, "shuffle": shuffle}
METHODS = [
    "sum", "mean", "max", "min", "norm", "argmax", "argmin", "flatten", "transpose",
    "expand_dims", "squeeze", "swapaxes", "broadcast_to", "take", "zeros_like", "ones_like",
    *CELLS,
]  # fmt: skip
NAMES: dict[str, Any] = {
    "NDArray": NDArray,
    **{
        f.__name__: f
        for f in (
            array, full, zeros, ones, arange, linspace, eye, reshape, dot, concat,
            concatenate, stack, add_n, pick, one_hot, maximum, minimum, waitall, shuffle,
        )
    },
    **{method: _function(method) for method in METHODS},
    "random_uniform": uniform,
    "random_normal": normal,
}  # fmt: skip
