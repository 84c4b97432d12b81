"""Which arrays and dtypes a tensor may have, and which tensors may be computed together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.formats import shown
from minicnn.kernels import Array, is_host

if TYPE_CHECKING:
    from minicnn.ops import Operation
    from minicnn.tensor import Tensor

DType = Any  # what numpy.dtype() accepts

_USUAL = frozenset(map(np.dtype, ("float32", "float64", "int64", "uint8")))


def as_array(data: Any, dtype: DType = None) -> Array:
    """``data`` as the array of a tensor; an array of a dtype that tensors have, as it is.

    Raises:
        TypeError: not numbers, or a dtype that tensors do not have.
    """
    if dtype is None and type(data) is np.ndarray and data.dtype in _USUAL:  # without delay
        return data
    wanted = None if dtype is None else checked_dtype(dtype)
    if _is_cupy(data):
        return data if wanted is None else data.astype(wanted, copy=False)
    array = np.asarray(data)
    has_dtype = hasattr(data, "dtype")
    if array.dtype.kind not in "iubf":  # NumPy would convert None to nan, and 1 + 2j to 1
        kind = f"an array of {array.dtype}" if has_dtype else type(data).__name__
        raise TypeError(f"data: wanted real numbers, received {kind}")
    if wanted is None:
        keeps_dtype = has_dtype or array.dtype.kind == "b"
        wanted = checked_dtype(array.dtype if keeps_dtype else np.float32)
    return array.astype(wanted, copy=False)  # also turns foreign byte order into ours


def is_array(data: Any) -> bool:
    """Whether ``data`` is an array of NumPy or CuPy."""
    return is_host(data) or _is_cupy(data)


def _is_cupy(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "cupy"


def checked_dtype(dtype: DType) -> np.dtype[Any]:
    """``dtype`` as NumPy's object, in this machine's byte order.

    Raises:
        TypeError: no dtype, or one that tensors do not have.
    """
    try:
        known = np.dtype(dtype if dtype is not None else "None").newbyteorder("=")
    except TypeError:
        raise TypeError(
            f"{shown(dtype)} is no dtype or device; wanted 'float32', 'cpu'..."
        ) from None
    if known.kind in "iub" or known in (np.float32, np.float64):
        return known
    raise TypeError(f"dtype {known} is not supported; wanted float32, float64, integers or bool")


def check_may_require_grad(dtype: np.dtype[Any]) -> None:
    """Refuse a gradient for integers and booleans (RuntimeError)."""
    if dtype.kind != "f":
        raise RuntimeError(
            f"requires_grad: only floating-point tensors have gradients, this one is {dtype}; "
            "convert it with .to('float32')"
        )


def check_same_device(operation: Operation | str, tensors: Sequence[Tensor]) -> None:
    """Refuse tensors on different devices (RuntimeError)."""
    first, *others = (tensor.device for tensor in tensors)
    for device in others:
        if device != first:
            name = operation if isinstance(operation, str) else operation.name
            raise RuntimeError(
                f"{name}: tensors on {first} and {device}; move one with .to('{first}')"
            )


def check_same_dtype(function: str, **tensors: Tensor | None) -> None:
    """Refuse tensors of different dtypes, which products do not convert.

    Raises:
        TypeError: naming both and how to convert.
    """
    present = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    (first, reference), *others = present.items()
    for name, tensor in others:
        if tensor.dtype != reference.dtype:
            raise TypeError(
                f"{function}: {first} is {reference.dtype}, {name} is {tensor.dtype}; "
                f"convert one, for example {first}.to('{tensor.dtype}')"
            )


def in_one_dtype(function: str, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both operands of arithmetic in one dtype: integers take the other's floating-point dtype.

    Raises:
        TypeError: two different floating-point dtypes.
    """
    if a.dtype == b.dtype:
        return a, b
    if a.dtype.kind == b.dtype.kind == "f":
        raise TypeError(
            f"{function}: the operands are {a.dtype} and {b.dtype}; convert one with "
            f".to('{b.dtype}') or .to('{a.dtype}')"
        )
    if b.dtype.kind == "f":
        return a.to(b.dtype), b
    if a.dtype.kind == "f":
        return a, b.to(a.dtype)
    both = np.result_type(a.dtype, b.dtype)
    return a.to(both), b.to(both)
