"""Flattening and padding in a compiled step on the CPU."""

from __future__ import annotations

from math import prod
from typing import Any

from minicnn.kernels.tiles.move import Framed, Unflatten

from ..record import CompileError, Stage
from ..table import shapes
from .layout import as_matrix, frame_of, into_frame, out_of_frame
from .plan import Buffer, CpuLowering, Plan


def check_flattens(stage: Stage) -> None:
    """Refuse a reshape that does anything else.

    Raises:
        CompileError: the result is not (features,).
    """
    features = prod(stage.input_shape)
    if stage.output_shape != (features,):
        raise CompileError(
            f"compile: Reshape to {stage.output_shape} an image; wanted to flatten it to "
            f"({features},)"
        )


def frame_of_pad(stage: Stage) -> Framed:
    """How a picture lies in the zeros that a ``Pad`` puts around it.

    Raises:
        CompileError: it pads with another number or another axis, or cuts off.
    """
    operation: Any = stage.operation
    # (before, after) of each axis: only lines and columns may get zeros, none may be cut off
    *others, (top, _), (left, _) = operation.frame
    cuts = any((cut.start or 0) or cut.stop for cut in operation.cut)
    if len(others) != 2 or any(map(any, others)) or cuts or operation.value:
        raise CompileError("compile: Pad with other than zeros around the rows and columns")
    return frame_of(stage.input_shape, stage.output_shape[-2:], (top, left))


class Reshape(CpuLowering):
    """Flattening: tiles to a matrix."""

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        check_flattens(self.stage)
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
        self.framed = frame_of_pad(self.stage)
        return into_frame(plan, x, self.framed, "pad")

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        if not self.needs_dinput:
            return None
        return out_of_frame(plan, dy, self.framed, "pad dinput")
