"""The loop: ``fit``, ``evaluate``, and the textbook's step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import compiler, kernels, nn, optim
from minicnn.checks import check_callable, check_integer, check_is
from minicnn.compiler.means import Means
from minicnn.data import DataLoader, Dataset
from minicnn.device import Device, make_ready, on_device, on_device_of
from minicnn.distributed import Ranks
from minicnn.kernels import Array
from minicnn.kernels.interrupts import answer_now, held
from minicnn.nn.modes import in_evaluation_mode
from minicnn.nn.module import device_of_net
from minicnn.tensor import Tensor, as_tensor, no_grad
from minicnn.train.batches import batches_of, gathers
from minicnn.train.callbacks import Callback, Training
from minicnn.train.measure import Curve, History
from minicnn.train.report import progress_bar, reports_of
from minicnn.train.sharing import (
    Exchange,
    check_alike,
    check_epoch,
    check_shareable,
    cut,
    share_step,
    stopping,
    sum_of_counts,
)
from minicnn.train.state import State, go_to, restore, streams
from minicnn.train.watch import GradientWatch, check_labels

Batches = DataLoader | Dataset | tuple[Any, Any]
LossFunction = Callable[[Tensor, Tensor], Tensor]


class EagerStep:
    """One step of training, the textbook's lines; ``minicnn.compile`` gives the same, compiled.

    Attributes:
        means: of loss and correct predictions over the batches since their last reset.
        exchange: what sums the gradients of the ranks that share a batch, if there are any.
    """

    exchange: Exchange | None = None

    def __init__(self, net: nn.Module, loss: LossFunction, optimizer: optim.Optimizer):
        self.net, self.loss, self.optimizer = net, loss, optimizer
        device, dtypes = device_of_net(net), [p.dtype for p in net.parameters()]
        # on a GPU in the net's dtype, as a compiled step does
        self.means = Means(device) if device == "cpu" else Means(device, dtypes[0])
        for dtype in {dtype for dtype in dtypes if dtype.kind == "f"}:
            make_ready(device, dtype)

    @property
    def seconds_preparing(self) -> float:
        """The time that kernels took to compile or to load so far."""
        return kernels.seconds_compiling()

    def gradients(self) -> dict[str, Tensor]:
        """The gradients of the last step, by the parameters' names, where there are any."""
        found = {name: p.grad for name, p in self.net.named_parameters()}
        return {name: gradient for name, gradient in found.items() if gradient is not None}

    def __call__(self, x: Tensor, y: Tensor, gradient: float = 1.0) -> tuple[Tensor, Tensor]:
        """The loss and the logits from before the update; ``gradient``: where backward starts."""
        logits = self.net(x)
        loss = self.loss(logits, y)
        self.optimizer.zero_grad()
        loss.backward(gradient)
        with on_device_of(loss.data):
            if self.exchange is None:
                self.means.count(loss.data, logits.data, y.data)
            else:
                measured = loss.data.astype("float64"), _correct(logits, y), len(y)
                self.means.add(*self.exchange.of_parameters(self.optimizer.params, measured))
        self.optimizer.step()
        return loss, logits


