"""Whole sweeps: on workers of this machine, one of which is killed; without Dask; mistakes."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

import minicnn
from minicnn import plots, sweep
from minicnn.sweep import cluster, job, running
from minicnn.sweep.options import parser, runs_of
from minicnn.sweep.outcome import FAILED, FINISHED, Outcome, progress
from minicnn.sweep.progress import Progress
from minicnn.sweep.work import work
from minicnn.train.run import STATE
from tests.data import own


def refusal(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The one line with which the command refuses."""
    with pytest.raises(SystemExit) as ended:
        sweep.main([*argv])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    return said.err.removeprefix("python -m minicnn.sweep: error: ").rstrip("\n")


def test_without_dask_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    said = refusal(capsys, "--grid", "lr=0.1,0.2", "--out", str(tmp_path / "out"))
    assert said == (
        "distributed is not installed; a sweep needs the extra dask: pip install '.[dask]'"
    )
    assert not (tmp_path / "out").exists()


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    """Two runs on ten pictures."""
    data = own.idx(tmp_path / "data")
    return [
        *("--grid", "lr=0.1,0.3", "--out", str(tmp_path / "sweep")),
        *("--data-dir", str(data), "--model", "mlp", "--hidden", "4", "--batch-size", "4"),
        *("--epochs", "60", "--no-compile"),
    ]


