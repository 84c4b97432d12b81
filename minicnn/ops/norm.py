"""Batch normalisation (Ioffe and Szegedy, "Batch Normalization", 2015)."""

from __future__ import annotations

from minicnn.kernels import Array, array_module

from .operation import Operation


class BatchNorm(Operation):
    """y = gamma z + beta with z = (x - mean) / sqrt(var + eps), mean and variance of the batch.

    Mean and variance are taken over all axes but the channels' (axis 1): m cells a channel. Both
    depend on x, so dx has three terms. With dz = dy gamma, s = sqrt(var + eps):

        dgamma = sum(dy z),  dbeta = sum(dy)
        dx = (dz - mean(dz) - z mean(dz z)) / s

    mean(dz) is what flows back through the mean, z mean(dz z) what flows through the variance:
    the gradient stays orthogonal to the shifts and scalings that normalising takes away.

    x, y: (N, C, ...), gamma (weight), beta (bias): (C,) or both none. After ``forward``, ``mean``
    and ``var`` (biased) hold the batch's statistics, (C,).
    """

    def __init__(self, eps: float):
        self.eps = eps

    def forward(self, x: Array, weight: Array | None = None, bias: Array | None = None) -> Array:
        self.axes = (0, *range(2, x.ndim))
        self.along = (1, -1, *[1] * (x.ndim - 2))  # (C,) laid along axis 1
        self.mean, self.var = x.mean(axis=self.axes), x.var(axis=self.axes)
        self.weight = weight

        s = array_module(x).sqrt(self.var + x.dtype.type(self.eps))
        self.s = s.reshape(self.along)
        self.z = (x - self.mean.reshape(self.along)) / self.s
        if weight is None or bias is None:
            return self.z
        return self.z * weight.reshape(self.along) + bias.reshape(self.along)

    def backward(self, dy: Array) -> Array | tuple[Array, ...]:
        def mean(values: Array) -> Array:
            return values.mean(axis=self.axes, keepdims=True)

        dz = dy if self.weight is None else dy * self.weight.reshape(self.along)
        dx = (dz - mean(dz) - self.z * mean(dz * self.z)) / self.s
        if self.weight is None:
            return dx
        return dx, (dy * self.z).sum(axis=self.axes), dy.sum(axis=self.axes)


class FixedBatchNorm(Operation):
    """y = gamma (x - mean) / s + beta, s = sqrt(var + eps), with mean and variance given.

    They do not depend on x (they are running statistics), so dx = dy gamma / s. The rest is as in
    ``BatchNorm``. x, y: (N, C, ...), mean, var, gamma, beta: (C,).
    """

    def __init__(self, mean: Array, var: Array, eps: float):
        self.mean, self.var, self.eps = mean, var, eps

    def forward(self, x: Array, weight: Array | None = None, bias: Array | None = None) -> Array:
        self.axes = (0, *range(2, x.ndim))
        along = (1, -1, *[1] * (x.ndim - 2))
        s = array_module(x).sqrt(self.var + x.dtype.type(self.eps)).reshape(along)
        self.z = (x - self.mean.reshape(along)) / s
        if weight is None or bias is None:
            self.scale = 1 / s
            return self.z
        gamma = weight.reshape(along)
        self.scale = gamma / s
        return self.z * gamma + bias.reshape(along)

    def backward(self, dy: Array) -> Array | tuple[Array, ...]:
        dx = dy * self.scale
        if len(self.needs_gradient) == 1:
            return dx
        return dx, (dy * self.z).sum(axis=self.axes), dy.sum(axis=self.axes)
