"""Activations and dropout in a compiled step on the CPU."""

from __future__ import annotations

from minicnn.kernels.arrays import LANES, MASK, RELU, SIGMOID, TANH
from minicnn.kernels.tiles import activation as tiles

from ..record import ACTIVATIONS, Stage
from ..table import shapes
from .layout import extent
from .plan import Buffer, CpuLowering, Plan

FORWARD = {SIGMOID: tiles.Sigmoid, TANH: tiles.Tanh, RELU: tiles.ReLU}


class Activation(CpuLowering):
    """The result replaces x if nothing else needs x; backward, dx replaces dy likewise.

    Attributes:
        is_in_norm: the batch normalisation before it computes it, both ways.
    """

    is_in_norm = False

    def __init__(self, stage: Stage, needs_dinput: bool):
        super().__init__(stage, needs_dinput)
        self.kind = ACTIVATIONS[type(self.operation)]

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        if self.is_in_norm:
            return x
        self.name = self.operation.name.lower()
        self.is_done = False  # by the pooling that follows, in one instruction with its own
        self.y = plan.over(x)
        self.y.is_kept = True  # the way back computes the slope from it
        op = FORWARD[self.kind]
        plan.emit(op(x, self.y, *extent(x)), self.name, shapes(x.shape))
        return self.y

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        if not self.needs_dinput:
            return None
        if self.is_in_norm or self.is_done:
            return dy
        dx = plan.over(dy)
        op = tiles.ActivateBackward(dy, dx, self.y, self.kind, *extent(dy))
        plan.emit(op, f"{self.name} dinput", shapes(dy.shape))
        return dx


class Dropout(CpuLowering):
    """Mask number k of a step is the k-th dropout of the net."""

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        p = self.operation.p
        y, self.mask = plan.buffer(x.shape, x.by_tile), plan.buffer(x.shape, x.by_tile)
        # from feature to feature, and from tile to tile: of tiles, or of the group's matrix
        pitch, tile = (LANES, x.cells * LANES) if x.by_tile else (plan.images, LANES)
        settings = plan.constant([p, 1 / (1 - p) if p < 1 else 0])
        op = tiles.Dropout(x, y, self.mask, x.cells, pitch, tile, plan.masks, settings)
        plan.emit(op, "dropout", shapes(x.shape))
        plan.masks += 1
        return y

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        if not self.needs_dinput:
            return None
        dx = plan.over(dy)
        op = tiles.ActivateBackward(dy, dx, self.mask, MASK, *extent(dy))
        plan.emit(op, "dropout dinput", shapes(dy.shape))
        return dx
