"""Activations and dropout in a compiled step on the CPU."""

from __future__ import annotations

from minicnn.kernels.arrays import LANES, MASK, RELU, SIGMOID, TANH
from minicnn.kernels.tiles import activation as tiles

from ..record import ACTIVATIONS
from ..table import shapes
from .plan import Buffer, CpuLowering, Plan

FORWARD = {SIGMOID: tiles.Sigmoid, TANH: tiles.Tanh, RELU: tiles.ReLU}


class Activation(CpuLowering):
    """The result replaces x if nothing else needs x; backward, dx replaces dy."""

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        self.kind = ACTIVATIONS[type(self.operation)]
        self.name = self.operation.name.lower()
        self.is_done = False  # by the pooling that follows, in one instruction with its own
        # the result of an activation is needed on the way back: no other may overwrite it
        self.y = plan.buffer(x.shape, x.by_tile) if x.is_kept else x
        self.y.is_kept = True
        op = FORWARD[self.kind]
        plan.emit(op(x, self.y, *_extent(x)), self.name, shapes(x.shape))
        return self.y

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        if not self.needs_dinput:
            return None
        if not self.is_done:
            op = tiles.ActivateBackward(dy, self.y, self.kind, *_extent(dy))
            plan.emit(op, f"{self.name} dinput", shapes(dy.shape))
        return dy


class Dropout(CpuLowering):
    """Backward in place of dy. Mask number k of a step is the k-th dropout of the chain."""

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
        op = tiles.ActivateBackward(dy, self.mask, MASK, *_extent(dy))
        plan.emit(op, "dropout dinput", shapes(dy.shape))
        return dy


def _extent(x: Buffer) -> tuple[int, int]:
    """How many places a cell-by-cell instruction visits, and 1 if that is in each tile."""
    return (x.cells * LANES, 1) if x.by_tile else (x.size, 0)
