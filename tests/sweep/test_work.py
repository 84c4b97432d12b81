"""What a worker does, called by hand: begin, go on, wait, refuse, fail."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minicnn import plots
from minicnn.files import alone_in
from minicnn.sweep import work as module
from minicnn.sweep.outcome import FAILED, FINISHED, OPEN, Outcome, outcome, progress
from minicnn.sweep.work import RECORD, REFUSED, remembered, work
from minicnn.train import job
from tests.data import own

pytest.importorskip("distributed")

FEW = {"model": "mlp", "hidden": [4], "epochs": 3, "batch_size": 4, "threads": 1}


@pytest.fixture(autouse=True)
def drawn_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture is not what is tested here, and takes longer than all else."""
    monkeypatch.setattr(plots, "png", lambda figure: b"")
    monkeypatch.setattr(plots, "curves", lambda curve, title: None)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    folder = tmp_path / "sweep"
    folder.mkdir()
    (folder / RECORD).write_text('{"token": "ours"}')
    return folder


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """Of a run on ten pictures."""
    return {**FEW, "data_dir": str(own.idx(tmp_path / "data"))}


def done(sweep: Path, name: str, options: dict[str, Any]) -> Outcome:
    return work(str(sweep), "ours", name, options).outcome


def but_seconds(found: Outcome) -> dict[str, Any]:
    return {name: value for name, value in found.results.items() if name != "seconds"}


