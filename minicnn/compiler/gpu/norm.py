"""Batch normalisation in a compiled step on a GPU: two kernels forward, two backward."""

from __future__ import annotations

import numpy as np

from minicnn import nn
from minicnn.kernels import Array

from ..lowering import check_batch_statistics, norm_layer_of
from ..record import CompileError
from ..table import shapes
from .program import GpuLowering, Program, Value


class GpuBatchNorm(GpuLowering):
    """See ``ops.norm``. A block sums up a channel, a thread normalises a cell.

    The device moves the layer's running statistics and counts its batches. For a layer that keeps
    none, it does so with some that nobody reads.
    """

    takes_activation = True
    is_fixed = False  # whether mean and variance are the same whatever x is

    def forward(self, program: Program, x: Value) -> Value:
        self.x, self.layer = x, norm_layer_of(self.stage)
        self._check_methods()
        c, h, w = x.shape
        self.sizes, self.eps = (c, h * w), program.dtype.type(self.operation.eps)
        running = self._running(program)  # mean, variance, number of batches
        self.mean, self.var = self._statistics(program, running)
        gamma, beta, has_affine = self._parameters()
        y = program.value(x.shape, self.kind)
        # the kernel counts the batch: norm_moments, which reads the number, has run by then
        arrays = x.array, gamma, beta, self.mean, self.var, y.array, running[2]
        program.over_cells("norm_forward", self.title, shapes(x.shape), y.array.size, arrays,
                           has_affine, int(not self.is_fixed), self.kind, self.eps,
                           *self.sizes)  # fmt: skip
        return y

    def _check_methods(self) -> None:
        """Refuse a layer that counts or averages in its own way: the device calls no method."""
        kind = type(self.layer)
        for name in ("count_batch", "next_momentum"):
            is_own = getattr(kind, name) is not getattr(nn.BatchNorm2d, name)
            if is_own or name in vars(self.layer):
                raise CompileError(f"compile: a {kind.__name__} with its own {name}, on a GPU")

    def _running(self, program: Program) -> tuple[Array, Array, Array]:
        """The layer's running mean and variance, and how many batches it has seen."""
        layer, c = self.layer, self.sizes[0]
        if layer.running_mean is None or layer.running_var is None:
            return program.buffer(c), program.buffer(c), program.buffer(1, dtype=np.int64)
        batches = layer.num_batches_tracked.data  # a kernel adds 1 to it where it lies
        if batches.dtype != np.int64:
            raise CompileError(f"compile: num_batches_tracked is {batches.dtype}; wanted int64")
        return layer.running_mean.data, layer.running_var.data, batches

    def _statistics(
        self, program: Program, running: tuple[Array, Array, Array]
    ) -> tuple[Array, Array]:
        """Mean and variance of the batch, by which the running ones move."""
        (c, values), x = self.sizes, self.x.array
        check_batch_statistics(program.images * values)
        mean, var = program.buffer(c), program.buffer(c)
        if program.images == 0:  # nothing to normalise, so it does not matter by what
            return mean, var
        momentum = program.momentum_of(self.layer)
        program.launch("norm_moments", "mean, variance", shapes(self.x.shape, (c,)), c, x, mean,
                       var, *running, momentum, program.n, *self.sizes)  # fmt: skip
        return mean, var

    def _parameters(self) -> tuple[Array, Array, int]:
        # without weight and bias, some arrays that the kernel does not read
        return super()._parameters() if self.stage.parameters else (self.mean, self.var, 0)

    def backward(self, program: Program, dy: Array) -> Array | None:
        sums = self._sums(program, dy)
        if not self.needs_dinput:
            return None
        x, dx, (gamma, _, has_affine) = self.x, program.value(self.x.shape), self._parameters()
        # x twice: to compute z, and as the activation's result that the slope is computed from
        arrays = x.array, dy, gamma, self.mean, self.var, *sums, x.array, dx.array
        program.over_cells("norm_dinput", "norm dinput", shapes(x.shape), dx.array.size, arrays,
                           has_affine, int(self.is_fixed), x.kind, self.eps, program.n,
                           *self.sizes)  # fmt: skip
        return dx.array

    def _sums(self, program: Program, dy: Array) -> tuple[Array, Array]:
        """dweight and dbias. dx needs them too, unless mean and variance are fixed."""
        c, learns = self.sizes[0], any(self.learns)
        if not (learns or (self.needs_dinput and not self.is_fixed)):
            return self.mean, self.var  # some arrays: norm_dinput does not read them
        sums = self._gradients(program) if learns else (program.buffer(c), program.buffer(c))
        program.launch("norm_dweight", "norm dweight, dbias", shapes(self.x.shape, (c,)), c,
                       self.x.array, dy, self.mean, self.var, *sums, self.eps, program.n,
                       *self.sizes)  # fmt: skip
        return sums


class GpuFixedBatchNorm(GpuBatchNorm):
    """With the running statistics, as they are when the step runs."""

    is_fixed = True

    def _statistics(
        self, program: Program, running: tuple[Array, Array, Array]
    ) -> tuple[Array, Array]:
        return running[:2]
