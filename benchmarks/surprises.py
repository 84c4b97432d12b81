"""What training does that looks like a bug and is none: the figures of docs/references.md.

    python -m benchmarks.surprises [NAME ...] [--seed 0] [--dataset fashion-mnist]

The names: last-digit, last-batch, labels-in-order, batch-of-64, batch-norm, same-weights (all by
default). Each trains nets that differ in one thing, compiled, on one thread, and prints their
figures. Unless a line says otherwise, the net is the preset ``lenet`` (sigmoid, average pooling),
trained with lr 0.9 and batches of 256.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

import minicnn
from benchmarks.tables import versions
from minicnn import data, models, nn, optim

RELU = {"pool": "max", "activation": "relu"}


class Trained:
    """A net after ``epochs`` epochs of plain SGD, and its history."""

    def __init__(
        self,
        options: argparse.Namespace,
        epochs: int,
        lr: float = 0.9,
        batch_size: int = 256,
        divide_by: int | None = None,
        shuffled_by: int | None = None,
        change: Callable[[nn.Module], None] = lambda net: None,
        order: Callable[[data.Dataset], data.Dataset] | None = None,
        **model: Any,
    ):
        minicnn.manual_seed(options.seed)
        train, test = data.load(options.dataset)
        seed = options.seed if shuffled_by is None else shuffled_by
        self.net = models.lenet(**model)
        change(self.net)
        history = minicnn.fit(
            self.net,
            data.DataLoader(
                order(train) if order else train, batch_size, order is None, seed, raw=True
            ),
            data.DataLoader(test, 1000, raw=True),
            optimizer=optim.SGD(self.net.parameters(), lr=lr),
            epochs=epochs,
            divide_by=divide_by,
            quiet=True,
            compile=True,
        )
        self.epochs = history.epochs

    def weights(self) -> np.ndarray:
        """All parameters in one vector."""
        return np.concatenate([p.numpy().ravel() for p in self.net.parameters()])


def nudge(net: nn.Module) -> None:
    """Make the first weight a last digit larger."""
    weight = next(net.parameters()).numpy()
    weight.flat[0] = np.nextafter(weight.flat[0], np.float32(np.inf))


def in_order(train: data.Dataset) -> data.Dataset:
    """The examples sorted by their labels."""
    order = np.argsort(train.labels, kind="stable")
    return data.Dataset(train.images[order], train.labels[order], train.classes)


def largest_step(values: Sequence[float]) -> float:
    """The largest difference between one and the next."""
    return max(abs(a - b) for a, b in pairwise(values))


def last_digit(options: argparse.Namespace) -> Iterator[str]:
    """One weight of the first layer is one last digit larger; 4 epochs."""

    for name, lr, model in (("sigmoid, lr 0.9", 0.9, {}), ("ReLU, max pooling, lr 0.1", 0.1, RELU)):
        plain = Trained(options, 4, lr, **model)
        nudged = Trained(options, 4, lr, change=nudge, **model)
        a, b = plain.weights(), nudged.weights()
        apart = np.linalg.norm(a - b) / np.linalg.norm(a)
        yield (
            f"{name}: weights {apart:.1e} of their norm apart; test accuracies "
            f"{plain.epochs[-1]['test_acc']:.4f} and {nudged.epochs[-1]['test_acc']:.4f}"
        )


def last_batch(options: argparse.Namespace) -> Iterator[str]:
    """The last batch of 96 images: its gradient divided by 96, or by 256; 10 epochs."""
    for divide_by in (None, 256):
        last = Trained(options, 10, divide_by=divide_by).epochs[-1]
        yield f"divided by {divide_by or 96}: {figures(last)}"


def labels_in_order(options: argparse.Namespace) -> Iterator[str]:
    """The training set sorted by label, not shuffled; 1 epoch."""
    last = Trained(options, 1, order=in_order).epochs[-1]
    yield f"sorted, not shuffled: {figures(last)}"
    yield f"shuffled: {figures(Trained(options, 1).epochs[-1])}"


def batch_of_64(options: argparse.Namespace) -> Iterator[str]:
    """Batches of 64 and of 256 at the same learning rate; 6 epochs."""
    for size in (64, 256):
        epochs = Trained(options, 6, batch_size=size).epochs
        yield f"batch {size}, loss by epoch: " + ", ".join(
            f"{epoch['loss']:.3f}" for epoch in epochs
        )


def batch_norm(options: argparse.Namespace) -> Iterator[str]:
    """LeNet with and without batch normalisation, both at lr 0.9; 10 epochs."""
    for on in (True, False):
        epochs = Trained(options, 10, batch_norm=on).epochs
        accuracies = [epoch["test_acc"] for epoch in epochs]
        swing = largest_step(accuracies[2:])
        shown = ", ".join(f"{accuracy:.3f}" for accuracy in accuracies)
        yield f"batch norm {on}, test accuracy by epoch: {shown}; from 3 on up to {swing:.3f} apart"


def same_weights(options: argparse.Namespace) -> Iterator[str]:
    """Six orders of the batches for each of five draws of the first weights; 10 epochs."""
    for seed in range(options.seed, options.seed + 5):
        draw = argparse.Namespace(**{**vars(options), "seed": seed})
        losses = [
            Trained(draw, 10, shuffled_by=1000 + order).epochs[-1]["loss"] for order in range(6)
        ]
        yield f"weights of seed {seed}: loss {min(losses):.4f} to {max(losses):.4f}"


def figures(epoch: dict[str, Any]) -> str:
    names = {"loss": "loss", "train_acc": "train accuracy", "test_acc": "test accuracy"}
    return ", ".join(f"{name} {epoch[key]:.4f}" for key, name in names.items())


SURPRISES = {
    "last-digit": last_digit,
    "last-batch": last_batch,
    "labels-in-order": labels_in_order,
    "batch-of-64": batch_of_64,
    "batch-norm": batch_norm,
    "same-weights": same_weights,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.surprises")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SURPRISES)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dataset", default="fashion-mnist")
    options = parser.parse_args()
    for name in options.names:
        if name not in SURPRISES:
            parser.error(f"there is no {name}; wanted some of {', '.join(SURPRISES)}")
    minicnn.set_num_threads(1)
    print(f"minicnn {minicnn.__version__}, {versions()}, one thread, seed {options.seed}")
    for name in options.names or SURPRISES:
        print(f"\n{name}: {SURPRISES[name].__doc__}")
        for line in SURPRISES[name](options):
            print(f"  {line}", flush=True)


if __name__ == "__main__":
    main()
