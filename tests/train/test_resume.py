"""``python -m minicnn.train --resume DIR``: a run that was stopped ends as if it had not been."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import minicnn
from minicnn import compiler, files, plots, train
from minicnn.checkpoint import save
from minicnn.train import loop, state
from minicnn.train import run as runs
from minicnn.train.callbacks import Training
from minicnn.train.run import read_jsonl as rows
from tests.train.command import FAST, complaint

THREE = [*FAST, "--epochs", "3", "--batch-size", "500"]  # 12 batches an epoch
OTHERS = ["--momentum", "0.9", "--schedule", "cosine", "--dropout", "0.2", "--validation", "130"]
SECONDS = ("seconds", "eval_seconds", "examples_per_sec")


@pytest.fixture(autouse=True, scope="module")
def drawn_quickly() -> Iterator[None]:
    """The picture is not what is tested here, and takes longer than all else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "png", lambda figure: b"")
        patch.setattr(plots, "curves", lambda curve, title: None)
        yield


class KilledError(Exception):
    """In the place of kill -9."""


def killed_at(patch: pytest.MonkeyPatch, epoch: int, batch: int) -> None:
    """Have the next training end after this batch, without time for anything."""

    def on_batch(keeper: runs.Keeper, training: Training) -> None:
        if (training.epoch, training.batch) == (epoch, batch):
            raise KilledError
        state.Checkpoint.on_batch(keeper, training)

    patch.setattr(runs.Keeper, "on_batch", on_batch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run leaves that was not stopped."""
    out = tmp_path_factory.mktemp("whole")
    assert train.main([*THREE, "--out", str(out)]) == 0
    return content(out)


def stopped(out: Path, *options: str, epoch: int = 2, batch: int = 8) -> Path:
    """A run that was killed after this batch."""
    with pytest.MonkeyPatch.context() as patch:
        killed_at(patch, epoch, batch)
        with pytest.raises(KilledError):
            train.main([*THREE, *options, "--out", str(out)])
    minicnn.manual_seed(77)
    return out


def content(run: Path) -> dict[str, Any]:
    """All that has to be equal of two runs."""
    metrics = rows(run / "metrics.jsonl")
    return {
        "metrics": [{k: v for k, v in row.items() if k not in SECONDS} for row in metrics],
        **{name: (run / name).read_bytes() for name in ("model.safetensors", "curve.jsonl")},
        "config": json.loads((run / "config.json").read_text()),
        "best": (run / "best.safetensors").exists() and (run / "best.safetensors").read_bytes(),
        "names": sorted(path.name for path in run.iterdir()),
    }


@pytest.mark.parametrize(
    ("options", "every", "place"),
    [
        (OTHERS, [], (2, 8)),
        ([], ["--checkpoint-every", "5"], (3, 12)),
        (["--no-compile"], [], (1, 1)),
    ],
)
def test_a_resumed_run_leaves_the_files_of_one_in_one_go(
    options: list[str], every: list[str], place: tuple[int, int], tmp_path: Path
) -> None:
    assert train.main([*THREE, *options, *every, "--out", str(tmp_path / "whole")]) == 0
    run = stopped(tmp_path / "run", *options, *every, epoch=place[0], batch=place[1])
    assert state.load(run / "state.safetensors").facts["batch"] == (
        10 if every else 12 * (place[0] > 1)
    )
    assert train.main(["--resume", str(run)]) == 0
    assert content(run) == content(tmp_path / "whole")


def test_ctrl_c_in_an_epoch_costs_not_a_batch(
    whole: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_batch(keeper: runs.Keeper, training: Training) -> None:
        if (training.epoch, training.batch) == (2, 7):
            signal.raise_signal(signal.SIGINT)

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(runs.Keeper, "on_batch", on_batch)
        assert train.main([*THREE, "--out", str(run)]) == 130
    signal.signal(signal.SIGINT, before)
    assert f"and --resume {run} goes on\n" in capsys.readouterr().err
    assert state.load(run / "state.safetensors").facts["batch"] == 7
    assert train.main(["--resume", str(run)]) == 0
    assert "going on in epoch 2 after batch 7 of 12\n" in capsys.readouterr().out
    assert content(run) == whole


def test_ctrl_c_while_an_epoch_is_kept_loses_no_best_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = [*FAST, "--epochs", "2", "--batch-size", "500", "--validation", "130"]
    assert train.main([*two, "--out", str(tmp_path / "whole")]) == 0
    calls = list[int]()

    def interrupted(net: Any, path: Path) -> None:
        if path.name == "best.safetensors":
            calls.append(1)
            if len(calls) == 2:  # in the second epoch, which is better
                signal.raise_signal(signal.SIGINT)
        save(net, path)

    run = tmp_path / "run"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(runs, "save", interrupted)
            assert train.main([*two, "--out", str(run)]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert train.main(["--resume", str(run)]) == 0
    assert content(run) == content(tmp_path / "whole")


def test_a_finished_run_says_so_and_goes_on_with_more_epochs_at_another_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, cosine = tmp_path / "run", ["--schedule", "cosine", "--lr", "0.2"]
    assert train.main([*FAST, "--epochs", "2", *cosine, "--out", str(run)]) == 0
    before = content(run)
    (run / "curves.png").unlink()
    capsys.readouterr()
    assert train.main(["--resume", str(run)]) == 0
    assert capsys.readouterr().out == (
        f"{run} is finished after 2 epochs; with a larger --epochs it goes on\n"
    )
    assert content(run) == before
    assert train.main(["--resume", str(run), "--epochs", "4", "--lr", "0.1"]) == 0
    after = content(run)
    changed = {"lr": 0.1, "epochs": 4}
    assert after["config"]["resumes"] == [{"epoch": 2, "batch": 24, **changed}]
    assert changed.items() <= after["config"].items()
    assert changed.items() <= after["config"]["options"].items()
    assert after["metrics"][:2] == before["metrics"]
    assert [row["epoch"] for row in after["metrics"]] == [1, 2, 3, 4]
    facts = state.load(run / "state.safetensors").facts
    assert facts["optimizer"]["lr"] == pytest.approx(0, abs=1e-12)  # at the end of four epochs
    assert (facts["optimizer"]["initial_lr"], facts["schedule"]["T_max"]) == (0.1, 4)


def test_a_change_that_was_written_but_not_trained_with_still_counts(tmp_path: Path) -> None:
    """Killed twice: after a resume with another rate wrote config.json, before its first state."""
    results = []
    for name, killed in (("once", False), ("twice", True)):
        run = stopped(tmp_path / name)
        with pytest.MonkeyPatch.context() as patch:
            if killed:
                killed_at(patch, 2, 1)
                with pytest.raises(KilledError):
                    train.main(["--resume", str(run), "--lr", "0.03"])
        again = [] if killed else ["--lr", "0.03"]
        assert train.main(["--resume", str(run), *again]) == 0
        results.append(content(run))
        assert state.load(run / "state.safetensors").facts["optimizer"]["lr"] == 0.03
    assert {**results[0], "config": 0} == {**results[1], "config": 0}
    assert [result["config"]["resumes"] for result in results] == [
        [{"epoch": 1, "batch": 12, "lr": 0.03}]
    ] * 2


def test_validation_images_are_no_training_images_and_choose_an_epoch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train.main([*THREE, "--lr", "0.5", "--validation", "1000", "--out", str(run)]) == 0
    printed = capsys.readouterr().out
    assert "(5,000 + 1,000 images)" in printed
    assert "train acc  val acc  test acc" in printed
    metrics = rows(run / "metrics.jsonl")
    best = max(metrics, key=lambda row: row["val_acc"])
    assert (
        f"best on the validation set: epoch {best['epoch']}, val acc {best['val_acc']:.3f}"
        in printed
    )
    train_set, _ = minicnn.data.load("fashion-mnist-sample")
    _, validation = minicnn.data.split_off(train_set, 1000)
    net, _ = minicnn.load_run(run)
    net.load_state_dict(minicnn.load(run / "best.safetensors"))
    batches = minicnn.data.DataLoader(validation, 256)
    assert minicnn.evaluate(net, batches) == best["val_acc"]


def test_the_best_epoch_is_chosen_by_validation_alone_and_need_not_be_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what is measured: the test set and the validation set, epoch after epoch
    measured = iter([0.9, 0.5, 0.1, 0.7, 0.95, 0.6])
    monkeypatch.setattr(loop, "evaluate", lambda *_: next(measured))
    run = tmp_path / "run"
    assert train.main([*THREE, "--validation", "130", "--out", str(run)]) == 0
    assert [row["val_acc"] for row in rows(run / "metrics.jsonl")] == [0.5, 0.7, 0.6]
    two = [*FAST, "--epochs", "2", "--batch-size", "500", "--validation", "130"]
    monkeypatch.setattr(loop, "evaluate", lambda *_: 0.5)
    assert train.main([*two, "--out", str(tmp_path / "two")]) == 0
    best = (run / "best.safetensors").read_bytes()
    assert best == (tmp_path / "two" / "model.safetensors").read_bytes()


def test_the_threads_are_those_of_the_run(tmp_path: Path) -> None:
    before = minicnn.get_num_threads()
    try:
        one = [*FAST, "--epochs", "1", "--threads", str(before + 1), "--out", str(tmp_path)]
        assert train.main(one) == 0
        minicnn.set_num_threads(before)
        assert train.main(["--resume", str(tmp_path), "--epochs", "2"]) == 0
        assert minicnn.get_num_threads() == before + 1
    finally:
        minicnn.set_num_threads(before)


def test_ctrl_c_before_the_state_is_taken_over_leaves_the_folder_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stopped(tmp_path / "run")
    before = content(run)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "restore", interrupted)
    assert train.main(["--resume", str(run)]) == 130
    assert content(run) == before
    assert capsys.readouterr().err == "python -m minicnn.train: interrupted\n"


def test_without_a_validation_set_nothing_is_chosen(tmp_path: Path) -> None:
    assert train.main([*FAST, "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert not (tmp_path / "best.safetensors").exists()
    assert "val_acc" not in rows(tmp_path / "metrics.jsonl")[0]


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "option",
    [
        ["--seed", "0"],
        ["--model=mlp"],
        ["--out", "x"],
        ["--no-compile"],
        ["--checkpoint-every", "3"],
    ],
)
def test_of_the_other_options_few_go_with_resume(
    option: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = option[0].partition("=")[0]
    said = complaint(capsys, "--resume", str(tmp_path), *option)
    assert said == (
        f"{name} does not go with --resume; --epochs, --lr, --data-dir, --quiet, --json, "
        "--distributed, --rank-timeout do"
    )


def test_what_cannot_be_resumed_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    none = tmp_path / "none"
    assert complaint(capsys, "--resume", str(none)).startswith(
        f"--resume: there is no folder {none};"
    )
    assert "no config.json" in complaint(capsys, "--resume", str(tmp_path))
    run = stopped(tmp_path / "run", "--lr", "0.25")
    path = run / "state.safetensors"
    kept = path.read_bytes()
    path.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    assert re.match(
        r"--resume: .*state\.safetensors is damaged: ", complaint(capsys, "--resume", str(run))
    )
    path.unlink()
    assert "it cannot be resumed: an older minicnn trained it, or" in complaint(
        capsys, "--resume", str(run)
    )
    path.write_bytes(kept)
    with monkeypatch.context() as patch:
        patch.setattr(minicnn.data.Dataset, "digest", "0" * 64)
        said = complaint(capsys, "--resume", str(run))
    assert said == "--resume: these are not the images and labels of the state's training"
    (run / "config.json").write_text("{")
    assert complaint(capsys, "--resume", str(run)).startswith(f"--resume {run / 'config.json'}: ")


def test_a_compiled_run_is_refused_where_nothing_can_be_compiled(
    compiled_kernels: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = stopped(tmp_path / "run")
    monkeypatch.setattr(compiler, "is_available", lambda device: False)
    capsys.readouterr()
    said = complaint(capsys, "--resume", str(run))
    assert said == "--resume: the run is a compiled one; here nothing can be compiled"


def test_fewer_epochs_than_are_done_are_complaint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stopped(tmp_path / "run", epoch=3, batch=1)
    before = content(run)
    said = complaint(capsys, "--resume", str(run), "--epochs", "1")
    assert said == "--epochs is 1; the run is in epoch 2"
    assert content(run) == before


def test_a_run_that_is_being_trained_is_complaint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stopped(tmp_path / "run")
    handle = os.open(run, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)  # as another process
    try:
        said = complaint(capsys, "--resume", str(run))
    finally:
        os.close(handle)
    assert said == f"{run}: another process is working there"


def test_a_full_disk_is_one_line_and_the_old_state_can_be_resumed(
    whole: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, written = tmp_path / "run", []
    write = files._write_and_rename

    def full(path: Path, data: bytes) -> None:
        written.append(path.name)
        if written.count("state.safetensors") == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(files, "_write_and_rename", full)
        said = complaint(capsys, *THREE, "--out", str(run))
    assert said == (
        f"{run / 'state.safetensors'}: No space left on device; the file of before is still there"
    )
    assert train.main(["--resume", str(run)]) == 0
    assert content(run) == whole


def test_a_run_can_be_resumed_from_the_moment_that_its_folder_is_there(
    whole: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def then_killed(folder: Path, name: Path) -> Path:
        rename(folder, name)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", then_killed)
        with pytest.raises(KilledError):
            train.main([*THREE, "--out", str(tmp_path / "run")])
    assert train.main(["--resume", str(tmp_path / "run")]) == 0
    assert content(tmp_path / "run") == whole