def fit(
    net: nn.Module,
    train: Batches,
    test: Batches | None = None,
    *,
    optimizer: optim.Optimizer,
    epochs: int = 10,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    schedule: optim.LRScheduler | None = None,
    divide_by: int | None = None,
    callbacks: Sequence[Callback] = (),
    after_epoch: Sequence[Callable[[History], None]] = (),
    history: History | None = None,
    validation: Batches | None = None,
    resume: State | str | Path | None = None,
    quiet: bool = False,
    compile: bool = False,
    ranks: Ranks | None = None,
) -> History:
    """Train ``net`` on every batch of ``train``, ``epochs`` times over.

    It goes on from where the net stands: a second ``fit`` trains further, it does not start again.

    Args:
        train, test: loaders, whose batches are moved to the net's device; or data sets, or pairs
            (images, labels) of arrays, which are cut into batches of 256, those of ``train`` in a
            new order each epoch. Images of whole numbers are pixels 0..255 and are divided by 255,
            floating-point images are taken as they are.
        optimizer: of the net's parameters, or of some of them; the chapters use
            ``SGD(net.parameters(), lr=0.9)``.
        loss: a function of (logits, y), ``nn.CrossEntropyLoss()`` by default.
        schedule: one of ``optim.lr_scheduler``; its ``step()`` is called after each epoch.
        divide_by: divide the gradient of a batch's summed loss by this number, not by the batch's
            own size. With the usual batch size here a smaller last batch counts less, which is how
            the first edition trained.
        callbacks: look on after each batch and each epoch: see ``Callback``.
        after_epoch: functions called with the history after each epoch, before anything is
            printed about it.
        history: where to add the measurements: to those of an earlier ``fit``, or where others
            can read them meanwhile.
        validation: measured after each epoch as ``test`` is, to choose by: ``val_acc``.
        resume: the file of a ``Checkpoint`` (or what ``train.state.load`` made of it). All other
            arguments are those of the training that was stopped; it goes on as if it had not been,
            to the same bits. ``epochs`` is then the number of all epochs, with those before.
        quiet: print nothing and show no progress bar.
        compile: compile the step and the evaluation (``minicnn.compile``): faster, for nets and
            losses that it knows. The loaders may then give raw pixels (``raw=True``).
        ranks: the processes that train together, each its share of every batch, the same net on
            the same data: see docs/scale.md. Callbacks and reports are those of each rank, so let
            the first one have them. A ``loss`` that is a plain function has to be the mean over
            the images, which cannot be checked.

    Returns:
        The measurements. In a notebook their curves are drawn again after each epoch.

    Raises:
        DivergedError: the loss became infinite, nan, or on average 100 times the first batch's.
        IndexError: a label that the net has no output for.
        ValueError: fewer than one epoch, no training examples, or an optimiser that holds none of
            the net's parameters; a state to resume that is damaged or does not fit; ranks that
            differ, or a net that they cannot share.
        TypeError: an array without labels, labels or epochs that are no integers, or no optimiser.
        CompileError: with ``compile``, a net, loss or optimiser that cannot be compiled.
    """
    train = batches_of("fit: train", train, net, shuffle=True)
    measured = {
        name: None if value is None else batches_of(f"fit: {name}", value, net, shuffle=False)
        for name, value in (("test", test), ("validation", validation))
    }
    _check_optimizer(optimizer, net)
    check_integer("fit: epochs", epochs)
    _check_others(loss, schedule, divide_by, history)
    _check_ranks("fit", ranks)
    _check_watchers(callbacks, after_epoch)
    if epochs < 1 or len(train) == 0:
        raise ValueError(
            f"fit: epochs is {epochs}, train has {len(train)} batches; wanted 1 or more"
        )
    loss = nn.CrossEntropyLoss() if loss is None else loss
    check_labels(net, train, loss)
    make: Any = compiler.compile if compile else EagerStep
    step = make(net, loss, optimizer)
    predict = compiler.compile(net) if compile else net
    history = History() if history is None else history
    done = len(history.epochs)
    training = Training(net, optimizer, schedule, train, step, history, done + epochs, done)
    if ranks is not None:
        check_shareable(net, {"train": train, **measured}, loss)
        training.ranks, step.exchange = ranks, Exchange(ranks)
    if resume is not None:
        training.epochs = epochs
        restore(training, resume)
    if ranks is not None:
        check_alike(ranks, training, measured, loss, divide_by=divide_by, compile=compile)
    reports: list[Callable[[History], None]] = [*after_epoch]
    if not quiet:
        gradients = GradientWatch()
        callbacks = [*callbacks, gradients]
        reports += reports_of(training, validation is not None, gradients)
    try:
        while len(history.epochs) < training.epochs:
            with cut(ranks, train):
                _train_epoch(training, divide_by, callbacks, quiet)
            _end_epoch(training, predict, callbacks, **measured)
            for report in reports:
                report(history)
    except KeyboardInterrupt:
        with stopping(ranks):
            for callback in callbacks if training.is_whole else ():
                callback.on_interrupt(training)
        raise
    finally:
        for callback in callbacks:
            callback.on_end(training)
    return history


def _train_epoch(
    training: Training, divide_by: int | None, callbacks: Sequence[Callback], quiet: bool
) -> None:
    """The updates of an epoch, or those of it that are still to come."""
    batches, step, device = _next_batches(training), training.step, device_of_net(training.net)
    number, first = len(training.loader), training.batch
    curve = training.curve = Curve(step, number, training.history, training.watch, first)
    after_batch = [c.on_batch for c in callbacks if type(c).on_batch is not Callback.on_batch]
    start, prepared = time.perf_counter() - training.seconds, step.seconds_preparing
    training.net.train()
    # an overflow shows in the loss, which ``curve`` watches; a Ctrl-C waits for an update's end
    with (
        progress_bar(training, batches, quiet) as bar,
        np.errstate(all="ignore"),
        on_device(device),
        held(),
    ):
        for batch in bar:
            training.is_whole = False
            x, y = _update(training, batch, divide_by, device)
            training.batch += 1
            training.x, training.y = x, y
            training.is_whole = True
            training.seconds = time.perf_counter() - start - (step.seconds_preparing - prepared)
            if means := curve.after_batch(x):
                bar.set_postfix(loss=f"{means['loss']:.3f}", acc=f"{means['train_acc']:.3f}")
            for look in after_batch:
                look(training)
            if training.ranks is None:
                answer_now()
            elif step.exchange.is_stopped:
                raise KeyboardInterrupt


def _update(
    training: Training, batch: Any, divide_by: int | None, device: Device
) -> tuple[Tensor, Tensor]:
    """One step with a batch, or with batch number ``batch`` where the step gathers it by itself.

    Returns its pictures and labels.
    """
    step = training.step
    if isinstance(batch, int):
        images = training.loader.images_in(batch)
        step.take(images, 1.0 if divide_by is None else images / divide_by)
        return step.batch()
    x, y = (as_tensor(part).to(device) for part in batch)
    if training.ranks is None:
        step(x, y, 1.0 if divide_by is None else len(y) / divide_by)  # see EagerStep
    else:
        share_step(training.ranks, training, (x, y), divide_by)
    return x, y


