"""Functions of ``tf`` that make tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn.d2l.facades.keras.arrays import Tensor, as_tensor
from minicnn.d2l.facades.keras.devices import present_device
from minicnn.d2l.facades.keras.dtypes import as_dtype
from minicnn.tensor import Tensor as EngineTensor


def new(array: np.ndarray) -> Tensor:
    """A tensor of a NumPy array, where the present device is."""
    return Tensor(EngineTensor(array, device=present_device()))


def sizes(shape: Any) -> tuple[int, ...]:
    """A shape given as a number, a list, a tensor or a TensorShape."""
    if isinstance(shape, Tensor):
        shape = shape.numpy().tolist()
    whole = [shape] if isinstance(shape, int | np.integer) else shape
    return tuple(int(size) for size in whole)


def constant(value: Any, dtype: Any = None, shape: Any = None) -> Tensor:
    """A tensor of these numbers; Python's are float32, int32 and bool."""
    if shape is not None:
        filled = as_tensor(value, dtype)
        same = math.prod(sizes(shape)) == filled.tensor.size
        array = filled.numpy()
        return new(np.array(array.reshape(sizes(shape)) if same else np.full(sizes(shape), array)))
    x = as_tensor(value, dtype)
    return Tensor(x.tensor.to(present_device())) if present_device() else x


def convert_to_tensor(value: Any, dtype: Any = None) -> Tensor:
    """``value`` as a tensor; a tensor as it is."""
    x = as_tensor(value, dtype)
    return x if type(x) is Tensor else Tensor(x._now(), x._order)


def zeros(shape: Any, dtype: Any = "float32") -> Tensor:
    """Zeros."""
    return new(np.zeros(sizes(shape), as_dtype(dtype).as_numpy_dtype))


def ones(shape: Any, dtype: Any = "float32") -> Tensor:
    """Ones."""
    return new(np.ones(sizes(shape), as_dtype(dtype).as_numpy_dtype))


def fill(dims: Any, value: Any) -> Tensor:
    """``value`` in every cell."""
    x = as_tensor(value)
    return new(np.full(sizes(dims), x.numpy()))


def zeros_like(input: Any, dtype: Any = None) -> Tensor:
    """Zeros in ``input``'s shape, and its dtype."""
    x = as_tensor(input)
    return zeros(x.shape, dtype or x.dtype)


def ones_like(input: Any, dtype: Any = None) -> Tensor:
    """Ones in ``input``'s shape, and its dtype."""
    x = as_tensor(input)
    return ones(x.shape, dtype or x.dtype)


def eye(num_rows: int, num_columns: int | None = None, dtype: Any = "float32") -> Tensor:
    """Ones on the diagonal."""
    return new(np.eye(num_rows, num_columns, dtype=as_dtype(dtype).as_numpy_dtype))


def arange(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None) -> Tensor:
    """``tf.range``: from ``start`` to before ``limit``; int32 if all are whole."""
    first, last = (0, start) if limit is None else (start, limit)
    bounds = [x.numpy() if isinstance(x, Tensor) else x for x in (first, last, delta)]
    numbers = np.arange(*bounds)
    if dtype is None:
        given = next((x.dtype for x in (start, limit, delta) if isinstance(x, Tensor)), None)
        dtype = given or ("int32" if numbers.dtype.kind == "i" else "float32")
    return new(numbers.astype(as_dtype(dtype).as_numpy_dtype))


def linspace(start: Any, stop: Any, num: int) -> Tensor:
    """``num`` numbers at equal distances, both ends included; float64 between whole numbers."""
    first, last = (as_tensor(x).numpy() for x in (start, stop))
    dtype = first.dtype if first.dtype.kind == "f" else np.dtype("float64")
    return new(np.linspace(first, last, int(num), dtype=dtype))


def meshgrid(*args: Any) -> list[Tensor]:
    """Each vector copied along the axes of the others."""
    return [new(np.array(x)) for x in np.meshgrid(*(as_tensor(x).numpy() for x in args))]


def one_hot(indices: Any, depth: int, dtype: Any = "float32") -> Tensor:
    """A row of ``depth`` numbers for each index: 1 there, 0 elsewhere."""
    rows = as_tensor(indices).numpy()[..., None] == np.arange(depth)
    return new(rows.astype(as_dtype(dtype).as_numpy_dtype))
