"""Training: ``fit``, ``evaluate``, and ``python -m minicnn.train`` as a user meets it."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, compiler, data, models, nn, optim, plots, train
from minicnn.device import gpu_problem
from minicnn.train import options as command_line
from minicnn.train import report
from minicnn.train.loop import EagerStep
from minicnn.train.measure import DivergedError
from minicnn.train.recipe import RECIPES, recipe_for
from minicnn.train.run import read_jsonl as rows

ROOT = Path(__file__).parent.parent
FAST = ["--dataset", "fashion-mnist-sample", "--model", "mlp", "--hidden", "8"]


@pytest.fixture
def few() -> data.Dataset:
    return data.load("fashion-mnist-sample")[0][:300]


def command(
    *options: str, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "minicnn.train", *options],
        capture_output=True, text=True, timeout=300, cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip


# fit and evaluate ---------------------------------------------------------------------------------


def test_fit_measures_means_over_the_epoch_as_it_was_trained(few: data.Dataset) -> None:
    net = models.mlp(hidden=(16,))
    twin = models.mlp(hidden=(16,))
    twin.load_state_dict(net.state_dict())
    history = minicnn.fit(
        net, data.DataLoader(few, 64), epochs=1, optimizer=optim.SGD(net.parameters(), lr=0.1),
        quiet=True,
    )  # fmt: skip
    loss_sum = hits = 0.0
    optimizer, loss_of = optim.SGD(twin.parameters(), lr=0.1), nn.CrossEntropyLoss()
    for x, y in data.DataLoader(few, 64):
        logits = twin(x)
        loss = loss_of(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(y)
        hits += float((logits.argmax(1) == y).sum())
    (epoch,) = history.epochs
    assert epoch["epoch"] == 1
    assert epoch["loss"] == pytest.approx(loss_sum / 300, rel=1e-6)
    assert epoch["train_acc"] == hits / 300
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
        net, data.DataLoader(few, 100), epochs=3, optimizer=optimizer, quiet=True,
        schedule=optim.StepLR(optimizer, 1, gamma=0.5),
        after_epoch=[lambda _: seen.append(optimizer.lr)],
    )  # fmt: skip
    assert seen == [0.2, 0.1, 0.05]


# The command --------------------------------------------------------------------------------------


def test_the_run_directory_holds_everything_and_reads_back(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    status = train.main([*FAST, "--epochs", "2", "--out", str(out), "--seed", "4"])
    assert status == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "config.json", "curve.jsonl", "curves.png", "metrics.jsonl", "model.safetensors",
    ]  # fmt: skip
    metrics = rows(out / "metrics.jsonl")
    assert [m["epoch"] for m in metrics] == [1, 2]
    assert set(metrics[0]) == {
        "epoch", "loss", "train_acc", "test_acc", "seconds", "eval_seconds", "examples_per_sec",
    }  # fmt: skip
    assert len(rows(out / "curve.jsonl")) == 10
    net, config = minicnn.load_run(out)
    assert config["model_args"] == {"hidden": [8]}
    assert config["seed"] == 4
    assert not net.training
    _, test = data.load("fashion-mnist-sample")
    assert minicnn.evaluate(net, data.DataLoader(test, 256)) == metrics[-1]["test_acc"]


def test_the_same_seed_gives_the_same_run(tmp_path: Path) -> None:
    def losses(name: str, seed: int) -> list[float]:
        out = tmp_path / name
        assert train.main([*FAST, "--epochs", "1", "--out", str(out), "--seed", str(seed)]) == 0
        return [row["loss"] for row in rows(out / "curve.jsonl")]

    assert losses("a", 1) == losses("b", 1) != losses("c", 2)


def test_every_exercise_is_an_option(tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = (
        "--activation relu --pool max --padding 1 --kernel-size 3 --channels 4,6,8 --hidden 20 "
        "--init kaiming_uniform --lr 0.05 --epochs 1 --batch-size 500 --momentum 0.9 "
        "--weight-decay 0.001 --threads 1 --no-compile --device cpu --dataset fashion-mnist-sample "
        "--schedule cosine --batch-norm --dropout 0.2"
    )
    assert train.main([*options.split(), "--out", str(out)]) == 0
    net, config = minicnn.load_run(out)
    shapes = [parameter.shape for name, parameter in net.named_parameters() if "weight" in name]
    kernels = [(4, 1, 3, 3), (4,), (6, 4, 3, 3), (6,), (8, 6, 3, 3), (8,)]  # with BatchNorm2d's
    assert shapes == [*kernels, (20, 32), (10, 20)]
    assert (config["momentum"], config["schedule"]) == (0.9, "cosine")
    assert config["model_args"]["dropout"] == 0.2


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--lr", "fast"], "--lr.*fast"),
        (["--lr", "-1"], "--lr.*-1"),
        (["--epochs", "0"], "--epochs.*at least 1"),
        (["--channels", "6,x"], "--channels.*6,x"),
        (["--model", "resnet"], "--model.*resnet"),
        (["--device", "tpu"], "device is 'tpu'"),
        (["--threads", "0"], "--threads"),
        (["--kernel-size", "40"], "kernel_size 40"),
        (["--dropout", "1"], "--dropout.*'1'.*below 1"),
        (["--schedule", "linear"], "--schedule.*linear"),
        (["--model", "mlp", "--pool", "max"], "pool does not apply to mlp"),
        (["--data-dir", "/no/such/folder"], "/no/such/folder"),
        (["--dataset", "fashion-mnist-sample", "--data-dir", "."], "sample"),
        (["--unknown"], "--unknown"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_2(
    options: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        train.main([*options, "--out", str(tmp_path / "run")])
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert re.search(complaint, errors)
    assert not (tmp_path / "run").exists()


def test_a_gpu_that_is_not_there_is_one_line_that_names_what_is_missing(tmp_path: Path) -> None:
    problem = gpu_problem()
    if problem is None:
        pytest.skip("this machine has a GPU")
    ended = command("--device", "gpu", "--out", str(tmp_path / "run"))
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert re.search("cupy|driver|NVRTC", ended.stderr)


def test_a_folder_that_holds_something_is_refused_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(SystemExit) as ended:
        train.main([*FAST, "--epochs", "1", "--out", str(tmp_path)])
    assert ended.value.code == 2
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_an_empty_folder_may_exist(tmp_path: Path) -> None:
    assert train.main([*FAST, "--epochs", "1", "--out", str(tmp_path)]) == 0


def test_without_the_whole_set_it_trains_on_the_sample_and_says_so_loudly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = data.load

    def offline(name: str, root: Any = None) -> Any:
        if name == "fashion-mnist":
            raise data.DatasetNotFoundError("no network")
        return load(name, root)

    monkeypatch.setattr(data, "load", offline)
    out = tmp_path / "run"
    assert train.main(["--model", "mlp", "--hidden", "4", "--epochs", "1", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "NOT the published one" in printed
    assert "apt-get install dataset-fashion-mnist" in printed
    assert "not the published figure" in printed
    assert json.loads((out / "config.json").read_text())["dataset"] == "fashion-mnist-sample"

    with pytest.raises(SystemExit) as ended:  # asked for by name, there is no falling back
        train.main(["--dataset", "fashion-mnist", "--out", str(tmp_path / "other")])
    assert ended.value.code == 2
    assert "no network" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "images", "epochs"),
    [
        ("lenet", 60_000, 10),
        ("lenet-max", 60_000, 5),
        ("lenet", 6_000, 59),
        ("mlp", 100, 1400),
        ("lenet-plus", 6_000, 30),  # its batches are smaller
    ],
)
def test_the_default_epochs(model: str, images: int, epochs: int) -> None:
    options = command_line.parser().parse_args(["--model", model])
    assert recipe_for(options, images).epochs == epochs
    options = command_line.parser().parse_args(["--model", model, "--epochs", "3"])
    assert recipe_for(options, images).epochs == 3


def test_a_preset_brings_its_recipe_and_options_change_it() -> None:
    plus = ["--model", "lenet-plus"]
    recipe = recipe_for(command_line.parser().parse_args(plus), 60_000)
    assert recipe == RECIPES["lenet-plus"]
    assert recipe.schedule == "cosine"
    changed = ["--schedule", "constant", "--momentum", "0", "--weight-decay", "0.5"]
    recipe = recipe_for(command_line.parser().parse_args([*plus, *changed]), 60_000)
    assert (recipe.schedule, recipe.momentum, recipe.weight_decay) == ("constant", 0, 0.5)
    assert recipe.lr == RECIPES["lenet-plus"].lr


def test_the_schedule_lowers_the_learning_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = []
    step = optim.CosineAnnealingLR.step

    def watched(schedule: optim.CosineAnnealingLR) -> None:
        rates.append(schedule.optimizer.lr)
        step(schedule)

    monkeypatch.setattr(optim.CosineAnnealingLR, "step", watched)
    options = [*FAST, "--epochs", "4", "--lr", "0.2", "--schedule", "cosine"]
    assert train.main([*options, "--out", str(tmp_path / "run")]) == 0
    expected = [0.1 * (1 + math.cos(math.pi * epoch / 4)) for epoch in range(4)]
    assert rates == pytest.approx(expected)


def test_divergence_ends_with_status_1_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--activation", "relu", "--lr", "1e38", "--epochs", "2", "--out", str(tmp_path)]
    assert train.main([*FAST, *options]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "diverged" in captured.err


def test_ctrl_c_saves_what_was_trained_so_far(tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "minicnn.train", *FAST, "--epochs", "10000", "--out", str(out)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        metrics = out / "metrics.jsonl"  # empty, with the weights of the start, until an epoch ends
        while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert re.search(r"^interrupted after [1-9]\d* whole epochs?; .* is in .*\n\Z", errors, re.M)
    minicnn.load_run(out)
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert all(math.isfinite(row["loss"]) for row in rows(out / "metrics.jsonl"))


def test_the_command_as_a_process_prints_the_epochs_and_no_warning(tmp_path: Path) -> None:
    ended = command(*FAST, "--epochs", "2", cwd=tmp_path)
    assert ended.returncode == 0
    compiling = "minicnn: compiling kernels, kept for the next time; about half a minute\n"
    assert ended.stderr in ("", compiling)  # the latter where nobody has compiled them yet
    assert re.search(r"^    2  \d\.\d{3}      \d\.\d{3}     \d\.\d{3}", ended.stdout, re.M)
    assert re.search(r"^[\d,]+ examples/sec on cpu", ended.stdout, re.M)
    (folder,) = (tmp_path / "runs").iterdir()
    assert f"written to runs/{folder.name}" in ended.stdout


def test_help_fits_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        train.main(["--help"])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 30
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors", "both"])
def test_load_run_names_the_damaged_file(tmp_path: Path, damage: str) -> None:
    out = tmp_path / "run"
    assert train.main([*FAST, "--epochs", "1", "--out", str(out)]) == 0
    if damage == "both":
        (out / "config.json").unlink()
        with pytest.raises(FileNotFoundError, match=r"config\.json"):
            minicnn.load_run(out)
        return
    (out / damage).write_bytes(b"{]")
    with pytest.raises(ValueError, match=re.escape(damage)):
        minicnn.load_run(out)


def test_dividing_by_the_batch_size_makes_a_smaller_last_batch_count_less(
    few: data.Dataset,
) -> None:
    """The first edition's rule: 44 images of 64 take 44 / 64 of a step."""

    def weights(lr: float, divide_by: int | None) -> list[np.ndarray]:
        minicnn.manual_seed(2)
        net = models.mlp(hidden=(8,))
        minicnn.fit(
            net, data.DataLoader(few[:44], 64), optimizer=optim.SGD(net.parameters(), lr=lr),
            epochs=1, divide_by=divide_by, quiet=True,
        )  # fmt: skip
        return [parameter.numpy() for parameter in net.parameters()]

    for less, smaller_lr in zip(weights(0.5, 64), weights(0.5 * 44 / 64, None), strict=True):
        np.testing.assert_allclose(less, smaller_lr, rtol=1e-5, atol=1e-7)
    assert not np.allclose(weights(0.5, 64)[0], weights(0.5, None)[0])


