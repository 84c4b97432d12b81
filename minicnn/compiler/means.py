"""Means over an epoch: eager, compiled and GPU steps all keep them in this one way."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import kernels
from minicnn.device import Device, on_device_of, to_device
from minicnn.kernels import Array

ROOM = 4  # places after the gradients, for what else the ranks sum
Exchange = Callable[[Array, tuple[float, int, int]], tuple[float, int, int]]
"""Sums over the ranks that share a batch: the gradients, flat, with ``ROOM`` places after them, in
place; and of a rank's own images the sum of losses, the correct predictions, the number. Returns
mean loss, correct predictions and number of the whole batch, as ``Means.add`` takes them."""


class Means:
    """The mean loss, and the share of correct predictions, of the examples since the last reset.

    The sums lie on the net's device, because reading those of a GPU waits for it. They stay the
    same two arrays: a CUDA graph finds them by their addresses.

    Attributes:
        loss: the sum of the examples' losses, ().
        correct: the number of correct predictions, int64 ().
        examples: the number of examples.
    """

    def __init__(self, device: Device = "cpu", dtype: Any = np.float64):
        self.loss = to_device(np.zeros((), dtype), device)
        self.correct = to_device(np.zeros((), np.int64), device)
        self.examples = 0

    def reset(self) -> None:
        """Begin again at 0."""
        with on_device_of(self.loss):
            self.loss.fill(0)
            self.correct.fill(0)
        self.examples = 0

    def add(self, loss: Any, correct: Any, examples: int) -> None:
        """Add a batch: its mean loss and its number of correct predictions, on the same device."""
        self.loss += loss * examples
        self.correct += correct
        self.examples += examples

    def count(self, loss: Array, logits: Array, labels: Array) -> None:
        """Add a batch: its mean loss (), its logits (N, C, ...) and class indices (N, ...)."""
        kernels.of(loss).count_batch(self.loss, self.correct, loss, logits, labels)
        self.examples += len(labels)

    def copy(self) -> Means:
        """As they stand now, on the same device, for a later ``read``."""
        now = copy.copy(self)
        with on_device_of(self.loss):
            now.loss, now.correct = self.loss.copy(), self.correct.copy()
        return now

    def read(self) -> dict[str, float]:
        """The means as numbers: ``loss`` and ``train_acc``; 0 if there are no examples."""
        examples = max(1, self.examples)
        return {"loss": float(self.loss) / examples, "train_acc": float(self.correct) / examples}
