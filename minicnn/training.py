"""Training and evaluating a net, epoch by epoch."""

from __future__ import annotations

import copy
import math
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from minicnn import compiler, kernels, nn, optim
from minicnn.data import DataLoader, Dataset
from minicnn.device import on_device, to_host
from minicnn.kernels import Array
from minicnn.nn.init import fans
from minicnn.nn.modes import in_evaluation_mode
from minicnn.nn.module import device_of_net
from minicnn.plots import LiveCurves, in_notebook
from minicnn.tensor import Tensor, as_tensor, no_grad
from minicnn.terminal import is_terminal, say

LossFunction = Callable[[Tensor, Tensor], Tensor]

POINTS_AN_EPOCH = 5  # running means drawn in each epoch, as the chapters' animator does

DIVERGED = 100  # times the first loss: no net on its way to learn has so large a mean
UNSCALED = 30  # beyond this no pixel is that was scaled in one of the usual ways

USUAL_PLATEAU = 1_000  # updates after which a sigmoid LeNet with Xavier weights has left it
LATE = 100  # updates after which a net without sigmoids has begun to learn
PLATEAU = """\
       On the plateau: a sigmoid LeNet's loss stays near log(10) = 2.303 for its
       first few hundred updates, then falls. Expected with Xavier weights, as
       this net has them."""
SMALL_WEIGHTS = """\
       On the plateau: the loss of guessing is log(10) = 2.303, and this net's weights
       are too small for a net of sigmoids to leave it soon, if ever. Xavier's are
       larger: models.lenet() has them; for layers made by hand see net.apply(...)
       in the README."""
GUESSING = """\
       A loss of log(10) = 2.303 is that of guessing. Likely causes: a learning rate
       that is too high (ReLUs die of it, sigmoids saturate), initial weights that
       are too small, pixels that were not scaled, labels of other pictures."""


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


def means_of(step: EagerStep | compiler.CompiledStep) -> RunningMeans:
    """Means over the batches that ``step`` is going to train on."""
    return RunningMeans() if step.counts is None else CountedMeans(step.counts)


def fit(
    net: nn.Module,
    train: DataLoader,
    test: DataLoader | None = None,
    *,
    optimizer: optim.Optimizer,
    epochs: int = 10,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    schedule: optim.LRScheduler | None = None,
    divide_by: int | None = None,
    after_epoch: Sequence[Callable[[History], None]] = (),
    history: History | None = None,
    quiet: bool = False,
    compile: bool = False,
) -> History:
    """Train ``net`` on every batch of ``train``, ``epochs`` times over.

    It goes on from where the net stands: a second ``fit`` trains further, it does not start again.

    Args:
        train, test: loaders; their batches are moved to the net's device.
        optimizer: of the net's parameters, or of some of them; the chapters use
            ``SGD(net.parameters(), lr=0.9)``.
        loss: a function of (logits, y), ``nn.CrossEntropyLoss()`` by default.
        schedule: its ``step()`` is called after each epoch.
        divide_by: divide the gradient of a batch's summed loss by this number, not by the batch's
            own size. With the usual batch size here a smaller last batch counts less, which is how
            the first edition trained.
        after_epoch: functions called with the history after each epoch, before anything is
            printed about it.
        history: where to write the measurements: after those of an earlier ``fit``, or so that
            somebody else sees them on the way.
        quiet: print nothing and show no progress bar.
        compile: compile the step and the evaluation (``minicnn.compile``): faster, for nets and
            losses that it knows. The loaders may then give raw pixels (``raw=True``).

    Returns:
        The measurements. In a notebook their curves are drawn again after each epoch.

    Raises:
        DivergedError: the loss became infinite, nan, or on average 100 times the first batch's.
        ValueError: fewer than one epoch, no training examples, or an optimiser that holds none of
            the net's parameters.
        TypeError: data sets or arrays instead of loaders, or no optimiser.
        CompileError: ``compile`` was asked for what cannot be compiled.
    """
    _check_loaders("fit", train=train, test=test)
    _check_optimizer(optimizer, net)
    if epochs < 1 or len(train) == 0:
        raise ValueError(
            f"fit: epochs is {epochs}, train has {len(train)} batches; wanted 1 or more"
        )
    loss_of: LossFunction = nn.CrossEntropyLoss() if loss is None else loss
    step = (
        compiler.compile(net, loss_of, optimizer) if compile else EagerStep(net, loss_of, optimizer)
    )
    predict = compiler.compile(net) if compile else net
    history = History() if history is None else history
    reports = [*after_epoch, *([] if quiet else _reports(net, len(train), history))]
    done = len(history.epochs)
    watch = LossWatch()
    for epoch in range(done + 1, done + epochs + 1):
        prepared, start = step.seconds_preparing, time.perf_counter()
        net.train()
        # an overflow shows in the loss, which is watched
        with (
            _bar(train, f"epoch {epoch}", quiet) as bar,
            np.errstate(all="ignore"),
            on_device(device_of_net(net)),
        ):
            means = _train_epoch(step, bar, len(train), divide_by, epoch, history.curve, watch)
        trained = time.perf_counter()
        seconds = trained - start - (step.seconds_preparing - prepared)
        test_acc = None if test is None else evaluate(net, test, predict)
        evaluated = time.perf_counter()
        if test_acc is not None:
            history.curve[-1]["test_acc"] = test_acc
        history.examples += means.examples
        history.epochs.append(
            {
                "epoch": epoch,
                **means.read(),
                "test_acc": test_acc,
                "seconds": seconds,
                "eval_seconds": evaluated - trained,
                "examples_per_sec": means.examples / seconds,
            }
        )
        if schedule is not None:
            schedule.step()
        for report in reports:
            report(history)
    return history


