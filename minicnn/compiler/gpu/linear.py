"""The dense layer in a compiled step on a GPU: one kernel forward, one for all of its gradients."""

from __future__ import annotations

from minicnn.kernels import Array

from ..record import CompileError
from ..table import shapes
from .program import GpuLowering, Program, Value

TILE = 16  # rows and columns of a product that a block computes, as in kernels/gpu/linear.cu


class GpuLinear(GpuLowering):
    """See ``ops.linear``. A block computes 16 x 16 cells of a product, from shared memory."""

    takes_activation = True

    def forward(self, program: Program, x: Value) -> Value:
        self.x, (w, b, has_bias) = x, self._parameters()
        if len(x.shape) != 1:
            raise CompileError("compile: wanted a dense layer after a flattening")
        (o, k), n = w.shape, program.images
        y = program.value((o,), self.kind)
        self.flops = 2 * n * o * k
        blocks = max(1, _tiles(n, o))  # a launch needs a block, even for an empty batch
        program.launch("dense_forward", self.title, shapes((k,), (o,)), blocks, x.array, w, b,
                       y.array, has_bias, self.kind, program.n, o, k, flops=self.flops)  # fmt: skip
        return y

    def backward(self, program: Program, dy: Array) -> Array | None:
        if not (any(self.learns) or self.needs_dinput):
            return None
        w, _, has_bias = self._parameters()
        (o, k), n, x = w.shape, program.images, self.x
        dw, db = self._gradients(program)  # the kernel computes both, wanted or not
        # the first blocks compute dW (O, K) and in a column K more db, the others dx (N, K)
        name, blocks, flops, dx = "dense dweight, dbias", _tiles(o, k + 1), self.flops, dw
        if self.needs_dinput:
            name, blocks, flops = f"{name}, dinput", blocks + _tiles(n, k), 2 * flops
            dx = program.value(x.shape).array
        program.launch("dense_backward", name, shapes((o,), w.shape), blocks, x.array, dy, w,
                       x.array, dw, db, dx, has_bias, x.kind, program.n, o, k,
                       flops=flops)  # fmt: skip
        return dx if self.needs_dinput else None


def _tiles(rows: int, columns: int) -> int:
    """How many tiles cover a matrix."""
    return -(-rows // TILE) * -(-columns // TILE)
