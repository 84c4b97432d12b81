"""What a compiled step on a GPU runs: load, forward, loss, backward, update."""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import NamedTuple

import numpy as np

from minicnn import nn, optim
from minicnn.kernels import Array
from minicnn.tensor import Tensor

from ..lowering import add_backward
from ..means import Means
from ..record import Stage
from ..table import shapes
from .engine import GpuEngine
from .feed import Feed, Rows
from .join import sum_of
from .loss import GpuLoss
from .lower import lower
from .products import add_pending
from .program import Value
from .told import Told
from .update import MOST_SETTINGS, GpuUpdate, settings_for

OF_LOSS = 2  # settings: the gradient's factor and label smoothing; then those of the optimiser


class Task(NamedTuple):
    """What a step computes besides the net's result.

    Attributes:
        means: the kernel of the loss adds to their sums.
        feed: tells the launches where the rows of a batch lie.
    """

    loss: nn.CrossEntropyLoss
    optimizer: optim.Optimizer
    means: Means
    feed: Feed


class TrainingEngine(GpuEngine):
    """A whole step: its first launch gathers the batch's rows, its last one updates the parameters.

    Args:
        x: a batch, on the device: its shape and dtype count.
        others: see ``GpuEngine``.

    Attributes:
        pictures: those of the batch, as numbers.
        labels: int64 (N,).
        logits: the result of the net.
        result: the loss, ().
    """

    def __init__(
        self,
        x: Array,
        like: Array,
        stages: list[Stage],
        watched: list[Tensor],
        use_graph: bool,
        task: Task,
    ):
        weights = [] if task.loss.weight is None else [task.loss.weight]
        super().__init__(like, len(x), stages, [*watched, *weights], use_graph, task.feed.keys)
        self.kind, program = (x.shape, x.dtype), self.program
        self.settings = Told(program.buffer(OF_LOSS + MOST_SETTINGS))
        self.raw: tuple[float, ...] = ()  # the settings before ``settings_for``
        loss, lowerings = GpuLoss(program, task.loss, task.means), lower(stages)
        self.labels, self.result = loss.labels, loss.result.reshape(())
        result = self.add_forward(lowerings, self._load(task.feed))
        self.logits = result.array
        dy = loss.add(program, result, self.settings.array, self.chain)
        self.plan.backward_from = len(self.plan.launches)
        add_backward(lowerings, program, dy, sum_of)
        add_pending(program)
        # now it is known how often each parameter was used
        program.join_shared()
        # last, because only now is it known which parameters have a gradient
        self.update = GpuUpdate(program, loss, task.optimizer, self.settings.array, task.feed)
        self.compile()

    def _load(self, feed: Feed) -> Value:
        """The batch as numbers, bytes divided by 255 or scaled; and its labels."""
        (images, *shape), dtype = self.kind
        value, program = self.program.value(tuple(shape)), self.program
        # a block takes an image; an empty batch needs one, too
        kernel = "gather_pixels" if dtype == np.uint8 else "gather_numbers"
        program.launch(kernel, "load batch", shapes(value.shape), max(1, images),
                       feed.source.array, feed.clock.array, value.array, self.labels, program.n,
                       shape[0], prod(shape[1:]))  # fmt: skip
        program.plan.launches[-1].bytes += images * prod(shape) * dtype.itemsize  # as they lie
        self.pictures = value.array
        return value

    @property
    def batch(self) -> tuple[Tensor, Tensor]:
        """Pictures and labels of the last batch."""
        return Tensor(self.pictures), Tensor(self.labels)

    @cached_property
    def own(self) -> Rows:
        """Where the pictures and labels of a batch go that lies elsewhere."""
        shape, dtype = self.kind
        buffer = self.program.buffer
        return Rows(buffer(*shape, dtype=dtype), buffer(shape[0], dtype=np.int64))

    def take(
        self, rows: Rows, task: Task, gradient: float, keys: list[tuple[int, int]], profile: bool
    ) -> None:
        """One step with the next of these rows. Usually nothing but the launch is sent."""
        feed = task.feed
        self._tell_settings(task, gradient)
        self.update.tell(task.optimizer, feed.steps)
        self.tell_momenta()
        feed.begin_step(rows, keys)
        self.run(profile)  # the update's kernel adds to the means' sums
        feed.end_step(keys)
        self.update.count(task.optimizer)
        for parameter in self.update.parameters:  # the tape has to know that they changed
            parameter.increment_version()

    def _tell_settings(self, task: Task, gradient: float) -> None:
        # compared as the optimiser has them: what its kernel wants takes logarithms
        raw = gradient, task.loss.label_smoothing, *task.optimizer.settings()
        if raw != self.raw:
            numbers = *raw[:OF_LOSS], *settings_for(task.optimizer)
            unused = OF_LOSS + MOST_SETTINGS - len(numbers)
            self.settings.tell((*numbers, *[0.0] * unused))
            self.raw = raw
