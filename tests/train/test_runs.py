"""minicnn.train.run: a run's folder, taken once, read back, and what is said of other folders."""

from __future__ import annotations

import errno
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import minicnn
from minicnn import data, models
from minicnn.data import sample
from minicnn.explain.__main__ import main as explain
from minicnn.train import run as runs
from minicnn.train.run import Run

CONFIG: dict[str, Any] = {
    "model": "mlp", "model_args": {"hidden": [3]}, "dataset": "fashion-mnist-sample"
}  # fmt: skip
NET = models.mlp(hidden=(3,))


def a_run(folder: Path, **config: Any) -> Path:
    """A folder with a net of random weights."""
    Run(folder, {**CONFIG, **config}, models.mlp(hidden=(3,)))
    return folder


def test_two_runs_of_the_same_second_have_two_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda _: "then")
    monkeypatch.setattr(Path, "exists", lambda _: False)  # as it was when both of them looked
    folders = [Run(None, CONFIG, NET).folder.name for _ in range(3)]
    assert folders == ["then", "then-2", "then-3"]
    assert sorted(path.name for path in Path("runs").iterdir()) == folders


def test_where_every_name_is_taken_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "then").mkdir()
    with pytest.raises(FileExistsError, match="is taken; wanted a new or an empty folder"):
        runs._renamed(tmp_path / "hidden", [tmp_path / "then"])


def test_of_two_runs_that_find_a_folder_empty_one_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Run(tmp_path, {**CONFIG, "seed": 1}, NET)
    monkeypatch.setattr(Path, "iterdir", lambda _: iter(()))
    with pytest.raises(FileExistsError):
        Run(tmp_path, {**CONFIG, "seed": 2}, NET)
    assert json.loads((first.folder / "config.json").read_text())["seed"] == 1


def test_a_file_is_no_folder_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match=r"file is a file; wanted a new or an empty folder$"):
        Run(tmp_path / "file", CONFIG, NET)


def test_a_folder_has_weights_from_the_moment_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename
    seen: list[set[str]] = []

    def watched(folder: Path, name: Path) -> Path:
        assert not name.exists()
        seen.append({path.name for path in rename(folder, name).iterdir()})
        minicnn.load_run(name)
        return name

    monkeypatch.setattr(Path, "rename", watched)
    Run(tmp_path / "deep" / "run", CONFIG, NET)
    assert seen == [{"config.json", "model.safetensors", "metrics.jsonl", "curve.jsonl"}]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["run"]


@pytest.mark.parametrize("there", [True, False])
def test_an_interrupt_while_a_folder_is_made_is_answered_when_it_is_whole(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    if there:
        folder.mkdir()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    write = Run.write

    def interrupted(*arguments: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        write(*arguments)

    monkeypatch.setattr(Run, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Run(folder, CONFIG, NET)
    signal.signal(signal.SIGINT, before)
    minicnn.load_run(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_that_cannot_be_filled_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "somewhere/.hidden")

    monkeypatch.setattr(Run, "write", full)
    with pytest.raises(OSError, match="No space left on device") as raised:
        Run(tmp_path / "run", CONFIG, NET)
    assert raised.value.filename == str(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    a_run(Path("~/run"))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert minicnn.load_run("~/run")[1] == CONFIG
    assert runs.read_jsonl("~/run/metrics.jsonl") == []


def test_weights_are_written_before_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a disk that is full by then has the weights of the last epoch."""
    written: list[str] = []
    monkeypatch.setattr(runs, "save", lambda net, path: written.append(path.name))
    monkeypatch.setattr(runs, "write_whole", lambda path, content: written.append(path.name))
    a_run(tmp_path)
    assert written == ["model.safetensors", "metrics.jsonl", "curve.jsonl", "config.json"]


def test_what_is_no_run_is_told_with_what_it_is(tmp_path: Path) -> None:
    for path, error, told in (
        (tmp_path / "none", FileNotFoundError, "^there is no folder .*none; wanted that of a tr"),
        (
            tmp_path,
            FileNotFoundError,
            "not the folder of a training run: it has no config.json; it holds run$",
        ),
        (a_run(tmp_path / "run") / "curve.jsonl", NotADirectoryError, "jsonl is a file; wanted"),
    ):
        with pytest.raises(error, match=told):
            minicnn.load_run(path)
    for names, held in (("abcd", "a, b, c, d, run"), ("e", "a, b, c, d, e, ...")):
        for name in names:
            a_run(tmp_path / name)
        with pytest.raises(FileNotFoundError, match=f"; it holds {held}$"):
            minicnn.load_run(tmp_path)
    (tmp_path / "run" / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"of a training run: it has no model.safetensors$"):
        minicnn.load_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "Expecting value"),
        ("[1]", "it is of type list"),
        ('{"model": "mlp"}', "it lacks 'model_args'"),
        ('{"model": "vgg", "model_args": {}}', "'vgg'"),
        ('{"model": "mlp", "model_args": {"colour": 3}}', "colour"),
        ('{"model": "mlp", "model_args": {"hidden": [4]}}', "does not fit"),
        (b"\xff\xfe", "decode"),
    ],
)
def test_a_damaged_run_names_the_file(tmp_path: Path, content: str | bytes, told: str) -> None:
    path = a_run(tmp_path) / "config.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=rf"(config\.json|model\.safetensors) .*{told}"):
        minicnn.load_run(tmp_path)


@pytest.mark.parametrize("dataset", [None, 3, "cifar"])
def test_explain_answers_a_run_without_a_data_set(
    dataset: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = {"channels": [2, 3], "hidden": [4]}
    config = {"model": "lenet", "model_args": net, "dataset": dataset}
    Run(tmp_path, config, models.lenet(channels=(2, 3), hidden=(4,)))
    with pytest.raises(SystemExit) as ended:
        explain(["--run", str(tmp_path), "--text"])
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert "data set" in errors or "cifar" in errors


def test_explain_takes_the_sample_where_fashion_mnist_is_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = data.load

    def offline(name: str, root: Any = None) -> Any:
        if name == "fashion-mnist":
            raise data.DatasetNotFoundError("no network")
        return load(name, root)

    monkeypatch.setattr(sample, "load", offline)
    net = {"channels": [2, 3], "hidden": [4]}
    config = {"model": "lenet", "model_args": net, "dataset": "fashion-mnist"}
    Run(tmp_path, config, models.lenet(channels=(2, 3), hidden=(4,)))
    page = ["--out", str(tmp_path / "page.html"), "--no-open"]
    assert explain(["--run", str(tmp_path), *page]) == 0
    assert "1,000 test pictures" in capsys.readouterr().out


@pytest.mark.parametrize("layer", [[], ["--layer", "0"]])
def test_explain_says_that_a_net_has_no_convolution(
    layer: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(a_run(tmp_path / "run"))
    with pytest.raises(SystemExit) as ended:
        explain(["--run", run, "--text", *layer])
    assert ended.value.code == 2
    assert f"--run is {run}, which has no convolution" in capsys.readouterr().err
