"""``python -m minicnn.train`` as a user sees it."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import data, models, optim, train
from minicnn.data import sample
from minicnn.device import gpu_problem
from minicnn.train import options as command_line
from minicnn.train.recipe import RECIPES, recipe_for
from minicnn.train.run import read_jsonl as rows
from tests.train.command import FAST

ROOT = Path(__file__).parents[2]


def command(
    *options: str, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "minicnn.train", *options],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


# The command --------------------------------------------------------------------------------------


def test_the_run_directory_holds_everything_and_reads_back(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    status = train.main([*FAST, "--epochs", "2", "--out", str(out), "--seed", "4"])
    assert status == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "config.json", "curve.jsonl", "curves.png", "metrics.jsonl", "model.safetensors",
        "state.safetensors",
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
    data = [] if "--data-dir" in options else ["--dataset", "fashion-mnist-sample"]
    with pytest.raises(SystemExit) as ended:
        train.main([*data, *options, "--out", str(tmp_path / "run")])
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

    monkeypatch.setattr(sample, "load", offline)
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


def test_more_epochs_make_up_for_fewer_images_than_60_000() -> None:
    options = command_line.parser().parse_args(["--batch-size", "6000"])
    assert recipe_for(options, 60_000).epochs == 10
    assert recipe_for(options, 59_999).epochs == 140  # 10 batches an epoch, 1,400 updates


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
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
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
    compiling = "minicnn: compiling kernels, kept for the next time; 5 to 15 seconds\n"
    assert ended.stderr in ("", compiling)  # the latter where nobody has compiled them yet
    assert re.search(r"^    2  \d\.\d{3}      \d\.\d{3}     \d\.\d{3}", ended.stdout, re.M)
    assert re.search(r"^[\d,]+ examples/sec on cpu", ended.stdout, re.M)
    (folder,) = (tmp_path / "runs").iterdir()
    assert f"written to runs/{folder.name}" in ended.stdout
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}", folder.name)


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
            net,
            data.DataLoader(few[:44], 64),
            optimizer=optim.SGD(net.parameters(), lr=lr),
            epochs=1,
            divide_by=divide_by,
            quiet=True,
        )
        return [parameter.numpy() for parameter in net.parameters()]

    for less, smaller_lr in zip(weights(0.5, 64), weights(0.5 * 44 / 64, None), strict=True):
        np.testing.assert_allclose(less, smaller_lr, rtol=1e-5, atol=1e-7)
    assert not np.allclose(weights(0.5, 64)[0], weights(0.5, None)[0])