def without_seconds(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for run in runs:
        run["results"].pop("seconds", None)
    return runs


def test_a_killed_workers_run_goes_on_elsewhere_and_the_table_is_as_if_nothing_had_happened(
    asked: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("distributed")
    killed: dict[str, int] = {}  # the run that was under way, and the file that shows it began once

    def look(shown: Progress) -> None:
        for name in shown.open:
            folder = shown.folder / name
            if not killed and progress(folder) > 0:
                killed[name] = (folder / "config.json").stat().st_ino
                os.kill(workers()[0], signal.SIGKILL)

    monkeypatch.setattr(plots, "png", lambda figure: b"")
    monkeypatch.setattr(Progress, "look", look)
    monkeypatch.setattr(running, "A_LOOK", 0.05)
    assert sweep.main([*asked, "--workers", "1", "--threads", "1"]) == 0
    said = capsys.readouterr()
    assert "2 runs; 1 worker with 1 thread each" in said.out
    assert said.err.count("is gone; its run goes on elsewhere") == 1
    out = tmp_path / "sweep"
    ((name, began),) = killed.items()
    assert (out / name / "config.json").stat().st_ino == began

    found = json.loads((out / "sweep.json").read_text())
    by_hand = []
    (tmp_path / "sweep.json").write_text('{"token": "by hand"}')
    for run in runs_of(parser().parse(asked)):
        reply = work(str(tmp_path), "by hand", run.name, {**run.options, "threads": 1})
        by_hand.append({"run": run.name, "settings": run.settings, "status": FINISHED,
                        "results": dict(reply.outcome.results)})  # fmt: skip
    assert without_seconds(found["runs"]) == without_seconds(by_hand)
    assert {"lr.png", *(run["run"] for run in by_hand)} <= {path.name for path in out.iterdir()}

    monkeypatch.setattr(job, "client_of", None)  # a second time nobody is asked
    assert sweep.main([*asked, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert without_seconds(again["runs"]) == found["runs"]
    assert again["threads"] == 1


def workers() -> list[int]:
    """The process ids of the workers that this process has started."""
    import psutil

    children = psutil.Process().children(recursive=True)
    alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    return [child.pid for child in alive if "spawn_main" in " ".join(child.cmdline())]


def test_dasks_loggers_get_their_levels_back(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "PATIENCE", "200ms")
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    before = [logger.level for logger in loggers]
    with pytest.raises(OSError, match="127"), cluster.client_of("tcp://127.0.0.1:1", 1):
        """Nobody answers there."""
    assert [logger.level for logger in loggers] == before


# Without a cluster --------------------------------------------------------------------------------


class Nobody:
    """In the place of ``Runs``: the first run fails, then comes a Ctrl-C."""

    def __init__(self, client: Any, place: Any, say: Any, look: Any):
        self.stopped = False

    def greet(self) -> None:
        """Nobody is there."""

    def begin(self, runs: list[Any]) -> None:
        self.runs = runs

    def ended(self) -> Any:
        yield self.runs[0], Outcome(FAILED, {}, "no disk")
        if len(self.runs) > 1:
            raise KeyboardInterrupt

    def stop(self) -> None:
        """Nothing is under way."""


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    import contextlib

    monkeypatch.setattr(job, "client_of", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(job, "Runs", Nobody)


@pytest.mark.usefixtures("nobody")
def test_a_ctrl_c_says_how_to_go_on(
    asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep.main(asked) == 130
    said = capsys.readouterr()
    assert "1/2  0.1  failed: no disk" in said.out
    assert "interrupted after 0 of 2 runs; what was done so far is in " in said.err
    assert said.err.endswith(f"python -m minicnn.sweep {' '.join(asked)}\n")
    found = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    assert [run["status"] for run in found["runs"]] == ["failed", "open"]
    assert found["runs"][0]["error"] == "no disk"


@pytest.mark.usefixtures("nobody")
def test_a_run_that_failed_makes_the_status_1_and_no_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    asked = ["--grid", "lr=0.1", "--dataset", "fashion-mnist-sample", "--out", str(out)]
    assert sweep.main([*asked, "--quiet"]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == (f"{out}\n", "")
    assert [path.name for path in out.iterdir()] == ["sweep.json"]


@pytest.mark.usefixtures("nobody")
def test_what_was_done_before_an_error_is_in_sweep_json(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(self: Nobody) -> Any:
        yield self.runs[0], Outcome(FAILED, {}, "no disk")
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(Nobody, "ended", ended)
    with pytest.raises(RuntimeError):
        sweep.main(asked)
    found = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    assert [run["status"] for run in found["runs"]] == ["failed", "open"]


@pytest.mark.usefixtures("nobody")
def test_a_damaged_run_is_left_alone_and_the_others_are_done(
    asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sweep" / "lr=0.1,seed=0"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{")
    (folder / STATE).touch()
    for _ in range(2):
        assert sweep.main(asked) == 1
        said = capsys.readouterr()
        assert said.err.startswith("lr=0.1,seed=0 is left alone: ")
        assert "2/2  0.3  failed: no disk" in said.out
    assert {path.name for path in folder.iterdir()} == {"config.json", STATE}


@pytest.mark.usefixtures("nobody")
def test_another_sweep_in_the_same_folder_is_refused_and_a_larger_one_is_not(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep.main(asked)
    capsys.readouterr()
    said = refusal(capsys, *asked, "--momentum", "0.9")
    assert "sweep.json: lr=0.1,seed=0 was asked for there with momentum the usual one," in said
    assert sweep.main([*asked, "--seeds", "3"]) == 130
    assert "of 6 runs" in capsys.readouterr().err


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--grid", "lrr=1"], "lrr is no axis; wanted one of device, "),
        (["--workers", "2", "--scheduler", "tcp://127.0.0.1:1"], "--workers does not go with --s"),
        (["--out", __file__], f"--out: {__file__}: this is a file; wanted a folder"),
        (["--config", "none.toml"], "--config none.toml: none.toml: No such file"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refusal(capsys, "--dataset", "fashion-mnist-sample", *argv).startswith(said)


def test_the_usual_folder_is_the_same_for_more_values_of_the_same_axes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def folder(*argv: str) -> Path:
        options = parser().parse([*argv])
        return job._usual_folder(runs_of(options), options.shared)

    few = folder("--grid", "lr=0.1,0.2", "--epochs", "3")
    assert folder("--grid", "lr=0.1,0.2,0.3", "--seeds", "5", "--epochs", "3") == few
    assert folder("--grid", "lr=0.1,0.2", "--epochs", "4") != few
    assert folder("--grid", "lr=0.1", "dropout=0,0.2", "--epochs", "3") != few
    assert folder("--grid", "lr=0.1", "--epochs", "3", "--checkpoint-every", "9") == few
    mnist = folder("--grid", "lr=0.1", "--dataset", "mnist")
    assert folder("--grid", "lr=0.1", "--dataset", "mnist", "--data-dir", "a") == mnist
    assert folder("--grid", "lr=0.1", "--data-dir", "a") != folder(
        "--grid", "lr=0.1", "--data-dir", "b"
    )


@pytest.mark.parametrize(
    ("argv", "cores", "runs", "crew"),
    [
        ([], 8, 20, (8, 1)),
        ([], 8, 3, (3, 2)),
        (["--threads", "2"], 8, 20, (4, 2)),
        (["--workers", "3"], 8, 20, (3, 2)),
        (["--workers", "9"], 8, 20, (9, 1)),
        (["--scheduler", "x"], 8, 20, (None, 1)),
        (["--scheduler", "x", "--threads", "4"], 8, 20, (None, 4)),
    ],
)
def test_workers_times_threads_are_the_cores(
    argv: list[str],
    cores: int,
    runs: int,
    crew: tuple[int | None, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(minicnn, "get_num_threads", lambda: cores)
    assert job._crew(parser().parse(argv), runs, None) == crew
