"""Compiled steps on a GPU: threads, streams and what changes between calls."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import CompileError, Tensor, nn, optim
from minicnn.device import to_device, to_host
from minicnn.train.loop import EagerStep
from tests.gpu.nets import NETS, assert_close, assert_same_state, batches, pictures, steps

pytestmark = pytest.mark.usefixtures("cupy")


# Threads, streams and what changes between calls --------------------------------------------------


def test_a_call_on_another_stream_waits_for_the_last_one(cupy: Any) -> None:
    """A prediction's memory serves one call at a time, and a call may run on after it returned."""
    predict = minicnn.compile(NETS["dense"]().to("gpu"))
    ((pixels, _),) = batches(3)
    x, stream = Tensor(to_device(pixels, "gpu")), cupy.cuda.Stream()
    expected = [predict(x).numpy(), predict(x).numpy()][1]
    for waits in (1, 0):
        cupy.reset_counters()
        with stream:
            given = predict(x)
        assert cupy.counters.synchronisations == waits
        np.testing.assert_array_equal(given.numpy(), expected)
    cupy.reset_counters()
    predict(x)
    assert cupy.counters.synchronisations == 1


def test_threads_take_turns_at_a_prediction_and_at_a_step() -> None:
    net, twin = NETS["dense"](), NETS["dense"]()
    twin.load_state_dict(net.state_dict())
    step, _, x, y = steps(net)
    predict, given = minicnn.compile(net), [x[:3], x, x[:5]]
    expected = [predict(part).numpy() for part in given]
    results: list[Any] = []
    predict = minicnn.compile(net)

    def work(number: int) -> None:
        for i in range(4):
            which = (number + i) % 3
            results.append((which, predict(given[which])))

    run_together([lambda n=n: work(n) for n in range(3)])  # type: ignore[misc]
    assert len(results) == 12
    for which, logits in results:
        np.testing.assert_array_equal(logits.numpy(), expected[which])
    run_together([lambda: [step(x, y) for _ in range(3)]] * 3)
    alone, *_ = steps(twin)
    for _ in range(9):
        alone(x, y)
    assert_same_state(net, twin, 1e-5)


