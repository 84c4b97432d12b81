"""Flattening and padding of one image."""

from __future__ import annotations

from ..shape import check_flattens, frame_of_pad
from .plan import Picture, PixelLowering, PixelPlan, around, compact, reframed


class Reshape(PixelLowering):
    """Flattening: nothing to do where the cells lie one after the other."""

    def forward(self, plan: PixelPlan, x: Picture) -> Picture:
        check_flattens(self.stage)
        return compact(plan, x)


class Pad(PixelLowering):
    """Zeros around the picture."""

    def forward(self, plan: PixelPlan, x: Picture) -> Picture:
        of = frame_of_pad(self.stage)
        return reframed(plan, x, around(x, of.lines, of.columns, (of.top, of.left)), "pad")
