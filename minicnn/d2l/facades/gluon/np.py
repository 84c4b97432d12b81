"""mxnet.np: functions that make and compute the second edition's arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as onp

from minicnn import random as draws
from minicnn.d2l.facades.arrays import plain
from minicnn.tensor import Tensor

from . import functions
from .arrays import Array, as_numpy
from .context import Context, device_of
from .np_arrays import ndarray

# Making arrays ------------------------------------------------------------------------------------


def array(object: Any, dtype: Any = None, ctx: Context | None = None) -> ndarray:
    """An array with a copy of ``object``: lists become float32, arrays keep their dtype."""
    if dtype is None:
        dtype = object.dtype if isinstance(object, onp.ndarray | Array) else onp.float32
    cells = onp.array(as_numpy(object), dtype=dtype)
    return ndarray(Tensor(cells, device=device_of(ctx)))


def zeros(shape: Any, dtype: Any = None, ctx: Context | None = None) -> ndarray:
    """Zeros, by default float32."""
    return full(shape, 0, dtype, ctx=ctx)


def ones(shape: Any, dtype: Any = None, ctx: Context | None = None) -> ndarray:
    """Ones, by default float32."""
    return full(shape, 1, dtype, ctx=ctx)


def full(shape: Any, fill_value: float, dtype: Any = None, ctx: Context | None = None) -> ndarray:
    """``fill_value`` everywhere, by default float32."""
    return array(onp.full(shape, fill_value), dtype or onp.float32, ctx)


def zeros_like(a: ndarray) -> ndarray:
    """Zeros of its shape and dtype."""
    return zeros(a.shape, a.dtype, a.ctx)


def ones_like(a: ndarray) -> ndarray:
    """Ones of its shape and dtype."""
    return ones(a.shape, a.dtype, a.ctx)


def arange(
    start: float, stop: float | None = None, step: float = 1, dtype: Any = None, ctx: Any = None
) -> ndarray:
    """start, start + step... before stop; ``arange(n)``: 0 to n - 1. By default float32."""
    start, stop = (0, start) if stop is None else (start, stop)
    return array(onp.arange(start, stop, step), dtype or onp.float32, ctx)


def linspace(start: float, stop: float, num: int = 50, dtype: Any = None) -> ndarray:
    """``num`` numbers in equal steps from ``start`` to ``stop``."""
    return array(onp.linspace(start, stop, num), dtype or onp.float32)


def eye(N: int, M: int | None = None, dtype: Any = None) -> ndarray:  # noqa: N803
    """Ones on the diagonal."""
    return array(onp.eye(N, M), dtype or onp.float32)


def meshgrid(*xi: ndarray) -> list[ndarray]:
    """The coordinates of a grid's points, an array an axis."""
    return [array(grid) for grid in onp.meshgrid(*(x.asnumpy() for x in xi))]


# Functions of arrays ------------------------------------------------------------------------------


def of_cells(name: str, function: Callable[..., Tensor]) -> Callable[..., ndarray]:
    """``function`` of tensors as one of arrays."""

    def of_arrays(a: ndarray, *others: Any, **options: Any) -> ndarray:
        if not isinstance(a, ndarray):
            raise TypeError(f"{name}: received {type(a).__name__}; wanted np.array(...)")
        a._check_operands(function, others)
        return a._recorded(lambda x: function(x, *map(plain, others), **options), a)

    of_arrays.__name__, of_arrays.__doc__ = name, function.__doc__
    return of_arrays


def _by_numpy(name: str) -> Callable[[ndarray], ndarray]:
    """NumPy's function, of which the engine has no gradient."""

    def function(a: ndarray) -> ndarray:
        return a._unrecorded(f"np.{name}", getattr(onp, name))

    function.__name__ = name
    return function


def _by_method(method: str) -> Callable[..., ndarray]:
    """``np.sum(X, axis=0)`` for ``X.sum(axis=0)``."""

    def function(a: ndarray, *arguments: Any, **options: Any) -> ndarray:
        return getattr(a, method)(*arguments, **options)

    function.__name__ = method
    return function