def stopped_at(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """Have the next run be cancelled after this many batches."""
    looks = itertools.count()  # the first is before the run begins

    def stopped_by_dask() -> Callable[[], bool]:
        return lambda: next(looks) > batch

    monkeypatch.setattr(module, "stopped_by_dask", stopped_by_dask)


def test_a_run_is_an_ordinary_training(sweep: Path, options: dict[str, Any]) -> None:
    from minicnn import train
    from minicnn.command import arguments_of

    found = done(sweep, "a", options)
    assert (found.status, found.results["epochs"]) == (FINISHED, 3)
    plain = sweep.parent / "plain"
    assert train.main([*arguments_of(options), "--quiet", f"--out={plain}"]) == 0
    for name in ("model.safetensors", "curve.jsonl", "config.json"):
        assert (sweep / "a" / name).read_bytes() == (plain / name).read_bytes(), name


def test_a_cancelled_run_keeps_its_state_and_goes_on_to_the_same_bits(
    sweep: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = done(sweep, "whole", options)
    with monkeypatch.context() as patch:
        stopped_at(patch, 5)  # in the second epoch of three batches each
        assert done(sweep, "a", options).status == OPEN
    assert progress(sweep / "a") == 1 / 3
    began = (sweep / "a" / "config.json").stat().st_ino
    assert but_seconds(done(sweep, "a", options)) == but_seconds(whole)
    assert (sweep / "a" / "config.json").stat().st_ino == began
    weights = [(sweep / name / "model.safetensors").read_bytes() for name in ("a", "whole")]
    assert weights[0] == weights[1]


def test_a_run_goes_on_where_its_data_have_moved(
    sweep: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stopped_at(patch, 5)
        assert done(sweep, "a", options).status == OPEN
    moved = Path(options["data_dir"]).rename(sweep.parent / "moved")
    assert done(sweep, "a", options | {"data_dir": str(moved)}).status == FINISHED


def test_a_finished_run_is_not_done_again(
    sweep: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = done(sweep, "a", options)
    monkeypatch.setattr(job, "run", None)
    assert done(sweep, "a", options) == first
    assert outcome(sweep / "a") == first


def test_while_another_process_works_in_the_folder_a_worker_waits_for_what_it_does(
    sweep: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN", 0.02)
    with monkeypatch.context() as patch:
        stopped_at(patch, 2)
        done(sweep, "a", options)
    before = (sweep / "a" / "state.safetensors").read_bytes()
    found: list[Outcome] = []
    waits = threading.Thread(target=lambda: found.append(done(sweep, "a", options)))
    with alone_in(sweep / "a"):
        waits.start()
        waits.join(0.5)
        assert waits.is_alive()
        assert (sweep / "a" / "state.safetensors").read_bytes() == before
    waits.join(20)
    assert found[0].status == FINISHED


def test_a_run_whose_folder_another_worker_has_just_made_is_not_begun_twice(
    sweep: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN", 0.02)
    first = done(sweep, "a", options)
    looks, begun = iter([Outcome(OPEN)]), iter([False])  # what was so before it did
    monkeypatch.setattr(module, "outcome", lambda folder: next(looks, None) or outcome(folder))
    monkeypatch.setattr(module, "is_begun", lambda folder: next(begun, True))
    assert done(sweep, "a", options) == first
    assert (next(looks, None), next(begun, None)) == (None, None)


def test_a_run_without_its_curves_failed_and_says_why(
    sweep: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(figure: Any) -> bytes:
        raise OSError("no space left")

    monkeypatch.setattr(plots, "png", full)
    found = done(sweep, "a", options)
    assert (found.status, found.message) == (FAILED, "no curves.png: no space left")


def test_files_are_read_once_whatever_the_seed(tmp_path: Path) -> None:
    sample = "fashion-mnist-sample"
    first = remembered(sample, None, None, 0)
    assert remembered(sample, None, None, 1) is first
    folder = own.idx(tmp_path / "own")
    assert remembered(None, folder, None, 0) is not remembered(None, folder, None, 1)


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"padding": 1}, FAILED, "--padding: padding does not apply to mlp; it has "),
        ({"data_dir": "/nowhere"}, REFUSED, "/nowhere is not there; wanted"),
        ({"dataset": "mnist", "data_dir": "/nowhere"}, REFUSED, "/nowhere is no folder; wanted"),
        ({"device": "gpu:77"}, FAILED, "--device: "),
        ({"lr": 1e30}, FAILED, "the loss "),
    ],
)
def test_a_run_that_cannot_be_done_says_why(
    change: dict[str, Any], status: str, said: str, sweep: Path, options: dict[str, Any]
) -> None:
    found = done(sweep, "a", options | change)
    assert (found.status, found.message[: len(said)]) == (status, said)
    assert "\n" not in found.message


def test_a_worker_refuses_where_it_does_not_see_the_sweeps_folder(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = done(tmp_path, "a", options)
    assert found.status == REFUSED
    assert found.message == (
        f"there is no {tmp_path / RECORD}; wanted a folder that all workers share"
    )
    (tmp_path / RECORD).write_text('{"token": "another"}')
    assert done(tmp_path, "a", options).message == (
        f"{tmp_path} here is another sweep's; wanted a folder that all workers share"
    )
    (tmp_path / RECORD).write_text('{"token": "ours"}')
    monkeypatch.setattr(os, "access", lambda path, how: False)
    assert done(tmp_path, "a", options).message == f"{tmp_path} cannot be written"
    monkeypatch.undo()
    monkeypatch.setattr(module, "_dask_threads", lambda: 4)
    assert "4 threads of Dask; wanted 1" in done(tmp_path, "a", options).message


def test_a_folder_that_holds_something_else_is_an_error_not_a_wait(
    sweep: Path, options: dict[str, Any]
) -> None:
    (sweep / "a").mkdir()
    (sweep / "a" / "notes.txt").touch()
    found = done(sweep, "a", options)
    assert found.status == FAILED
    assert "a is not empty; wanted a new or an empty folder" in found.message


def test_what_a_killed_worker_left_without_curves_is_completed(
    sweep: Path, options: dict[str, Any]
) -> None:
    done(sweep, "a", options)
    (sweep / "a" / "curves.png").unlink()
    assert outcome(sweep / "a").status == OPEN
    assert done(sweep, "a", options).status == FINISHED
