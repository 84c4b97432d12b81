"""Functions of ``tf`` that move cells."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.d2l.facades.keras import mistakes
from minicnn.d2l.facades.keras.arrays import PICTURES, Tensor, as_tensor, on_one_device, operands_of
from minicnn.d2l.facades.keras.making import sizes
from minicnn.functions import cat
from minicnn.functions import stack as engine_stack
from minicnn.nn import functional as F

Axes = int | Sequence[int] | None


def axes_of(axis: Any) -> Any:
    """An axis, or several, as NumPy wants them."""
    if isinstance(axis, Tensor):
        axis = axis.numpy().tolist()
    return tuple(axis) if isinstance(axis, list) else axis


def reshape(tensor: Any, shape: Any) -> Tensor:
    """The same cells in another shape, of which one length may be -1."""
    x, new_shape = as_tensor(tensor).tensor, sizes(shape)
    known = math.prod(n for n in new_shape if n != -1)
    fits = known and x.size % known == 0 if -1 in new_shape else known == x.size
    if not fits and x.size:
        raise mistakes.InvalidArgumentError(
            f"Input to reshape is a tensor with {int(x.size)} values, but the requested shape "
            f"{list(new_shape)} has {known}"
        )
    return Tensor(x.reshape(new_shape))


def transpose(a: Any, perm: Sequence[int] | None = None) -> Tensor:
    """The axes in the order ``perm``, reversed by default."""
    return Tensor(as_tensor(a).tensor.transpose(*(perm or ())))


def expand_dims(input: Any, axis: int) -> Tensor:
    """With one more axis of length 1."""
    return Tensor(as_tensor(input).tensor.unsqueeze(axis))


def squeeze(input: Any, axis: Axes = None) -> Tensor:
    """Without the axes of length 1, or without those that are named."""
    x, axes = as_tensor(input).tensor, axes_of(axis)
    for i in () if axes is None else np.atleast_1d(axes):
        if x.shape[i] != 1:
            raise mistakes.InvalidArgumentError(
                f"Can not squeeze dim[{i}], expected a dimension of 1, got {x.shape[i]}"
            )
    return Tensor(x.squeeze(axes))


def concat(values: Any, axis: int) -> Tensor:
    """Joined along an axis that there is."""
    parts = _parts(values)
    if axis in (-1, 3) and all(x._order == PICTURES for x in parts):
        return Tensor(cat(on_one_device(*(x.held(PICTURES) for x in parts)), 1), PICTURES)
    return Tensor(cat(on_one_device(*(x.tensor for x in parts)), axis))


def stack(values: Any, axis: int = 0) -> Tensor:
    """Joined along a new axis."""
    return Tensor(engine_stack(on_one_device(*(x.tensor for x in _parts(values))), axis))


def _parts(values: Any) -> list[Tensor]:
    """The values in one dtype, that of the first which is a tensor already."""
    first = next((x for x in values if isinstance(x, Tensor)), None)
    first = as_tensor(next(iter(values))) if first is None else first
    return [operands_of(first, x)[1] for x in values]


def split(value: Any, num_or_size_splits: Any, axis: int = 0) -> list[Tensor]:
    """Cut along an axis, into a number of equal parts or parts of these lengths."""
    x = as_tensor(value)
    length, given = x.shape[axis], num_or_size_splits
    lengths = [length // given] * given if isinstance(given, int) else list(given)
    if sum(lengths) != length:
        raise mistakes.InvalidArgumentError(
            f"split: axis {axis} has length {length}; {given!r} does not cut it whole"
        )
    ends = np.cumsum([0, *lengths]).tolist()
    before = (slice(None),) * (axis % x.ndim)
    return [x[(*before, slice(a, b))] for a, b in itertools.pairwise(ends)]


def gather(params: Any, indices: Any, axis: int = 0) -> Tensor:
    """The slices with these numbers along ``axis``."""
    x, picked = as_tensor(params), as_tensor(indices)
    before = (slice(None),) * (axis % x.ndim)
    return Tensor(x.tensor[(*before, picked.tensor)])


def boolean_mask(tensor: Any, mask: Any) -> Tensor:
    """The cells, or slices, where the mask is true (or not 0)."""
    return as_tensor(tensor)[as_tensor(np.asarray(mask, bool))]


def pad(tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: float = 0) -> Tensor:
    """Framed with a number: ``paddings`` has (before, after) for each axis.

    Raises:
        ValueError: another mode than ``"CONSTANT"``.
    """
    if not isinstance(mode, str) or mode.upper() != "CONSTANT":
        raise ValueError(
            f"pad: mode is {mode!r}; wanted 'CONSTANT', and the number as constant_values="
        )
    widths = [int(n) for pair in reversed(as_tensor(paddings).numpy().tolist()) for n in pair]
    return Tensor(F.pad(as_tensor(tensor).tensor, widths, value=constant_values))
