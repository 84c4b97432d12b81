"""Batch normalisation in a compiled step on a GPU: two kernels forward, two backward."""

from __future__ import annotations

import numpy as np

from minicnn import nn
from minicnn.kernels import Array

from ..lowering import check_batch_statistics, norm_layer_of
from ..record import CompileError
from ..table import shapes
from .program import GpuLowering, Program, Value

MOST_SPLITS = 32  # of a channel's images: a part for each thread of a warp, see kernels/gpu/norm.cu
ENOUGH = 264  # blocks that keep a GPU busy
CELLS = 1024  # of a block at least, unless its channel has fewer


class GpuBatchNorm(GpuLowering):
    """See ``ops.norm``. A block takes some of the images, of one channel.

    The device moves the layer's running statistics and counts its batches. For a layer that keeps
    none, it does so with some that nobody reads.
    """

    takes_activation = True
    is_fixed = False  # whether mean and variance are the same whatever x is

    def forward(self, program: Program, x: Value) -> Value:
        self.x, self.layer = x, norm_layer_of(self.stage)
        self._check_methods()
        c, h, w = x.shape
        self.eps = program.dtype.type(self.operation.eps)
        cells = program.images * h * w  # of a channel
        splits = max(1, min(MOST_SPLITS, -(-ENOUGH // c), cells // CELLS, program.images))
        # the last arguments of all kernels; a block for each channel and split
        self.sizes, self.splits, self.blocks = (c, h * w, splits), splits, c * splits
        running = self._running(program)  # mean, variance, number of batches
        statistics = self._statistics(program, running)
        self.mean, self.var = statistics[1:3]
        gamma, beta, has_affine = self._parameters()
        y = program.value(x.shape, self.kind)
        program.launch("norm_forward", self.title, shapes(x.shape), self.blocks, x.array, gamma,
                       beta, *statistics, y.array, self.eps, program.n, has_affine,
                       int(self.is_fixed), self.kind, *self.sizes)  # fmt: skip
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
    ) -> tuple[Array, ...]:
        """Parts, mean and variance of the batch, and what moves with them; the momentum."""
        c, values, splits = self.sizes
        check_batch_statistics(program.images * values)
        parts = program.buffer(c, splits, 2)
        program.launch("norm_moments", "mean, variance", shapes(self.x.shape, (c,)), self.blocks,
                       self.x.array, parts, running[2], program.n, *self.sizes)  # fmt: skip
        momentum = program.momentum_of(self.layer)
        return parts, program.buffer(c), program.buffer(c), *running, momentum

    def _parameters(self) -> tuple[Array, Array, int]:
        # without weight and bias, some arrays that the kernel does not read
        return super()._parameters() if self.stage.parameters else (self.mean, self.var, 0)

    def backward(self, program: Program, dy: Array) -> Array | None:
        sums = self._sums(program, dy)
        if not self.needs_dinput:
            return None
        x, dx, (gamma, _, has_affine) = self.x, program.value(self.x.shape), self._parameters()
        program.launch("norm_dinput", "norm dinput", shapes(x.shape), self.blocks, x.array, dy,
                       gamma, self.mean, self.var, *sums, dx.array, self.eps, program.n,
                       has_affine, int(self.is_fixed), x.kind, *self.sizes)  # fmt: skip
        return dx.array

    def _sums(self, program: Program, dy: Array) -> tuple[Array, Array]:
        """dweight and dbias, in parts. dx needs them too, unless mean and variance are fixed."""
        learns, place = any(self.learns), (self.splits, self.sizes[0])
        if not (learns or (self.needs_dinput and not self.is_fixed)):
            return self.mean, self.var  # some arrays: norm_dinput does not read them
        if learns:
            sums = self._gradients(program, self.splits)
        else:
            sums = program.buffer(*place), program.buffer(*place)
        program.launch("norm_dweight", "norm dweight, dbias", shapes(self.x.shape, place[1:]),
                       self.blocks, self.x.array, dy, self.mean, self.var, *sums, self.eps,
                       program.n, *self.sizes)  # fmt: skip
        return sums


class GpuFixedBatchNorm(GpuBatchNorm):
    """With the running statistics, as they are when the step runs."""

    is_fixed = True

    def _statistics(
        self, program: Program, running: tuple[Array, Array, Array]
    ) -> tuple[Array, ...]:
        # the kernel reads mean and variance, and none of the others
        mean, var, batches = running
        return mean, mean, var, mean, var, batches, mean
