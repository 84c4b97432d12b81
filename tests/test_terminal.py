"""minicnn.terminal: what is printed where the reader, the encoding or the stream is missing."""

from __future__ import annotations

import io
import os
import sys
import time
from typing import Any

import pytest

from minicnn import command, terminal


class Terminal(io.TextIOWrapper):
    """Bytes in an encoding of old."""

    def __init__(self, encoding: str):
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding, newline="\n")

    def text(self) -> str:
        return self.bytes.getvalue().decode(self.encoding)


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("utf-8", "−2·3 × Wᵀ x̄ é 2²\n"),
        ("cp1252", "-2·3 × W^T x é 2²\n"),
        ("cp437", "-2·3 x W^T x é 2²\n"),
        ("ascii", "-2*3 x W^T x \\xe9 2^2\n"),
    ],
)
def test_signs_that_a_terminal_lacks_are_written_with_others(encoding: str, printed: str) -> None:
    stream = Terminal(encoding)
    terminal.say("−2·3 × Wᵀ x̄ é 2²", stream)
    assert stream.text() == printed


def test_a_pipe_without_a_reader_stops_the_printing_only() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:  # noqa: PTH123
        for _ in range(3):
            terminal.say("a line", stream)
    # closing it flushed: what was left in the buffer went nowhere, without an error


class Odd:
    """What some environments put in the place of stderr."""

    def write(self, text: str) -> None:
        raise OSError("gone")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    "stream", [None, closed(), Odd(), object()], ids=lambda stream: type(stream).__name__
)
def test_no_stream_at_all_is_no_reason_to_stop(
    stream: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    terminal.complain("something")
    assert not terminal.is_terminal(stream)
    monkeypatch.setattr(sys, "stdout", stream)
    terminal.say("something")
    monkeypatch.undo()
    assert capsys.readouterr().out == ""  # without a stderr nothing lands on stdout


def test_an_error_is_told_in_a_line() -> None:
    assert terminal.first_line(ValueError("one\ntwo")) == "one"
    assert terminal.first_line(ValueError("\n=====\n  wrong: 3\n=====")) == "wrong: 3"
    assert terminal.first_line(KeyError()) == "KeyError"


def test_a_remark_is_no_error_and_not_made_under_quiet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for quiet in (False, True):
        with command.talking(quiet, json=False):
            terminal.remark(f"quiet is {quiet}")
    terminal.remark("after")
    assert capsys.readouterr().err == "quiet is False\nafter\n"


@pytest.mark.parametrize(("seconds", "said"), [(0.01, "compiling\n"), (60.0, "")])
def test_what_is_slow_is_said_while_it_lasts(
    capsys: pytest.CaptureFixture[str], seconds: float, said: str
) -> None:
    began = time.perf_counter()
    heard = ""
    with terminal.said_if_slow("compiling", seconds):
        while said and not heard and time.perf_counter() < began + 30:
            heard = capsys.readouterr().err
            time.sleep(0.01)
    assert heard + capsys.readouterr().err == said
