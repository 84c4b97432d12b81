"""Which operations can be compiled for a GPU, and which lowering each becomes."""

from __future__ import annotations

from minicnn import ops
from minicnn.kernels.arrays import NONE

from ..lowering import lowerings_of
from ..record import Stage
from .activation import GpuActivation, GpuDropout
from .conv import GpuConv2d
from .linear import GpuLinear
from .norm import GpuBatchNorm, GpuFixedBatchNorm
from .pool import GpuAvgPool2d, GpuMaxPool2d
from .program import GpuLowering
from .shape import GpuReshape

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
}


def lower(stages: list[Stage]) -> list[GpuLowering]:
    """The lowerings of the chain. An activation joins the one before it, if that can apply it.

    Raises:
        CompileError: an operation that has no lowering.
    """
    lowered: list[GpuLowering] = []
    for lowering in lowerings_of(stages, LOWERINGS, " for a GPU"):
        before = lowered[-1] if lowered else None
        # a kernel applies one activation: of two in a row the second stays by itself
        joins = before is not None and before.takes_activation and before.kind == NONE
        if before is not None and joins and isinstance(lowering, GpuActivation):
            before.kind = lowering.kind
        else:
            lowered.append(lowering)
    return lowered
