"""Every way to compute a training step, and a prediction, against loops: bit for bit.

A polynomial that is not zero is zero at few whole points (Schwartz and Zippel): a wrong index, a
cell that is counted twice or left out changes a sum of random whole numbers almost surely.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pytest

import minicnn
from minicnn import kernels, nn, optim
from tests.exact.nets import Exact, exact
from tests.kernels.geometry import three_threads

NETS, CHUNK = 300, 25
LOSS = nn.CrossEntropyLoss(reduction="sum")


class Way(NamedTuple):
    """How to compute, and in which dtype."""

    compute: Callable[[Exact, str], list[np.ndarray]]
    dtype: str
    threads: int = 1
    kernel_set: str = "cpu"


def eager(case: Exact, dtype: str) -> list[np.ndarray]:
    """Logits, the gradients of the parameters, the gradient of the pictures."""
    return _eager(case, dtype, [slice(None)])


def eager_in_parts(case: Exact, dtype: str) -> list[np.ndarray]:
    """Two parts of the batch, whose gradients add up."""
    middle = math.ceil(len(case.y) / 3)
    return _eager(case, dtype, [slice(middle), slice(middle, None)])


def _eager(case: Exact, dtype: str, parts: list[slice]) -> list[np.ndarray]:
    net, (x, y) = case.net(dtype), case.batch(dtype)
    x.requires_grad = True
    logits = []
    for part in parts:
        if len(x[part]):
            logits.append(net(x[part]))
            LOSS(logits[-1], y[part]).backward()
    gradients = [p.grad.numpy() for p in (*net.parameters(), x) if p.grad is not None]
    return [np.concatenate([a.numpy() for a in logits]), *gradients]


def compiled(case: Exact, dtype: str) -> list[np.ndarray]:
    """A compiled step, whose gradients lie in its engine."""
    net = case.net(dtype)
    step = minicnn.compile(net, LOSS, optim.SGD(net.parameters(), lr=0.0), winograd=False)
    _, logits = step(*case.batch(dtype))
    of = step.gradients()
    return [logits.numpy(), *(of[name].numpy() for name, _ in net.named_parameters())]


def predicted(case: Exact, dtype: str) -> list[np.ndarray]:
    """Up to 8 images go one by one, with pixels in the lanes; more as in a step."""
    predict = minicnn.compile(case.net(dtype), winograd=False)
    return [predict(case.batch(dtype)[0]).numpy()]


WAYS = {
    "the reference kernels": Way(eager, "float64", kernel_set="reference"),
    "eager": Way(eager, "float32"),
    "eager, three threads": Way(eager, "float64", 3),
    "eager, in parts": Way(eager_in_parts, "float32", 3),
    "compiled": Way(compiled, "float32"),
    "compiled, three threads": Way(compiled, "float64", 3),
    "compiled, large groups": Way(compiled, "float32", 2),
    "predicted": Way(predicted, "float32"),
    "predicted, three threads": Way(predicted, "float64", 3),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", range(0, NETS, CHUNK))
def test_a_step_is_exact(first: int, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compute, dtype, threads, kernel_set = WAYS[way]
    groups = 4 if "large groups" in way else 1
    monkeypatch.setattr("minicnn.compiler.cpu.step.LARGEST_GROUP", groups)
    monkeypatch.setattr("minicnn.compiler.cpu.engine.WORTH_A_THREAD", 1)
    with kernels_of(kernel_set, threads, monkeypatch):
        for case in map(exact, range(first, first + CHUNK)):
            if case.fits(dtype):
                assert_exact(case, compute(case, dtype), dtype)


def assert_exact(case: Exact, ours: list[np.ndarray], dtype: str) -> None:
    theirs = [case.logits, *case.gradients, case.dx]
    for number, (mine, expected) in enumerate(zip(ours, theirs, strict=False)):
        assert mine.dtype == dtype
        np.testing.assert_array_equal(mine, expected, f"net {case.number}, result {number}")


@contextmanager
def kernels_of(name: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The kernel set of this name; the least work is shared among the threads."""
    with monkeypatch.context() as patch:
        patch.setenv("MINICNN_KERNELS", name)
        kernels.host_kernels.cache_clear()
        with three_threads():
            minicnn.set_num_threads(threads)
            yield
    kernels.host_kernels.cache_clear()


def test_most_of_the_nets_fit_float32() -> None:
    """And together they have what can go wrong."""
    cases = [exact(number) for number in range(NETS)]
    assert all(case.fits("float64") for case in cases)
    assert sum(case.fits("float32") for case in cases) > 0.8 * NETS
    kinds = {type(layer).__name__ for case in cases for layer in case.layers}
    assert kinds == {"AvgPool", "Conv", "Dense", "Flatten", "MaxPool", "Relu"}
    halves = sum((case.logits[:, 0] == case.logits[:, 1]).any() for case in cases)
    assert halves > 20  # equal logits, probabilities of 1 / 2
    assert sum(np.any(case.dx) for case in cases) > 0.7 * NETS