def dot(a: ndarray, b: ndarray) -> ndarray:
    """The matrix product: see ``X.dot``."""
    return a.dot(b)


def concatenate(seq: Any, axis: int = 0) -> ndarray:
    """Arrays joined along ``axis``."""
    parts = list(seq)
    return parts[0]._recorded(lambda tensors: functions.concatenate(tensors, axis), parts)


def stack(arrays: Any, axis: int = 0) -> ndarray:
    """Arrays of one shape as the slices of a new axis."""
    parts = list(arrays)
    return parts[0]._recorded(lambda tensors: functions.stack(tensors, axis), parts)


# Random numbers -----------------------------------------------------------------------------------


def uniform(
    low: float = 0.0, high: float = 1.0, size: Any = None, dtype: Any = None, ctx: Any = None
) -> ndarray:
    """Uniform in [low, high)."""
    return _drawn(draws.default_generator().uniform(low, high, size), dtype, ctx)


def normal(
    loc: float = 0.0, scale: float = 1.0, size: Any = None, dtype: Any = None, ctx: Any = None
) -> ndarray:
    """Normal with mean ``loc`` and standard deviation ``scale``."""
    return _drawn(draws.default_generator().normal(loc, scale, size), dtype, ctx)


def rand(*size: int) -> ndarray:
    """Uniform in [0, 1)."""
    return uniform(size=size)


def randn(*size: int) -> ndarray:
    """Normal with mean 0 and standard deviation 1."""
    return normal(size=size)


def randint(low: int, high: int | None = None, size: Any = None, dtype: Any = None) -> ndarray:
    """Integers from ``low`` to ``high`` - 1, int64; ``randint(n)``: from 0 to n - 1."""
    low, high = (0, low) if high is None else (low, high)
    return array(onp.asarray(draws.default_generator().integers(low, high, size)), dtype)


def shuffle(x: ndarray) -> None:
    """Bring the slices of the first axis into another order, in place."""
    x[:] = x[draws.default_generator().permutation(len(x))]


def _drawn(numbers: Any, dtype: Any, ctx: Any) -> ndarray:
    return array(onp.asarray(numbers), dtype or onp.float32, ctx)


CELLS: dict[str, Callable[..., Tensor]] = {
    "exp": Tensor.exp,
    "log": Tensor.log,
    "sqrt": Tensor.sqrt,
    "tanh": Tensor.tanh,
    "abs": functions.absolute,
    "square": functions.square,
    "maximum": functions.maximum,
    "minimum": functions.minimum,
    "power": Tensor.__pow__,
    "matmul": Tensor.__matmul__,
    "clip": functions.clip,
    "expand_dims": functions.expand_dims,
}
METHODS = ("sum", "mean", "max", "min", "std", "argmax", "argmin", "reshape", "squeeze", "cumsum")
BY_NUMPY = ("sin", "cos", "tan", "sinh", "cosh", "floor", "ceil", "sign")
NAMES: dict[str, Any] = {
    "ndarray": ndarray,
    **{
        f.__name__: f
        for f in (
            array, zeros, ones, full, zeros_like, ones_like, arange, linspace, eye, meshgrid,
            dot, concatenate, stack,
        )
    },
    **{name: of_cells(f"np.{name}", function) for name, function in CELLS.items()},
    **{name: _by_method(name) for name in METHODS},
    **{name: _by_numpy(name) for name in BY_NUMPY},
    "transpose": _by_method("transpose"),
    **{name: getattr(onp, name) for name in ("float32", "float64", "int32", "int64", "uint8")},
    "bool_": onp.bool_,
    "pi": math.pi,
    "inf": math.inf,
}  # fmt: skip
RANDOM = {f.__name__: f for f in (uniform, normal, rand, randn, randint, shuffle)}
LINALG = {"norm": of_cells("np.linalg.norm", functions.norm)}
