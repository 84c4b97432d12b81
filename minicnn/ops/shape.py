"""Operations that move, copy or convert numbers and compute none."""

from __future__ import annotations

from types import EllipsisType
from typing import Any

import numpy as np

from minicnn.device import Device, device_of, to_device
from minicnn.kernels import Array, array_module, is_host

from .operation import Operation


class Reshape(Operation):
    """The same cells, in row order, in another shape."""

    reads = ()

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape

    def forward(self, x: Array) -> Array:
        self.input_shape = x.shape
        return x.reshape(self.shape)

    def backward(self, dy: Array) -> Array:
        return dy.reshape(self.input_shape)


class Transpose(Operation):
    """y = x with its axes in the order ``axes``; dx = dy with them put back."""

    reads = ()

    def __init__(self, axes: tuple[int, ...]):
        self.axes = axes

    def forward(self, x: Array) -> Array:
        return x.transpose(self.axes)

    def backward(self, dy: Array) -> Array:
        back = [0] * len(self.axes)
        for i, axis in enumerate(self.axes):
            back[axis] = i
        return dy.transpose(back)


class Index(Operation):
    """y = x[key], any key of NumPy's; dx = dy at those cells, added up where one is taken twice."""

    reads = ()

    def __init__(self, key: Any):
        self.key = key if isinstance(key, tuple) else (key,)
        if not any(part is Ellipsis for part in self.key):
            self.key = (*self.key, ...)  # so that one cell, too, is a view and no NumPy number

    def forward(self, x: Array) -> Array:
        self.input_shape = x.shape
        self.key = tuple(_own_key(x, part) for part in self.key)
        return x[self.key]

    def backward(self, dy: Array) -> Array:
        xp = array_module(dy)
        dx = xp.zeros(self.input_shape, dtype=dy.dtype)
        if self.takes_a_cell_once():
            dx[self.key] = dy
        else:
            xp.add.at(dx, self.key, dy)
        return dx

    def takes_a_cell_once(self) -> bool:
        """Whether the key is made of numbers and slices only, not of arrays of indices."""
        return all(key is None or isinstance(key, int | slice | EllipsisType) for key in self.key)


def _own_key(x: Array, key: Any) -> Any:
    """A list or array of indices as an array of our own on x's device; other keys as they are."""
    if isinstance(key, list | np.ndarray):
        return to_device(np.array(key), device_of(x))
    return key if is_host(x) or not hasattr(key, "copy") else key.copy()


class Concatenate(Operation):
    """Arrays joined along ``axis``; dy is cut into their parts again."""

    reads = ()

    def __init__(self, axis: int):
        self.axis = axis

    def forward(self, *parts: Array) -> Array:
        self.edges = np.cumsum([part.shape[self.axis] for part in parts])[:-1].tolist()
        return array_module(parts[0]).concatenate(parts, axis=self.axis)

    def backward(self, dy: Array) -> Array | tuple[Array, ...]:
        parts = tuple(array_module(dy).split(dy, self.edges, axis=self.axis))
        return parts[0] if len(parts) == 1 else parts


class Pad(Operation):
    """``x`` in a frame of ``value``, ``widths`` = ((before, after), ...) cells on each axis.

    dx is the part of dy inside the frame. A negative width cuts cells off, and dx is 0 there.
    """

    reads = ()

    def __init__(self, widths: tuple[tuple[int, int], ...], value: float = 0.0):
        self.value = value
        self.frame = tuple((max(0, a), max(0, b)) for a, b in widths)
        self.cut = tuple(slice(max(0, -a), -max(0, -b) or None) for a, b in widths)

    def forward(self, x: Array) -> Array:
        self.input_shape = x.shape
        return array_module(x).pad(x[self.cut], self.frame, constant_values=self.value)

    def backward(self, dy: Array) -> Array:
        inside = tuple(
            slice(before, size - after)
            for (before, after), size in zip(self.frame, dy.shape, strict=True)
        )
        dx = array_module(dy).zeros(self.input_shape, dtype=dy.dtype)
        dx[self.cut] = dy[inside]
        return dx


class Cast(Operation):
    """``x`` in another dtype; dx = dy in x's dtype."""

    reads = ()

    def __init__(self, dtype: np.dtype[Any]):
        self.dtype = dtype

    def forward(self, x: Array) -> Array:
        self.input_dtype = x.dtype
        return x.astype(self.dtype)

    def backward(self, dy: Array) -> Array:
        return dy.astype(self.input_dtype)


class Move(Operation):
    """``x`` on another device; dx = dy on x's device."""

    reads = ()

    def __init__(self, device: Device):
        self.device = device

    def forward(self, x: Array) -> Array:
        self.input_device = device_of(x)
        return to_device(x, self.device)

    def backward(self, dy: Array) -> Array:
        return to_device(dy, self.input_device)
