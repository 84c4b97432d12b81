"""Training on a GPU that is as late as can be, compared with one that does all at once.

    python -m tests.gpu.late

fails where the numbers differ, or where memory is freed too early. Kernels run as NVIDIA's PTX,
whose checks see addresses in a table that lead nowhere.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import minicnn
from minicnn import Tensor, data, models, nn, optim
from minicnn.device import to_device
from minicnn.train.loop import EagerStep, fit
from tests.gpu import ptx
from tests.gpu.general import general_form
from tests.gpu.pretend import standin_for_cupy

Numbers = list[Any]


def numbers_of(cupy: Any, run: Callable[[], Numbers]) -> tuple[Numbers, Numbers]:
    """What a run gives late, and at once."""
    cupy.set_deferred(True)
    late = run()
    cupy.set_deferred(False)
    return late, run()


def small_net() -> nn.Module:
    minicnn.manual_seed(1)
    layers = nn.Linear(5, 7), nn.Tanh(), nn.Dropout(0.3), nn.Linear(7, 4)
    return nn.Sequential(*layers).to("gpu")


def batch(rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    pictures, labels = rng.random((6, 5)).astype("f"), rng.integers(0, 4, 6)
    return Tensor(to_device(pictures, "gpu")), Tensor(to_device(labels, "gpu"))


def steps(is_compiled: bool, kind: str) -> Numbers:
    """Nobody waits; the learning rate changes at each step, the batch is gone when it is needed."""
    net, rng = small_net(), np.random.default_rng(1)
    optimizer = getattr(optim, kind)(net.parameters(), lr=0.1)
    make: Any = minicnn.compile if is_compiled else EagerStep
    step = make(net, nn.CrossEntropyLoss(), optimizer)
    for i in range(6):
        optimizer.lr = 0.1 / (i + 1)
        step(*batch(rng))
    return [p.numpy().tobytes() for p in net.parameters()]


def steps_on_two_streams(cupy: Any) -> Numbers:
    """One after the other, though the streams do not wait for each other."""
    net, rng = small_net(), np.random.default_rng(1)
    step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.1))
    streams = [cupy.cuda.Stream(non_blocking=True) for _ in "ab"]
    for i in range(5):
        with streams[i % 2] as stream:
            step(*batch(rng))
    stream.synchronize()
    return [p.numpy().tobytes() for p in net.parameters()]


def training(is_compiled: bool) -> Numbers:
    """From a data set on the device, with a ragged last batch and a test in between."""
    loaded = data.load("fashion-mnist-sample")
    minicnn.manual_seed(0)
    net = models.mlp(hidden=(20,)).to("gpu")
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    train, test = (
        data.DataLoader(part[:70], 16, shuffle, 1, "gpu", raw=is_compiled)
        for part, shuffle in zip(loaded, (True, False), strict=True)
    )
    history = fit(net, train, test, optimizer=optimizer, epochs=2, compile=is_compiled, quiet=True)
    return [(epoch["loss"], epoch["test_acc"]) for epoch in history.epochs]


def main() -> None:
    ptx.is_there()  # asked before CuPy is hidden
    with standin_for_cupy() as cupy, general_form():
        cupy.set_build(functools.partial(ptx.build, architecture="sm_90"))
        runs: list[Callable[[], Numbers]] = [
            lambda: steps(True, "Adam"),
            lambda: steps_on_two_streams(cupy),
            lambda: training(True),
        ]
        for run in runs:
            late, at_once = numbers_of(cupy, run)
            assert late == at_once, "a GPU that is late computes other numbers"


if __name__ == "__main__":
    main()
