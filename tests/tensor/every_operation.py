"""One use of every operation of ``minicnn.ops``, for tests that have to hold for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import Tensor, apply, ops
from minicnn.nn import functional as F

LABELS, IGNORED = Tensor(np.array([1, 0])), Tensor(np.array([-1, 1]))

Use = tuple[Callable[..., Tensor], tuple[tuple[int, ...], ...]]

USES: dict[type[ops.Operation], Use] = {
    ops.Add: (lambda a, b: a + b, ((2, 3), (3,))),
    ops.AvgPool2d: (lambda x: F.avg_pool2d(x, (2, 3)), ((2, 1, 5, 6),)),
    ops.BatchNorm: (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        ((4, 3), (3,), (3,)),
    ),
    ops.Cast: (lambda x: x.to("float32"), ((2, 3),)),
    ops.Concatenate: (lambda a, b: apply(ops.Concatenate(1), a, b), ((2, 3), (2, 1))),
    ops.Conv2d: (
        lambda x, w, b: F.conv2d(x, w, b, padding=1),
        ((2, 3, 4, 5), (4, 3, 2, 3), (4,)),
    ),
    ops.Conv2dByImage: (
        lambda x, w, b: apply(ops.Conv2dByImage((1, 2), (1, 0), (1, 1), (5, 2)), x, w, b),
        ((3, 3, 4, 5), (4, 3, 2, 3), (4,)),
    ),
    ops.Divide: (lambda a, b: a / b, ((2, 3), (3,))),
    ops.Dropout: (lambda x: apply(ops.Dropout(0.5, (3, 4)), x), ((4, 5),)),
    ops.Exp: (lambda x: x.exp(), ((2, 3),)),
    ops.FixedBatchNorm: (
        lambda x, w, b: F.batch_norm(x, Tensor(np.full(3, 0.5)), Tensor(np.full(3, 2.0)), w, b),
        ((4, 3), (3,), (3,)),
    ),
    ops.IgnoreRows: (lambda x: apply(ops.IgnoreRows(IGNORED.data), x), ((2, 3),)),
    ops.InPieces: (
        lambda x, w, b: apply(ops.InPieces(ops.Linear, 2), x, w, b),
        ((5, 3), (2, 3), (2,)),
    ),
    ops.Index: (lambda x: x[[0, 0, 1], 1:], ((2, 3),)),
    ops.Linear: (lambda x, w, b: F.linear(x, w, b), ((4, 3), (2, 3), (2,))),
    ops.Log: (lambda x: x.log(), ((2, 3),)),
    ops.LogSoftmax: (lambda x: F.log_softmax(x, 1), ((2, 3),)),
    ops.MatMul: (lambda a, b: a @ b, ((2, 3), (3, 4))),
    ops.Max: (lambda x: x.max(axis=1), ((2, 3),)),
    ops.MaxPool2d: (lambda x: F.max_pool2d(x, (2, 3)), ((2, 1, 5, 6),)),
    ops.Mean: (lambda x: x.mean(axis=1), ((2, 3),)),
    ops.Move: (lambda x: apply(ops.Move("cpu"), x), ((2, 3),)),
    ops.Multiply: (lambda a, b: a * b, ((2, 3), (3,))),
    ops.Negate: (lambda x: -x, ((2, 3),)),
    ops.NegativeLogLikelihood: (lambda x: F.nll_loss(x, LABELS), ((2, 3),)),
    ops.Pad: (lambda x: F.pad(x, (1, 2)), ((2, 3),)),
    ops.Power: (lambda a, b: a**b, ((2, 3), (3,))),
    ops.ReLU: (lambda x: x.relu(), ((2, 3),)),
    ops.Reshape: (lambda x: x.reshape(3, 2), ((2, 3),)),
    ops.Sigmoid: (lambda x: x.sigmoid(), ((2, 3),)),
    ops.Softmax: (lambda x: x.softmax(), ((2, 3),)),
    ops.SoftmaxCrossEntropy: (lambda x: F.cross_entropy(x, LABELS), ((2, 3),)),
    ops.Sqrt: (lambda x: x.sqrt(), ((2, 3),)),
    ops.Subtract: (lambda a, b: a - b, ((2, 3), (3,))),
    ops.Sum: (lambda x: x.sum(axis=1), ((2, 3),)),
    ops.Tanh: (lambda x: x.tanh(), ((2, 3),)),
    ops.Transpose: (lambda x: x.T, ((2, 3),)),
}


def leaves_for(operation: type[ops.Operation]) -> list[Tensor]:
    """Fresh inputs, all different and above 0, that require gradients."""
    rng = np.random.default_rng(5)
    shapes = USES[operation][1]
    return [Tensor(rng.uniform(0.5, 1.5, shape), requires_grad=True) for shape in shapes]


def gradients_of(leaves: list[Tensor]) -> list[Any]:
    """As arrays; None where there is none."""
    return [None if leaf.grad is None else leaf.grad.numpy().copy() for leaf in leaves]
