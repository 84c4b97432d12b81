"""``cupy.ndarray``: a NumPy array behind a wall.

Nothing crosses the wall but scalars and what ``get``, ``set``, ``asnumpy`` and ``asarray`` copy.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import _machine
from ._api import check_call
from ._machine import Memory, counters

CUBLAS = {"matmul", "dot", "vdot", "inner", "tensordot", "einsum"}
SYNCHRONISING = {"nonzero", "flatnonzero", "argwhere", "unique", "compress", "extract"}
IN_PLACE = {"at", "copyto", "fill", "put", "putmask", "place", "fill_diagonal", "sort", "partition"}
NUMBERS = (bool, int, float, complex, np.generic)
PLAIN = (*NUMBERS, type(None), str, slice, type(...), type, range, np.dtype)


class ndarray:  # noqa: N801
    """An array on a device. Created with the current device's memory, poisoned."""

    __slots__ = ("__weakref__", "_array", "_memory", "base")
    __hash__ = None  # type: ignore[assignment]

    dtype: np.dtype[Any]
    strides: tuple[int, ...]
    base: ndarray | None  # the array that a view is a view of

    def __init__(self, shape: Any, dtype: Any = float, *, order: Any = "C") -> None:
        self._array = poisoned(np.empty(shape, dtype, order))
        self._memory = Memory(self._array)
        self.base = None

    # The host's side: each of these copies.

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def get(
        self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True
    ) -> np.ndarray:
        _machine.copy_to_host()
        if out is None:
            return self._array.copy(order=order)  # type: ignore[arg-type]
        out[...] = self._array
        return out

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.dtype != self.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if arr.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not (self.flags.c_contiguous or self.flags.f_contiguous):
            raise RuntimeError("Cannot set to non-contiguous array")
        _machine.copy_to_device()
        _machine.submit(partial(_copy, self._array, weakref.ref(arr)), [self._memory], stream)

    def _on_host(self) -> np.ndarray:
        _machine.copy_to_host()
        return self._array

    def item(self) -> Any:
        return self._on_host().item()

    def tolist(self) -> Any:
        return self._on_host().tolist()

    def tobytes(self, order: Any = "C") -> bytes:
        return self._on_host().tobytes(order)

    def __float__(self) -> float:
        return float(self._on_host())  # as NumPy: of an array without axes

    def __int__(self) -> int:
        return int(self._on_host())

    def __bool__(self) -> bool:
        return bool(self._on_host())

    def __repr__(self) -> str:
        return repr(self._on_host())

    def __str__(self) -> str:
        return str(self._on_host())

    def __format__(self, how: str) -> str:
        return format(self._on_host()[()], how)

    # What the host knows without asking the device.

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[ndarray]:
        return (self[i] for i in range(len(self)))

    @property
    def flags(self) -> Any:
        flags = self._array.flags
        return SimpleNamespace(
            c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous, owndata=flags.owndata
        )

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @shape.setter
    def shape(self, shape: Any) -> None:
        self._array = self._array.reshape(shape)

    @property
    def device(self) -> Any:
        return _machine.Device(self._memory.device)

    @property
    def data(self) -> Any:
        address = self._array.ctypes.data
        return SimpleNamespace(ptr=address, mem=self._memory, device_id=self._memory.device)

    @property
    def T(self) -> ndarray:  # noqa: N802
        return wrap(self._array.T, [self])

    # Cells.

    def _key(self, key: Any) -> tuple[Any, ...]:
        """``key`` for NumPy; with an ellipsis, so that a single cell is a view too."""
        parts, found = key if isinstance(key, tuple) else (key,), [self]
        counters.h2d += sum(isinstance(part, list) for part in parts)
        key = unwrap(parts, "index", found)
        _machine.check_devices(array._memory for array in found[1:])
        if any(array.dtype == bool for array in found[1:]):
            _machine.synchronise()
        return key if any(part is ... for part in key) else (*key, ...)

    def __getitem__(self, key: Any) -> ndarray:
        return computed(partial(self._array.__getitem__, self._key(key)), [self])

    def __setitem__(self, key: Any, value: Any) -> None:
        found = [self]
        action = partial(self._array.__setitem__, self._key(key), unwrap(value, "cell", found))
        _submit(action, found)

    def astype(
        self,
        dtype: Any,
        order: Any = "K",
        casting: Any = None,
        subok: Any = None,
        copy: bool = True,
    ) -> ndarray:
        return computed(partial(self._array.astype, dtype, order=order, copy=copy), [self])

    def __copy__(self) -> ndarray:
        return computed(self._array.copy, [self])

    def __deepcopy__(self, _: Any) -> ndarray:
        return self.__copy__()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if not all(isinstance(x, (ndarray, np.ndarray, *PLAIN)) for x in inputs):
            return NotImplemented
        if "out" in kwargs:
            (kwargs["out"],) = kwargs["out"]
        function = _function(ufunc.__name__)
        return (function if method == "__call__" else getattr(function, method))(*inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return _function(function.__name__)(*args, **kwargs)


def _function(name: str) -> Any:
    import cupy

    return getattr(cupy, name)


def _copy(to: np.ndarray, host: weakref.ref[np.ndarray]) -> None:
    """From the host, which has to keep its array until it has been waited for."""
    array = host()
    if array is None:
        raise RuntimeError("an array of the host was freed before it was copied")
    to[...] = array


def poisoned(array: np.ndarray) -> np.ndarray:
    """``array`` full of NaN, or of bytes 0xA5."""
    if array.dtype.kind in "fc":
        array.fill(np.nan)
    elif array.dtype.kind in "iu":
        array.fill(np.frombuffer(b"\xa5" * array.itemsize, array.dtype)[0])
    else:
        array.fill(1)
    return array


# The wall ----------------------------------------------------------------------------------------


def unwrap(value: Any, where: str, found: list[ndarray]) -> Any:
    """``value`` for NumPy, its device arrays added to ``found``.

    Raises:
        TypeError: NumPy arrays, and whatever is neither an array nor a plain value.
    """
    if isinstance(value, ndarray):
        found.append(value)
        return value._array
    if isinstance(value, tuple | list):
        return type(value)(unwrap(part, where, found) for part in value)
    if isinstance(value, PLAIN) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value
    raise TypeError(f"{where}: Unsupported type {type(value)}; wanted cupy.ndarray or a scalar")


def computed(action: Callable[[], Any], sources: list[ndarray]) -> Any:
    """What NumPy makes of the arrays of ``sources``, after what their stream had to do before."""
    with np.errstate(all="ignore"):  # a GPU divides by 0 without a word
        result = action()
        is_view = isinstance(result, np.ndarray) and any(
            _owner(result) is _owner(source._array) for source in sources
        )
        if not is_view and _machine.catch_up():
            result = action()
    return wrap(result, sources)


def wrap(result: Any, sources: list[ndarray]) -> Any:
    """What NumPy made of the arrays of ``sources``, as device arrays; a view shares its memory."""
    if isinstance(result, tuple | list):
        return type(result)(wrap(part, sources) for part in result)
    if not isinstance(result, np.ndarray | np.generic):
        return result
    array = np.asarray(result)
    for source in sources:
        if array is source._array:
            return source
        if _owner(array) is _owner(source._array):
            return new(array, source._memory, source if source.base is None else source.base)
    _machine.check_devices(source._memory for source in sources)
    counters.cupy_kernels += 1
    return new(array, Memory(array))


def _owner(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def new(array: np.ndarray, memory: Memory, base: ndarray | None = None) -> ndarray:
    made = ndarray.__new__(ndarray)
    made._array, made._memory, made.base = array, memory, base
    return made


def _submit(action: Callable[[], Any], arrays: list[ndarray]) -> None:
    counters.cupy_kernels += _machine.submit(action, [array._memory for array in arrays])


def compute(
    place: str, name: str, function: Any, args: Any, kwargs: Any, receiver: Any = ()
) -> Any:
    """Call NumPy's ``function`` as CuPy's ``place.name``, on device arrays."""
    check_call(place, name, args, kwargs)
    found: list[ndarray] = []
    host_args = unwrap((*receiver, *args), name, found)
    host_kwargs = {key: unwrap(value, name, found) for key, value in kwargs.items()}
    action, out = partial(function, *host_args, **host_kwargs), kwargs.get("out")
    if name in CUBLAS:
        _machine.refuse_cublas_in_capture()
    if name in SYNCHRONISING or (name == "where" and len(args) == 1):
        _machine.synchronise()
    if name in IN_PLACE or out is not None:
        _submit(action, found)
        return out
    if name in ("allclose", "array_equal"):  # NumPy's is a bool
        return computed(lambda: np.bool_(action()), found)
    return computed(action, found)


# Methods and operators ---------------------------------------------------------------------------

METHODS = (
    *("all", "any", "argmax", "argmin", "argsort", "clip", "copy", "cumsum", "diagonal", "dot"),
    *("fill", "flatten", "max", "mean", "min", "nonzero", "prod", "ravel", "repeat", "reshape"),
    *("round", "sort", "squeeze", "std", "sum", "swapaxes", "take", "transpose", "var", "view"),
)
PROPERTIES = ("dtype", "ndim", "size", "nbytes", "strides", "itemsize")
OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "left_shift",
    "rshift": "right_shift",
    "matmul": "matmul",
}
COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}
UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}


