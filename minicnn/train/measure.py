"""What ``fit`` measures: the means of loss and accuracy, and a loss that diverges."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any

from minicnn.kernels import Array
from minicnn.tensor import Tensor

POINTS_AN_EPOCH = 5  # running means drawn in each epoch, as the chapters' animator does

DIVERGED = 100  # times the first loss: no net on its way to learn has so large a mean
UNSCALED = 30  # beyond this no pixel is that was scaled in one of the usual ways


class DivergedError(ArithmeticError):
    """The loss became infinite, nan, or many times what it was at first."""


@dataclass
class History:
    """What ``fit`` measured.

    Attributes:
        epochs: a dict an epoch: ``epoch`` (from 1), ``loss`` and ``train_acc`` (means over the
            epoch as it was trained), ``test_acc`` (after it; None without a test set),
            ``seconds`` (the training part: batching, steps, counting what was right),
            ``eval_seconds``, ``examples_per_sec``.
        curve: five dicts an epoch: ``epoch`` (a fraction), ``loss`` and ``train_acc`` (running
            means since the epoch began); the last of each epoch also has ``test_acc``.
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    curve: list[dict[str, Any]] = field(default_factory=list)
    examples: int = 0

    @property
    def examples_per_sec(self) -> float:
        """Examples trained a second: batching, steps and counting, without evaluation."""
        seconds = sum(epoch["seconds"] for epoch in self.epochs)
        return self.examples / seconds if seconds else math.nan


class RunningMeans:
    """Means of the loss and of what was right over the examples so far.

    The sums stay arrays on the net's device: reading them is what waits for a GPU.
    """

    def __init__(self) -> None:
        self.loss: Array = 0.0
        self.hits: Array = 0
        self.examples = 0

    def add(self, loss: Tensor, logits: Tensor, y: Tensor) -> None:
        """Count a batch."""
        self.loss = self.loss + loss.data.astype("float64") * len(y)
        self.hits = self.hits + (logits.data.argmax(axis=1) == y.data).sum()
        self.examples += len(y)

    def read(self) -> dict[str, float]:
        """The means as numbers."""
        examples = max(1, self.examples)
        return {"loss": float(self.loss) / examples, "train_acc": float(self.hits) / examples}

    def copy(self) -> RunningMeans:
        """As they stand now, for a later ``read``."""
        return copy.copy(self)


class CountedMeans(RunningMeans):
    """The same, of a compiled step, which sums up loss and hits by itself.

    One at a time: the next one for the same step begins its sums again at 0.
    """

    def __init__(self, counts: Any):
        self.counts, self.examples = counts, 0
        counts.reset()

    def add(self, loss: Tensor, logits: Tensor, y: Tensor) -> None:
        """Count a batch that the step has counted already."""
        self.examples += len(y)

    def read(self) -> dict[str, float]:
        """The means as numbers."""
        return self._of(self.counts.loss, self.counts.hits).read()

    def copy(self) -> RunningMeans:
        """As they stand now."""
        return self._of(*self.counts.now())

    def _of(self, loss: Any, hits: Any) -> RunningMeans:
        means = RunningMeans()
        means.loss, means.hits, means.examples = loss, hits, self.examples
        return means


def means_of(step: Any) -> RunningMeans:
    """Means over the batches that ``step`` is going to train on."""
    return RunningMeans() if step.counts is None else CountedMeans(step.counts)


class LossWatch:
    """Ends a training that diverges.

    Attributes:
        first: the first batch's loss, once it is known.
    """

    first: float | None = None

    def check(self, loss: float, epoch: int, lr: float, x: Tensor) -> None:
        """Look at the mean ``loss`` of an epoch so far; ``x``: the pictures of its last batch.

        Raises:
            DivergedError: it is not finite, or ``DIVERGED`` times the first.
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
