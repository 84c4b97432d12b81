"""Functions that PyTorch keeps in ``torch`` itself: making tensors, joining them, naming devices.

They are here for the same reason as ``names``, and by the same rule. ``tensor`` and ``device`` are
also modules of this package: ``minicnn.tensor`` is the function below, ``from minicnn.tensor import
Tensor`` reads the module.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn import ops
from minicnn.checks import check_integer, check_number
from minicnn.device import Device, on_device_of, resolve
from minicnn.dtypes import DType, check_same_dtype
from minicnn.kernels import array_module
from minicnn.names import from_front, size_of
from minicnn.tensor import Tensor, apply, as_tensor


def tensor(
    data: Any, *, dtype: DType = None, device: Device | None = None, requires_grad: bool = False
) -> Tensor:
    """A tensor with a copy of ``data``: a number, nested lists, an array, a tensor.

    As in PyTorch integers become int64, floating-point numbers float32, True and False booleans;
    arrays keep their dtype. (``Tensor([1, 2])`` is float32, and ``Tensor(array)`` no copy.)

    Raises:
        TypeError: data of any other kind or dtype.
        RuntimeError: integers or booleans that require a gradient.
    """
    if dtype is None and not hasattr(data, "dtype"):
        whole = np.asarray(data).dtype.kind in "iu"
        dtype = np.int64 if whole else None
    copy = Tensor(data, dtype=dtype, device=device).detach().clone()
    copy.requires_grad = requires_grad
    return copy


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor over the memory of a NumPy array.

    Raises:
        TypeError: not an array, or one of an unsupported dtype.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: wanted a NumPy array, received {type(array).__name__}")
    return Tensor(array)


def zeros(
    *shape: Any,
    size: Sequence[int] = (),
    dtype: DType = None,
    device: Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Zeros, by default float32: ``zeros(2, 3)``, ``zeros((2, 3))`` or ``zeros(size=(2, 3))``."""
    return _filled(0, size_of(shape, size), dtype, device, requires_grad)


def ones(
    *shape: Any,
    size: Sequence[int] = (),
    dtype: DType = None,
    device: Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones, by default float32; the shape as for ``zeros``."""
    return _filled(1, size_of(shape, size), dtype, device, requires_grad)


def _filled(
    value: int, shape: tuple[Any, ...], dtype: DType, device: Device | None, requires_grad: bool
) -> Tensor:
    array = np.full(shape, value, np.uint8)
    return Tensor(array, requires_grad, np.float32 if dtype is None else dtype, device)


def zeros_like(
    input: Tensor,
    *,
    dtype: DType = None,
    device: Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Zeros in ``input``'s shape, by default in its dtype and on its device."""
    input = as_tensor(input)
    with on_device_of(input.data):
        array = array_module(input.data).zeros_like(input.data)
    return Tensor(array, requires_grad, dtype, device)


def ones_like(
    input: Tensor,
    *,
    dtype: DType = None,
    device: Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones in ``input``'s shape, by default in its dtype and on its device."""
    input = as_tensor(input)
    with on_device_of(input.data):
        array = array_module(input.data).ones_like(input.data)
    return Tensor(array, requires_grad, dtype, device)


def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    *,
    dtype: DType = None,
    device: Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """The numbers from ``start`` to before ``end`` by ``step``; ``arange(n)`` begins at 0.

    int64 if all are integers, otherwise float32. Where ``step`` leads away from ``end`` there are
    none, as in Python's ``range``.

    Raises:
        ValueError: a step of 0.
    """
    for name, value in (("start", start), ("end", 0 if end is None else end), ("step", step)):
        check_number(f"arange: {name}", value)
    first, last = (0, start) if end is None else (start, end)
    if step == 0:
        raise ValueError("arange: step is 0; wanted another number")
    numbers = np.arange(first, last, step)
    if dtype is None:
        dtype = np.int64 if numbers.dtype.kind == "i" else np.float32
    return Tensor(numbers, requires_grad, dtype, device)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors joined along axis ``dim``; the other axes are of the same length in all.

    Raises:
        ValueError: no tensors, or shapes that do not fit.
        AxisError (an IndexError): there is no axis ``dim``.
        TypeError: one tensor instead of several, or different dtypes.
    """
    parts = _several("cat", tensors)
    axis = from_front("cat", "dim", dim, parts[0].ndim)
    shapes = [part.shape for part in parts]
    if len({(len(s), s[:axis], s[axis + 1 :]) for s in shapes}) > 1:
        raise ValueError(f"cat: shapes {shapes} do not fit; wanted the same but for axis {axis}")
    return apply(ops.Concatenate(axis), *parts)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape as the slices of a new axis ``dim``.

    Raises: as ``cat``.
    """
    parts = _several("stack", tensors)
    shapes = [part.shape for part in parts]
    if len(set(shapes)) > 1:
        raise ValueError(f"stack: shapes {shapes} differ; wanted one shape")
    axis = from_front("stack", "dim", dim, parts[0].ndim + 1)
    return cat([part.unsqueeze(axis) for part in parts], axis)


def _several(function: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors that ``cat`` and ``stack`` join: at least one, of one dtype."""
    if not isinstance(tensors, list | tuple):
        kind = type(tensors).__name__
        raise TypeError(f"{function}: tensors is a {kind}; wanted a list or tuple of tensors")
    if not tensors:
        raise ValueError(f"{function}: tensors is empty; wanted at least one")
    parts = [as_tensor(part) for part in tensors]
    check_same_dtype(function, **{f"tensors[{i}]": part for i, part in enumerate(parts)})
    return parts


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes from ``start_dim`` to ``end_dim`` made one: ``input.flatten(...)``."""
    return as_tensor(input).flatten(start_dim, end_dim)


def device(type: str, index: int | None = None) -> Device:
    """The full name of a device, a string that ``.to()`` takes: ``"cpu"``, ``"gpu:0"``.

    ``device("cuda")``, ``device("cuda:1")`` and ``device("cuda", 1)`` are GPUs 0, 1 and 1.

    Raises:
        ValueError: not the name of a device.
    """
    if index is not None:
        check_integer("device: index", index, 0)
    return resolve(type if index is None else f"{type}:{index}")


def _also_the_module(function: Callable[..., Any]) -> None:
    """Give ``function`` the public names of the module that it hides.

    ``import minicnn.tensor as t`` finds the function, and ``t.Tensor`` is wanted.
    """
    module = sys.modules[f"minicnn.{function.__name__}"]
    vars(function).update({k: v for k, v in vars(module).items() if not k.startswith("_")})


_also_the_module(tensor)
_also_the_module(device)