def _method(name: str) -> Any:
    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        return compute("cupy.ndarray", name, getattr(np.ndarray, name), args, kwargs, (self,))

    return method


def _property(name: str) -> Any:
    return property(lambda self: getattr(self._array, name))


def _operator(name: str, swapped: bool = False, in_place: bool = False) -> Any:
    def operator(self: ndarray, other: Any) -> Any:
        if not isinstance(other, (ndarray, np.ndarray, *NUMBERS)):
            return NotImplemented
        operands = (other, self) if swapped else (self, other)
        return _function(name)(*operands, **({"out": self} if in_place else {}))

    return operator


for _name in METHODS:
    setattr(ndarray, _name, _method(_name))
for _name in PROPERTIES:
    setattr(ndarray, _name, _property(_name))
for _name, _ufunc in OPERATORS.items():
    setattr(ndarray, f"__{_name}__", _operator(_ufunc))
    setattr(ndarray, f"__r{_name}__", _operator(_ufunc, swapped=True))
    if _name != "matmul":
        setattr(ndarray, f"__i{_name}__", _operator(_ufunc, in_place=True))
for _name, _ufunc in COMPARISONS.items():
    setattr(ndarray, f"__{_name}__", _operator(_ufunc))
for _name, _ufunc in UNARY.items():
    setattr(ndarray, f"__{_name}__", lambda self, _ufunc=_ufunc: _function(_ufunc)(self))
ndarray.__module__ = "cupy"
