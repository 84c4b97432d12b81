"""What each operation becomes in a plan for one image. ``LOWERINGS`` says which ones there are."""

from __future__ import annotations

from math import prod

import numpy as np

from minicnn import ops
from minicnn.kernels.tiles.pixels import GiveResult, ImageOfBytes, ImageOfNumbers

from ...lowering import add_forward, lowerings_of
from ...record import CompileError, Stage
from ...table import shapes
from .activation import Activation
from .conv import Conv2d
from .linear import Linear
from .norm import FixedBatchNorm
from .plan import Picture, PixelLowering, PixelPlan, compact
from .pool import AvgPool2d, MaxPool2d
from .shape import Pad, Reshape

LOWERINGS: dict[type[ops.Operation], type[PixelLowering]] = {
    ops.Conv2d: Conv2d,
    ops.Linear: Linear,
    ops.MaxPool2d: MaxPool2d,
    ops.AvgPool2d: AvgPool2d,
    ops.Sigmoid: Activation,
    ops.Tanh: Activation,
    ops.ReLU: Activation,
    ops.FixedBatchNorm: FixedBatchNorm,
    ops.Reshape: Reshape,
    ops.Pad: Pad,
}


def lay_out(stages: list[Stage], dtype: np.dtype, of_bytes: bool) -> PixelPlan | None:
    """The plan of a prediction for one image; None if the chain has an operation without lowering.

    Which operations no plan has, the one for tiles says.
    """
    plan = PixelPlan(dtype)
    try:
        # those that learn do so in a step: here they count as the others
        chain = [*lowerings_of(stages, LOWERINGS)]
        y = add_forward(chain, plan, [_image(plan, stages[0].input_shape, of_bytes)], _keep)
    except CompileError:
        return None
    plan.emit(GiveResult(compact(plan, y), y.cells), "result", shapes(y.shape))
    plan.finish()
    return plan


def _keep(x: Picture) -> None:
    """A result that several operations read: they join, and no joining operation has a lowering."""
    raise CompileError("compile: a plan for one image is a chain")


def _image(plan: PixelPlan, shape: tuple[int, ...], of_bytes: bool) -> Picture:
    # anything but a picture (C, H, W) is taken as features
    image = plan.picture(shape if len(shape) == 3 else (prod(shape),))
    op = (ImageOfBytes if of_bytes else ImageOfNumbers)(image, image.cells)
    plan.emit(op, "load image", shapes(shape))
    return image
