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
from .pool import GpuAvgPool2d, GpuMaxPool2d
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
    """A lowering for each stage. Activations are applied by the kernels before, where they can.

    Raises:
        CompileError: an operation that has no lowering.
    """
    lowered: list[GpuLowering] = []
    for lowering in lowerings_of(stages, LOWERINGS, " for a GPU"):
        number = lowering.stage.inputs[0]  # 0 are the pictures, k the result of the k-th stage
        before = lowered[number - 1] if number else None
        if isinstance(lowering, GpuActivation) and before is not None and before.may_apply_one:
            before.kind = lowering.kind
            lowering.is_applied = True
        lowered.append(lowering)
    return lowered
