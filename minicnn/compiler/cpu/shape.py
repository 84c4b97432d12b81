"""Flattening and padding in a compiled step on the CPU."""

from __future__ import annotations

from math import prod

from minicnn.kernels.tiles.move import Unflatten

from ..record import CompileError
from ..table import shapes
from .layout import as_matrix, frame_of, into_frame, out_of_frame
from .plan import Buffer, CpuLowering, Plan


class Reshape(CpuLowering):
    """Flattening: tiles to a matrix."""

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        features = prod(self.stage.input_shape)
        if self.stage.output_shape != (features,):
            raise CompileError(
                f"compile: Reshape to {self.stage.output_shape} an image; wanted to flatten it to "
                f"({features},)"
            )
        return as_matrix(plan, x)

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        shape = self.stage.input_shape
        if not self.needs_dinput:
            return None
        if len(shape) == 1:  # a matrix already
            return dy
        dx = plan.buffer(shape, by_tile=True)
        op = Unflatten(dy, dx, dx.cells, plan.images)
        plan.emit(op, "unflatten", shapes(dy.shape, dx.shape))
        return dx


class Pad(CpuLowering):
    """Zeros around each picture: a convolution's ``'same'`` with an even kernel begins with it."""

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        # (before, after) of each axis: only lines and columns may get zeros, none may be cut off
        *others, (top, _), (left, _) = self.operation.frame
        cuts = any((cut.start or 0) or cut.stop for cut in self.operation.cut)
        if len(others) != 2 or any(map(any, others)) or cuts or self.operation.value:
            raise CompileError("compile: Pad with other than zeros around the rows and columns")
        framed = self.stage.output_shape[-2:]
        self.framed = frame_of(self.stage.input_shape, framed, (top, left))
        return into_frame(plan, x, self.framed, "pad")

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        if not self.needs_dinput:
            return None
        return out_of_frame(plan, dy, self.framed, "pad dinput")
