"""Several Python threads at once: in one compiled predictor, in one step, in eager mode."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn, optim
from minicnn.compiler.cpu.shares import Shares
from tests.in_threads import in_threads

PICTURE = (2, 9, 7)


@pytest.fixture(autouse=True)
def share_the_least_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that each call is computed by several threads of the kernels' own."""
    monkeypatch.setattr("minicnn.compiler.cpu.engine.WORTH_A_THREAD", 1)
    monkeypatch.setattr("minicnn.kernels.cpu.threads.WORTH_SHARING", 1)
    minicnn.set_num_threads(2)


def small_net() -> nn.Sequential:
    minicnn.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(2, 3, (2, 3)), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d((3, 2)),
        nn.Dropout(0.5), nn.Flatten(), nn.Linear(12, 5),
    )  # fmt: skip
    net(Tensor(minicnn.randn(20, *PICTURE)))  # so that its statistics have moved
    return net


def test_an_interrupt_waits_until_the_step_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parameters that have moved, and statistics that have not, would be of no step at all."""
    net: Any = small_net()
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    step = minicnn.compile(net, nn.CrossEntropyLoss(), optimizer)
    x, y = batches(70)[0], np.arange(70) % 5
    step(x, y)
    before, mean = int(net[1].num_batches_tracked), net[1].running_mean.numpy().copy()
    weight, version = net[0].weight.numpy().copy(), net[0].weight._written[0]
    take = Shares.take

    def interrupted(*arguments: Any) -> None:
        take(*arguments)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Shares, "take", interrupted)
    with pytest.raises(KeyboardInterrupt):
        step(x, y)
    assert (net[0].weight.numpy() != weight).any()
    assert net[0].weight._written[0] > version
    assert int(net[1].num_batches_tracked) == before + 1
    assert (net[1].running_mean.numpy() != mean).all()


def batches(*sizes: int) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.standard_normal((n, *PICTURE)).astype(np.float32) for n in sizes]


def test_one_predictor_serves_threads_with_batches_of_all_sizes_from_their_first_call() -> None:
    net, given = small_net().eval(), batches(1, 70, 17, 2, 33, 16, 50, 5)
    expected = [net(Tensor(x)).numpy() for x in given]
    predict = minicnn.compile(net)

    def work(number: int) -> None:
        for i in range(25):
            which = (number + i) % len(given)
            np.testing.assert_allclose(predict(given[which]).numpy(), expected[which], atol=1e-5)

    in_threads(8, work)


def test_predictors_of_one_net_may_record_it_at_once() -> None:
    net, given = small_net(), batches(5, 21)
    mode = [layer.training for layer in net.modules()]
    expected = [net.eval()(Tensor(x)).numpy() for x in given]
    net.train()

    def work(number: int) -> None:
        predict = minicnn.compile(net)
        for x, logits in zip(given, expected, strict=True):
            np.testing.assert_allclose(predict(x).numpy(), logits, atol=1e-5)

    in_threads(6, work)
    assert [layer.training for layer in net.modules()] == mode


def test_steps_of_several_threads_follow_each_other_each_whole() -> None:
    """One batch only, so that their order does not matter: as many steps one after the other."""
    (x,), y = batches(40), np.arange(40) % 5
    threaded, alone = small_net(), small_net()
    for net in (threaded, alone):
        net[4].p = 0.0
    steps: list[Any] = [
        minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.05, momentum=0.5))
        for net in (threaded, alone)
    ]
    losses: list[float] = []
    in_threads(4, lambda number: losses.extend(steps[0](x, y)[0].item() for _ in range(10)))
    one_by_one = [steps[1](x, y)[0].item() for _ in range(40)]
    np.testing.assert_allclose(sorted(losses), sorted(one_by_one), rtol=1e-4)
    for name, tensor in alone.state_dict().items():
        ours = threaded.state_dict()[name].numpy()
        np.testing.assert_allclose(ours, tensor.numpy(), rtol=1e-4, atol=1e-5, err_msg=name)


def test_eager_calls_of_several_threads_are_right() -> None:
    net, given = small_net().eval(), batches(1, 70, 17, 33)

    def gradients(x: np.ndarray) -> np.ndarray:
        images = Tensor(x, requires_grad=True)
        nn.CrossEntropyLoss()(net(images), Tensor(np.arange(len(x)) % 5)).backward()
        assert images.grad is not None
        return images.grad.numpy()

    for p in net.parameters():
        p.requires_grad = False  # their gradients would be everybody's sum
    expected = [gradients(x) for x in given]

    def work(number: int) -> None:
        for i in range(12):
            which = (number + i) % len(given)
            np.testing.assert_allclose(gradients(given[which]), expected[which], atol=1e-6)

    in_threads(4, work)


def test_an_interruption_between_two_engines_leaves_the_one_that_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C at any line of a call: the next call is right, and the lock is free."""
    net = nn.Sequential(nn.Conv2d(2, 3, (2, 3)), nn.ReLU())
    small, large = batches(5)[0], np.ones((3, 2, 12, 11), np.float32)
    expected = net(Tensor(small)).numpy()
    for calls_before in range(12):
        predict = minicnn.compile(net)
        predict(small), predict(large), predict(small)
        net.train()  # an attribute is set: the engine for large batches is looked for again
        interrupt_after(monkeypatch, predict, calls_before)
        with pytest.raises(KeyboardInterrupt):
            predict(large)
        monkeypatch.undo()
        np.testing.assert_allclose(predict(small).numpy(), expected, atol=1e-5)
        in_threads(1, lambda _, predict=predict: predict(large))  # type: ignore[misc]


def interrupt_after(monkeypatch: pytest.MonkeyPatch, predict: Any, calls: int) -> None:
    """Raise KeyboardInterrupt before or after the next call of one of the predictor's methods."""
    names = ["_engine", "_find", "_check", "_dtype", "_settings", "_shape_of"]
    name, after = names[calls % 6], calls >= 6
    method = getattr(predict, name)

    def interrupted(*arguments: Any) -> Any:
        if after:
            method(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(predict, name, interrupted)


# With the reference kernels nothing can be compiled (and a skipped test counts as failed).
if os.environ.get("MINICNN_KERNELS") == "reference":
    for name in [name for name in globals() if name.startswith("test_")]:
        if name != "test_eager_calls_of_several_threads_are_right":
            del globals()[name]
