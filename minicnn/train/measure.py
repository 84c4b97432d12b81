"""What ``fit`` measures: epochs, curves, and whether the loss diverges."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from minicnn.compiler.means import Means
from minicnn.tensor import Tensor

POINTS_AN_EPOCH = 5  # running means drawn in each epoch, as the chapters' animator does

DIVERGED = 100  # times the first loss: no net that is going to learn has so large a mean
UNSCALED = 30  # pixels that were scaled in one of the usual ways are smaller


class DivergedError(ArithmeticError):
    """The loss became infinite, nan, or many times what it was at first."""


@dataclass
class History:
    """What ``fit`` measured.

    Attributes:
        epochs: a dict an epoch: ``epoch`` (from 1), ``loss`` and ``train_acc`` (means over the
            epoch as it was trained), ``test_acc`` (after it; None without a test set),
            ``val_acc`` (the same of the validation set, if there is one),
            ``seconds`` (the training part: batching, steps, counting correct predictions),
            ``eval_seconds``, ``examples_per_sec``.
        curve: five dicts an epoch: ``epoch`` (a fraction), ``loss`` and ``train_acc`` (running
            means since the epoch began); the last of each epoch also has ``test_acc``.
        examples: how many examples were trained on, in all epochs together.
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    curve: list[dict[str, Any]] = field(default_factory=list)
    examples: int = 0

    @property
    def examples_per_sec(self) -> float:
        """Examples trained a second: batching, steps and counting, without evaluation."""
        seconds = sum(epoch["seconds"] for epoch in self.epochs)
        return self.examples / seconds if seconds else math.nan

    @property
    def best_epoch(self) -> int | None:
        """The epoch with the best ``val_acc``, the first of equals; None without a validation."""
        measured = [epoch for epoch in self.epochs if "val_acc" in epoch]
        return max(measured, key=lambda epoch: epoch["val_acc"])["epoch"] if measured else None

    def add_epoch(
        self,
        means: Means,
        accuracies: tuple[float | None, float | None],
        seconds: float,
        eval_seconds: float,
    ) -> None:
        """Append an epoch: its means as it was trained, and test and validation accuracy after."""
        test_acc, val_acc = accuracies
        if test_acc is not None:
            self.curve[-1]["test_acc"] = test_acc
        validated = {} if val_acc is None else {"val_acc": val_acc}
        self.curve[-1].update(validated)
        self.examples += means.examples
        self.epochs.append(
            {
                "epoch": len(self.epochs) + 1,
                **means.read(),
                "test_acc": test_acc,
                **validated,
                "seconds": seconds,
                "eval_seconds": eval_seconds,
                "examples_per_sec": means.examples / seconds,
            }
        )


class Curve:
    """Five points of an epoch's curve, taken while it is trained; ends a training that diverges.

    Args:
        step: a training step; its ``means`` are those of the epoch.
        batches: how many the epoch has.
        history: where the points go.
        watch: looks at each of them.
        batch: how many batches were trained already.
    """

    def __init__(self, step: Any, batches: int, history: History, watch: LossWatch, batch: int = 0):
        self.step, self.batches, self.history, self.watch = step, batches, history, watch
        self.epoch = len(history.epochs) + 1
        fifths = range(1, POINTS_AN_EPOCH + 1)
        self.points = {math.ceil(batches * k / POINTS_AN_EPOCH) for k in fifths}
        self.batch = batch
        self.unread: list[tuple[int, Means, Tensor]] = []

    def after_batch(self, x: Tensor) -> dict[str, float] | None:
        """Count a batch ``x``. Returns the running means where they were read, otherwise None.

        Those of a GPU are read when the epoch ends, because reading waits for it.

        Raises:
            DivergedError: see ``LossWatch``.
        """
        self.batch += 1
        means, watch = self.step.means, self.watch
        if watch.first is None:
            watch.first = means.read()["loss"]
        if self.batch in self.points:
            self.unread.append((self.batch, means.copy(), x))
        return self.read() if x.device == "cpu" or self.batch == self.batches else None

    def read(self) -> dict[str, float] | None:
        """Add the points that are not read yet to the history; the means at the last of them."""
        now = None
        for batch, then, x in self.unread:
            now = then.read()
            self.watch.check(now["loss"], self.epoch, self.step.optimizer.lr, x)
            self.history.curve.append({"epoch": self.epoch - 1 + batch / self.batches, **now})
        self.unread.clear()
        return now


class LossWatch:
    """Ends a training that diverges.

    Attributes:
        first: the first batch's loss, once it is known.
    """

    first: float | None = None

    def check(self, loss: float, epoch: int, lr: float, x: Tensor) -> None:
        """Look at the mean ``loss`` of an epoch so far; ``x``: the pictures of its last batch.

        Raises:
            DivergedError: it is not finite, or more than ``DIVERGED`` times the first.
        """
        first = loss if self.first is None else self.first
        if loss <= DIVERGED * max(first, 1.0) < math.inf:
            return
        largest = float(abs(x.data).max()) if x.dtype.kind == "f" else 0.0
        scale = f" pixels from 0 to 1 (here up to {largest:g}) and" if largest > UNSCALED else ""
        grown = f", {first:.3g} at first" if math.isfinite(loss) else ""
        raise DivergedError(
            f"the loss is {loss:.3g} in epoch {epoch}{grown}: the net diverged; try{scale} a lower "
            f"learning rate than {lr:g}"
        )
