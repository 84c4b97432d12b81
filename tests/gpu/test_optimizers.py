"""Every optimiser on a GPU, eager and compiled, on the stand-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn, optim
from minicnn.device import to_device
from minicnn.train.loop import EagerStep
from tests.optim.test_adaptive import CASES, every_case, optimizer_of

pytestmark = pytest.mark.usefixtures("cupy")


def trained(case: str, device: str, make: Callable[..., Any], dtype: str) -> list[np.ndarray]:
    """The parameters after some steps, in one of which the first layer is frozen."""
    minicnn.manual_seed(3)
    layers = nn.Linear(5, 7), nn.Tanh(), nn.Dropout(0.3), nn.Linear(7, 4)
    net = nn.Sequential(*layers).to(dtype).to(device)
    first = next(net.parameters())
    optimizer = optimizer_of(case, net.parameters())
    step = make(net, nn.CrossEntropyLoss(), optimizer)
    rng = np.random.default_rng(1)
    for i in range(5):
        first.requires_grad, first.grad = i != 2, None
        optimizer.lr *= 0.5 if i == 3 else 1
        x, y = rng.random((6, 5)).astype(dtype), rng.integers(0, 4, 6)
        step(Tensor(to_device(x, device)), Tensor(to_device(y, device)))
    return [p.numpy() for p in net.parameters()]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [minicnn.compile, EagerStep], ids=["compiled", "eager"])
@every_case
def test_steps_are_those_of_the_cpu(case: str, make: Any, dtype: str) -> None:
    tolerance = {"float32": 2e-4, "float64": 1e-10}[dtype]
    ours, theirs = trained(case, "gpu", make, dtype), trained(case, "cpu", EagerStep, dtype)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", [case for case in CASES if "adam" in case])
def test_bias_correction_is_right_in_float32(case: str, cupy: Any) -> None:
    """1 - 0.999 in float32 is wrong in the fourth place: the numbers come from the host."""
    results = []
    for device in ("gpu", "cpu"):
        net = nn.Sequential(nn.Linear(1, 2, bias=False)).to(device)
        weight = next(net.parameters())
        weight.data[...] = 0
        optimizer = optimizer_of(case, [weight])
        make: Any = minicnn.compile if device == "gpu" else EagerStep
        step = make(net, nn.CrossEntropyLoss(), optimizer)
        for _ in range(2):
            step(*(Tensor(to_device(a, device)) for a in (np.ones((3, 1), "f"), np.zeros(3, int))))
        results.append(weight.numpy())
    np.testing.assert_allclose(results[0], results[1], rtol=2e-6)


def test_a_step_of_adam_sends_nothing_not_even_its_number(cupy: Any) -> None:
    net = nn.Sequential(nn.Linear(5, 4)).to("gpu")
    step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.Adam(net.parameters()))
    x, y = (Tensor(to_device(a, "gpu")) for a in (np.ones((6, 5), "f"), np.zeros(6, np.int64)))
    step(x, y), step(x, y)
    cupy.reset_counters()
    step(x, y)
    counts = cupy.counters
    assert (counts.h2d, counts.d2h, counts.synchronisations, counts.allocations) == (0, 0, 0, 0)


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "Adadelta"])
def test_arrays_in_another_memory_order_are_changed_too(kind: str) -> None:
    results = []
    for transposed in (False, True):
        array = np.arange(6.0).reshape(2, 3)
        array = np.asfortranarray(array) if transposed else array
        p = Tensor(to_device(array, "gpu").T, requires_grad=True)
        p.grad = Tensor(to_device(np.ones((3, 2)), "gpu"))
        optimizer = getattr(optim, kind)([p], lr=0.1)
        optimizer.step(), optimizer.step()
        results.append(p.numpy())
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0] != np.arange(6.0).reshape(2, 3).T).all()
