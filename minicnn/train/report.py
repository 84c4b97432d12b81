"""What ``fit`` shows: a progress bar, a line an epoch, in a notebook the curves."""

from __future__ import annotations

import math
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from minicnn import nn
from minicnn.data import Dataset
from minicnn.data.chosen import is_own
from minicnn.data.sample import SAMPLE
from minicnn.device import to_host
from minicnn.language import notice
from minicnn.nn.init import fans
from minicnn.plots import LiveCurves, in_notebook
from minicnn.terminal import is_terminal, say
from minicnn.train.callbacks import Training
from minicnn.train.measure import History

Report = Callable[[History], None]
USUAL_PLATEAU = 1_000  # updates after which a sigmoid LeNet with Xavier weights has left it
LATE = 100  # updates after which a net without sigmoids has begun to learn


def reports_of(training: Training, validated: bool, *others: Report) -> list[Report]:
    """What reports each epoch: a line, ``others``; in a notebook the curves, above all lines."""
    if not in_notebook():
        return [Printer(training, validated), *others]
    curves = LiveCurves()
    curves(training.history)
    return [Printer(training, validated), *others, curves]


def progress_bar(training: Training, batches: Iterator[Any], quiet: bool) -> Any:
    """The epoch's batches with a progress bar: how far the whole training is, the time left of it.

    On a terminal or in a notebook (there on stdout, as the lines are).
    """
    from tqdm import tqdm  # a tenth of the time that import minicnn takes

    notebook, an_epoch = in_notebook(), len(training.loader)
    return tqdm(
        batches,
        f"epoch {training.epoch} of {training.epochs}",
        total=training.epochs * an_epoch,
        initial=(training.epoch - 1) * an_epoch + training.batch,
        leave=False,
        unit=" batches",
        disable=quiet or not (notebook or is_terminal(sys.stderr)),
        file=sys.stdout if notebook else None,
    )


class Printer:
    """Prints a line after each epoch, and explains why a net does not learn."""

    def __init__(self, training: Training, validated: bool = False):
        self.net = net = training.net
        self.batches = len(training.loader)
        self.has_sigmoids = any(isinstance(module, nn.Sigmoid) for module in net.modules())
        self.leaves_plateau = has_xaviers_spread(net)
        self.explained: set[str] = set()
        # of an epoch that is resumed, all updates may be over
        self.parameters = [] if training.batch else _fingerprint(net)
        self.highest = 0.0
        say(f"epoch   loss  train acc  {'val acc  ' if validated else ''}test acc  seconds")

    def __call__(self, history: History) -> None:
        epoch = history.epochs[-1]
        test_acc = "" if epoch["test_acc"] is None else f"{epoch['test_acc']:.3f}"
        val_acc = f"{epoch['val_acc']:7.3f}  " if "val_acc" in epoch else ""
        remark, explanation = self._remark(epoch)
        say(
            f"{epoch['epoch']:5}  {epoch['loss']:5.3f}  {epoch['train_acc']:9.3f}  {val_acc}"
            f"{test_acc:>8}  {epoch['seconds']:7.2f}{remark and '   ' + notice(remark)}"
        )
        if explanation and explanation not in self.explained:
            self.explained.add(explanation)
            say(notice(explanation))

    def _remark(self, epoch: dict[str, Any]) -> tuple[str, str]:
        """The notices to say after an epoch's figures, and below them the first time."""
        before, self.parameters = self.parameters, _fingerprint(self.net)
        if self.parameters == before:
            return "unchanged", ""
        loss, accuracy = epoch["loss"], epoch["train_acc"]
        updates = epoch["epoch"] * self.batches
        self.highest = max(self.highest, loss)  # too high a rate throws a net beyond the plateau
        if self.has_sigmoids and 2.2 < loss <= self.highest < 2.8 and accuracy < 0.25:
            if not self.leaves_plateau:
                return "on_plateau", "small_weights"
            early = updates <= USUAL_PLATEAU
            return "on_plateau_as_expected" if early else "still_on_plateau", "plateau"
        if updates > LATE and 2.25 < loss < 2.4 and accuracy < 0.15:
            return "no_better_than_guessing", "guessing"
        return "", ""


def has_xaviers_spread(net: nn.Module) -> bool:
    """Whether the weights of all layers are about as large as Xavier's, or larger."""
    weights = [p for p in net.parameters() if p.ndim >= 2 and p.size]
    return all(float(w.numpy().std()) > 0.7 * math.sqrt(2 / sum(fans(w))) for w in weights)


def _fingerprint(net: nn.Module) -> list[int]:
    """A number for each parameter that changes when the parameter does."""
    return [zlib.crc32(to_host(p.data).tobytes()) for p in net.parameters()]


# The command --------------------------------------------------------------------------------------


def headline(
    config: dict[str, Any], net: nn.Module, train: Dataset, test: Dataset, why_cpu: str
) -> str:
    """What the command prints at the start: the net, the data, the device."""
    parameters = sum(p.size for p in net.parameters())
    threads = f", {count(config['threads'], 'thread')}" if config["device"] == "cpu" else ""
    threads += ", compiled" if config["compiled"] else ", eager"
    threads += _ranks(config["ranks"]) if "ranks" in config else ""
    own = f" of {_size(train)}, {len(train.classes)} classes" if is_own(config) else ""
    return (
        f"{config['model']} ({parameters:,} parameters) on {config['dataset']} ({len(train):,} + "
        f"{len(test):,} images{own}), {count(config['epochs'], 'epoch')}\n"
        f"device {config['device']}{threads}{why_cpu}"
    )


def _ranks(ranks: int) -> str:
    """Their number; of one, how there would be more."""
    return f", {count(ranks, 'rank')}{'; mpiexec -n 4 starts four' if ranks == 1 else ''}"


def _size(dataset: Dataset) -> str:
    """28 x 28, or 3 x 32 x 32."""
    return " x ".join(map(str, dataset.images.shape[1:]))


def count(number: int, what: str) -> str:
    """1 epoch, 2 epochs."""
    return f"{number} {what}{'s' * (number != 1)}"


def result(config: dict[str, Any], folder: Path, history: History) -> str:
    """What the command prints at the end."""
    last, device = history.epochs[-1], config["device"]
    sample = notice("result_of_sample") if config["dataset"] == SAMPLE else ""
    return (
        f"loss {last['loss']:.3f}, train acc {last['train_acc']:.3f}, "
        f"test acc {last['test_acc']:.3f}{sample}\n{_best(history)}"
        f"{history.examples_per_sec:,.0f} examples/sec on {device} (batching, steps and counting)\n"
        f"written to {folder}"
    )


def _best(history: History) -> str:
    """What is said of the epoch that was chosen on the validation set."""
    best = history.best_epoch
    if best is None:
        return ""
    row = history.epochs[best - 1]
    return (
        f"best on the validation set: epoch {best}, val acc {row['val_acc']:.3f}, "
        f"test acc {row['test_acc']:.3f} (best.safetensors)\n"
    )
