"""What is changed in CUDA C: a few operators on its text, where spaces tell what they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

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
