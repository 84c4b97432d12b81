"""What is changed: every small edit that the operators make of a source, one at a time.

A mutant is a replacement of some characters by others on the same lines, so that functions keep the
lines on which they begin. Left alone are docstrings, annotations, what only a type checker reads,
f-strings, what is said when something is raised, and ``strict=`` of ``zip``, which only refuses.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple


class Mutant(NamedTuple):
    """One edit of one file.

    Attributes:
        file: its path from the root of the checkout.
        function: where it is, such as ``Tensor.backward``; empty at the top level.
        operator: the name of the kind of edit.
        before: the lines that are changed, as one line.
        after: what they become.
        nth: of the same edits of the same lines in one function, which one: 0, 1...
        start: the first byte that is replaced.
        end: the one after the last.
        new: what comes there.
        lines: those of the statement, or its head.
        inside: whether it is in the body of a function, so that importing the file runs none of it.
    """

    file: str
    function: str
    operator: str
    before: str
    after: str
    nth: int
    start: int
    end: int
    new: str
    lines: tuple[int, int]
    inside: bool

    @property
    def name(self) -> tuple[str, str, str, str, int]:
        """What stays the same when lines are added above."""
        return self.file, self.function, self.before, self.after, self.nth

    def __str__(self) -> str:
        place = f"{self.file}:{self.lines[0]} {self.function}"
        return f"{place}\n  - {self.before}\n  + {self.after}"

    def of(self, source: bytes) -> bytes:
        """The mutated source."""
        return source[: self.start] + self.new.encode() + source[self.end :]


class Edit(NamedTuple):
    """The bytes from ``start`` to ``end`` become ``new``."""

    operator: str
    start: int
    end: int
    new: str


class Source:
    """A Python file and where its nodes are.

    Args:
        text: the file's bytes, in UTF-8.
    """

    def __init__(self, text: bytes):
        self.text = text
        self.begins = [0]  # where each line begins, in bytes, as ast counts
        for line in text.splitlines(keepends=True):
            self.begins.append(self.begins[-1] + len(line))

    def span(self, node: Any) -> tuple[int, int]:
        """The first byte of a node, and the one after its last."""
        first, last = self.begins[node.lineno - 1], self.begins[node.end_lineno - 1]
        return first + node.col_offset, last + node.end_col_offset

    def between(self, left: ast.expr, right: ast.expr, symbol: str) -> tuple[int, int]:
        """Where ``symbol`` stands between two operands, which may be in parentheses."""
        start, end = self.span(left)[1], self.span(right)[0]
        found = re.search(symbol.replace(" ", r"\s+").encode(), self.text[start:end])
        assert found is not None, (symbol, self.text[start:end])
        return start + found.start(), start + found.end()

    def read(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.text[start:end].decode()


# One operator each: node -> edits -----------------------------------------------------------------

ARITHMETIC: dict[type, tuple[str, str]] = {
    ast.Add: (r"\+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: (r"\*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.Pow: (r"\*\*", "*"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: (r"\|", "&"),
    ast.BitXor: (r"\^", "&"),
}
COMPARISONS: dict[type, tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}


def arithmetic(node: ast.BinOp, source: Source) -> Iterator[Edit]:
    """``a + b`` becomes ``a - b``."""
    if type(node.op) in ARITHMETIC:
        symbol, other = ARITHMETIC[type(node.op)]
        yield Edit("arithmetic", *source.between(node.left, node.right, symbol), other)


def comparison(node: ast.Compare, source: Source) -> Iterator[Edit]:
    """``a < b`` becomes ``a <= b``."""
    operands = [node.left, *node.comparators]
    for left, right, op in zip(operands, operands[1:], node.ops, strict=False):
        symbol, other = COMPARISONS[type(op)]
        yield Edit("comparison", *source.between(left, right, symbol), other)


def boolean(node: ast.BoolOp, source: Source) -> Iterator[Edit]:
    """``a and b`` becomes ``a or b``."""
    symbol, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
    for left, right in zip(node.values, node.values[1:], strict=False):
        yield Edit("boolean", *source.between(left, right, symbol), other)


def sign(node: ast.UnaryOp, source: Source) -> Iterator[Edit]:
    """``-a`` becomes ``a``, ``not a`` too, and -1 also 0."""
    value = getattr(node.operand, "value", None)
    if isinstance(node.op, ast.USub) and type(value) is int:
        yield Edit("constant", *source.span(node), str(1 - value))
    if not isinstance(node.op, ast.UAdd):
        yield Edit("sign", *source.span(node), source.read(node.operand))


def constant(node: ast.Constant, source: Source) -> Iterator[Edit]:
    """3 becomes 4, 0.25 becomes 0.5, True becomes False."""
    value = node.value
    if isinstance(value, bool):
        yield Edit("constant", *source.span(node), str(not value))
    elif isinstance(value, int):
        yield Edit("constant", *source.span(node), str(value + 1))
    elif isinstance(value, float):
        yield Edit("constant", *source.span(node), repr(2 * value or 1.0))


def condition(node: Any, source: Source) -> Iterator[Edit]:
    """``if a`` becomes ``if not a``, where no other operator changes ``a``."""
    for test in node.ifs if isinstance(node, ast.comprehension) else [node.test]:
        if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant):
            read = source.read(test)
            whole = f"({read})" if isinstance(test, ast.NamedExpr) else read
            yield Edit("condition", *source.span(test), f"(not {whole})")


def slicing(node: ast.Slice, source: Source) -> Iterator[Edit]:
    """``a[i:j]`` becomes ``a[:j]``, ``a[i:]``."""
    for bound in filter(None, (node.lower, node.upper, node.step)):
        yield Edit("slice", *source.span(bound), "" if bound is not node.step else "1")


def keyword(node: ast.Call, source: Source) -> Iterator[Edit]:
    """``f(a, axis=0)`` becomes ``f(a)``."""
    for given in node.keywords:
        if given.arg not in (None, "strict"):
            start, end = source.span(given)
            comma = re.match(rb"\s*,", source.text[end:])
            yield Edit("keyword", start, end + (comma.end() if comma else 0), "")


def returned(node: ast.Return, source: Source) -> Iterator[Edit]:
    """``return a`` becomes ``return None``."""
    if node.value is not None and source.read(node.value) != "None":
        yield Edit("return", *source.span(node), "return None")


def augmented(node: ast.AugAssign, source: Source) -> Iterator[Edit]:
    """``a += b`` becomes ``a -= b``, and ``a = b``."""
    symbol, other = ARITHMETIC.get(type(node.op), ("", ""))
    if symbol:
        place = source.between(node.target, node.value, symbol + "=")
        yield Edit("augmented", *place, other + "=")
        yield Edit("augmented", *place, "=")
    yield Edit("statement", *source.span(node), "pass")


def statement(node: ast.stmt, source: Source) -> Iterator[Edit]:
    """A call, a check, an assignment to a part or to a name that it reads is left out."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant | ast.Yield):
        return
    if isinstance(node, ast.Assign):
        target = node.targets[0]
        read = {name.id for name in ast.walk(node.value) if isinstance(name, ast.Name)}
        if not (
            isinstance(target, ast.Attribute | ast.Subscript)
            or (isinstance(target, ast.Name) and target.id in read)
        ):
            return
    yield Edit("statement", *source.span(node), "pass")


