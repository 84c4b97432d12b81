"""The dense layer in a compiled step on a GPU."""

from __future__ import annotations

from minicnn.kernels import Array

from ..cpu.plan import shapes
from ..record import CompileError
from .program import Lowering, Program, Value

TILE = 16  # as in kernels/steps.cu


class Linear(Lowering):
    """See ``ops.linear``: products of 16 x 16 tiles in shared memory."""

    takes_activation = True

    def forward(self, program: Program, x: Value) -> Value:
        self.x, (w, b, has_bias) = x, self._parameters()
        if len(x.shape) != 1:
            raise CompileError("compile: wanted a dense layer behind a flattening")
        (o, k), n = w.shape, program.images
        y = program.value((o,), self.kind)
        self.flops = 2 * n * o * k
        blocks = max(1, -(-n // TILE)) * -(-o // TILE)  # a grid has to have one at least
        program.launch("dense_forward", self.title, shapes((k,), (o,)), blocks, x.array, w, b,
                       y.array, has_bias, self.kind, n, o, k, flops=self.flops)  # fmt: skip
        return y

    def backward(self, program: Program, dy: Array) -> Array | None:
        if not (self.learns or self.needs_dinput):
            return None
        w, _, has_bias = self._parameters()
        (o, k), n, x = w.shape, program.images, self.x
        dw, db = self._gradients(program)
        dx = program.value(x.shape).array if self.needs_dinput else dw
        blocks = -(-o // TILE) * -(-(k + 1) // TILE)
        blocks += -(-n // TILE) * -(-k // TILE) if self.needs_dinput else 0
        name = "dense dweight, dbias, dinput" if self.needs_dinput else "dense dweight, dbias"
        flops = self.flops * (2 if self.needs_dinput else 1)
        program.launch("dense_backward", name, shapes((o,), w.shape), blocks, x.array, dy, w,
                       x.array, dw, db, dx, has_bias, x.kind, n, o, k, flops=flops)  # fmt: skip
        return dx if self.needs_dinput else None
