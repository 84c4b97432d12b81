"""What each operation becomes in a plan: its instructions forward and, next to them, backward.

``LOWERINGS`` says which operations can be compiled, and where each one's lowering stands.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn import nn, ops
from minicnn.kernels.arrays import RELU
from minicnn.kernels.tiles.loss import CrossEntropy, GiveLogits

from ..lowering import add_backward, add_forward, lowerings_of, readers_of
from ..record import Stage
from ..table import shapes
from .activation import Activation, Dropout
from .conv import Conv2d
from .join import Add, Concatenate, sum_of
from .layout import Images, as_matrix
from .linear import Linear
from .norm import BatchNorm, FixedBatchNorm
from .plan import Buffer, CpuLowering, Plan
from .pool import AvgPool2d, MaxPool2d, Pool
from .shape import Pad, Reshape
from .winograd import conv2d

LOWERINGS: dict[type[ops.Operation], Callable[..., CpuLowering]] = {
    ops.Conv2d: conv2d,
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
    ops.Pad: Pad,
    ops.Add: Add,
    ops.Concatenate: Concatenate,
}


def lay_out(
    stages: list[Stage],
    group: int,
    dtype: np.dtype,
    of_bytes: bool,
    loss: nn.CrossEntropyLoss | None,
    winograd: bool = True,
) -> Plan:
    """The plan of a training step, or without a loss of a prediction.

    Raises:
        CompileError: an operation that has no lowering.
    """
    plan, lowerings = Plan(group, dtype), _lower(stages, winograd)
    y = add_forward(lowerings, plan, _begin(plan, stages, lowerings, of_bytes), _keep)
    _give_result(plan, y)
    if loss is not None:
        add_backward(lowerings, plan, _loss(plan, y, loss), _sum_of_gradients)
    plan.finish()
    return plan


def _lower(stages: list[Stage], winograd: bool) -> list[CpuLowering]:
    known = LOWERINGS if winograd else {**LOWERINGS, ops.Conv2d: Conv2d}
    lowerings: list[CpuLowering] = []
    for lowering in lowerings_of(stages, known):
        number = lowering.stage.inputs[0]  # 0 are the pictures, k the result of the k-th stage
        before = lowerings[number - 1] if number else None
        if before is not None and before.readers == 1:
            _unite(before, lowering)
        lowerings.append(lowering)
    return lowerings


def _unite(before: CpuLowering, after: CpuLowering) -> None:
    """Let one instruction do what both would, if no other reads what is between them."""
    if isinstance(before, Activation) and isinstance(after, Pool) and not before.is_in_norm:
        after.before = before  # on the way back
    if isinstance(before, BatchNorm) and isinstance(after, Activation) and after.kind == RELU:
        before.after, after.is_in_norm = RELU, True


def _begin(
    plan: Plan, stages: list[Stage], lowerings: list[CpuLowering], of_bytes: bool
) -> list[Buffer]:
    """Emit the loading of the pictures, perhaps with the first stage: the first of the values."""
    images, readers = Images(stages[0].input_shape, of_bytes), readers_of(stages)
    first = lowerings[0]
    if isinstance(first, Conv2d) and readers[0] == 1:
        # a convolution loads the pictures itself, into their frame: no other asks for value 0
        y = first.forward_of(plan, images)
        y.is_kept = readers[1] > 1
        return [y, y]
    x = images.load(plan)
    x.is_kept = readers[0] > 1
    return [x]


def _keep(x: Buffer) -> None:
    x.is_kept = True


def _sum_of_gradients(plan: Plan, a: Buffer, b: Buffer) -> Buffer:
    return sum_of(plan, a, b, "sum dinput")


def _give_result(plan: Plan, y: Buffer) -> None:
    flat = as_matrix(plan, y)
    plan.emit(GiveLogits(flat, flat.cells, plan.images), "logits", shapes(y.shape))


def _loss(plan: Plan, logits: Buffer, loss: nn.CrossEntropyLoss) -> Buffer:
    """Emit the loss and its gradient with respect to the logits."""
    classes = logits.cells
    # smoothing, scale, ignored class, class weights: filled in before each step
    settings = plan.loss_settings = plan.constant(np.zeros(3 + classes))
    plan.loss_sums, plan.sums = plan.sums, plan.sums + 2
    dlogits = plan.buffer(logits.shape, by_tile=False)
    op = CrossEntropy(logits, dlogits, classes, plan.images, settings, plan.loss_sums)
    plan.emit(op, "cross-entropy", shapes(logits.shape), 6 * classes)
    plan.backward_from = len(plan.lines)
    return dlogits
