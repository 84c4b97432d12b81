"""What commit 8eabaf1 wrote, before modules moved, is read today: ``tests/states/objects.py``."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import data, nn, optim
from tests.states.objects import KINDS, SCHEDULES, small_net

STATES = Path(__file__).parent / "states"
LABELS = np.array([0, 1, 2, 0, 1])


@pytest.fixture(scope="module")
def old() -> dict[str, Any]:
    loaded: dict[str, Any] = pickle.loads((STATES / "objects.pickle").read_bytes())
    return loaded


@pytest.mark.parametrize("kind", KINDS)
def test_a_net_computes_what_it_did_and_its_optimizer_goes_on(
    kind: str, old: dict[str, Any]
) -> None:
    net, optimizer, x = (old[kind][name] for name in ("net", "optimizer", "x"))
    assert [type(layer) for layer in net] == [type(layer) for layer in small_net()]
    assert type(optimizer) is getattr(optim, kind)
    np.testing.assert_allclose(net(x).numpy(), old[kind]["y"].numpy(), rtol=1e-5)
    before = net[-1].weight.numpy().copy()
    nn.CrossEntropyLoss()(net(x), minicnn.tensor(LABELS)).backward()
    optimizer.step()
    assert (net[-1].weight.numpy() != before).any()


@pytest.mark.parametrize("kind", SCHEDULES)
def test_a_schedule_goes_on(kind: str, old: dict[str, Any]) -> None:
    schedule = old[kind]
    assert type(schedule) is getattr(optim, kind)
    assert schedule.last_epoch == 1
    schedule.step()
    assert schedule.last_epoch == 2


def test_losses_lazy_layers_tensors_and_data(old: dict[str, Any]) -> None:
    names = ["CrossEntropyLoss", "NLLLoss", "Softmax", "LogSoftmax", "LazyLinear", "LazyConv2d"]
    assert [type(layer) for layer in old["layers"]] == [getattr(nn, name) for name in names]
    assert old["layers"][0].weight.numpy().tolist() == [1, 2, 3]
    assert old["layers"][-2](minicnn.zeros(2, 5)).shape == (2, 3)
    plain, parameter, leaf = old["tensors"]
    assert (plain.numpy().tolist(), parameter.item(), leaf.item()) == ([1.5, 2], 3, 1)
    assert (type(parameter), plain.requires_grad, leaf.requires_grad) == (nn.Parameter, False, True)
    assert type(old["history"]) is minicnn.History
    assert old["history"].epochs == [{"epoch": 1, "loss": 2.0}]
    assert type(old["dataset"]) is data.Dataset
    assert old["dataset"].classes == ("a", "b")


@pytest.mark.usefixtures("compiled_kernels")
def test_a_compiled_net_and_step_go_on(old: dict[str, Any]) -> None:
    x = old["SGD"]["x"].numpy()
    predict, step = old["predict"], old["step"]
    np.testing.assert_allclose(
        predict(x).numpy(), minicnn.compile(predict.net)(x).numpy(), rtol=1e-5
    )
    losses = [step(x, LABELS)[0].item() for _ in range(30)]
    assert losses[-1] < losses[0]
    assert step.means.read()["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_a_runs_folder() -> None:
    net, config = minicnn.load_run(STATES / "run")
    assert (config["model"], config["dataset"]) == ("mlp", "fashion-mnist-sample")
    metrics = json.loads((STATES / "run" / "metrics.jsonl").read_text())
    test = data.load("fashion-mnist-sample")[1]
    assert minicnn.evaluate(net, data.DataLoader(test, 256)) == metrics["test_acc"]
