"""``python -m minicnn.train``: its options reach what they name; what it says of a run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import compiler, data, models, nn, optim, plots, train
from minicnn.distributed import TIMEOUT
from minicnn.train import job as command_line
from minicnn.train import report
from minicnn.train.loop import EagerStep
from minicnn.train.options import parser
from minicnn.train.run import read_jsonl as rows
from tests.train.command import FAST


class Called(Exception):  # noqa: N818 (no error: what fit was called with)
    """Raised in the place of training."""


def call_of_fit(monkeypatch: pytest.MonkeyPatch, out: Path, *options: str) -> dict[str, Any]:
    """What the command gives to ``fit``, which then ends it."""
    called: dict[str, Any] = {}

    def fit(net: nn.Module, batches: Any, test_batches: Any, **given: Any) -> None:
        called.update(net=net, train=batches, test=test_batches, **given)
        called["threads"] = minicnn.get_num_threads()
        raise Called

    monkeypatch.setattr(command_line, "fit", fit)
    with pytest.raises(Called):
        train.main([*options, "--out", str(out)])
    return called


PLAIN = {"momentum": 0, "weight_decay": 0, "dampening": 0, "nesterov": False, "maximize": False}


@pytest.mark.parametrize(
    ("model", "epochs", "batch", "divide_by", "optimizer", "schedule"),
    [
        ("lenet", 59, 256, None, {**PLAIN, "lr": 0.9}, None),
        ("lenet-max", 59, 256, 256, {**PLAIN, "lr": 0.9}, None),
        (
            "lenet-plus", 30, 128, None,
            {**PLAIN, "lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4},
            optim.CosineAnnealingLR,
        ),
        ("mlp", 59, 256, None, {**PLAIN, "lr": 0.1}, None),
    ],
)  # fmt: skip
def test_a_preset_is_trained_as_its_recipe_says(
    model: str,
    epochs: int,
    batch: int,
    divide_by: int | None,
    optimizer: dict[str, Any],
    schedule: type | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = ["--model", model, "--dataset", "fashion-mnist-sample"]
    called = call_of_fit(monkeypatch, tmp_path, *options)
    assert (called["epochs"], called["divide_by"]) == (epochs, divide_by)
    assert {name: getattr(called["optimizer"], name) for name in optimizer} == optimizer
    assert [id(p) for p in called["optimizer"].params] == [
        id(p) for p in called["net"].parameters()
    ]
    assert type(called["schedule"]) is (schedule or type(None))
    loader, test = called["train"], called["test"]
    assert (len(loader.labels), loader.batch_size, loader.shuffle, loader.seed) == (
        *(6000, batch, True, 0),
    )
    assert (len(test.labels), test.batch_size, test.shuffle) == (1000, batch, False)
    compiled = compiler.is_available()
    assert called["compile"] == loader.raw == test.raw == compiled


def test_pictures_of_a_row_and_the_ranks_patience() -> None:
    options = parser().parse(["--data-dir", "x", "--image-size", "1x9"])
    assert (options.image_size, options.rank_timeout) == ((1, 9), round(TIMEOUT))


def test_the_options_reach_what_they_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = (
        "--dataset fashion-mnist-sample --model lenet-max --epochs 3 --lr 0.07 --momentum 0.8 "
        "--weight-decay 0.002 --batch-size 90 --divide-by images --schedule cosine --seed 5 "
        "--threads 1 --no-compile --quiet"
    )
    called = call_of_fit(monkeypatch, tmp_path, *options.split())
    sgd, loader, schedule = called["optimizer"], called["train"], called["schedule"]
    assert (sgd.momentum, sgd.weight_decay) == (0.8, 0.002)
    assert (schedule.optimizer, schedule.base_lr) == (sgd, 0.07)
    assert (type(schedule), schedule.T_max) == (optim.CosineAnnealingLR, 3)
    assert (loader.batch_size, loader.shuffle, loader.seed) == (90, True, 5)
    assert (called["epochs"], called["divide_by"], called["threads"]) == (3, None, 1)
    assert (called["compile"], loader.raw, called["test"].raw) == (False, False, False)
    assert called["quiet"] is True
    first, second, other = (
        next(call_of_fit(monkeypatch, tmp_path / name, *FAST, "--seed", seed)["net"].parameters())
        for name, seed in (("a", "5"), ("b", "5"), ("c", "6"))
    )
    np.testing.assert_array_equal(first.numpy(), second.numpy())
    assert not np.array_equal(first.numpy(), other.numpy())


def test_config_json_says_what_was_done_and_with_which_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the call alone (where to, what is printed) are no part of it."""
    options = [*FAST, "--epochs", "2", "--device", "cpu", "--threads", "1", "--no-compile"]
    call_of_fit(monkeypatch, tmp_path, *options, "--quiet", "--json")
    config = json.loads((tmp_path / "config.json").read_text())
    recipe = {"epochs": 2, "lr": 0.1, "batch_size": 256, "divide_by": "images", "momentum": 0.0}
    recipe |= {"weight_decay": 0.0, "schedule": "constant"}
    same = {"model": "mlp", "dataset": "fashion-mnist-sample", "seed": 0, "device": "cpu"}
    same |= {"threads": 1, **recipe}
    asked = config.pop("options")
    assert asked == {**same, "hidden": [8], "no_compile": True, "normalise": False}
    classes = config.pop("classes")
    assert (len(classes), classes[9]) == (10, "Ankle boot")
    assert config == {
        **same,
        **{"model_args": {"hidden": [8]}, "data_kind": "catalogue", "data_dir": None},
        **{"image_size": None, "normalise": None, "compiled": False},
        **{"minicnn": minicnn.__version__, "numpy": np.__version__},
    }


