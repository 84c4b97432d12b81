"""What is changed in a cell before it runs; each change is told."""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Iterator

NAME = "num_epochs"
MAGIC = re.compile(r"^([ \t]*)[%!].*", re.M)
INSTALL = r"\b(?:pip3?|conda|mamba|apt|apt-get)\b.*\binstall\b"
# A line that would install packages, which is not needed, or load the tabs of the book's builder.
SKIPPED = re.compile(rf"^([ \t]*)(?:[%!].*{INSTALL}|%load_ext\s+d2lbook)")
SHELL = re.compile(r"^\s*%%(?:bash|sh|script|system|!)")
TABS = re.compile(r"^[ \t]*%%tab\b")


def with_epochs(source: str, epochs: int) -> tuple[str, list[tuple[int, str]]]:
    """The cell with another number wherever it gives ``num_epochs`` one.

    Returns:
        The new text, which differs only there, and (line, old number) of each place.
    """
    try:
        tree = ast.parse(without_magics(source))
    except (SyntaxError, ValueError):
        return source, []  # it will fail, and say why
    lines = [line.encode() for line in source.split("\n")]  # ast counts the bytes of UTF-8
    found = {
        (number.lineno, number.col_offset, number.end_col_offset or 0) for number in _numbers(tree)
    }
    places = []
    for line, start, end in sorted(found, reverse=True):
        row = lines[line - 1]
        places.append((line, row[start:end].decode()))
        lines[line - 1] = row[:start] + str(epochs).encode() + row[end:]
    return b"\n".join(lines).decode(), places[::-1]


def _numbers(tree: ast.AST) -> Iterator[ast.Constant]:
    """The numbers that are given to ``num_epochs``: by assignment, or as an argument."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _assigned(target, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield from _assigned(node.target, node.value)
        elif isinstance(node, ast.keyword) and node.arg == NAME:
            yield from _assigned(ast.Name(NAME), node.value)


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[ast.Constant]:
    many = (ast.Tuple, ast.List)
    if isinstance(target, ast.Name) and target.id == NAME:
        if isinstance(value, ast.Constant) and type(value.value) is int:
            yield value
    elif isinstance(target, many) and isinstance(value, many):
        for one, its_value in zip(target.elts, value.elts, strict=False):
            yield from _assigned(one, its_value)


def without_magics(source: str) -> str:
    """The cell as plain Python of as many lines: a line for IPython or the shell does nothing."""
    return MAGIC.sub(r"\1pass", source)


def without_installs(source: str) -> tuple[str, list[int]]:
    """The cell without lines that install packages, and their numbers; the others keep theirs."""
    in_shell = bool(SHELL.match(source))
    lines, skipped = source.split("\n"), []
    for number, line in enumerate(lines):
        if TABS.match(line):
            lines[number] = "#" + line
        elif in_shell and number and re.search(INSTALL, line):
            lines[number] = "true"
            skipped.append(number + 1)
        elif (found := SKIPPED.match(line)) is not None:
            last = number
            while lines[last].endswith("\\") and last + 1 < len(lines):
                last += 1
            lines[number : last + 1] = [f"{found[1]}pass"] + [""] * (last - number)
            skipped.append(number + 1)
    return "\n".join(lines), skipped


def names_set(source: str) -> set[str]:
    """The names that a cell gives a meaning: variables, functions, classes, imports."""
    try:
        table = symtable.symtable(without_magics(source), "cell", "exec")
    except (SyntaxError, ValueError):
        return set()
    return {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
