"""What both of MXNet's arrays compute, as functions of the engine's tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import functions, ops
from minicnn.d2l.facades.choosing import Choose
from minicnn.kernels import Array, array_module
from minicnn.nn import functional as F
from minicnn.ops.operation import Operation
from minicnn.tensor import Tensor, apply

Axes = int | tuple[int, ...] | None


class Copy(Operation):
    """y = x, one cell after another in memory of its own; dx = dy."""

    reads = ()

    def forward(self, x: Array) -> Array:
        return x.copy()

    def backward(self, dy: Array) -> Array:
        return dy


def own(x: Tensor) -> Tensor:
    """A copy: what MXNet computes shares no memory with what it was computed from."""
    return apply(Copy(), x)


class Largest(ops.Max):
    """y = max(x);  dx = dy for every cell that equals the maximum: MXNet does not share it out."""

    def backward(self, dy: Array) -> Array:
        return array_module(dy).where(self.winners, self.expand(dy), dy.dtype.type(0))


def largest(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The largest values over ``axis``."""
    return apply(Largest(axis, keepdims), x)


def smallest(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The smallest values over ``axis``."""
    return (-largest(-_signed(x), axis, keepdims)).to(x.dtype)


def where_smallest(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The index of the smallest value along ``axis``, int64."""
    return (-_signed(x)).argmax(axis, keepdims)


def _signed(x: Tensor) -> Tensor:
    """x with a dtype that holds -x too, which uint8, bool and int8 (-128) do not."""
    return x if x.dtype.kind == "f" else x.to("int64")


def absolute(x: Tensor) -> Tensor:
    """|x|, cell by cell; the derivative at 0 is 0."""
    return x.relu() + (-x).relu()


def square(x: Tensor) -> Tensor:
    """x², cell by cell."""
    return x * x


def norm(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The root of the sum of squares over ``axis``."""
    return square(x).sum(axis, keepdims).sqrt()


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """log(softmax(x)) over ``axis``."""
    return F.log_softmax(x, axis)


def maximum(a: Tensor, b: Any) -> Tensor:
    """The larger of two cells; of equal ones the first receives the gradient."""
    b = _beside(a, b)
    return chosen((a.data >= b.data) | (a.data != a.data), a, b)


def minimum(a: Tensor, b: Any) -> Tensor:
    """The smaller of two cells; of equal ones the first receives the gradient."""
    b = _beside(a, b)
    return chosen((a.data <= b.data) | (a.data != a.data), a, b)


def _beside(a: Tensor, b: Any) -> Tensor:
    """A number as a tensor of a's dtype, on a's device."""
    return b if isinstance(b, Tensor) else Tensor(np.asarray(b, a.dtype), device=a.device)


def chosen(condition: Array, a: Tensor, b: Tensor) -> Tensor:
    """``a`` where the condition holds, else ``b``; each receives the gradient of its own cells."""
    return apply(Choose(condition), a, b)


def root(x: Tensor) -> Tensor:
    """The square root; the derivative at 0 is 0."""
    is_zero = x.data == 0
    return chosen(is_zero, _beside(x, 0), chosen(is_zero, _beside(x, 1), x).sqrt())


def dot(a: Tensor, b: Tensor, axis: int) -> Tensor:
    """The sums of products over a's last axis and b's ``axis``; b of two axes or fewer: over its
    first.

    Raises:
        ValueError: the two axes have not the same length.
    """
    if b.ndim <= 2:
        return a @ b
    first = axis % b.ndim
    rest = [i for i in range(b.ndim) if i != first]
    if a.shape[-1] != b.shape[first]:
        raise ValueError(
            f"dot: shapes are {a.shape} and {b.shape}; wanted as many cells along the first's "
            f"axis {a.ndim - 1} as along the second's axis {first}"
        )
    sums = a.reshape(-1, a.shape[-1]) @ b.transpose(first, *rest).reshape(b.shape[first], -1)
    return sums.reshape(*a.shape[:-1], *(b.shape[i] for i in rest))


def clip(x: Tensor, a_min: float, a_max: float) -> Tensor:
    """x, but at least ``a_min`` and at most ``a_max``."""
    return minimum(maximum(x, a_min), a_max)


def pick(x: Tensor, index: Tensor) -> Tensor:
    """x[i, index[i]] for each row i.

    Raises:
        ValueError: x has not two axes.
    """
    if x.ndim != 2:
        raise ValueError(f"pick: data has shape {x.shape}; wanted two axes")
    rows = array_module(x.data).arange(len(x))
    return x[rows, index.detach().to("int64").reshape(-1).data]


def one_hot(index: Tensor, depth: int) -> Tensor:
    """A row for each index: 1 at this place, otherwise 0; float32."""
    eye = np.eye(depth, dtype=np.float32)
    return Tensor(eye[index.numpy().astype(np.int64)], device=index.device)


def expand_dims(x: Tensor, axis: int) -> Tensor:
    """x with one more axis, of length 1, which becomes ``axis``."""
    return own(x.unsqueeze(axis))


def concatenate(parts: Sequence[Tensor], axis: int) -> Tensor:
    """Tensors joined along ``axis``."""
    return functions.cat(list(parts), axis)


def stack(parts: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Tensors of one shape as the slices of a new axis."""
    return functions.stack(list(parts), axis)


def total(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The sum over ``axis``: of integers in their own dtype; booleans are counted, int64."""
    y = x.sum(axis, keepdims)
    return y.to(x.dtype) if x.dtype.kind in "iu" else y


def sum_of(parts: Sequence[Tensor]) -> Tensor:
    """The sum of several tensors, or a copy of one."""
    first, *others = parts
    for other in others:
        first = first + other
    return first if others else own(first)
