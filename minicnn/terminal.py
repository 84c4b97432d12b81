"""Printing that never ends the work: a reader may have gone, a terminal may lack our signs."""

from __future__ import annotations

import _thread
import codecs
import contextlib
import os
import sys
import threading
from typing import Any

PLAIN = {
    "·": "*", "×": "x", "−": "-", "–": "-", "’": "'", "²": "^2",
    "ᵀ": "^T", "Σ": "sum ", "\N{COMBINING MACRON}": "", "\N{EM SPACE}": " ",
}  # fmt: skip


def say(text: object = "", stream: Any = None) -> None:
    """Print a line at once, by default on stdout.

    Signs that the terminal's encoding lacks are replaced. On a dead stream (a pipe without a
    reader, a full disk, a closed file) nothing is printed, now and later.
    """
    stream = sys.stdout if stream is None else stream
    try:
        try:
            print(text, file=stream, flush=True)
        except UnicodeEncodeError:
            plain = str(text).encode(stream.encoding, "plain").decode(stream.encoding)
            print(plain, file=stream, flush=True)
    except BlockingIOError:
        pass  # a reader who is too slow misses a line
    except (OSError, ValueError, AttributeError):
        _to_nowhere(stream)


def complain(text: str) -> None:
    """Print a line on stderr, if there is one."""
    if sys.stderr is not None:
        say(text, sys.stderr)


def first_line(error: BaseException) -> str:
    """What an error says, in a line; if it was raised from another one, what that says."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines()]
    told = next((line for line in lines if any(map(str.isalnum, line))), type(error).__name__)
    return told[:160]


def answer_interrupts() -> None:
    """From now on no Ctrl-C is a traceback, as while NumPy is imported, and none is lost."""
    sys.excepthook = _show
    sys.unraisablehook = _raise_again


def _show(kind: Any, error: Any, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        complain("interrupted")
    else:
        sys.__excepthook__(kind, error, trace)


def _raise_again(lost: Any) -> None:
    """Python cannot raise what comes up in a finaliser or a callback: a moment later it can."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        threading.Timer(0.01, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(lost)


def is_terminal(stream: Any) -> bool:
    """Whether somebody watches ``stream``; it may be None, closed, or an object of any kind."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def _plain(error: UnicodeError) -> tuple[str, int]:
    """For ``str.encode``: what to write for the first sign that an encoding lacks."""
    assert isinstance(error, UnicodeEncodeError)
    sign = error.object[error.start]
    ascii_only = PLAIN.get(sign) if sign in PLAIN else ascii(sign)[1:-1]
    return ascii_only or "", error.start + 1


codecs.register_error("plain", _plain)


def _to_nowhere(stream: Any) -> None:
    """So that what is left in the buffer does not fail again when Python ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
