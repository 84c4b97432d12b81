"""Matrix products and the dense layer."""

from __future__ import annotations

from minicnn import kernels
from minicnn.kernels import Array

from .arithmetic import unbroadcast
from .operation import Operation


class MatMul(Operation):
    """y = a @ b;  da = dy @ bᵀ, db = aᵀ @ dy.

    a: (..., M, K), b: (..., K, N), y: (..., M, N), the leading axes broadcast; a may be (K,), b
    may be (K,), as in NumPy: a vector is a matrix of one row (a) or one column (b).
    """

    reads = ((1,), (0,))

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        return kernels.of(a).matmul(a, b)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        matmul = kernels.of(dy).matmul
        da = db = None
        a = self.a[None, :] if self.a.ndim == 1 else self.a
        b = self.b[:, None] if self.b.ndim == 1 else self.b
        if self.b.ndim == 1:
            dy = dy[..., None]
        if self.a.ndim == 1:
            dy = dy[..., None, :]
        if self.needs_gradient[0]:
            da = unbroadcast(matmul(dy, b.swapaxes(-1, -2)), a.shape).reshape(self.a.shape)
        if self.needs_gradient[1]:
            db = unbroadcast(matmul(a.swapaxes(-1, -2), dy), b.shape).reshape(self.b.shape)
        return da, db


class Linear(Operation):
    """The dense layer y = x Wᵀ + b, a row of x for each sample.

        y[m, o] = sum_k x[m, k] W[o, k] + b[o]

    Each derivative is the same sum, read from the other side:

        dx[m, k] = sum_o dy[m, o] W[o, k]      dx = dy W
        dW[o, k] = sum_m dy[m, o] x[m, k]      dW = dyᵀ x
        db[o]    = sum_m dy[m, o]

    x: (M, K), weight: (O, K), bias: (O,), y: (M, O).
    """

    reads = ((1,), (0,), ())
    gives_new_arrays = True

    def forward(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        self.x, self.weight = x, weight
        return kernels.of(x).matmul(x, weight.T, plus=bias)

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        matmul = kernels.of(dy).matmul
        dx = matmul(dy, self.weight) if self.needs_gradient[0] else None
        dweight = matmul(dy.T, self.x) if self.needs_gradient[1] else None
        dbias = kernels.of(dy).sum_over(dy, 0) if any(self.needs_gradient[2:]) else None
        return (dx, dweight, dbias)[: len(self.needs_gradient)]
