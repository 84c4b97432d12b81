"""What looks on while ``fit`` trains: after each batch, after each epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from minicnn import nn, optim
from minicnn.data import DataLoader
from minicnn.distributed import Ranks
from minicnn.train.measure import Curve, History, LossWatch


@dataclass
class Training:
    """A training as it stands.

    Attributes:
        net, optimizer, schedule, loader: as passed to ``fit``; the loader is that of training.
        step: the training step, eager or compiled; ``step.means`` are the epoch's so far. None
            before ``fit`` has made it.
        history: the measurements of the epochs that are over, and the curve's points.
        epochs: the number of the last epoch.
        epoch: the number of the present one, from 1.
        batch: how many batches of it are done.
        is_whole: False while an update is under way.
        seconds: of training in the present epoch, as ``History`` counts them.
        drawn_from: the loader's epoch and all random streams, just before the present epoch's order
            was drawn.
        watch, curve: what ``fit`` measures with.
        x, y: the last one: pictures and labels, valid until the next batch. They are floats where a
            compiled step on a GPU gathers its batches by itself, whatever the loader has.
        ranks: those that share it, if there are any; ``x`` and ``y`` are then this one's.
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
    is_whole: bool = True
    seconds: float = 0.0
    drawn_from: dict[str, Any] = field(default_factory=dict)
    watch: LossWatch = field(default_factory=LossWatch)
    curve: Curve | None = None
    x: Any = field(default=None, repr=False)
    y: Any = field(default=None, repr=False)
    ranks: Ranks | None = None


class Callback:
    """Looks on while ``fit(..., callbacks=[...])`` trains. Each method does nothing by default.

    Whatever it raises ends the training.
    """

    def on_batch(self, training: Training) -> None:
        """After each update. Called only where a class has this method of its own.

        ``training.step.gradients()`` are those of the update, by the parameters' names.
        """

    def on_epoch(self, training: Training) -> None:
        """After each epoch: it is measured, the schedule has made its step, nothing is printed.

        A Ctrl-C waits until all callbacks have seen the epoch.
        """

    def on_interrupt(self, training: Training) -> None:
        """After a Ctrl-C that came between two updates; then ``KeyboardInterrupt`` goes on.

        While an update is under way, the first Ctrl-C waits for its end; a second one does not, and
        this is not called.
        """

    def on_end(self, training: Training) -> None:
        """When ``fit`` ends, also by an error or a Ctrl-C."""