def run_together(calls: list[Callable[[], Any]]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_class_weights_put_elsewhere_are_found() -> None:
    weight = Tensor(np.linspace(0, 2, 10, dtype=np.float32), device="gpu")
    step, optimizer, x, y = steps(NETS["dense"]())
    step.loss, optimizer.lr = nn.CrossEntropyLoss(weight, reduction="sum"), 0.0
    first = step(x, y)[0].item()
    weight.data = weight.data * 3
    assert step(x, y)[0].item() == pytest.approx(3 * first, rel=1e-5)
    weight.data *= 2
    assert step(x, y)[0].item() == pytest.approx(6 * first, rel=1e-5)
    step.loss.weight = Tensor(np.ones((10, 2), np.float32), device="gpu")[:, 0]
    with pytest.raises(CompileError, match="wanted a weight of the loss that is C-contiguous"):
        step(x, y)


def test_the_optimizers_list_may_change_between_steps() -> None:
    def run(device: str, make: Callable[..., Any]) -> list[np.ndarray]:
        minicnn.manual_seed(1)
        net = NETS["dense"]().to("float64").to(device)
        optimizer = optim.SGD(net.parameters(), 0.1, momentum=0.9)
        step = make(net, nn.CrossEntropyLoss(), optimizer)
        for i, (pixels, labels) in enumerate(batches(6, 6, 6, 6)):
            if i == 1:
                optimizer.params.pop(), optimizer.velocity.pop()
            if i == 2:
                optimizer.velocity[0] = to_device(
                    np.asfortranarray(2 * to_host(optimizer.velocity[0])), device
                )
            if i == 3:
                optimizer.params.append([*net.parameters()][-1])
                optimizer.velocity.append(None)
            step(*[Tensor(to_device(a, device)) for a in (pixels / 255, labels)])
        return [p.numpy() for p in net.parameters()]

    assert_close(run("gpu", minicnn.compile), run("cpu", EagerStep))


def test_a_prediction_follows_settings_and_refuses_as_on_the_cpu() -> None:
    layers = nn.Conv2d(1, 3, 5, stride=3), nn.Tanh(), nn.AvgPool2d(2), nn.Dropout(), nn.Flatten()
    net: Any = nn.Sequential(*layers).to("gpu")
    predict = minicnn.compile(net)
    x = Tensor(to_device(pictures(3, dtype="float32")[0], "gpu"))
    for change in (
        lambda: None,
        lambda: setattr(net[0], "padding", (1, 2)),
        lambda: setattr(net[2], "kernel_size", (3, 1)),
        lambda: setattr(net[1], "forward", nn.functional.relu),
        lambda: net._modules.pop("1"),
    ):
        change()
        ours = predict(x).numpy()
        np.testing.assert_allclose(ours, net.eval()(x).numpy(), rtol=1e-4, atol=1e-6)
        net.train()
    handle = net[0].register_forward_hook(lambda *_: None)
    with pytest.raises(CompileError, match="Conv2d of the net has a forward hook"):
        predict(x)
    handle.remove()
    predict(x)


def test_a_parameter_that_is_listed_twice_is_refused() -> None:
    """One launch updates all: both steps would be taken at once."""
    step, optimizer, x, y = steps(NETS["dense"]())
    optimizer.params.append(optimizer.params[0])
    optimizer.velocity.append(None)
    with pytest.raises(CompileError, match="cannot list a parameter twice"):
        step(x, y)


# Batch normalisation ------------------------------------------------------------------------------


def test_batches_from_elsewhere_are_refused() -> None:
    step, _, x, y = steps(NETS["dense"]())
    with pytest.raises(TypeError, match="received an array on cpu; wanted one on gpu:0"):
        step(x.numpy(), y)
    with pytest.raises(ValueError, match=r"y has shape \(7,\); wanted a class index for each of"):
        step(x, y[:7])
    with pytest.raises(TypeError, match="y is float32; wanted class indices"):
        step(x, y.to("float32"))


def test_a_profiled_plan_is_a_table_of_a_batch() -> None:
    net = NETS["dense"]().to("gpu")
    step = minicnn.compile(
        net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.1), profile=True
    )
    ((pixels, labels),) = batches(4)
    for _ in range(3):
        step(Tensor(to_device(pixels, "gpu")), Tensor(to_device(labels, "gpu")))
    plan: Any = step.plan
    assert plan.runs == 2  # of the first step the kernels are compiled
    first, second = 2 * 4 * 784 * 21, 2 * 4 * 21 * 10  # FLOPs; of the second there is a dX too
    assert sum(line.flops for line in plan.lines) == 2 * first + 3 * second
    assert plan.memory > sum(p.data.nbytes for p in net.parameters())  # as many gradients
    for number, line in enumerate(plan.lines, start=1):
        assert line.seconds > 0
        line.seconds = 2 * number / 1e6  # this many microseconds in each run
    head, *rows, total, foot = str(plan).splitlines()
    assert head.split() == ["kernel", "blocks", "MFLOP", "MB", "us", "GFLOP/s"]
    del rows[plan.backward_from]
    for number, (row, line) in enumerate(zip(rows, plan.lines, strict=True), start=1):
        figures = f"{line.flops / 1e6:.2f} {line.bytes / 1e6:.2f} {number:.1f}"
        rate = f" {line.flops / number / 1e3:.0f}" if line.flops else ""
        said = f"{line.kernel} {math.prod(line.grid)} {figures}{rate}"
        assert " ".join(row.split()).endswith(f" {said}")
    count = len(plan.lines)
    flops, moved = (sum(getattr(line, of) for line in plan.lines) for of in ("flops", "bytes"))
    us = count * (count + 1) / 2
    figures = f"{flops / 1e6:.2f} {moved / 1e6:.2f} {us:.1f} {flops / us / 1e3:.0f}"
    assert " ".join(total.split()) == f"{count} launches {figures}"
    assert foot == f"batches of 4; memory {plan.memory / 1e6:.2f} MB"


def test_a_launch_takes_the_time_between_two_events(
    cupy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cupy.cuda, "get_elapsed_time", lambda begin, end: 3.0)  # milliseconds
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 5)).to("gpu")
    step = minicnn.compile(
        net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.1), profile=True
    )
    for _ in range(3):
        step(minicnn.rand(4, 1, 2, 3).to("gpu"), Tensor(np.array([3, 2, 0, 4])).to("gpu"))
    lines: Any = step.plan.lines
    assert [line.seconds for line in lines] == [6e-3] * len(lines)


def test_a_prediction_takes_bytes_of_several_channels() -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 2), nn.Flatten())
    pixels = np.random.default_rng(1).integers(0, 256, (2, 3, 4, 5), np.uint8)
    theirs = net(Tensor(pixels / np.float32(255))).numpy()
    predict = minicnn.compile(net.to("gpu"))
    ours = predict(Tensor(to_device(pixels, "gpu"))).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_shallow_copy_of_a_step_has_sums_of_its_own() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 5)).to("gpu")
    step: Any = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.1))
    x, y = minicnn.rand(4, 1, 2, 3).to("gpu"), Tensor(np.array([3, 2, 0, 4])).to("gpu")
    step(x, y)
    other, before = copy.copy(step), float(step.means.loss)
    other(x, y)
    assert float(step.means.loss) == before
    assert float(other.means.loss) > before
    other.means.reset()
    assert float(step.means.loss) == before