# What the command does ----------------------------------------------------------------------------


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


def test_the_options_reach_what_they_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = (
        "--dataset fashion-mnist-sample --model lenet-max --epochs 3 --lr 0.07 --momentum 0.8 "
        "--weight-decay 0.002 --batch-size 90 --divide-by images --schedule cosine --seed 5 "
        "--threads 1 --no-compile"
    )
    called = call_of_fit(monkeypatch, tmp_path, *options.split())
    sgd, loader, schedule = called["optimizer"], called["train"], called["schedule"]
    assert (sgd.momentum, sgd.weight_decay) == (0.8, 0.002)
    assert (schedule.optimizer, schedule.base_lr) == (sgd, 0.07)
    assert (type(schedule), schedule.T_max) == (optim.CosineAnnealingLR, 3)
    assert (loader.batch_size, loader.shuffle, loader.seed) == (90, True, 5)
    assert (called["epochs"], called["divide_by"], called["threads"]) == (3, None, 1)
    assert (called["compile"], loader.raw, called["test"].raw) == (False, False, False)
    first, second, other = (
        next(call_of_fit(monkeypatch, tmp_path / name, *FAST, "--seed", seed)["net"].parameters())
        for name, seed in (("a", "5"), ("b", "5"), ("c", "6"))
    )
    np.testing.assert_array_equal(first.numpy(), second.numpy())
    assert not np.array_equal(first.numpy(), other.numpy())


def test_the_headline_and_the_result_say_what_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fit(*_: Any, history: minicnn.History, **__: Any) -> None:
        for epoch in (1, 2):
            history.epochs.append(
                {
                    "epoch": epoch, "loss": 1.5 - epoch / 4, "train_acc": 0.25 * epoch + 0.111,
                    "test_acc": 0.2 * epoch + 0.123, "seconds": 0.5 * epoch, "eval_seconds": 70,
                }
            )  # fmt: skip
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
        r"(curves.png: No space left on device|latex failed)\n", captured.err
    )  # fmt: skip


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


def test_a_history_goes_on_too(few: data.Dataset) -> None:
    net = models.mlp(hidden=(4,))
    history = minicnn.History()
    for _ in range(2):
        minicnn.fit(
            net, data.DataLoader(few, 100), optimizer=optim.SGD(net.parameters(), lr=0.1),
            epochs=2, history=history, quiet=True,
        )  # fmt: skip
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
