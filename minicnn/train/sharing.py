"""A training that ranks share (``minicnn.distributed``): each takes its rows of every batch.

A batch's gradient is the sum over its images, so the ranks' parts of it add up to the gradient that
one process would have computed, up to rounding. All ranks hold the whole net and take the same
update. What is measured is summed in the same message: so every rank knows the same losses, and
ends a training that diverges at the same batch.
"""

from __future__ import annotations

import contextlib
import platform
import re
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from minicnn import nn, random
from minicnn.compiler.means import ROOM
from minicnn.data import DataLoader
from minicnn.device import to_host
from minicnn.distributed import Ranks
from minicnn.kernels import Array
from minicnn.kernels.interrupts import held, is_waiting
from minicnn.nn.module import device_of_net
from minicnn.tensor import Tensor
from minicnn.train.callbacks import Training
from minicnn.train.state import state_of


class Exchange:
    """Sums a batch's gradients and measurements over the ranks: see ``compiler.means.Exchange``.

    Attributes:
        is_stopped: whether a Ctrl-C has come to one of the ranks; all of them know it at the same
            batch.
    """

    def __init__(self, ranks: Ranks):
        self.ranks, self.is_stopped = ranks, False
        self.flat: Array = np.zeros(0)

    def __call__(self, flat: Array, sums: tuple[float, int, int]) -> tuple[float, int, int]:
        flat[-ROOM:] = *sums, is_waiting()
        self.ranks.sum(flat, "the sum of the gradients")
        loss, correct, images, stops = flat[-ROOM:].tolist()
        self.is_stopped = stops > 0
        return loss / images, int(correct), int(images)

    def of_parameters(
        self, parameters: list[Tensor], measured: tuple[Any, Any, int]
    ) -> tuple[float, int, int]:
        """The same for gradients that lie in arrays of their own, in the parameters' ``grad``.

        measured: as ``Means.add`` takes it, of this rank's images.
        """
        loss, correct, images = measured
        sums = (float(loss) * images if images else 0.0), int(correct), images
        arrays = [p.grad.data for p in parameters if p.grad is not None]
        size = sum(array.size for array in arrays) + ROOM
        if self.flat.size != size:
            self.flat = np.zeros(size, arrays[0].dtype)
        edges = np.cumsum([0, *(array.size for array in arrays)])
        parts = [
            self.flat[begin : begin + array.size].reshape(array.shape)
            for begin, array in zip(edges, arrays, strict=False)
        ]
        for part, array in zip(parts, arrays, strict=True):
            part[...] = array
        means = self(self.flat, sums)
        for part, array in zip(parts, arrays, strict=True):
            array[...] = part
        return means


def check_shareable(net: nn.Module, loaders: Mapping[str, Any], loss: Any) -> None:
    """Refuse what the ranks would compute otherwise than one process.

    loaders: of which parts of the data, by name; None where there is none.

    Raises:
        TypeError: batches of another kind than a ``DataLoader``'s.
        ValueError: batch normalisation, a net on a GPU, or a loss that is no mean over the images.
    """
    for name, loader in loaders.items():
        if loader is not None and not isinstance(loader, DataLoader):
            raise TypeError(
                f"fit: with ranks, {name} is {type(loader).__name__}; wanted a data.DataLoader, a "
                "data.Dataset or a pair (images, labels), which can be cut for them"
            )
    if any(isinstance(module, nn.BatchNorm2d) for module in net.modules()):
        raise ValueError(
            "fit: the net has a BatchNorm2d, whose mean is that of the whole batch; with ranks "
            "each would take that of its own images; wanted a net without"
        )
    if (device := device_of_net(net)) != "cpu":
        raise ValueError(f"fit: with ranks, the net is on {device}; wanted cpu")
    ignored = getattr(loss, "ignore_index", -1)
    if getattr(loss, "reduction", "mean") != "mean" or getattr(loss, "weight", None) is not None:
        raise ValueError("fit: with ranks, wanted a loss that is the mean over the batch's images")
    if 0 <= ignored < len(loaders["train"].dataset.classes):
        raise ValueError(f"fit: with ranks, ignore_index is {ignored}; wanted no class's number")


@contextlib.contextmanager
def cut(ranks: Ranks | None, loader: DataLoader) -> Iterator[None]:
    """Inside, the loader gives this rank's rows of each batch."""
    if ranks is None:
        yield
        return
    loader.share = ranks.share
    try:
        yield
    finally:
        loader.share = None


def check_alike(
    ranks: Ranks, training: Training, measured: Mapping[str, Any], loss: Any, **settings: Any
) -> None:
    """Refuse ranks that are about to train differently.

    Args:
        measured: loaders of what the net is measured on after each epoch, by name, or None.
        settings: others of ``fit``, by name.
    """
    facts = state_of(training).facts
    same = ("optimizer", "schedule", "epochs", "epoch", "batch", "streams")
    ranks.check_alike(
        {
            "minicnn": sys.modules["minicnn"].__version__,
            "numpy": np.__version__,
            "Python": platform.python_version(),
            **facts["kinds"],
            **{name: facts[name] for name in same},
            "the net": repr(training.net),
            "the parameters": digest(training.net),
            **_of_loss(loss),
            **{name: _of_loader(loader) for name, loader in measured.items()},
            **settings,
        },
        "the comparison of data, settings and versions",
    )


def _of_loss(loss: Any) -> dict[str, Any]:
    """What can be compared of a loss: its name without where it lies, its numbers and words."""
    own = getattr(loss, "__dict__", {})
    settings = {f"loss.{name}": value for name, value in own.items() if np.isscalar(value)}
    return {"loss": re.sub(r" at 0x\w+", "", repr(loss)), **settings}


def _of_loader(loader: DataLoader | None) -> tuple[int, str] | None:
    return None if loader is None else (loader.batch_size, loader.dataset.digest)


def share_step(
    ranks: Ranks, training: Training, batch: tuple[Tensor, Tensor], divide_by: int | None
) -> None:
    """A step with this rank's rows of a batch; it updates with the gradient of all rows.

    The loss is the mean over ``len(y)`` of them, so its gradient is scaled to that of the sum over
    these rows, divided by the number of all.
    """
    (x, y), images = batch, training.loader.images_in(training.batch)
    ranks.place = f"(epoch {training.epoch}, batch {training.batch + 1})"
    first, _ = ranks.share(images)
    with random.rows_from(first):
        training.step(x, y, len(y) / (divide_by or images))


def stopping(ranks: Ranks | None) -> AbstractContextManager[Any]:
    """Inside, what was learnt is written: of several ranks one holds its own Ctrl-C back.

    It was stopped by that of the first rank that got one, and its own may still be on its way.
    """
    return contextlib.nullcontext() if ranks is None else held()


def sum_of_counts(ranks: Ranks, correct: int, examples: int) -> tuple[int, int]:
    """The same two numbers of all ranks."""
    counts = np.array([correct, examples], np.int64)
    ranks.sum(counts, "the evaluation")
    return int(counts[0]), int(counts[1])


def check_epoch(ranks: Ranks, training: Training) -> None:
    """Refuse to go on where the ranks' parameters have come apart."""
    name = f"the parameters after epoch {training.epoch}"
    ranks.check_alike({name: digest(training.net)}, name)


def digest(net: nn.Module) -> int:
    """A number that changes with any bit of the net's state."""
    number = 0
    for value in net.state_dict().values():
        number = zlib.crc32(to_host(value.data).tobytes(), number)
    return number