def _check_loaders(caller: str, **loaders: Any) -> None:
    """Refuse what is no loader but is easily taken for one."""
    for name, given in loaders.items():
        if isinstance(given, Dataset | Tensor | np.ndarray | tuple):
            raise TypeError(
                f"{caller}: {name} is a {type(given).__name__}; wanted batches: "
                "data.DataLoader(dataset, batch_size=256)"
            )


def _check_optimizer(optimizer: Any, net: nn.Module) -> None:
    if not hasattr(optimizer, "params"):
        raise TypeError(
            f"fit: optimizer is {optimizer if optimizer is None else type(optimizer).__name__}; "
            "wanted optim.SGD(net.parameters(), lr=0.1), or another of optim"
        )
    of_net = {id(p) for p in net.parameters()}
    if not any(id(p) in of_net for p in optimizer.params):
        raise ValueError(
            "fit: optimizer holds none of net's parameters, nothing would be learnt; wanted one "
            "made of them: optim.SGD(net.parameters(), lr=0.1)"
        )


def _reports(net: nn.Module, batches: int, history: History) -> list[Callable[[History], None]]:
    """What shows an epoch: a line, and in a notebook the curves, above all lines."""
    if not in_notebook():
        return [Printer(net, batches)]
    curves = LiveCurves()
    curves(history)
    return [Printer(net, batches), curves]


def _bar(batches: DataLoader, title: str, quiet: bool) -> Any:
    """A progress bar: on a terminal, or in a notebook, there in the same place as the lines."""
    notebook = in_notebook()
    hidden = quiet or not (notebook or is_terminal(sys.stderr))
    where = sys.stdout if notebook else None
    return tqdm(batches, title, leave=False, unit=" batches", disable=hidden, file=where)


class EagerStep:
    """One step of training, the textbook's lines; ``minicnn.compile`` gives the same, compiled."""

    counts = None  # nothing is summed up on the way: see ``CountedMeans``

    def __init__(self, net: nn.Module, loss: LossFunction, optimizer: optim.Optimizer):
        self.net, self.loss, self.optimizer = net, loss, optimizer

    @property
    def seconds_preparing(self) -> float:
        """What went by until the kernels were there, so far."""
        return kernels.seconds_compiling()

    def __call__(self, x: Tensor, y: Tensor, gradient: float = 1.0) -> tuple[Tensor, Tensor]:
        """The loss and the logits of before the update; ``gradient``: what backward begins with."""
        logits = self.net(x)
        loss = self.loss(logits, y)
        self.optimizer.zero_grad()
        loss.backward(gradient)
        self.optimizer.step()
        return loss, logits


