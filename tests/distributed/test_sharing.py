"""A training that ranks share is that of one process, up to rounding."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

import minicnn
from minicnn import data, models, nn, optim
from minicnn.distributed import Ranks
from minicnn.nn import functional as F
from minicnn.random import Draws, drawing_from
from minicnn.train import job, sharing
from minicnn.train.callbacks import Callback, Training
from minicnn.train.state import Checkpoint

from .threads import on_ranks

IMAGES = 35  # the last batch of 16 has 3


def pictures(count: int = IMAGES) -> data.Dataset:
    draw = np.random.default_rng(5)
    labels = draw.integers(0, 10, count)
    return data.Dataset(draw.integers(0, 256, (count, 28, 28), dtype=np.uint8), labels, 10)


def net_of(model: str, **knobs: Any) -> nn.Module:
    return models.build(model, **knobs).to("float64")


def train(
    ranks: Ranks | None, net: nn.Module, batch: int = 16, **arguments: Any
) -> tuple[minicnn.History, dict[str, np.ndarray]]:
    """Two epochs in float64; the measurements and the parameters."""
    inputs = pictures().images[:, None] / 255, pictures().labels
    loader = minicnn.train.batches.batches_of("", inputs, net, True)
    loader.batch_size, loader.seed = batch, 0
    optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    more = {"epochs": 2, "quiet": True, "test": inputs, **arguments}
    history = minicnn.fit(net, loader, optimizer=optimizer, ranks=ranks, **more)
    return history, {name: p.numpy().copy() for name, p in net.named_parameters()}


def alone(model: str, knobs: dict[str, Any], **arguments: Any) -> Any:
    with drawing_from(Draws(0)):
        return train(None, net_of(model, **knobs), **arguments)


@pytest.mark.usefixtures("compiled_kernels")
@pytest.mark.parametrize("compile", [True, False], ids=["compiled", "eager"])
@pytest.mark.parametrize(
    ("size", "model", "knobs", "divide_by"),
    [
        (2, "lenet", {}, None),
        (3, "lenet-max", {"activation": "relu"}, 16),
        (5, "mlp", {"hidden": (30,), "dropout": 0.3}, None),  # two ranks have no row of the last
        (2, "lenet-max", {"channels": (3, 4), "dropout": 0.5}, 16),
    ],
)
def test_n_ranks_train_as_one_process(
    size: int, model: str, knobs: dict[str, Any], divide_by: int | None, compile: bool
) -> None:
    arguments: Any = {"compile": compile, "divide_by": divide_by}
    expected, weights = alone(model, knobs, **arguments)
    found = on_ranks(size, lambda ranks: train(ranks, net_of(model, **knobs), **arguments))
    for history, parameters in found:
        for name in ("loss", "train_acc", "test_acc"):
            theirs = [epoch[name] for epoch in expected.epochs]
            ours = [epoch[name] for epoch in history.epochs]
            np.testing.assert_allclose(ours, theirs, rtol=1e-10)
        assert history.examples == expected.examples == 2 * IMAGES
        for name, value in weights.items():
            np.testing.assert_allclose(parameters[name], value, rtol=1e-9, atol=1e-12)
            np.testing.assert_array_equal(parameters[name], found[0][1][name])


def test_a_ctrl_c_in_one_rank_stops_all_at_one_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was kept goes on with another number of ranks, as if nothing had been."""
    knobs: Any = {"hidden": (20,), "dropout": 0.3}
    expected, weights = alone("mlp", knobs)
    path, stopped = tmp_path / "state", list[tuple[int, int]]()
    after = iter([False, False, True])  # the first of two calls for the second batch
    monkeypatch.setattr(sharing, "is_waiting", lambda: next(after, False))

    class Stopped(Callback):
        def on_interrupt(self, training: Training) -> None:
            stopped.append((training.epoch, training.batch))

    def until_then(ranks: Ranks) -> None:
        callbacks = [Stopped(), *([Checkpoint(path)] if ranks.rank == 0 else [])]
        with pytest.raises(KeyboardInterrupt):
            train(ranks, net_of("mlp", **knobs), callbacks=callbacks)

    on_ranks(2, until_then)
    assert stopped == [(1, 2), (1, 2)]
    found = on_ranks(3, lambda ranks: train(ranks, net_of("mlp", **knobs), resume=path))
    for history, parameters in found:
        assert history.epochs[-1]["loss"] == pytest.approx(expected.epochs[-1]["loss"], rel=1e-10)
        for name, value in weights.items():
            np.testing.assert_allclose(parameters[name], value, rtol=1e-9, atol=1e-12)


def test_ranks_with_other_settings_do_not_begin() -> None:
    def work(ranks: Ranks) -> str:
        with pytest.raises(ValueError, match="disagree") as error:
            train(ranks, net_of("mlp", hidden=(20,)), divide_by=16 + ranks.rank)
        return str(error.value)

    for told in on_ranks(2, work):
        assert told == "the ranks disagree: divide_by is 16 on rank 0, 17 on rank 1"


