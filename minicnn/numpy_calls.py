"""NumPy's functions called with tensors: ``array * t``, ``np.exp(t)``, ``array += t``...

Where a tensor has the same operation, it does it, and the tape goes on. All other functions receive
the arrays and return arrays; they are refused where a gradient would be lost without notice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minicnn.kernels import Array

METHODS: dict[Callable[..., Any], str] = {
    np.exp: "exp",
    np.log: "log",
    np.sqrt: "sqrt",
    np.tanh: "tanh",
    np.negative: "__neg__",
    np.sum: "sum",
    np.mean: "mean",
    np.max: "max",
    np.reshape: "reshape",
    np.transpose: "transpose",
}

OPERATORS: dict[Callable[..., Any], tuple[str, str]] = {  # left, right operand
    np.add: ("__add__", "__radd__"),
    np.subtract: ("__sub__", "__rsub__"),
    np.multiply: ("__mul__", "__rmul__"),
    np.divide: ("__truediv__", "__rtruediv__"),
    np.power: ("__pow__", "__rpow__"),
    np.matmul: ("__matmul__", "__rmatmul__"),
    np.equal: ("__eq__", "__eq__"),
    np.not_equal: ("__ne__", "__ne__"),
    np.less: ("__lt__", "__gt__"),
    np.less_equal: ("__le__", "__ge__"),
    np.greater: ("__gt__", "__lt__"),
    np.greater_equal: ("__ge__", "__le__"),
}


def ufunc(tensor: Any, function: np.ufunc, how: str, *inputs: Any, **options: Any) -> Any:
    """``__array_ufunc__`` of a tensor. ``how``: "__call__", or the "reduce" of np.add.reduce."""
    if how == "__call__" and not options:
        if function in METHODS:
            return getattr(tensor, METHODS[function])()
        if function in OPERATORS:
            left, right = inputs
            of_left, of_right = OPERATORS[function]
            is_left = isinstance(left, NumPyCalls)
            return getattr(left, of_left)(right) if is_left else getattr(right, of_right)(left)
    return _on_arrays(getattr(function, how), f"np.{function.__name__}", inputs, options)


class _ForNumPy:
    """``__array_ufunc__``, which NumPy looks for in the class.

    CuPy looks in the tensor; it finds None there, and leaves ``array + tensor`` to the tensor.
    """

    def __get__(self, tensor: Any, kind: type) -> Callable[..., Any] | None:
        return ufunc if tensor is None else None


class NumPyCalls:
    """What makes NumPy's functions take tensors."""

    __slots__ = ()

    data: Array
    __array_ufunc__ = _ForNumPy()

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        known = len(args) in (1, 2) and options.keys() <= {"axis", "keepdims"}
        if function in METHODS and known and isinstance(args[0], NumPyCalls):
            return getattr(args[0], METHODS[function])(*args[1:], **options)
        return _on_arrays(function, f"np.{function.__name__}", args, options)

    def _is_recorded(self) -> bool:
        """Whether what is computed from this goes on the tape."""
        raise NotImplementedError


def _on_arrays(function: Callable[..., Any], name: str, args: Any, options: Any) -> Any:
    out = options.get("out")
    if any(isinstance(x, NumPyCalls) for x in (out if isinstance(out, tuple) else (out,))):
        raise TypeError(f"{name}: out is a Tensor; wanted an array")
    is_recorded = any(tensor._is_recorded() for tensor in _tensors([args, options]))
    if is_recorded and out is not None:
        raise RuntimeError(
            f"{name}: the array would take up numbers without their gradient; write array = array "
            "+ tensor (and so on), or take the numbers alone, tensor.detach()"
        )
    result = function(*_as_arrays(args), **_as_arrays(options))
    if is_recorded and _has_fractions(result):
        raise RuntimeError(
            f"{name}: the result would be an array and the gradient lost; wanted an operation of "
            "Tensor (x.exp(), x.relu()...), or the numbers alone, tensor.detach()"
        )
    return result


def _has_fractions(result: Any) -> bool:
    """Whether a result, or an array in a list of results, is floating-point."""
    if isinstance(result, list | tuple):
        return any(map(_has_fractions, result))
    return getattr(result, "dtype", np.dtype(bool)).kind == "f"


def _tensors(value: Any) -> Iterator[NumPyCalls]:
    """All tensors in ``value`` and the lists, tuples and dicts in it."""
    if isinstance(value, NumPyCalls):
        yield value
    elif isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)


def _as_arrays(value: Any) -> Any:
    """``value`` with each tensor replaced by its array."""
    if isinstance(value, NumPyCalls):
        return value.data
    if isinstance(value, dict):
        return {name: _as_arrays(part) for name, part in value.items()}
    return type(value)(map(_as_arrays, value)) if type(value) in (list, tuple) else value
