"""Work done as late as a GPU may do it: the stand-in's deferred mode, and the engine in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, data, models, nn, optim
from minicnn.device import to_device
from minicnn.train.loop import EagerStep, fit
from tests.gpu.general import general_form
from tests.gpu.nets import NETS, assert_close, batches, trained


@pytest.fixture
def late(cupy: Any) -> Iterator[Any]:
    """The stand-in, as late as can be."""
    cupy.set_deferred(True)
    with general_form():
        yield cupy
    cupy.set_deferred(False)


@pytest.fixture
def x(late: Any) -> Any:
    return late.asarray(np.array([1, 2, 3], np.float32))


# The mode ----------------------------------------------------------------------------------------


def test_work_is_done_when_somebody_waits(late: Any, x: Any) -> None:
    seen = x._array  # what is there, without waiting
    x += 1
    np.testing.assert_array_equal(seen, [1, 2, 3])
    late.cuda.get_current_stream().synchronize()
    np.testing.assert_array_equal(seen, [2, 3, 4])
    x *= 2
    x += 1
    np.testing.assert_array_equal(x.get(), [5, 7, 9])


def test_streams_do_not_wait_for_each_other(late: Any, x: Any) -> None:
    first, second = late.cuda.Stream(non_blocking=True), late.cuda.Stream(non_blocking=True)
    with first:
        x += 1
    with second:
        y = x * 2  # before the addition
        np.testing.assert_array_equal(y.get(), [2, 4, 6])
        second.wait_event(first.record())
        np.testing.assert_array_equal((x * 2).get(), [4, 6, 8])


def test_the_null_stream_waits_for_blocking_ones(late: Any, x: Any) -> None:
    with late.cuda.Stream():
        x += 1
    with late.cuda.Stream(non_blocking=True):
        x *= 10
    np.testing.assert_array_equal(x.get(), [2, 3, 4])
    late.cuda.Device().synchronize()
    np.testing.assert_array_equal(x._array, [20, 30, 40])


def test_a_buffer_of_the_host_changes_before_it_is_copied(late: Any, x: Any) -> None:
    buffer = np.ones(3, np.float32)
    x.set(buffer)
    buffer += 1
    np.testing.assert_array_equal(x.get(), [2, 2, 2])
    x.set(np.ones(3, np.float32))
    with pytest.raises(RuntimeError, match="freed before it was copied"):
        x.get()


def test_an_array_is_freed_while_another_stream_reads_it(late: Any, x: Any) -> None:
    y = late.asarray(np.ones(3, np.float32))
    with late.cuda.Stream(non_blocking=True) as stream:
        x += y
    del y
    with pytest.raises(RuntimeError, match="freed before the work on another stream"):
        stream.synchronize()
    z = late.asarray(np.ones(3, np.float32))
    x += z
    del z  # its memory is taken again after this work only
    x.get()


# The engine --------------------------------------------------------------------------------------


def numbers_of(cupy: Any, run: Callable[[], list[Any]]) -> tuple[list[Any], list[Any]]:
    """What a run gives late, and at once."""
    late = run()
    cupy.set_deferred(False)
    at_once = run()
    cupy.set_deferred(True)
    return late, at_once


@pytest.mark.parametrize("name", ["dense", "dropout", "strides"])
def test_a_compiled_step_computes_the_same_when_it_is_late(late: Any, name: str) -> None:
    assert_close(
        *numbers_of(late, lambda: trained(NETS[name], "gpu", minicnn.compile, batches(5, 5, 5, 3)))
    )


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("make", [minicnn.compile, EagerStep], ids=["compiled", "eager"])
def test_steps_that_nobody_waits_for(late: Any, make: Any, kind: str) -> None:
    """The learning rate changes at each step, and the batch is gone when it is needed."""

    def run() -> list[np.ndarray]:
        minicnn.manual_seed(1)
        net = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Dropout(0.3), nn.Linear(7, 4)).to("gpu")
        optimizer = getattr(optim, kind)(net.parameters(), lr=0.1)
        step = make(net, nn.CrossEntropyLoss(), optimizer)
        rng = np.random.default_rng(1)
        for i in range(6):
            optimizer.lr = 0.1 / (i + 1)
            pictures, labels = rng.random((6, 5)).astype("f"), rng.integers(0, 4, 6)
            step(Tensor(to_device(pictures, "gpu")), Tensor(to_device(labels, "gpu")))
        return [p.numpy() for p in net.parameters()]

    for a, b in zip(*numbers_of(late, run), strict=True):
        np.testing.assert_array_equal(a, b)


def test_calls_on_two_streams_follow_each_other(late: Any) -> None:
    def run() -> list[np.ndarray]:
        minicnn.manual_seed(1)
        net = nn.Sequential(nn.Linear(5, 4)).to("gpu")
        step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.1))
        rng, streams = np.random.default_rng(1), [late.cuda.Stream(non_blocking=True) for _ in "ab"]
        for i in range(5):
            with streams[i % 2] as stream:
                x, y = rng.random((6, 5)).astype("f"), rng.integers(0, 4, 6)
                step(Tensor(to_device(x, "gpu")), Tensor(to_device(y, "gpu")))
        stream.synchronize()
        return [p.numpy() for p in net.parameters()]

    for a, b in zip(*numbers_of(late, run), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_training_measures_the_same(late: Any, compiled: bool) -> None:
    train, test = (part[:70] for part in data.load("fashion-mnist-sample"))

    def run() -> list[Any]:
        minicnn.manual_seed(0)
        net = models.mlp(hidden=(20,)).to("gpu")
        optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        loaders = [
            data.DataLoader(d, 16, d is train, 1, "gpu", raw=compiled) for d in (train, test)
        ]
        history = fit(net, *loaders, optimizer=optimizer, epochs=2, compile=compiled, quiet=True)
        return [(e["loss"], e["test_acc"]) for e in history.epochs]

    late_ones, at_once = numbers_of(late, run)
    assert late_ones == at_once
