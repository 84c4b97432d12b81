"""Convolution in a compiled step on a GPU: one kernel forward, two backward."""

from __future__ import annotations

from minicnn.kernels import Array

from ..table import shapes
from .program import GpuLowering, Program, Value

ROWS = 4  # channels that a thread computes, as in kernels/gpu/conv.cu


class GpuConv2d(GpuLowering):
    """See ``ops.conv``. Nothing is copied into columns: a thread reads its windows where they lie.

    A thread computes one place of the result for 4 channels, so that what it reads serves 4 sums.
    """

    takes_activation = True

    def forward(self, program: Program, x: Value) -> Value:
        self.x, (w, b, has_bias) = x, self._parameters()
        (self.o, c, kh, kw), (h, wide) = w.shape, x.shape[1:]
        stride, padding, dilation = self.operation.window
        oh, ow = self.operation.output
        # O, C, H, W, KH, KW, SH, SW, PH, PW, DH, DW, OH, OW: all three kernels end with these
        self.sizes = (self.o, c, h, wide, kh, kw, *stride, *padding, *dilation, oh, ow)
        y = program.value((self.o, oh, ow), self.kind)
        self.flops = 2 * y.array.size * c * kh * kw
        # one for each image, group of 4 output channels (the last may be smaller) and window
        threads = program.images * -(-self.o // ROWS) * oh * ow
        program.over_cells("conv_forward", self.title, f"{shapes(x.shape, y.shape)}, {kh}x{kw}",
                           threads, (x.array, w, b, y.array), has_bias, self.kind, *self.sizes,
                           flops=self.flops)  # fmt: skip
        return y

    def backward(self, program: Program, dy: Array) -> Array | None:
        if any(self.learns):
            self._dweight(program, dy)
        return self._dinput(program, dy) if self.needs_dinput else None

    def _dweight(self, program: Program, dy: Array) -> None:
        """A block for each weight and each bias: it sums over all images and windows."""
        w, _, has_bias = self._parameters()
        dw, db = self._gradients(program)
        blocks = w.size + (self.o if has_bias else 0)  # the biases' blocks come after the weights'
        what = shapes(dy.shape[1:], w.shape)
        arrays = self.x.array, dy, dw, db
        program.launch("conv_dweight", "conv dweight, dbias", what, blocks, *arrays,
                       program.n, *self.sizes, flops=self.flops)  # fmt: skip

    def _dinput(self, program: Program, dy: Array) -> Array:
        w, x, dx = self._parameters()[0], self.x, program.value(self.x.shape)
        c, h, wide = x.shape
        # as forward, with cells of the picture and groups of input channels
        threads = program.images * -(-c // ROWS) * h * wide
        program.over_cells("conv_dinput", "conv dinput", shapes(dy.shape[1:], x.shape), threads,
                           (dy, w, x.array, dx.array), x.kind, *self.sizes,
                           flops=self.flops)  # fmt: skip
        return dx.array
