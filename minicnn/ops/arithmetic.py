"""Arithmetic, cell by cell with NumPy's broadcasting, and the reductions.

Broadcasting copies a value to many places, so its gradient is the sum over those places: that is
``unbroadcast``. A reduction does the reverse, and its gradient is copied: ``Reduction.expand``.
"""

from __future__ import annotations

from minicnn import kernels
from minicnn.kernels import Array, array_module
from minicnn.kernels.arrays import Axes

from .operation import RESULT, Operation


def unbroadcast(dy: Array, shape: tuple[int, ...]) -> Array:
    """Sum ``dy`` over the axes along which an array of ``shape`` was broadcast to dy's shape."""
    if dy.shape == shape:
        return dy
    new = dy.ndim - len(shape)
    stretched = (new + i for i, size in enumerate(shape) if size == 1 != dy.shape[new + i])
    return kernels.of(dy).sum_over(dy, (*range(new), *stretched)).reshape(shape)


class Add(Operation):
    """y = a + b;  da = dy, db = dy."""

    reads = ()

    def forward(self, a: Array, b: Array) -> Array:
        self.shapes = a.shape, b.shape
        return a + b

    def backward(self, dy: Array) -> tuple[Array, Array]:
        return unbroadcast(dy, self.shapes[0]), unbroadcast(dy, self.shapes[1])


class Subtract(Operation):
    """y = a - b;  da = dy, db = -dy."""

    reads = ()

    def forward(self, a: Array, b: Array) -> Array:
        self.shapes = a.shape, b.shape
        return a - b

    def backward(self, dy: Array) -> tuple[Array, Array]:
        return unbroadcast(dy, self.shapes[0]), unbroadcast(-dy, self.shapes[1])


class Multiply(Operation):
    """y = a * b;  da = dy * b, db = dy * a."""

    reads = ((1,), (0,))

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        return a * b

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        da = unbroadcast(dy * self.b, self.a.shape) if self.needs_gradient[0] else None
        db = unbroadcast(dy * self.a, self.b.shape) if self.needs_gradient[1] else None
        return da, db


class Divide(Operation):
    """y = a / b;  da = dy / b, db = -dy * a / b**2 = -da * y."""

    reads = ((1,), (1, RESULT))

    def forward(self, a: Array, b: Array) -> Array:
        self.b, self.y, self.a_shape = b, a / b, a.shape
        return self.y

    def backward(self, dy: Array) -> tuple[Array, Array]:
        da = dy / self.b
        return unbroadcast(da, self.a_shape), unbroadcast(-da * self.y, self.b.shape)


class Negate(Operation):
    """y = -x;  dx = -dy."""

    reads = ()

    def forward(self, x: Array) -> Array:
        return -x

    def backward(self, dy: Array) -> Array:
        return -dy


class Power(Operation):
    """y = a**b;  da = dy * b * a**(b - 1),  db = dy * a**b * log(a).

    At its edges as in PyTorch: da = 0 where b = 0, and db = 0 where a = 0 and b >= 0.
    """

    reads = ((0, 1), (0, 1, RESULT))

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b, self.y = a, b, a**b
        return self.y

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        a, b, xp = self.a, self.b, array_module(dy)
        da = db = None
        if self.needs_gradient[0]:
            da = xp.where(b == 0, 0, dy * b * a ** xp.where(b == 0, 1, b - 1))
            da = unbroadcast(da, a.shape)
        if self.needs_gradient[1]:
            flat = (a == 0) & (b >= 0)
            db = xp.where(flat, 0, dy * self.y * xp.log(xp.where(flat, 1, a)))
            db = unbroadcast(db, b.shape)
        return da, db


class Exp(Operation):
    """y = exp(x);  dx = dy * y."""

    reads = ((RESULT,),)

    def forward(self, x: Array) -> Array:
        self.y = array_module(x).exp(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * self.y


class Log(Operation):
    """y = log(x);  dx = dy / x."""

    reads = ((0,),)

    def forward(self, x: Array) -> Array:
        self.x = x
        return array_module(x).log(x)

    def backward(self, dy: Array) -> Array:
        return dy / self.x


class Sqrt(Operation):
    """y = sqrt(x);  dx = dy / (2 y)."""

    reads = ((RESULT,),)

    def forward(self, x: Array) -> Array:
        self.y = array_module(x).sqrt(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy / (2 * self.y)


class Reduction(Operation):
    """A reduction over ``axis`` (an axis, several, or None for all), as NumPy's.

    An array without axes may be reduced over axis 0 or -1 too, as in PyTorch: to itself.
    """

    reads = ()

    shape: tuple[int, ...]  # the input's

    def __init__(self, axis: Axes = None, keepdims: bool = False):
        self.axis, self.keepdims = axis, keepdims

    def look_at(self, x: Array) -> None:
        """Keep what ``expand`` needs."""
        self.shape = x.shape
        if x.ndim == 0 and self.axis in (0, -1, (0,), (-1,)):
            self.axis = None

    def expand(self, y: Array) -> Array:
        """``y``, of the result's shape, copied back to the input's (a read-only view)."""
        if not self.keepdims and self.axis is not None:
            y = array_module(y).expand_dims(y, self.axis)
        return array_module(y).broadcast_to(y, self.shape)


class Sum(Reduction):
    """y = sum(x);  dx = dy, copied to every summand."""

    def forward(self, x: Array) -> Array:
        self.look_at(x)
        return kernels.of(x).sum_over(x, self.axis, self.keepdims)

    def backward(self, dy: Array) -> Array:
        return self.expand(dy)


class Mean(Reduction):
    """y = sum(x) / n;  dx = dy / n, copied to each of the n summands."""

    def forward(self, x: Array) -> Array:
        self.look_at(x)
        y = kernels.of(x).sum_over(x, self.axis, self.keepdims)
        self.n = x.size / max(1, y.size)
        return y / y.dtype.type(self.n)

    def backward(self, dy: Array) -> Array:
        return self.expand(dy) / dy.dtype.type(self.n)


class Max(Reduction):
    """y = max(x);  dx = dy, shared equally among the cells that equal the maximum (or are NaN)."""

    def forward(self, x: Array) -> Array:
        self.look_at(x)
        y = x.max(axis=self.axis, keepdims=self.keepdims)
        # a NaN is the maximum wherever there is one
        self.winners = (x == self.expand(y)) | (x != x)
        return y

    def backward(self, dy: Array) -> Array:
        count = self.winners.sum(axis=self.axis, keepdims=self.keepdims).astype(dy.dtype)
        return array_module(dy).where(self.winners, self.expand(dy / count), dy.dtype.type(0))