@held()
def _next_batches(training: Training) -> Iterator[Any]:
    """The batches of the next epoch, or those that remain of an epoch that is resumed.

    Only their numbers, where the step gathers them by itself.
    """
    is_open = training.epoch > len(training.history.epochs)
    if is_open:
        now = streams(training.loader)
        go_to(training.drawn_from, training.loader)  # to draw the same order again
    else:
        training.epoch, training.batch, training.seconds = training.epoch + 1, 0, 0.0
        training.drawn_from = streams(training.loader)
        training.step.means.reset()
    batches: Iterator[Any]
    if gathers(training.step, loader := training.loader):
        where = loader.images, loader.labels, loader.begin_epoch(), loader.batch_size
        training.step.read_from(*where, training.batch, loader.scale)
        batches = iter(range(training.batch, len(loader)))
    else:
        batches = iter(loader)
        for _ in range(training.batch):
            next(batches)
    if is_open:
        go_to(now, training.loader)
    return batches


def _end_epoch(
    training: Training,
    predict: Callable[[Tensor], Tensor],
    callbacks: Sequence[Callback],
    test: Batches | None,
    validation: Batches | None,
) -> None:
    """Measure the net, add the epoch to the history, change the learning rate; tell of it."""
    start, net = time.perf_counter(), training.net
    if training.ranks is not None:
        check_epoch(training.ranks, training)
    test_acc, val_acc = (
        None if part is None else evaluate(net, part, predict, training.ranks)
        for part in (test, validation)
    )
    accuracies, seconds = (test_acc, val_acc), time.perf_counter() - start
    with held():  # an epoch that is over is one that all callbacks have seen
        training.history.add_epoch(training.step.means, accuracies, training.seconds, seconds)
        if training.schedule is not None:
            training.schedule.step()
        for callback in callbacks:
            callback.on_epoch(training)


def evaluate(
    net: nn.Module,
    loader: Batches,
    predict: Callable[[Tensor], Tensor] | None = None,
    ranks: Ranks | None = None,
) -> float:
    """The share of ``loader``'s examples that ``net`` classifies correctly, on the net's device.

    ``loader``: batches, a data set or a pair (images, labels), as ``fit`` takes them.

    In evaluation mode and off the tape; afterwards the net has its own mode again. ``predict``
    gives the logits: ``net`` by default, or ``minicnn.compile(net)``. ``ranks``: each takes its
    share of every batch, and all get the result.

    Raises:
        ValueError: no examples.
        TypeError: an array without labels, or labels that are no integers.
    """
    if predict is not None:
        check_callable("evaluate: predict", predict, "a function of pictures")
    _check_ranks("evaluate", ranks)
    loader = batches_of("evaluate: loader", loader, net, shuffle=False)
    predict = predict or net
    device = device_of_net(net)
    correct: Any = 0
    examples = 0
    with in_evaluation_mode(net), no_grad(), on_device(device), cut(ranks, loader):
        for x, y in _batches_on(device, loader):
            if ranks is None or len(y):  # a small batch may have no row for this rank
                correct = correct + _correct(predict(x), y)
            examples += len(y)
    if ranks is not None:
        correct, examples = sum_of_counts(ranks, correct, examples)
    if examples == 0:
        raise ValueError("evaluate: loader has no examples")
    return float(correct) / examples


def _correct(logits: Tensor, y: Tensor) -> Array:
    """How many predictions (the largest logits) are correct; an array on their device."""
    return (logits.data.argmax(axis=1) == y.data).sum()


def _batches_on(device: Device, batches: Any) -> Iterator[tuple[Tensor, Tensor]]:
    return ((as_tensor(x).to(device), as_tensor(y).to(device)) for x, y in batches)


def _check_others(loss: Any, schedule: Any, divide_by: Any, history: Any) -> None:
    """Refuse arguments of ``fit`` of another kind; None is fine for all of these."""
    if loss is not None:
        check_callable("fit: loss", loss, "a function of (logits, y)")
    if divide_by is not None:
        check_integer("fit: divide_by", divide_by, 1)
    if schedule is not None:
        check_is("fit: schedule", schedule, optim.LRScheduler, "one of optim.lr_scheduler")
    if history is not None:
        check_is("fit: history", history, History, "a History")


def _check_ranks(function: str, ranks: Any) -> None:
    if ranks is not None:
        check_is(f"{function}: ranks", ranks, Ranks, "minicnn.distributed's Ranks")


def _check_watchers(callbacks: Any, after_epoch: Any) -> None:
    for name, value in (("callbacks", callbacks), ("after_epoch", after_epoch)):
        check_is(f"fit: {name}", value, list | tuple, "a list")
    for callback in callbacks:
        check_is("fit: one of callbacks", callback, Callback, "a Callback")
    for function in after_epoch:
        check_callable("fit: one of after_epoch", function, "a function of the history")


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