def test_the_headline_and_the_result_say_what_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fit(*_: Any, history: minicnn.History, **__: Any) -> None:
        for epoch in (1, 2):
            history.epochs.append(
                {
                    "epoch": epoch,
                    "loss": 1.5 - epoch / 4,
                    "train_acc": 0.25 * epoch + 0.111,
                    "test_acc": 0.2 * epoch + 0.123,
                    "seconds": 0.5 * epoch,
                    "eval_seconds": 70,
                }
            )
        history.examples = 12_000

    monkeypatch.setattr(command_line, "fit", fit)
    monkeypatch.setattr(command_line, "try_gpu", lambda: "cpu")
    monkeypatch.setattr(
        command_line, "gpu_problem", lambda: "CuPy is not installed; pip install it"
    )
    options = [*FAST, "--epochs", "2", "--threads", "2", "--no-compile"]
    assert train.main([*options, "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "mlp (6,370 parameters) on fashion-mnist-sample (6,000 + 1,000 images), 2 epochs",
        "device cpu, 2 threads, eager (no GPU: CuPy is not installed)",
        "loss 1.000, train acc 0.611, test acc 0.523 (of the sample: not the published figure)",
        "8,000 examples/sec on cpu (batching, steps and counting)",
        f"written to {tmp_path}",
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "device cpu, 2 threads, compiled because"),
        ({"threads": 1, "compiled": False}, "device cpu, 1 thread, eager because"),
        ({"device": "gpu:1"}, "device gpu:1, compiled because"),
        ({"ranks": 1}, "device cpu, 2 threads, compiled, 1 rank; mpiexec -n 4 starts four because"),
        ({"ranks": 3}, "device cpu, 2 threads, compiled, 3 ranks because"),
    ],
)
def test_the_headline_says_what_computes(changed: dict[str, Any], said: str) -> None:
    usual = {"model": "mlp", "dataset": "mnist", "epochs": 1, "device": "cpu", "threads": 2}
    many, few = (
        data.Dataset(np.zeros((n, 28, 28), np.uint8), [0] * n, ["a", "b"]) for n in (1200, 7)
    )
    config = {**usual, "compiled": True, **changed}
    assert report.headline(config, models.mlp(hidden=(3,)), many, few, " because").splitlines() == [
        "mlp (2,395 parameters) on mnist (1,200 + 7 images), 1 epoch",
        said,
    ]


def test_the_result_names_the_best_epoch_and_the_sample_only_where_there_are_any() -> None:
    row = {"loss": 0.5, "train_acc": 0.75, "test_acc": 0.625, "seconds": 2.0}
    history = minicnn.History([{"epoch": n, **row} for n in (1, 2, 3)], examples=9_000)
    config = {"dataset": "mnist", "device": "gpu:0"}
    said = [
        "loss 0.500, train acc 0.750, test acc 0.625",
        "1,500 examples/sec on gpu:0 (batching, steps and counting)",
        "written to a/run",
    ]
    assert report.result(config, Path("a/run"), history).splitlines() == said
    for epoch, val_acc in zip(history.epochs, (0.5, 0.6875, 0.6875), strict=True):
        epoch["val_acc"] = val_acc
    history.epochs[1]["test_acc"] = 0.5
    best = "best on the validation set: epoch 2, val acc 0.688, test acc 0.500 (best.safetensors)"
    assert report.result(config, Path("a/run"), history).splitlines() == [said[0], best, *said[1:]]


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device", "curves.png"), RuntimeError("latex\nfailed")]
)
def test_a_picture_that_cannot_be_drawn_is_one_line_after_the_result(
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: Any) -> bytes:
        assert "written to" in capsys.readouterr().out
        assert (tmp_path / "model.safetensors").is_file()
        raise error

    monkeypatch.setattr(plots, "png", fail)
    assert train.main([*FAST, "--epochs", "1", "--out", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(
        r"python -m minicnn\.train: no curves\.png: "
        r"(curves.png: No space left on device|latex failed)\n",
        captured.err,
    )


def test_an_interrupt_within_an_epoch_keeps_what_it_had_learnt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps, state = [0], {}
    step = EagerStep.__call__

    def interrupted(self: EagerStep, *batch: Any) -> Any:
        steps[0] += 1
        if steps[0] == 13:  # of 12 an epoch
            raise KeyboardInterrupt
        result = step(self, *batch)
        state.update({name: t.numpy().copy() for name, t in self.net.state_dict().items()})
        return result

    monkeypatch.setattr(EagerStep, "__call__", interrupted)
    options = [*FAST, "--epochs", "3", "--batch-size", "500", "--no-compile"]
    assert train.main([*options, "--out", str(tmp_path)]) == 130
    assert "interrupted after 1 whole epoch;" in capsys.readouterr().err
    saved = minicnn.load_run(tmp_path)[0].state_dict()
    for name, array in state.items():
        np.testing.assert_array_equal(saved[name].numpy(), array)
    assert len(rows(tmp_path / "metrics.jsonl")) == 1
    assert (tmp_path / "curves.png").is_file()
