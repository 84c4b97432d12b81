"""Which operations can be compiled for a GPU, and by what."""

from __future__ import annotations

from minicnn import ops
from minicnn.kernels.arrays import NONE

from ..record import ACTIVATIONS, Stage, lowering_of
from .activation import Activation, Dropout
from .conv import Conv2d
from .linear import Linear
from .norm import BatchNorm, FixedBatchNorm
from .pool import AvgPool2d, MaxPool2d
from .program import Lowering
from .shape import Reshape

LOWERINGS: dict[type[ops.Operation], type[Lowering]] = {
    ops.Conv2d: Conv2d,
    ops.Linear: Linear,
    ops.MaxPool2d: MaxPool2d,
    ops.AvgPool2d: AvgPool2d,
    ops.Sigmoid: Activation,
    ops.Tanh: Activation,
    ops.ReLU: Activation,
    ops.Dropout: Dropout,
    ops.BatchNorm: BatchNorm,
    ops.FixedBatchNorm: FixedBatchNorm,
    ops.Reshape: Reshape,
}


def lower(stages: list[Stage]) -> list[Lowering]:
    """The lowerings of the chain, activations joined to the operation before where it takes one.

    Raises:
        CompileError: an operation that has no lowering.
    """
    lowered: list[Lowering] = []
    learns = False
    for stage in stages:
        lowering = lowering_of(stage, LOWERINGS, " for a GPU")
        kind = ACTIVATIONS.get(type(stage.operation), NONE)
        if kind and lowered and lowered[-1].takes_activation and lowered[-1].kind == NONE:
            lowered[-1].kind = kind
        else:
            lowered.append(lowering(stage, learns))
        learns = learns or any(p.requires_grad for p in stage.parameters)
    return lowered
