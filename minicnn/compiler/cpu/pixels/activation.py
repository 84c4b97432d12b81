"""Activations of one image: the instructions that tiles use too."""

from __future__ import annotations

from ...record import ACTIVATIONS
from ...table import shapes
from ..activation import FORWARD
from .plan import Picture, PixelLowering, PixelPlan


class Activation(PixelLowering):
    """In place of x. Cells that mean nothing are computed too: they stay such."""

    def forward(self, plan: PixelPlan, x: Picture) -> Picture:
        op = FORWARD[ACTIVATIONS[type(self.operation)]]
        # all places at once; 0: not ``size`` of them in each tile
        plan.emit(op(x, x, x.size, 0), self.operation.name.lower(), shapes(x.shape))
        return x
