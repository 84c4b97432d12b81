"""What a training step costs, in numbers that a noisy machine cannot move."""

from __future__ import annotations

import multiprocessing
import threading
import tracemalloc

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, apply, models, nn, ops, optim
from minicnn.nn import functional as F
from minicnn.nn.functional import conv


def step_of(net: nn.Sequential, batch: int) -> tuple[int, int]:
    """(peak, left over) bytes that a training step allocates, once everything is warm."""
    optimizer, loss_of = optim.SGD(net.parameters(), lr=0.1), nn.CrossEntropyLoss()
    x, y = minicnn.rand(batch, 1, 28, 28), Tensor(np.arange(batch) % 10)

    def step() -> None:
        loss = loss_of(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    step()
    optimizer.zero_grad()
    tracemalloc.start()
    try:
        step()
        optimizer.zero_grad()
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak, left


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        # columns 20 + 15 MB, activations 20 MB, dcolumns 15 MB, and a gradient or two
        ("lenet", 100e6),
        ("lenet-max", 80e6),
    ],
)
def test_a_step_of_256_images_stays_within_its_memory(
    kernel_set: str, model: str, limit: float
) -> None:
    peak, left = step_of(models.build(model), 256)
    # the reference kernels are whole-array statements with temporaries
    assert peak < limit * (1 if kernel_set == "cpu" else 1.5)
    assert left < 100e3


def test_backward_frees_the_tape_as_it_goes() -> None:
    """Ten layers deep, backward must not hold all gradients at once on top of all activations."""
    x = Tensor(np.ones((1000, 1000)), requires_grad=True)
    y = x
    for _ in range(10):
        y = y.exp() * 0.1
    total = y.sum()
    tracemalloc.start()
    try:
        total.backward()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * x.data.nbytes


def test_backward_lets_the_numbers_of_the_tape_go() -> None:
    """At the first layer, what the ten after it computed is gone."""

    class Probe(ops.Operation):
        def forward(self, x: np.ndarray) -> np.ndarray:
            return x * 1.0

        def backward(self, dy: np.ndarray) -> np.ndarray:
            self.seen, _ = tracemalloc.get_traced_memory()
            return dy

    x, probe = Tensor(np.ones((500, 1000)), requires_grad=True), Probe()
    tracemalloc.start()
    try:
        y = apply(probe, x)
        for _ in range(5):
            y = y.exp() * 0.1
        y.sum().backward()
    finally:
        tracemalloc.stop()
    assert probe.seen < 5 * x.data.nbytes


@pytest.mark.parametrize("recording", [False, True])
def test_a_large_batch_is_convolved_in_pieces(
    recording: bool, kernel_set: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch's columns are 25 times its pictures; here the pieces make do with a 16th of it."""
    monkeypatch.setattr(conv, "KEPT_BYTES", 0)
    monkeypatch.setattr(conv, "PIECE_BYTES", 0)  # so 16 images
    x = minicnn.rand(256, 1, 28, 28)
    weight = nn.Parameter(minicnn.rand(2, 1, 5, 5))
    weight.requires_grad = recording
    F.conv2d(x[:16], weight)
    tracemalloc.start()
    try:
        y = F.conv2d(x, weight)
        left, peak = tracemalloc.get_traced_memory()
        if recording:
            y.backward(np.ones(y.shape, np.float32))
            _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    columns = 25 * y.data.nbytes / 2
    assert left < 1.1 * y.data.nbytes
    assert peak < (0.4 if recording else 0.25) * columns


def _product_in_a_child() -> None:
    a = np.ones((600, 700), np.float32)
    assert float((Tensor(a) @ Tensor(a.T)).sum()) == 600 * 600 * 700


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_computes_on_threads_of_its_own(kernel_set: str) -> None:
    minicnn.set_num_threads(3)  # on one core too
    _product_in_a_child()
    if kernel_set == "cpu":
        assert any(thread.name.startswith("minicnn-") for thread in threading.enumerate())
    child = multiprocessing.get_context("fork").Process(target=_product_in_a_child)
    child.start()
    child.join(60)
    alive = child.is_alive()
    child.kill()
    assert not alive
    assert child.exitcode == 0
