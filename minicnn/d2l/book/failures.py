"""Where a cell failed, and why, in a sentence."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from types import TracebackType

from minicnn import command

LONGEST = 400


@dataclass
class Failure:
    """What stopped a cell.

    Attributes:
        sentence: the error.
        line: the line of the cell, from 1, that was running; None: not known.
        inside: the function of a chapter's cell where it happened, that cell's number and its line.
        because: the numbers of cells that failed before, and would have set the name it lacks.
        traceback: as Python prints it, from the cell on.
    """

    kind: str
    message: str
    sentence: str
    line: int | None = None
    inside: tuple[str, int, int] | None = None
    missing: str | None = None
    because: list[int] = field(default_factory=list)
    traceback: list[str] = field(default_factory=list)


def failure(error: BaseException, number: int, numbers: dict[str, int]) -> Failure:
    """What ``error`` says of cell ``number``; ``numbers`` has the cell of each code's file name."""
    frames = list(_frames(error.__traceback__, number, numbers))
    found = Failure(type(error).__name__, str(error), sentence(error))
    if isinstance(error, NameError):
        found.missing = error.name
    if isinstance(error, SyntaxError) and error.filename in numbers:
        found.line = error.lineno
    own = [line for name, cell, line in frames if cell == number and name == "<module>"]
    if own and found.line is None:
        found.line = own[-1]  # the last: what %%time runs is inside of the cell
    if frames and not frames[-1][0].startswith("<"):  # <module>, <lambda>, <listcomp>
        found.inside = frames[-1]
    found.traceback = _traceback(error, numbers)
    return found


def sentence(error: BaseException) -> str:
    """The error's type and message, in one line."""
    name, message = type(error).__name__, command.in_a_line(error)
    if isinstance(error, SystemExit):
        return f"{name}: this cell ends the program"
    if isinstance(error, SyntaxError):
        message = error.msg
    told = name if message == name else f"{name}: {message}"
    return told if len(told) <= LONGEST else told[:LONGEST] + " ..."


def _frames(
    trace: TracebackType | None, number: int, numbers: dict[str, int]
) -> list[tuple[str, int, int]]:
    """(function, cell, line) of the frames that are cells' code, from the outermost in.

    What ``%%time`` runs is the rest of its cell, one line further down.
    """
    found = []
    for frame, line in traceback.walk_tb(trace):
        code = frame.f_code
        if code.co_filename in numbers:
            found.append((code.co_name, numbers[code.co_filename], line))
        elif code.co_filename in ("<timed exec>", "<timed eval>") and code.co_name == "<module>":
            found.append((code.co_name, number, line + 1))
    return found


def _traceback(error: BaseException, numbers: dict[str, int]) -> list[str]:
    """The lines that Python prints, without the frames of what ran the cell."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename not in numbers:
        trace = trace.tb_next
    lines = traceback.format_exception(type(error), error, trace)
    return "".join(lines).rstrip("\n").split("\n")
