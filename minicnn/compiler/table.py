"""A plan as a table: for each instruction (CPU) or launch (GPU) its work and its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass
class Line:
    """What the table says about one instruction or launch.

    Attributes:
        name, what: such as "conv dweight" and "6x28x28 -> 6x1x5x5".
        flops, bytes: its arithmetic and the memory it reads and writes, for one image (CPU) or for
            the batch (GPU).
        seconds: the sum over all profiled runs.
    """

    name: str
    what: str
    flops: int
    bytes: int
    seconds: float = 0.0


class Column(NamedTuple):
    """A column of the table, to the right of name and shapes.

    Attributes:
        title: its head.
        form: its width and alignment, as ``format`` takes them.
        text: what it says about one line, and in the last row about all of them.
    """

    title: str
    form: str
    text: Callable[[Sequence[Line]], str]


def table(
    lines: Sequence[Line], backward_from: int, total: str, columns: Sequence[Column]
) -> list[str]:
    """The rows: a head, the lines (a rule before the first backward one), and their total."""
    # names and shapes are as wide as the widest of them; after them stand the columns
    names = max(len(line.name) for line in lines) + 2
    whats = max(len(line.what) for line in lines)

    def row(begin: str, part: Sequence[Line]) -> str:
        cells = [f"{column.text(part):{column.form}}" for column in columns]
        return f"{begin:{names + whats}}{''.join(cells)}".rstrip()

    head = " " * (names + whats) + "".join(f"{c.title:{c.form}}" for c in columns)
    # the name is padded here, the shapes by the row
    rows = [row(f"{line.name:{names}}{line.what}", [line]) for line in lines]
    if 0 < backward_from < len(lines):
        rows.insert(backward_from, "-" * len(head))
    return [head, *rows, row(total, lines)]


def times(runs: int, microseconds: str, rate: str) -> list[Column]:
    """The columns of a profiled plan, us and GFLOP/s, in these formats; none without a run."""
    if not runs:
        return []

    def seconds(lines: Sequence[Line]) -> float:
        return sum(line.seconds for line in lines) / runs

    def gigaflops(lines: Sequence[Line]) -> str:
        flops, taken = flops_of(lines), seconds(lines)  # nothing counted, no rate: a copy
        return format(flops / taken / 1e9, rate) if flops and taken else ""

    return [
        Column("us", ">9", lambda lines: format(1e6 * seconds(lines), microseconds)),
        Column("GFLOP/s", ">9", gigaflops),
    ]


def flops_of(lines: Sequence[Line]) -> int:
    """Of all of them."""
    return sum(line.flops for line in lines)


def bytes_of(lines: Sequence[Line]) -> int:
    """Of all of them."""
    return sum(line.bytes for line in lines)


def shapes(*shapes: tuple[int, ...]) -> str:
    """How the table writes shapes: 6x28x28 -> 6x14x14."""
    return " -> ".join("x".join(map(str, shape)) for shape in shapes)
