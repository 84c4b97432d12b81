"""``fit`` and ``evaluate``: what they measure, and where a second call goes on."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, data, models, nn, optim
from minicnn.train import report
from minicnn.train.measure import DivergedError

# fit and evaluate ---------------------------------------------------------------------------------


def test_fit_measures_means_over_the_epoch_as_it_was_trained(few: data.Dataset) -> None:
    net = models.mlp(hidden=(16,))
    twin = models.mlp(hidden=(16,))
    twin.load_state_dict(net.state_dict())
    history = minicnn.fit(
        net,
        data.DataLoader(few, 64),
        epochs=1,
        optimizer=optim.SGD(net.parameters(), lr=0.1),
        quiet=True,
    )
    loss_sum = correct = 0.0
    optimizer, loss_of = optim.SGD(twin.parameters(), lr=0.1), nn.CrossEntropyLoss()
    for x, y in data.DataLoader(few, 64):
        logits = twin(x)
        loss = loss_of(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(y)
        correct += float((logits.argmax(1) == y).sum())
    (epoch,) = history.epochs
    assert epoch["epoch"] == 1
    assert epoch["loss"] == pytest.approx(loss_sum / 300, rel=1e-6)
    assert epoch["train_acc"] == correct / 300
    assert epoch["test_acc"] is None
    assert history.examples == 300
    assert epoch["examples_per_sec"] == pytest.approx(300 / epoch["seconds"])


def test_the_curve_has_five_running_means_an_epoch(few: data.Dataset) -> None:
    loader = data.DataLoader(few, 25)  # 12 batches
    net = models.mlp(hidden=(4,))
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    history = minicnn.fit(net, loader, loader, epochs=2, optimizer=optimizer, quiet=True)
    fractions = [k / 12 for k in (3, 5, 8, 10, 12)]
    assert [p["epoch"] for p in history.curve] == [*fractions, *(1 + f for f in fractions)]
    assert [p.get("test_acc") for p in history.curve[:4]] == [None] * 4
    assert history.curve[4]["loss"] == history.epochs[0]["loss"]
    assert history.curve[9]["test_acc"] == history.epochs[1]["test_acc"]


def test_a_second_fit_goes_on_from_where_the_net_stands(few: data.Dataset) -> None:
    def steps(*lengths: int) -> dict[str, Tensor]:
        minicnn.manual_seed(1)
        net = models.mlp(hidden=(8,))
        optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        loader = data.DataLoader(few, 50)
        for epochs in lengths:
            minicnn.fit(net, loader, epochs=epochs, optimizer=optimizer, quiet=True)
        return net.state_dict()

    once, twice = steps(3), steps(2, 1)
    for name in once:
        np.testing.assert_array_equal(once[name].numpy(), twice[name].numpy())


def test_evaluate_counts_in_evaluation_mode_and_puts_the_mode_back(few: data.Dataset) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(784, 10))
    net[1].eval()
    expected = net.eval()(Tensor(few.images[:, None].astype(np.float32) / 255)).argmax(1)
    net.train()
    net[1].eval()
    share = float((expected.numpy() == few.labels).mean())
    assert minicnn.evaluate(net, data.DataLoader(few, 77)) == share
    assert (net.training, net[1].training, net[2].training) == (True, False, True)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_function_is_no_net_to_evaluate(few: data.Dataset) -> None:
    with pytest.raises(TypeError, match=r"^net is of type function; wanted an nn\.Module$"):
        minicnn.evaluate(lambda x: x, few)  # type: ignore[arg-type]


def test_a_nan_loss_stops_fit_and_says_so(few: data.Dataset) -> None:
    net = models.mlp()
    next(net.parameters()).data[0, 0] = np.nan
    few.images[:, 0, 0] = 1
    with pytest.raises(DivergedError, match=r"the loss is nan in epoch 1.*lower"):
        minicnn.fit(
            net,
            data.DataLoader(few, 100),
            optimizer=optim.SGD(net.parameters(), lr=0.1),
            quiet=True,
        )


def test_fit_applies_the_schedule_after_each_epoch(few: data.Dataset) -> None:
    net = models.mlp(hidden=(4,))
    optimizer = optim.SGD(net.parameters(), lr=0.4)
    seen: list[float] = []
    minicnn.fit(
        net,
        data.DataLoader(few, 100),
        epochs=3,
        optimizer=optimizer,
        quiet=True,
        schedule=optim.StepLR(optimizer, 1, gamma=0.5),
        after_epoch=[lambda _: seen.append(optimizer.lr)],
    )
    assert seen == [0.2, 0.1, 0.05]


@pytest.mark.parametrize("compiled", [False, True])
def test_callbacks_see_each_batch_and_each_epoch(
    few: data.Dataset, compiled: bool, compiled_kernels: None
) -> None:
    class Log(minicnn.Callback):
        def __init__(self) -> None:
            self.seen: list[tuple[int, int, int, float]] = []
            self.means: list[float] = []

        def on_batch(self, training: minicnn.Training) -> None:
            gradients = training.step.gradients() if compiled else None
            g = weight.grad if gradients is None else gradients["1.weight"]
            assert g is not None
            assert np.array_equal(weight.numpy(), before[0] - np.float32(0.25) * g.numpy())
            before[0] = weight.numpy().copy()
            self.means.append(training.step.means.read()["loss"])
            self.seen.append((training.epoch, training.epochs, training.batch, optimizer.lr))

        def on_epoch(self, training: minicnn.Training) -> None:
            assert training.history.epochs[-1]["epoch"] == training.epoch
            assert training.history.epochs[-1]["loss"] == self.means[-1]
            self.seen.append((training.epoch, training.epochs, -1, optimizer.lr))

    net = models.mlp(hidden=(4,))
    loader = data.DataLoader(few, -(-len(few) // 2))
    optimizer = optim.SGD(net.parameters(), lr=0.25)
    schedule = optim.StepLR(optimizer, 1, gamma=1.0)
    weight = next(iter(net.parameters()))
    before = [weight.numpy().copy()]
    log = Log()
    settings: dict[str, Any] = {
        "optimizer": optimizer,
        "quiet": True,
        "compile": compiled,
        "schedule": schedule,
    }
    history = minicnn.fit(net, loader, epochs=1, callbacks=[log, minicnn.Callback()], **settings)
    minicnn.fit(net, loader, epochs=2, callbacks=[log], history=history, **settings)
    batches = [(1, 1, 1), (1, 1, 2), (1, 1, -1)]
    batches += [(epoch, 3, batch) for epoch in (2, 3) for batch in (1, 2, -1)]
    assert log.seen == [(*where, 0.25) for where in batches]


# What the command does ----------------------------------------------------------------------------


def test_a_history_goes_on_too(few: data.Dataset) -> None:
    net = models.mlp(hidden=(4,))
    history = minicnn.History()
    for _ in range(2):
        minicnn.fit(
            net,
            data.DataLoader(few, 100),
            optimizer=optim.SGD(net.parameters(), lr=0.1),
            epochs=2,
            history=history,
            quiet=True,
        )
    assert [row["epoch"] for row in history.epochs] == [1, 2, 3, 4]
    fractions = [row["epoch"] for row in history.curve]
    assert fractions == sorted(fractions)


def test_in_a_notebook_the_curves_are_redrawn_in_one_place(
    few: data.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, picture: bytes) -> None:
            shown.append("redrawn")

    def display(picture: bytes, display_id: bool) -> Handle:
        assert picture.startswith(b"\x89PNG")
        shown.append("drawn")
        return Handle()

    notebook = types.SimpleNamespace(Image=lambda png, retina: png, display=display)
    monkeypatch.setitem(sys.modules, "IPython.display", notebook)
    monkeypatch.setattr(report, "in_notebook", lambda: True)
    net = models.mlp(hidden=(4,))
    minicnn.fit(
        net, data.DataLoader(few, 100), optimizer=optim.SGD(net.parameters(), lr=0.1), epochs=3
    )
    assert shown == ["drawn", "redrawn", "redrawn", "redrawn"]  # at first without curves