OPERATORS: dict[type, Callable[[Any, Source], Iterator[Edit]]] = {
    ast.BinOp: arithmetic,
    ast.Compare: comparison,
    ast.BoolOp: boolean,
    ast.UnaryOp: sign,
    ast.Constant: constant,
    ast.If: condition,
    ast.IfExp: condition,
    ast.While: condition,
    ast.comprehension: condition,
    ast.Slice: slicing,
    ast.Call: keyword,
    ast.Return: returned,
    ast.AugAssign: augmented,
    ast.Expr: statement,
    ast.Assign: statement,
    ast.Raise: statement,
    ast.Assert: statement,
    ast.Delete: statement,
    ast.Break: statement,
    ast.Continue: statement,
}

# All of a file ------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Where a node is."""

    function: str = ""
    inside: bool = False
    lines: tuple[int, int] = (1, 1)


def of_python(file: str, text: bytes) -> list[Mutant]:
    """Every mutant of a Python file, in the order of its text."""
    source = Source(text)
    edits = {
        edit: place
        for node, place in places(ast.parse(text), Place())
        if type(node) in OPERATORS
        for edit in OPERATORS[type(node)](node, source)
    }
    return named(file, text, edits.items())


def places(node: ast.AST, place: Place) -> Iterator[tuple[ast.AST, Place]]:
    """The nodes below, whose changes a test could see, and where each is."""
    for child in ast.iter_child_nodes(node):
        if is_left_alone(node, child):
            continue
        here = place
        if isinstance(child, ast.stmt):
            here = here._replace(lines=head(child))
        yield child, here
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            name = f"{place.function}.{child.name}".removeprefix(".")
            yield from definition(child, here, name)
        elif not isinstance(child, ast.Raise):
            yield from places(child, here)


