"""Flattening in a compiled step on a GPU: no kernel, another view of the same memory."""

from __future__ import annotations

from minicnn.kernels import Array

from .program import GpuLowering, Program, Value


class GpuReshape(GpuLowering):
    """The same cells, in the same order."""

    def forward(self, program: Program, x: Value) -> Value:
        self.shape = x.shape
        # still the activation's result, for whoever computes the slope
        return Value(x.array.reshape(program.images, *self.stage.output_shape), x.kind)

    def backward(self, program: Program, dy: Array) -> Array | None:
        return dy.reshape(program.images, *self.shape) if self.needs_dinput else None
