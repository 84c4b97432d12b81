"""The helper functions that the LeNet chapter's program takes from the book's own module."""

from __future__ import annotations

from typing import Any

import minicnn
from minicnn import data, nn


class Accumulator:
    """Sums over n quantities."""

    def __init__(self, n: int):
        self.sums = [0.0] * n

    def add(self, *amounts: Any) -> None:
        self.sums = [a + float(b) for a, b in zip(self.sums, amounts, strict=True)]

    def __getitem__(self, i: int) -> float:
        return self.sums[i]


def accuracy(y_hat: Any, y: Any) -> float:
    """How many predictions are right."""
    return float((y_hat.argmax(1) == y).sum())


def load_data_fashion_mnist(batch_size: int) -> tuple[data.DataLoader, data.DataLoader]:
    """The batches of the embedded sample."""
    train, test = data.load("fashion-mnist-sample")
    return (
        data.DataLoader(train, batch_size, shuffle=True, seed=0),
        data.DataLoader(test, batch_size),
    )


def evaluate_accuracy(net: nn.Module, batches: data.DataLoader, device: Any) -> float:
    """The share of right predictions, in evaluation mode and without recording."""
    net.eval()
    metric = Accumulator(2)
    with minicnn.no_grad():
        for X, y in batches:
            X, y = X.to(device), y.to(device)
            metric.add(accuracy(net(X), y), y.numel())
    return metric[0] / metric[1]