def _train_epoch(
    step: EagerStep | compiler.CompiledStep,
    bar: Any,
    batches: int,
    divide_by: int | None,
    epoch: int,
    curve: list[dict[str, Any]],
    watch: LossWatch,
) -> RunningMeans:
    """One pass over the batches of ``bar``; appends the epoch's points to ``curve``."""
    means = means_of(step)
    points = {math.ceil(batches * k / POINTS_AN_EPOCH) for k in range(1, POINTS_AN_EPOCH + 1)}
    unread: list[tuple[int, RunningMeans]] = []
    for i, (x, y) in enumerate(_on_device_of(step.net, bar), start=1):
        loss, logits = step(x, y, 1.0 if divide_by is None else len(y) / divide_by)
        means.add(loss, logits, y)
        if watch.first is None:
            watch.first = means.read()["loss"]
        if i in points:
            unread.append((i, means.copy()))
        if unread and (logits.device == "cpu" or i == batches):  # to read is to wait for a GPU
            for k, then in unread:
                now = then.read()
                watch.check(now["loss"], epoch, step.optimizer.lr, x)
                curve.append({"epoch": epoch - 1 + k / batches, **now})
            unread.clear()
            bar.set_postfix(loss=f"{now['loss']:.3f}", acc=f"{now['train_acc']:.3f}")
    return means


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


def evaluate(
    net: nn.Module, loader: DataLoader, predict: Callable[[Tensor], Tensor] | None = None
) -> float:
    """The share of ``loader``'s examples that ``net`` classifies correctly, on the net's device.

    In evaluation mode and without recording; the net's mode is put back. ``predict`` gives the
    logits: ``net`` by default, or ``minicnn.compile(net)``.

    Raises:
        ValueError: no examples.
        TypeError: a data set or an array instead of a loader.
    """
    _check_loaders("evaluate", loader=loader)
    predict = predict or net
    hits: Array = 0
    examples = 0
    with in_evaluation_mode(net), no_grad(), on_device(device_of_net(net)):
        for x, y in _on_device_of(net, loader):
            hits = hits + (predict(x).data.argmax(axis=1) == y.data).sum()
            examples += len(y)
    if examples == 0:
        raise ValueError("evaluate: loader has no examples")
    return float(hits) / examples


def _on_device_of(net: nn.Module, batches: Any) -> Iterator[tuple[Tensor, Tensor]]:
    device = device_of_net(net)
    return ((as_tensor(x).to(device), as_tensor(y).to(device)) for x, y in batches)


class Printer:
    """Prints a line after each epoch, and says what it means that a net does not learn."""

    def __init__(self, net: nn.Module, batches: int):
        self.net, self.batches = net, batches
        self.has_sigmoids = any(isinstance(module, nn.Sigmoid) for module in net.modules())
        self.leaves_plateau = has_xaviers_spread(net)
        self.explained: set[str] = set()
        self.parameters = _fingerprint(net)
        self.highest = 0.0
        say("epoch   loss  train acc  test acc  seconds")

    def __call__(self, history: History) -> None:
        epoch = history.epochs[-1]
        test_acc = "" if epoch["test_acc"] is None else f"{epoch['test_acc']:.3f}"
        remark, explanation = self._remark(epoch)
        say(
            f"{epoch['epoch']:5}  {epoch['loss']:5.3f}  {epoch['train_acc']:9.3f}  {test_acc:>8}  "
            f"{epoch['seconds']:7.2f}{remark and '   '}{remark}"
        )
        if explanation and explanation not in self.explained:
            self.explained.add(explanation)
            say(explanation)

    def _remark(self, epoch: dict[str, Any]) -> tuple[str, str]:
        """What to say after an epoch's figures, and what to explain the first time."""
        before, self.parameters = self.parameters, _fingerprint(self.net)
        if self.parameters == before:
            return "no parameter of the net has changed", ""
        loss, accuracy = epoch["loss"], epoch["train_acc"]
        updates = epoch["epoch"] * self.batches
        self.highest = max(self.highest, loss)  # too high a rate throws a net beyond the plateau
        if self.has_sigmoids and 2.2 < loss <= self.highest < 2.8 and accuracy < 0.25:
            if not self.leaves_plateau:
                return "on the plateau", SMALL_WEIGHTS
            early = updates <= USUAL_PLATEAU
            return "on the plateau, as expected" if early else "still on the plateau", PLATEAU
        if updates > LATE and 2.25 < loss < 2.4 and accuracy < 0.15:
            return "no better than guessing", GUESSING
        return "", ""


def has_xaviers_spread(net: nn.Module) -> bool:
    """Whether the weights of all layers are about as large as Xavier's, or larger."""
    weights = [p for p in net.parameters() if p.ndim >= 2 and p.size]
    return all(float(w.numpy().std()) > 0.7 * math.sqrt(2 / sum(fans(w))) for w in weights)


def _fingerprint(net: nn.Module) -> list[int]:
    """A number for each parameter that changes when the parameter does."""
    return [zlib.crc32(to_host(p.data).tobytes()) for p in net.parameters()]
