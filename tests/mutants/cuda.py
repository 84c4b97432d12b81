"""Mutants of CUDA C: a few operators on its text, where spaces tell what they are.

They are tried as the bugs on purpose are (``tests.gpu.bugs``), by one rung after the other.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .operators import Edit, Mutant, Place, named

# comments, strings, and what is for the preprocessor
NOT_CODE = re.compile(rb'//[^\n]*|/\*.*?\*/|"[^"\n]*"|^#[^\n]*', re.DOTALL | re.MULTILINE)
HEAD = re.compile(rb"^\w[^;\n]*?\b(\w+)\(", re.MULTILINE)  # of a function
SWAPPED = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&",
    "+": "-", "-": "+", "*": "/", "/": "*", "%": "*", "<<": ">>", ">>": "<<", "&": "|",
    "+=": "-=", "-=": "+=", "*=": "/=",
}  # fmt: skip
OPERATOR = re.compile(rb"(?<= )(?:[<>=!]=|<<|>>|&&|\|\||[-+*]=|[-+*/%<>&])(?= )")
NUMBER = re.compile(rb"(?<![\w.])\d+(?![\w.])")
KINDS = {"<": "comparison", "=": "comparison", ">": "comparison", "!": "comparison"}


def of_cuda(file: str, text: bytes) -> list[Mutant]:
    """Every mutant of a CUDA source, in the order of its text."""
    code = NOT_CODE.sub(lambda found: re.sub(rb"[^\n]", b" ", found[0]), text)
    heads = [(found.start(), found[1].decode()) for found in HEAD.finditer(code)]

    def place(start: int) -> Place:
        function = next((name for at, name in reversed(heads) if at <= start), "")
        line = text.count(b"\n", 0, start) + 1
        return Place(function, bool(function), (line, line))

    return named(file, text, [(edit, place(edit.start)) for edit in edits(code)])


def edits(code: bytes) -> Iterator[Edit]:
    """``a < b`` becomes ``a <= b``, 3 becomes 4."""
    for found in OPERATOR.finditer(code):
        symbol = found[0].decode()
        yield Edit(KINDS.get(symbol[0], "arithmetic"), *found.span(), SWAPPED[symbol])
    for found in NUMBER.finditer(code):
        yield Edit("constant", *found.span(), str(int(found[0]) + 1))


def noticed(mutant: Mutant) -> str:
    """The first rung that notices it, with its words; empty if none does."""
    bugs: Any = importlib.import_module("tests.gpu.bugs")  # the tests of others are in a copy
    name = Path(mutant.file).name
    text = mutant.of((bugs.texts.FOLDER / name).read_bytes()).decode()
    rung, problem = bugs.first_to_notice(bugs.planted(name, text))
    return f"{rung}: {problem}" if rung else ""
