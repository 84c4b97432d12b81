"""A training that other processes repeat: ``python -m tests.repeated`` prints its digests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

import minicnn
from minicnn import data, models, optim

THREADS = 2
IMAGES = 600  # two batches of 256, and 88 pictures
Numbers = dict[str, np.ndarray]


OPTIMIZERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "SGD": partial(optim.SGD, lr=0.05, momentum=0.9),
    "Adam": partial(optim.Adam, lr=0.002),
}


def trained(
    compile: bool,
    threads: int = THREADS,
    dtype: str = "float32",
    optimizers: Sequence[str] = ("SGD", "Adam"),
) -> Numbers:
    """The net's numbers after a training for which weights, orders and masks are drawn.

    optimizers: each takes the three steps of an epoch.
    """
    minicnn.set_num_threads(threads)
    minicnn.manual_seed(4)
    net = models.lenet(
        pool="max", channels=(5, 7), hidden=(30,), activation="tanh", batch_norm=True, dropout=0.3
    ).to(dtype)
    few = data.load("fashion-mnist-sample")[0][:IMAGES]
    batches = few.images[:, None].astype(dtype) / 255, few.labels
    for name in optimizers:
        optimizer = OPTIMIZERS[name](net.parameters())
        minicnn.fit(net, batches, optimizer=optimizer, epochs=1, quiet=True, compile=compile)
    return {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}


def digest(numbers: Numbers) -> str:
    """The SHA-256 of all bits."""
    return hashlib.sha256(b"".join(array.tobytes() for array in numbers.values())).hexdigest()


def digests() -> list[str]:
    """Of an eager training and of a compiled one."""
    return [digest(trained(compile)) for compile in (False, True)]


if __name__ == "__main__":
    print(*digests())
