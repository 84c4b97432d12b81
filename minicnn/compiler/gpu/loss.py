"""Cross-entropy in a compiled step on a GPU: one kernel for the losses and their gradient."""

from __future__ import annotations

import numpy as np

from minicnn import nn
from minicnn.device import device_of
from minicnn.kernels import Array

from ..means import Means
from ..record import CompileError
from ..table import shapes
from .chain import Chain
from .program import Program, Value


class GpuLoss:
    """See ``ops.loss``. The kernel leaves the loss of each image; the update adds them up.

    Attributes:
        labels: where the labels of a batch go.
        of_images: the loss of each image, 1 where its prediction is correct, what to divide by.
        result: where the batch's loss will lie.
    """

    def __init__(self, program: Program, loss: nn.CrossEntropyLoss, means: Means):
        self.loss, self.means = loss, means
        self.labels = program.buffer(program.images, dtype=np.int64)
        self.of_images = program.buffer(2 * program.images + 1)
        self.result = program.buffer(1)

    def add(self, program: Program, logits: Value, settings: Array, chain: Chain | None) -> Array:
        """Add the launch. Returns where the gradient will lie, with respect to the result of the
        net's last operation, or to what its activation was applied to.

        settings: on the device; first the factor of the gradient, then label smoothing.
        chain: the launch that computes the logits, and then the loss as well.
        """
        read = self.labels, self._class_weights(program, logits), settings
        # arguments, not settings: with another one the step gets another plan
        choices = np.int64(self.loss.ignore_index), int(self.loss.reduction == "mean")
        if chain is not None:
            return chain.add_loss(program, (*read, self.of_images), choices)
        (classes,), dlogits = logits.shape, program.value(logits.shape)
        blocks = program.gpu.blocks(32 * program.images)  # a warp takes an image
        program.launch("loss", "cross-entropy", shapes(logits.shape), blocks, logits.array, *read,
                       dlogits.array, self.of_images, program.n, classes, *choices,
                       logits.kind)  # fmt: skip
        return dlogits.array

    def sums(self) -> tuple[Array, ...]:
        """What the update adds up, and where: the batch's loss, the two sums of the epoch."""
        return self.of_images, self.result, self.means.loss, self.means.correct

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