def definition(
    node: ast.FunctionDef | ast.ClassDef, place: Place, name: str
) -> Iterator[tuple[ast.AST, Place]]:
    """Those of a function: its body runs later, its decorators and defaults now."""
    inside = place.inside or isinstance(node, ast.FunctionDef)
    for child in ast.iter_child_nodes(node):
        of_body = isinstance(child, ast.stmt)
        here = place._replace(function=name, inside=inside if of_body else place.inside)
        if isinstance(child, ast.expr) and child is getattr(node, "returns", None):
            continue
        holder = ast.Module([child], []) if of_body else ast.Expression(child)  # type: ignore[arg-type, list-item]
        yield from places(holder, here)


def is_left_alone(parent: ast.AST, child: ast.AST) -> bool:
    """Annotations, f-strings, what is for a type checker, and the list of public names."""
    if isinstance(parent, ast.UnaryOp) and isinstance(child, ast.Constant):
        return type(child.value) is int  # the sign's operator has it
    if isinstance(child, ast.keyword) and child.arg == "strict":
        return True
    if isinstance(child, ast.JoinedStr) or child is getattr(parent, "annotation", None):
        return True
    if isinstance(child, ast.If):
        return ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
    return isinstance(child, ast.Assign) and ast.unparse(child.targets[0]) == "__all__"


def head(node: ast.stmt) -> tuple[int, int]:
    """The lines of a statement; of one with a body those above it."""
    body = getattr(node, "body", None)
    last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
    return node.lineno, last


def named(file: str, text: bytes, edits: Iterable[tuple[Edit, Place]]) -> list[Mutant]:
    """The mutants of some edits: with the lines that they change, and counted."""
    seen: Counter[tuple[str, ...]] = Counter()
    mutants: list[Mutant] = []
    for edit, place in sorted(edits, key=lambda pair: pair[0][1:]):
        lost = text[edit.start : edit.end].count(b"\n") - edit.new.count("\n")
        new = edit.new + "\n" * lost  # functions below begin on the same lines
        if mutants and mutants[-1][6:9] == (edit.start, edit.end, new):
            continue  # two operators, one edit
        first = text.rfind(b"\n", 0, edit.start) + 1
        last = (text + b"\n").find(b"\n", edit.end)
        changed = text[first : edit.start] + new.encode() + text[edit.end : last]
        before, after = (as_one_line(part) for part in (text[first:last], changed))
        key = (place.function, before, after)
        mutants.append(
            Mutant(
                file,
                place.function,
                edit.operator,
                before,
                after,
                seen[key],
                edit.start,
                edit.end,
                new,
                place.lines,
                place.inside,
            )
        )
        seen[key] += 1
    return mutants


def as_one_line(text: bytes) -> str:
    return " ".join(text.decode().split())
