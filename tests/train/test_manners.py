"""``python -m minicnn.train`` among other programs: --config, --json, --quiet."""

from __future__ import annotations

import functools
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from tqdm import tqdm

from minicnn import train
from minicnn.train import options as command_line
from minicnn.train.run import read_jsonl as rows
from tests.train.command import FAST, complaint

TWO = [*FAST, "--epochs", "2"]


def parsed(*argv: str) -> dict[str, Any]:
    return vars(command_line.parser().parse(list(argv)))


# --config -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ["--no-compile", "--momentum", "0.9", "--weight-decay", "1e-3", "--batch-size", "70"],
        ["--seed", "5", "--schedule", "cosine", "--lr", "0.05", "--dropout", "0.3"],
    ],
)
def test_the_configuration_of_a_run_repeats_it_bit_for_bit(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    assert train.main([*TWO, *options, "--out", str(first)]) == 0
    assert train.main(["--config", str(first / "config.json"), "--out", str(again)]) == 0
    for name in ("config.json", "model.safetensors", "curve.jsonl"):
        assert (first / name).read_bytes() == (again / name).read_bytes(), name


def test_a_file_gives_options_by_their_names_and_what_is_typed_wins(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'model = "lenet-max"\nlr = 0.3\nbatch-size = 70\nweight_decay = 1e-3\nchannels = [4, 7]\n'
        "hidden = []\nno-compile = true\nbatch_norm = false\n"
    )
    typed = "--model lenet-max --lr 0.7 --batch-size 70 --weight-decay 1e-3 --channels 4,7"
    wanted = parsed(*typed.split(), "--hidden", "", "--no-compile")
    found = parsed("--lr", "0.7", "--config", str(file))
    assert found == {**wanted, "config": file}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("mine.toml", "epoch = 3", r"--epoch is no option; did you mean --epochs\?"),
        ("mine.toml", 'lr = "fast"', "argument --lr: 'fast'; wanted a number of at least 0"),
        (
            "mine.toml",
            f'lr = "{"f" * 500}"',
            rf"argument --lr: '{'f' * 59}\.\.\.; wanted a number of at least 0",
        ),
        ("mine.toml", f'model = "{"f" * 500}"', rf".*'{'f' * 59}\.\.\. .*'lenet-max'.*"),
        ("mine.toml", f"{'f' * 500} = 3", rf"--{'f' * 58}\.\.\. is no option; see --help"),
        ("mine.toml", "channels = 6, 16", r".*at line 1, column 13.*"),
        ("mine.toml", 'config = "mine.toml"', "--config is no option; .*"),
        ("mine.toml", 'resume = "runs/x"', "--resume is no option; .*"),
        ("mine.toml", "version = true", "--version is no option; .*"),
        ("mine.toml", "lr = false", "argument --lr: false; wanted a value"),
        ("mine.toml", "no-compil = false", "--no-compil is no option; .* --no-compile.*"),
        ("mine.toml", b"\xff", "'utf-8' codec can't decode .*"),
        ("config.json", "{}", 'it has no "options"; wanted config.json of a training run, or TOML'),
        ("config.json", "[1]", 'it has no "options"; .*'),
        ("config.json", "{", "Expecting property name .*"),
        ("config.json", '{"options": {"ephocs": 3}}', "--ephocs is no option; .* --epochs.*"),
        (".", None, "this is a folder; wanted a file, as .*config.json"),
        ("none.toml", None, r".*No such file or directory"),
    ],
)
def test_a_mistake_in_a_file_names_the_file(
    name: str,
    content: Any,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = complaint(capsys, "--config", str(file))
    assert re.fullmatch(re.escape(f"--config {file}: ") + said, found)


# What is printed ----------------------------------------------------------------------------------


def test_with_json_stdout_is_an_object_an_epoch_and_stderr_has_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main([*TWO, "--json", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert [json.loads(line) for line in printed.out.splitlines()] == rows(
        tmp_path / "metrics.jsonl"
    )
    assert "2 epochs" in printed.err
    assert f"written to {tmp_path}" in printed.err


def test_quiet_prints_the_folder_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main([*TWO, "--quiet", "--out", str(tmp_path / "a")]) == 0
    assert train.main([*TWO, "--quiet", "--json", "--out", str(tmp_path / "b")]) == 0
    printed = capsys.readouterr()
    folder, *epochs = printed.out.splitlines()
    assert folder == str(tmp_path / "a")
    assert [json.loads(line)["epoch"] for line in epochs] == [1, 2]
    assert printed.err == ""


def test_quiet_still_prints_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--activation", "relu", "--lr", "1e38", "--quiet", "--out", str(tmp_path)]
    assert train.main([*TWO, *options]) == 1
    printed = capsys.readouterr()
    assert printed.out == f"{tmp_path}\n"
    assert printed.err.count("\n") == 1
    assert "diverged" in printed.err


@pytest.mark.parametrize(
    ("options", "begins"),
    [
        (["--out", "{folder}"], r"--out: {folder} is not empty"),
        (["--out", "{folder}/file"], "--out: {folder}/file is a file"),
        (["--out", "{folder}/file/run"], "--out: {folder}/file"),
        (["--data-dir", "{folder}/none"], "--data-dir: {folder}/none"),
        (["--device", "tpu"], "--device: device is 'tpu'"),
        (
            ["--model", "mlp", "--pool", "max", "--hidden", "9"],
            "--pool: pool does not apply to mlp",
        ),
        (["--kernel-size", "40", "--hidden", "9"], "--kernel-size: lenet: convolution 1 with"),
    ],
)
def test_a_mistake_names_the_option_that_was_typed(
    options: list[str], begins: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    data = [] if "--data-dir" in options else ["--dataset", "fashion-mnist-sample"]
    said = complaint(capsys, *data, *(option.format(folder=tmp_path) for option in options))
    assert said.startswith(begins.format(folder=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("options", [[], ["--json"], ["--quiet"]])
def test_a_terminal_sees_a_bar_with_the_time_left_of_all_epochs_and_no_colours(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(tqdm, "__init__", functools.partialmethod(tqdm.__init__, mininterval=0))
    assert train.main([*TWO, *options, "--out", str(tmp_path)]) == 0
    shown = screen.getvalue()
    if "--quiet" in options:
        assert shown == ""
        return
    assert re.search(r"epoch 1 of 2:  25%\|.{10}\| 12/48 \[\d\d:\d\d<\d\d:\d\d", shown)
    assert re.search(r"epoch 2 of 2:  75%\|", shown)
    assert re.search(r" batches/s, acc=0\.\d{3}, loss=\d\.\d{3}\]", shown)
    assert "\x1b" not in shown
