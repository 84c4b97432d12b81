"""Batch normalisation of one image, with the running statistics as they are at each call."""

from __future__ import annotations

from typing import Any

from minicnn.kernels.tiles.pixels import NormalisePixels

from ...lowering import norm_layer_of
from ...table import shapes
from .plan import Picture, PixelLowering, PixelPlan


class FixedBatchNorm(PixelLowering):
    """See ``ops.norm``. In place of x."""

    def forward(self, plan: PixelPlan, x: Picture) -> Picture:
        layer: Any = norm_layer_of(self.stage)
        # the layer's buffers, not these tensors: others may be set
        mean, var = plan.source(lambda: layer.running_mean), plan.source(lambda: layer.running_var)
        eps = plan.constant([self.operation.eps])
        gamma, beta = [plan.parameter(p) for p in self.stage.parameters] or (mean, mean)  # not read
        is_affine, channels = int(len(self.stage.parameters) > 0), x.shape[0]
        op = NormalisePixels(x, mean, var, eps, gamma, beta, is_affine, channels, x.channel)
        plan.emit(op, "normalise", shapes(x.shape))
        return x
