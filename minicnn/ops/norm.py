"""Batch normalisation (Ioffe and Szegedy, "Batch Normalization", 2015)."""

from __future__ import annotations

from minicnn import kernels
from minicnn.kernels import Array, array_module

from .operation import Operation


class FixedBatchNorm(Operation):
    """y = gamma z + beta with z = (x - mean) / s, s = sqrt(var + eps), mean and var constant.

    They are running statistics and do not depend on x, so with sums over all axes but the
    channels' (axis 1)

        dx = (gamma / s) dy,  dgamma = sum(dy z),  dbeta = sum(dy)

    x, y: (N, C, ...), mean, var, gamma (weight), beta (bias): (C,); the last two may be none.
    """

    reads: tuple[tuple[int, ...], ...] = ((), (0,), ())  # x, for dgamma
    gives_new_arrays = True

    def __init__(self, mean: Array, var: Array, eps: float):
        self.mean, self.var, self.eps = mean.copy(), var, eps

    def forward(self, x: Array, weight: Array | None = None, bias: Array | None = None) -> Array:
        self.x, one = x, x.dtype.type(1)
        self.s = array_module(x).sqrt(self.var + x.dtype.type(self.eps))
        self.scale = (one if weight is None else weight) / self.s  # gamma / s
        shift = array_module(x).zeros_like(self.s) if bias is None else bias
        return kernels.of(x).normalise(x, self.mean, self.scale, shift)

    def backward(self, dy: Array) -> Array | tuple[Array, ...]:
        along = (1, -1, *[1] * (dy.ndim - 2))  # (C,) laid along axis 1
        dx = self.scale.reshape(along) * dy
        return dx if len(self.needs_gradient) == 1 else (dx, *self._sums(dy))

    def _sums(self, dy: Array) -> tuple[Array, Array]:
        """dgamma and dbeta."""
        dbeta, of_x = kernels.of(dy).norm_sums(dy, self.x, self.mean)
        return of_x / self.s, dbeta


class BatchNorm(FixedBatchNorm):
    """y = gamma z + beta with z = (x - mean) / s, s = sqrt(var + eps), mean and var of the batch.

    They are taken over the m cells of each channel, and depend on x, so dx has three terms. With
    dz = gamma dy:

        dx = (dz - mean(dz) - z mean(dz z)) / s
           = (gamma / s) (dy - dbeta / m - z dgamma / m)

    mean(dz) is what flows back through the mean, z mean(dz z) what flows through the variance:
    the gradient stays orthogonal to the shifts and scalings that normalising takes away. dgamma
    and dbeta are as in ``FixedBatchNorm``.

    After ``forward``, ``mean`` and ``var`` (biased) hold the batch's statistics, (C,).
    """

    reads: tuple[tuple[int, ...], ...] = ((0,), (0,), ())

    def __init__(self, eps: float):
        self.eps = eps

    def forward(self, x: Array, weight: Array | None = None, bias: Array | None = None) -> Array:
        self.mean, self.var = kernels.of(x).moments(x)
        return super().forward(x, weight, bias)

    def backward(self, dy: Array) -> Array | tuple[Array, ...]:
        dgamma, dbeta = self._sums(dy)
        m = dy.size // dy.shape[1]
        through_var = dgamma / m / self.s  # times x - mean: z dgamma / m
        dx = kernels.of(dy).norm_backward(dy, self.x, self.mean, self.scale, dbeta / m, through_var)
        return dx if len(self.needs_gradient) == 1 else (dx, dgamma, dbeta)
