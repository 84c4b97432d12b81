"""Cross-entropy in a compiled step on a GPU: one kernel for the loss and its gradient."""

from __future__ import annotations

import numpy as np

from minicnn import nn
from minicnn.device import device_of
from minicnn.kernels import Array

from ..means import Means
from ..record import CompileError
from ..table import shapes
from .program import Program, Value


class GpuLoss:
    """See ``ops.loss``. The kernel also adds to the sums of the epoch.

    Attributes:
        labels: where the labels of a batch go.
        result: where its loss will lie.
    """

    def __init__(self, program: Program, loss: nn.CrossEntropyLoss, means: Means):
        self.loss, self.means = loss, means
        self.labels = program.buffer(program.images, dtype=np.int64)
        self.result = program.buffer(1)

    def add(self, program: Program, logits: Value, settings: Array) -> Array:
        """Add the launch. Returns where the gradient with respect to the logits will lie.

        settings: on the device; first the factor of the gradient, then label smoothing.
        """
        (classes,), n, loss = logits.shape, program.n, self.loss
        weight, dlogits = self._class_weights(program, logits), program.value(logits.shape)
        # arguments, not settings: with another one the step gets another plan
        ignored, is_mean = np.int64(loss.ignore_index), int(loss.reduction == "mean")
        # one block: it needs the sum over all images before any gradient
        program.launch("loss", "cross-entropy", shapes(logits.shape), 1, logits.array, self.labels,
                       weight, settings, dlogits.array, self.result, self.means.loss,
                       self.means.correct, n, classes, ignored, is_mean)  # fmt: skip
        return dlogits.array

    def _class_weights(self, program: Program, logits: Value) -> Array:
        """The weight of each class: the array of the loss itself, or ones."""
        (classes,), weight = logits.shape, self.loss.weight
        if weight is None:
            return program.xp.ones(classes, program.dtype)
        device = device_of(logits.array)
        if (weight.shape, weight.dtype, weight.device) != ((classes,), program.dtype, device):
            raise TypeError(
                f"compile: the loss's weight is {weight.dtype} of shape {weight.shape} on "
                f"{weight.device}; wanted {program.dtype} of shape ({classes},) on {device}"
            )
        if not weight.data.flags.c_contiguous:
            raise CompileError("compile: wanted a weight of the loss that is C-contiguous")
        return weight.data
