"""Printing that never stops the work: without a reader, on a full disk, in any encoding."""

from __future__ import annotations

import _thread
import codecs
import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

PLAIN = {
    "·": "*", "×": "x", "−": "-", "–": "-", "’": "'", "²": "^2",
    "ᵀ": "^T", "Σ": "sum ", "\N{COMBINING MACRON}": "", "\N{EM SPACE}": " ",
}  # fmt: skip


def say(text: object = "", stream: Any = None, end: str = "\n") -> None:
    """Print a line at once, by default on stdout; with ``end=""`` a part of one.

    Characters that the stream's encoding lacks are replaced. On a dead stream (a pipe without a
    reader, a full disk, a closed file) nothing is printed, now or later.
    """
    stream = sys.stdout if stream is None else stream
    try:
        try:
            print(text, file=stream, end=end, flush=True)
        except UnicodeEncodeError:
            plain = str(text).encode(stream.encoding, "plain").decode(stream.encoding)
            print(plain, file=stream, end=end, flush=True)
    except BlockingIOError:
        pass  # a reader that is too slow misses a line
    except (OSError, ValueError, AttributeError):
        _to_nowhere(stream)


def complain(text: str) -> None:
    """Print a line on stderr, if there is one."""
    if sys.stderr is not None:
        say(text, sys.stderr)


remarks = True  # whether ``remark`` says anything


def remark(text: str) -> None:
    """``complain`` of what is no error; nothing under ``--quiet``."""
    if remarks:
        complain(text)


@contextlib.contextmanager
def said_if_slow(text: str, seconds: float = 1.0) -> Iterator[None]:
    """``remark`` it when what is done inside has taken that long."""
    timer = threading.Timer(seconds, remark, [text])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def first_line(error: BaseException) -> str:
    """The first line of an error's message; of its cause's, if it was raised from another one."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines()]
    told = next((line for line in lines if any(map(str.isalnum, line))), type(error).__name__)
    return told[:160]


def answer_interrupts() -> None:
    """From now on an unanswered Ctrl-C is one line, not a traceback, and none is lost."""
    sys.excepthook = _show
    sys.unraisablehook = _raise_again


def _show(kind: Any, error: Any, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        complain("interrupted")
    else:
        sys.__excepthook__(kind, error, trace)


def _raise_again(lost: Any) -> None:
    """Python drops what is raised in a finaliser or a callback: interrupt again a moment later."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        threading.Timer(0.01, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(lost)


def is_terminal(stream: Any) -> bool:
    """Whether ``stream`` is a terminal; it may be None, closed, or any object."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def _plain(error: UnicodeError) -> tuple[str, int]:
    """An error handler of ``str.encode``: what to write instead, and where to go on."""
    assert isinstance(error, UnicodeEncodeError)
    character = error.object[error.start]
    return PLAIN.get(character, ascii(character)[1:-1]), error.start + 1


codecs.register_error("plain", _plain)


def _to_nowhere(stream: Any) -> None:
    """Throw away what the stream still holds, or it would fail again when Python ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
