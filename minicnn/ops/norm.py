"""Batch normalisation (Ioffe and Szegedy, "Batch Normalization", 2015)."""

from __future__ import annotations

from minicnn import kernels
from minicnn.kernels import Array, array_module

from .operation import RESULT, Operation


class FixedBatchNorm(Operation):
    """y = gamma z + beta with z = (x - mean) / s, s = sqrt(var + eps), mean and var constant.

    They are running statistics and do not depend on x, so with sums over all axes but the
    channels' (axis 1)

        dx = (gamma / s) dy,  dgamma = sum(dy z),  dbeta = sum(dy)

    x, y: (N, C, ...), mean, var, gamma (weight), beta (bias): (C,); the last two may be none.
    """

    reads = ((RESULT,), (RESULT,), ())  # z, without a weight

    def __init__(self, mean: Array, var: Array, eps: float):
        self.mean, self.var, self.eps = mean, var, eps

    def forward(self, x: Array, weight: Array | None = None, bias: Array | None = None) -> Array:
        along = (1, -1, *[1] * (x.ndim - 2))  # (C,) laid along axis 1
        s = array_module(x).sqrt(self.var + x.dtype.type(self.eps)).reshape(along)
        self.z = (x - self.mean.reshape(along)) / s
        if weight is None or bias is None:
            self.scale = 1 / s
            return self.z
        gamma = weight.reshape(along)
        self.scale = gamma / s
        return self.z * gamma + bias.reshape(along)

    def backward(self, dy: Array) -> Array | tuple[Array, ...]:
        dx = self.scale * dy
        if len(self.needs_gradient) == 1:
            return dx
        dgamma, dbeta = self._sums(dy)
        return dx, dgamma.reshape(-1), dbeta.reshape(-1)

    def _sums(self, dy: Array) -> tuple[Array, Array]:
        """dgamma and dbeta, laid along axis 1."""
        axes = _all_but_channels(dy)
        sum_over = kernels.of(dy).sum_over
        return sum_over(dy * self.z, axes, keepdims=True), sum_over(dy, axes, keepdims=True)


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

    def __init__(self, eps: float):
        self.eps = eps

    def forward(self, x: Array, weight: Array | None = None, bias: Array | None = None) -> Array:
        axes, m, sum_over = _all_but_channels(x), x.size // x.shape[1], kernels.of(x).sum_over
        mean = sum_over(x, axes, keepdims=True) / m
        self.mean = mean.reshape(-1)
        self.var = sum_over((x - mean) ** 2, axes) / m
        return super().forward(x, weight, bias)

    def backward(self, dy: Array) -> Array | tuple[Array, ...]:
        dgamma, dbeta = self._sums(dy)
        m = dy.size // dy.shape[1]
        dx = self.scale * (dy - dbeta / m - self.z * (dgamma / m))
        if len(self.needs_gradient) == 1:
            return dx
        return dx, dgamma.reshape(-1), dbeta.reshape(-1)


def _all_but_channels(x: Array) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))
