"""The dense layer of one image."""

from __future__ import annotations

from minicnn.kernels.tiles.pixels import DenseOfOne
from minicnn.kernels.tiles.product import FROM_BIAS, FROM_ZERO

from ...table import shapes
from .plan import Picture, PixelLowering, PixelPlan, compact


class Linear(PixelLowering):
    """See ``ops.linear``. O outputs, K features: the weights (O, K) are read as they lie."""

    def forward(self, plan: PixelPlan, x: Picture) -> Picture:
        o, k = self.stage.parameters[0].shape
        x, y = compact(plan, x), plan.picture((o,))
        places = [plan.parameter(p) for p in self.stage.parameters]
        begin = FROM_BIAS if len(places) > 1 else FROM_ZERO
        # without a bias, its place is that of the weights, and not read
        op = DenseOfOne(x, y, places[0], plan.table(range(0, o * k, k)), o, k, begin, places[-1])
        plan.emit(op, "dense", shapes((k,), (o,)), 2 * o * k)
        return y
