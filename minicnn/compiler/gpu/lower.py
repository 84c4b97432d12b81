"""Which operations can be compiled for a GPU, and which lowering each becomes."""

from __future__ import annotations

from minicnn import ops

from ..lowering import lowerings_of
from ..record import Stage
from .activation import GpuActivation, GpuDropout
from .conv import GpuConv2d
from .join import GpuAdd, GpuConcatenate
from .linear import GpuLinear
from .norm import GpuBatchNorm, GpuFixedBatchNorm
from .pool import GpuAvgPool2d, GpuMaxPool2d, GpuPool
from .program import GpuLowering
from .shape import GpuPad, GpuReshape

LOWERINGS: dict[type[ops.Operation], type[GpuLowering]] = {
    ops.Conv2d: GpuConv2d,
    ops.Linear: GpuLinear,
    ops.MaxPool2d: GpuMaxPool2d,
    ops.AvgPool2d: GpuAvgPool2d,
    ops.Sigmoid: GpuActivation,
    ops.Tanh: GpuActivation,
    ops.ReLU: GpuActivation,
    ops.Dropout: GpuDropout,
    ops.BatchNorm: GpuBatchNorm,
    ops.FixedBatchNorm: GpuFixedBatchNorm,
    ops.Reshape: GpuReshape,
    ops.Pad: GpuPad,
    ops.Add: GpuAdd,
    ops.Concatenate: GpuConcatenate,
}


def lower(stages: list[Stage]) -> list[GpuLowering]:
    """A lowering for each stage. Activations and poolings are applied by the kernels before, where
    they can.

    Raises:
        CompileError: an operation that has no lowering.
    """
    lowered: list[GpuLowering] = []
    for lowering in lowerings_of(stages, LOWERINGS, " for a GPU"):
        before = _before(lowering, lowered)
        if isinstance(lowering, GpuActivation) and before is not None and before.may_apply_one:
            before.kind = lowering.kind
            lowering.is_applied = True
        # a pooling looks past an activation that the convolution computes, for nobody else
        if isinstance(before, GpuActivation) and before.is_applied and before.readers == 1:
            before = _before(before, lowered)
        if isinstance(lowering, GpuPool) and isinstance(before, GpuConv2d) and before.readers == 1:
            lowering.is_applied = before.take_pooling(lowering.stage)
        lowered.append(lowering)
    return lowered


def _before(lowering: GpuLowering, lowered: list[GpuLowering]) -> GpuLowering | None:
    """The one whose result it reads; None if that are the pictures."""
    number = lowering.stage.inputs[0]  # 0 are the pictures, k the result of the k-th stage
    return lowered[number - 1] if number else None
