"""What looks on while ``fit`` trains: after each batch, after each epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minicnn import nn, optim
from minicnn.data import DataLoader
from minicnn.train.measure import History


@dataclass
class Training:
    """A training as it stands.

    Attributes:
        net, optimizer, schedule, loader: as passed to ``fit``; the loader is that of training.
        step: the training step, eager or compiled; ``step.means`` are the epoch's so far.
        history: the measurements of the epochs that are over, and the curve's points.
        epochs: the number of the last epoch.
        epoch: the number of the present one, from 1.
        batch: how many batches of it are done.
    """

    net: nn.Module
    optimizer: optim.Optimizer
    schedule: optim.LRScheduler | None
    loader: DataLoader
    step: Any
    history: History
    epochs: int
    epoch: int = 0
    batch: int = 0


class Callback:
    """Looks on while ``fit(..., callbacks=[...])`` trains. Each method does nothing by default.

    Whatever it raises ends the training.
    """

    def on_batch(self, training: Training) -> None:
        """After each update. Called only where a class has this method of its own.

        The net's gradients are those of the update: ``p.grad`` of an eager step,
        ``training.step.gradients()`` of a compiled one.
        """

    def on_epoch(self, training: Training) -> None:
        """After each epoch: it is measured, the schedule has made its step, nothing is printed."""
