"""Counting, timing, accuracies."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn import nn
from minicnn.checks import check_integer
from minicnn.device import Device, resolve
from minicnn.formats import shown
from minicnn.nn.modes import in_evaluation_mode
from minicnn.tensor import no_grad


class Accumulator:
    """``n`` sums that grow together: ``data`` lists them, ``accumulator[i]`` is sum i."""

    def __init__(self, n: int):
        check_integer("Accumulator: n", n, 0)
        self.data = [0.0] * n

    def add(self, *amounts: Any) -> None:
        """Add an amount (a number, or a tensor of one cell) to each sum.

        Raises:
            ValueError: not as many amounts as sums.
        """
        if len(amounts) != len(self.data):
            raise ValueError(f"add: received {len(amounts)} amounts; wanted {len(self.data)}")
        self.data = [a + float(b) for a, b in zip(self.data, amounts, strict=True)]

    def reset(self) -> None:
        """Begin again at 0."""
        self.data = [0.0] * len(self.data)

    def __getitem__(self, i: int) -> float:
        return self.data[i]


class Timer:
    """A stopwatch, running when it is made. ``times`` lists the seconds of every stop."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.start()

    def start(self) -> None:
        """Start again."""
        self.started = time.perf_counter()

    def stop(self) -> float:
        """Add the seconds since the start to ``times``, and return them."""
        self.times.append(time.perf_counter() - self.started)
        return self.times[-1]

    def avg(self) -> float:
        """The mean of the times."""
        return self.sum() / len(self.times)

    def sum(self) -> float:
        """The sum of the times."""
        return sum(self.times)

    def cumsum(self) -> list[float]:
        """The sums of the first time, the first two, and so on."""
        return np.cumsum(self.times).tolist()


def size(a: Any) -> int:
    """The number of cells of a tensor, an array or nested lists."""
    return int(np.size(a))


def accuracy(y_hat: Any, y: Any) -> float:
    """How many predictions are correct (a count, as in the second edition).

    y_hat: scores (N, classes), of which the largest is the prediction, or the predicted classes
    (N,); y: (N,).
    """
    if len(y_hat.shape) > 1 and y_hat.shape[1] > 1:
        y_hat = y_hat.argmax(1)
    return float((y_hat == y).sum())


def evaluate_accuracy(net: Any, data_iter: Any, device: Device | None = None) -> float:
    """The share of ``data_iter``'s examples that ``net`` classifies correctly.

    Nothing is recorded; a module computes in evaluation mode, and its mode is put back.

    Args:
        net, data_iter: a module or function, and batches (x, y); in either order, since the two
            editions differ in it.
        device: where to compute; by default where the net's parameters are.

    Raises:
        ValueError: no examples.
    """
    if not callable(net):
        net, data_iter = data_iter, net
    device = _device_of(net) if device is None else resolve(device)
    metric = Accumulator(2)
    with _evaluating(net), no_grad():
        for X, y in pairs("evaluate_accuracy: data_iter", data_iter):
            if device is not None:
                X, y = X.to(device), y.to(device)
            metric.add(accuracy(net(X), y), len(y))
    if metric[1] == 0:
        raise ValueError("evaluate_accuracy: data_iter has no examples")
    return metric[0] / metric[1]


evaluate_accuracy_gpu = evaluate_accuracy


def pairs(name: str, batches: Any) -> Iterator[Any]:
    """The batches (x, y) of the argument ``name``.

    Raises:
        TypeError: something else.
    """
    check_batches(name, batches)
    for batch in batches:
        try:
            x, y = batch
        except (TypeError, ValueError):
            raise TypeError(f"{name} gave {shown(batch)}; wanted batches (x, y)") from None
        yield x, y


def check_batches(name: str, batches: Any) -> None:
    """Refuse what cannot be walked through (TypeError)."""
    try:
        iter(batches)
    except TypeError:
        kind = type(batches).__name__
        raise TypeError(f"{name} is of type {kind}; wanted batches (x, y)") from None


def _device_of(net: Any) -> Device | None:
    """Where a module's parameters are; None for a function."""
    parameters = net.parameters() if isinstance(net, nn.Module) else ()
    return next((p.device for p in parameters), None)


def _evaluating(net: Any) -> Any:
    return in_evaluation_mode(net) if isinstance(net, nn.Module) else contextlib.nullcontext()
