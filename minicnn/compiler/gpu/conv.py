"""Convolution in a compiled step on a GPU."""

from __future__ import annotations

from minicnn.kernels import Array

from ..cpu.plan import shapes
from .program import Lowering, Program, Value

ROWS = 4  # as in kernels/steps.cu


class Conv2d(Lowering):
    """See ``ops.conv``: direct, 4 channels a thread."""

    takes_activation = True

    def forward(self, program: Program, x: Value) -> Value:
        self.x, (w, b, has_bias) = x, self._parameters()
        (self.o, c, kh, kw), (h, wide) = w.shape, x.shape[1:]
        stride, padding, dilation = self.operation.window
        oh, ow = self.operation.output
        sizes = (c, h, wide, kh, kw, *stride, *padding, *dilation, oh, ow)
        self.window = (self.o, *sizes)
        y = program.value((self.o, oh, ow), self.kind)
        self.flops = 2 * y.array.size * c * kh * kw
        cells = program.images * -(-self.o // ROWS) * oh * ow
        program.over_cells("conv_forward", self.title, f"{shapes(x.shape, y.shape)}, {kh}x{kw}",
                           cells, (x.array, w, b, y.array), has_bias, self.kind, *self.window,
                           flops=self.flops)  # fmt: skip
        return y

    def backward(self, program: Program, dy: Array) -> Array | None:
        w, x = self._parameters()[0], self.x
        if self.learns:
            dw, db = self._gradients(program)
            blocks = w.size + (self.o if len(self.stage.parameters) == 2 else 0)
            what = shapes(dy.shape[1:], w.shape)
            program.launch("conv_dweight", "conv dweight, dbias", what, blocks, x.array, dy, dw, db,
                           program.images, *self.window, flops=self.flops)  # fmt: skip
        if not self.needs_dinput:
            return None
        dx = program.value(x.shape)
        c, h, wide = x.shape
        cells = program.images * -(-c // ROWS) * h * wide
        program.over_cells("conv_dinput", "conv dinput", shapes(dy.shape[1:], x.shape), cells,
                           (dy, w, x.array, dx.array), x.kind, *self.window,
                           flops=self.flops)  # fmt: skip
        return dx.array
