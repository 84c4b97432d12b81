"""The book's Markdown as cells.

A code cell is a fence that is marked as input::

    ```{.python .input  n=3}
    #@tab mxnet, pytorch
    x = 1
    ```

Other fences are text. ``#@tab`` names the tabs that a cell belongs to; ``all`` means each. Where a
chapter has such lines, a cell without one belongs to the first edition's framework, MXNet. Later
editions write ``%%tab``, and there a cell without one belongs to all. ``:begin_tab:`mxnet``` and
``:end_tab:`` enclose what only a tab's readers see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from minicnn.d2l.book.cells import Cell

FENCE = re.compile(r"^ {0,3}(?P<marks>`{3,}|~{3,})(?P<info>.*)$")
INPUT = re.compile(r"^\s*\{\s*\.python\s+\.input\b[^}]*\}\s*$")
TAB = re.compile(r"^\s*(?:#\s*@tab|%%tab)\b[ \t]*(?P<names>.*)$")
BEGIN, END = re.compile(r"^\s*:begin_tab:\s*`?(?P<names>[^`]*)`?"), re.compile(r"^\s*:end_tab:")
UNMARKED = frozenset({""})  # until all cells are read
DEFAULT = frozenset({"mxnet"})


def cells_of(path: Path, text: str) -> tuple[Cell, ...]:
    """The cells of a chapter; text between them is one cell each.

    Raises:
        ValueError: a fence that is not closed, a ``#@tab`` line without a name, no code cells.
    """
    cells = list(_cells(path, text.split("\n")))
    if not any(cell.kind == "code" for cell in cells):
        raise ValueError(f"{path}: no chapter; wanted cells that begin with ```{{.python .input}}")
    old_marks = any(cell.tabs and cell.tabs != UNMARKED for cell in cells if cell.kind == "code")
    new_marks = any(cell.source.lstrip().startswith("%%tab") for cell in cells)
    usual = DEFAULT if old_marks and not new_marks else None
    return tuple(replace(c, tabs=usual) if c.tabs == UNMARKED else c for c in cells)


def _cells(path: Path, lines: list[str]) -> Iterator[Cell]:
    """Cells in the order of the file; text that is only blank lines is none."""
    text: list[str] = []
    tabs: frozenset[str] | None = None  # of the :begin_tab: that is open
    start = number = 0
    while number < len(lines):
        line = lines[number]
        fence, begun, ended = FENCE.match(line), BEGIN.match(line), END.match(line)
        if begun or ended or (fence and INPUT.match(fence["info"])):
            yield from _text(text, start + 1, tabs)
            text, start = [], number + 1
        if fence:
            end = _closing(path, lines, number, fence["marks"])
            inside = lines[number + 1 : end]
            if INPUT.match(fence["info"]):
                yield _code(path, inside, number + 2, tabs)
                start = end + 1
            else:
                text += lines[number : end + 1]
            number = end
        elif begun:
            tabs = _names(begun["names"])
        elif ended:
            tabs = None
        else:
            text.append(line)
        number += 1
    yield from _text(text, start + 1, tabs)


def _text(lines: list[str], start: int, tabs: frozenset[str] | None) -> Iterator[Cell]:
    text = "\n".join(lines).strip("\n")
    if text.strip():
        yield Cell("markdown", text, start, tabs)


def _closing(path: Path, lines: list[str], opening: int, marks: str) -> int:
    """The number of the line that closes a fence: as many marks, or more, and nothing else."""
    for number in range(opening + 1, len(lines)):
        line = lines[number].strip()
        if line.startswith(marks) and not line.strip(marks[0]):
            return number
    raise ValueError(f"{path}, line {opening + 1}: this {marks} is not closed by another one")


def _code(path: Path, lines: list[str], start: int, outer: frozenset[str] | None) -> Cell:
    """A code cell: the tabs from the first of its lines that says so, before any code."""
    tabs: frozenset[str] | None = UNMARKED if outer is None else outer
    for number, line in enumerate(lines):
        marked = TAB.match(line)
        if marked:
            if not marked["names"].strip():
                raise ValueError(f"{path}, line {start + number}: {line.strip()} names no tab")
            tabs = _names(marked["names"])
            break
        if line.strip() and not line.lstrip().startswith("#"):
            break
    return Cell("code", "\n".join(lines), start, tabs)


def _names(text: str) -> frozenset[str] | None:
    """The tabs in "mxnet, pytorch"; None for "all"."""
    names = frozenset(re.findall(r"[\w-]+", text))
    return None if "all" in names else names
