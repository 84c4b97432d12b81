"""A strict stand-in for CuPy, on the CPU: see tests/gpu/README.md.

NumPy computes, ``RawModule`` runs on the emulator. Names and parameters are CuPy's, as far as they
are needed here; ``counters``, ``reset_counters`` and the functions ``set_*`` are ours.
"""

from __future__ import annotations

import sys as _sys
from typing import Any as _Any

import numpy as _np

from . import _array, _machine, cuda
from ._api import SNAPSHOT as _SNAPSHOT
from ._array import ndarray
from ._machine import counters, reset_counters, set_build, set_deferred, set_thread_order
from ._raw import ElementwiseKernel, RawKernel, RawModule

(__version__,) = _SNAPSHOT["version"]

__all__ = [
    "ElementwiseKernel",
    "RawKernel",
    "RawModule",
    "__version__",
    "array",
    "asarray",
    "ascontiguousarray",
    "asnumpy",
    "counters",
    "cuda",
    "empty",
    "empty_like",
    "get_array_module",
    "ndarray",
    "reset_counters",
    "set_build",
    "set_deferred",
    "set_thread_order",
]


def array(
    obj: _Any, dtype: _Any = None, copy: bool = True, order: _Any = "K", *, blocking: bool = False
) -> ndarray:
    if not isinstance(obj, ndarray):
        _machine.copy_to_device()
        copied = _np.array(obj, dtype, order=order)
        return _array.new(copied, _machine.Memory(copied))
    if obj._memory.device != _machine.current_device:  # a copy from device to device
        _machine.catch_up()
        moved = obj._array.astype(dtype or obj.dtype, order=order)
        return _array.new(moved, _machine.Memory(moved))
    return obj.astype(dtype or obj.dtype, order=order, copy=copy)


def asarray(a: _Any, dtype: _Any = None, order: _Any = None, *, blocking: bool = False) -> ndarray:
    return array(a, dtype, copy=False, order=order or "K")


def ascontiguousarray(a: ndarray, dtype: _Any = None) -> ndarray:
    _array.unwrap(a, "ascontiguousarray", [])
    return array(a, dtype, copy=False, order="C")


def asnumpy(
    a: _Any, stream: _Any = None, order: str = "C", out: _Any = None, *, blocking: bool = True
) -> _np.ndarray:
    return a.get(order=order, out=out) if isinstance(a, ndarray) else _np.asarray(a)


def empty(shape: _Any, dtype: _Any = float, order: _Any = "C") -> ndarray:
    return ndarray(shape, dtype, order=order)


def empty_like(
    prototype: ndarray,
    dtype: _Any = None,
    order: _Any = "K",
    subok: _Any = None,
    shape: _Any = None,
) -> ndarray:
    like = _np.empty_like(_array.unwrap(prototype, "empty_like", []), dtype, order, shape=shape)
    return _array.new(_array.poisoned(like), _machine.Memory(like))


def get_array_module(*args: _Any) -> _Any:
    on_device = any(isinstance(arg, ndarray) for arg in args)
    return _sys.modules[__name__] if on_device else _np


class _Function:
    """A function of CuPy, done by NumPy's function of the same name."""

    def __init__(self, name: str) -> None:
        self.__name__, self._function = name, getattr(_np, name)

    def __call__(self, *args: _Any, **kwargs: _Any) -> _Any:
        return _array.compute("cupy", self.__name__, self._function, args, kwargs)


class ufunc(_Function):  # noqa: N801
    def __call__(self, *args: _Any, **kwargs: _Any) -> _Any:
        inputs = self._function.nin
        if len(args) > inputs:
            kwargs["out"] = args[inputs]
        return super().__call__(*args[:inputs], **kwargs)

    def at(self, a: ndarray, indices: _Any, b: _Any = None) -> None:
        values = (a, indices) if b is None else (a, indices, b)
        _array.compute("cupy.ufunc", "at", self._function.at, values, {})

    def reduce(self, *args: _Any, **kwargs: _Any) -> _Any:
        return _array.compute("cupy.ufunc", "reduce", self._function.reduce, args, kwargs)


def __getattr__(name: str) -> _Any:
    """The rest of CuPy's names: NumPy's dtypes and constants, and its functions behind the wall."""
    if name not in _SNAPSHOT["cupy"] or not hasattr(_np, name):
        raise AttributeError(f"module 'cupy' has no attribute {name!r}, or its stand-in has not")
    value = getattr(_np, name)
    if isinstance(value, type):
        if not issubclass(value, _np.generic | _np.dtype | _np.finfo | _np.iinfo):
            raise AttributeError(f"the stand-in for cupy has no {name}")
    elif callable(value):
        value = (ufunc if isinstance(value, _np.ufunc) else _Function)(name)
    globals()[name] = value
    return value
