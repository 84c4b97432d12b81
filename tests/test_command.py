"""What all commands share: how mistakes, dead pipes, a Ctrl-C and old terminals are answered."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import minicnn
from minicnn import command, rungs, selfcheck, train, visualize
from minicnn.__main__ import COMMANDS, main
from minicnn.explain.__main__ import main as explain

ROOT = Path(__file__).parent.parent
FAST = ["--dataset", "fashion-mnist-sample", "--model", "mlp", "--hidden", "8", "--epochs", "2"]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def test_the_package_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    listed = re.findall(r"^python -m minicnn\.(\w+) ", printed, re.M)
    assert listed == list(COMMANDS)
    for name in listed:
        folder = ROOT / "minicnn" / name
        assert folder.with_suffix(".py").is_file() or (folder / "__main__.py").is_file()
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == printed


def test_the_version_is_told_by_the_package_and_by_each_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--version"]) == 0
    for run in (train.main, visualize.main, explain, rungs.main, selfcheck.main):
        with pytest.raises(SystemExit) as ended:
            run(["--version"])
        assert ended.value.code == 0
    assert capsys.readouterr().out == f"minicnn {minicnn.__version__}\n" * 6


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (["train", "--lr", "3"], "write python -m minicnn.train --lr 3"),
        (["tarin"], "tarin is no command; wanted train, predict, compare"),
    ],
)
def test_the_package_is_no_command_itself(
    given: list[str], answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(given) == 2
    assert answer in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "answer"),
    [
        ("--epoch=5", "--epoch is no option; did you mean --epochs?"),
        ("--batch_size", "--batch_size is no option; did you mean --batch-size?"),
        ("-lr", "-lr is no option; did you mean --lr?"),
        ("lenet", "lenet is no option; see --help"),
    ],
)
def test_a_mistyped_option_is_answered_with_the_nearest(
    option: str, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        train.main([option])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"python -m minicnn.train: error: {answer}\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FileNotFoundError(2, "No such file or directory", "a/b"), "a/b: No such file or direct"),
        (ValueError("two\n  lines"), "two lines"),
        (ImportError("No module named 'matplotlib'"), "No module named 'matplotlib'"),
        (MemoryError(), "out of memory; try a smaller batch (MemoryError)"),
    ],
)
def test_what_a_user_can_cause_is_one_line_and_status_2(
    error: Exception, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise error

    with pytest.raises(SystemExit) as ended:
        command.run(command.Parser("name", "what it does"), fail, [])
    assert ended.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"python -m minicnn.name: error: {line}")
    assert printed.count("\n") == 1


def test_a_path_may_begin_with_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert command.path("~/x") == tmp_path / "x"
    with pytest.raises(SystemExit):
        train.main(["--out=~nobody-at-all/x"])
    assert "no home folder is known for ~nobody-at-all" in capsys.readouterr().err
    assert explain(["--op", "dense", "--out=~/page.html", "--no-open"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(SystemExit):
        visualize.main(["--run=~/nothing"])
    assert f"there is no folder {tmp_path}/nothing" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437"])
def test_the_explained_numbers_are_printed_in_any_terminal(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(screen, encoding))
    assert explain(["--text", "--op", "conv"]) == 0
    text = screen.getvalue().decode(encoding)
    assert "dcolumns = W^T dy[0]" in text
    assert "?" not in text
    assert "\\u" not in text


def test_a_reader_who_leaves_does_not_end_the_training(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = [sys.executable, "-m", "minicnn.train", *FAST, "--no-compile", "--out", str(out)]
    reader, writer = os.pipe()
    os.close(reader)  # as `head` does after its lines
    ended = subprocess.run(
        arguments, stdout=writer, stderr=subprocess.PIPE, timeout=60, cwd=ROOT, env=environment()
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 2
    assert (out / "curves.png").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_a_full_disk_under_the_printed_lines_does_not_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert train.main([*FAST, "--out", str(out)]) == 0
    assert (out / "curves.png").is_file()


def test_an_interrupt_while_everything_is_imported_is_no_traceback(tmp_path: Path) -> None:
    """NumPy, imported early, is replaced by one that waits for the interrupt."""
    (tmp_path / "numpy.py").write_text(
        "print('importing', flush=True); import time; time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "minicnn.train"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}"),
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "importing\n"
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert errors == "interrupted\n"
    assert process.returncode in (130, -signal.SIGINT)