@pytest.mark.parametrize(
    ("first", "others", "told"),
    [
        ({"test": None}, {}, "test is null on rank 0, "),
        ({}, {"validation": (np.zeros((2, 1, 28, 28)), np.zeros(2, int))}, "validation is null on"),
        ({"loss": F.cross_entropy}, {}, r"loss is \"<function cross_entropy>\" on rank 0, "),
        (
            {"loss": nn.CrossEntropyLoss(label_smoothing=0.1)},
            {"loss": nn.CrossEntropyLoss(label_smoothing=0.2)},
            r"loss\.label_smoothing is 0\.1 on rank 0, 0\.2 on rank 1$",
        ),
    ],
    ids=["test", "validation", "another loss", "a loss of other settings"],
)
def test_what_is_measured_and_the_loss_are_compared(
    first: dict[str, Any], others: dict[str, Any], told: str
) -> None:
    def work(ranks: Ranks) -> None:
        with pytest.raises(ValueError, match=f"^the ranks disagree: {told}"):
            train(ranks, net_of("mlp", hidden=(20,)), **(others if ranks.rank else first))

    on_ranks(2, work)


def test_a_function_of_each_rank_s_own_is_the_same_loss() -> None:
    def work(ranks: Ranks) -> None:
        def mean(logits: minicnn.Tensor, y: minicnn.Tensor) -> minicnn.Tensor:
            return F.cross_entropy(logits, y)

        train(ranks, net_of("mlp", hidden=(20,)), loss=mean, epochs=1)

    on_ranks(2, work)


def test_an_own_ctrl_c_waits_while_what_was_learnt_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another rank's has stopped the training."""
    monkeypatch.setattr(sharing, "is_waiting", lambda: True)
    written = list[int]()

    class Writes(Callback):
        def on_interrupt(self, training: Training) -> None:
            signal.raise_signal(signal.SIGINT)
            written.append(training.batch)

    with pytest.raises(KeyboardInterrupt):
        train(ranks_of_one(), net_of("mlp", hidden=(20,)), callbacks=[Writes()])
    assert written == [1]


def test_so_it_does_while_the_command_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "fit", Mock(side_effect=KeyboardInterrupt))
    run = Mock(write=Mock(side_effect=lambda *_: signal.raise_signal(signal.SIGINT)))
    begun = Mock(ranks=ranks_of_one(), writes=False, config={"compiled": False})
    begun.training.history.epochs = []
    with pytest.raises(KeyboardInterrupt):
        job._fit(run, begun)
    run.draw.assert_called_once()


def test_parameters_that_come_apart_are_noticed() -> None:
    class Changes(Callback):
        def on_batch(self, training: Training) -> None:
            assert training.ranks is not None
            if training.ranks.rank == 1:
                next(iter(training.net.parameters())).data[...] += 1e-9

    def work(ranks: Ranks) -> None:
        with pytest.raises(ValueError, match=r"the parameters after epoch 1 is .* on rank 0, "):
            train(ranks, net_of("mlp", hidden=(20,)), callbacks=[Changes()])

    on_ranks(2, work)


def ranks_of_one() -> Ranks:
    return on_ranks(1, lambda ranks: ranks)[0]


@pytest.mark.parametrize(
    ("net", "loss", "told"),
    [
        (lambda: net_of("lenet", batch_norm=True), None, "BatchNorm2d"),
        (lambda: net_of("mlp"), nn.CrossEntropyLoss(reduction="sum"), "mean over the batch"),
        (lambda: net_of("mlp"), nn.CrossEntropyLoss(weight=minicnn.ones(10)), "mean over the"),
        (lambda: net_of("mlp"), nn.CrossEntropyLoss(ignore_index=3), "ignore_index is 3"),
    ],
)
def test_what_ranks_cannot_share_is_refused(net: Any, loss: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        train(ranks_of_one(), net(), loss=loss)


def test_a_loss_that_is_a_function_can_be_shared() -> None:
    net, loader = net_of("mlp"), data.DataLoader(pictures(), 16)
    sharing.check_shareable(net, {"train": loader}, lambda logits, y: F.cross_entropy(logits, y))


def test_of_one_rank_and_one_parameter_the_mean_is_its_own() -> None:
    weight = nn.Parameter(np.zeros(2, np.float32))
    weight.grad = minicnn.Tensor(np.array([1, 2], np.float32))
    means = sharing.Exchange(ranks_of_one()).of_parameters([weight], (0.5, 3, 4))
    assert means == (0.5, 3, 4)
    assert weight.grad.tolist() == [1, 2]


@pytest.mark.parametrize("part", ["train", "test", "validation"])
def test_batches_that_cannot_be_cut_are_refused(part: str) -> None:
    net = net_of("mlp")
    batches: Any = [(np.zeros((2, 1, 28, 28)), np.zeros(2, int))]
    parts: Any = {"train": batches[0], part: batches}
    with pytest.raises(TypeError, match=rf"{part} is list; wanted a data\.DataLoader"):
        minicnn.fit(net, **parts, optimizer=optim.SGD(net.parameters(), 1), ranks=ranks_of_one())


def test_a_share_of_a_loader_s_batches() -> None:
    """Together the ranks have each batch's rows; afterwards the loader gives whole batches."""
    loader = data.DataLoader(pictures(), 16, shuffle=True, seed=3)
    whole = [y.numpy() for _, y in loader]
    assert [len(y) for y in whole] == [loader.images_in(batch) for batch in range(3)] == [16, 16, 3]

    def work(ranks: Ranks) -> list[np.ndarray]:
        mine = data.DataLoader(pictures(), 16, shuffle=True, seed=3)
        with sharing.cut(ranks, mine):
            rows = [y.numpy() for _, y in mine]
        mine.epoch = 0
        assert [len(y) for _, y in mine] == [16, 16, 3]
        return rows

    parts = on_ranks(4, work)
    for batch, labels in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([rows[batch] for rows in parts]), labels)
