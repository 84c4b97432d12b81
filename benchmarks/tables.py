"""What a benchmark found: rows, tables, files.

Only the standard library is imported here, as in ``common``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Row:
    """What one side needed in one case of a question; less is better.

    Attributes:
        question: what is measured; rows of one question make a table.
        case: of the question, or "".
        runs: a number a round, in ``unit``.
        extra: further columns.
    """

    question: str
    case: str
    side: str
    unit: str
    runs: list[float]
    extra: dict[str, float] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.runs)


@dataclass
class Report:
    """What a command measured.

    Attributes:
        name: of the folder and the files that it is written to.
        command: that measured it.
        reference: the side that the others are compared with.
        remarks: lines to be read with the rows.
    """

    name: str
    command: str
    reference: str
    threads: int
    rounds: int
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d"))
    versions: str = field(default_factory=lambda: versions())
    rows: list[Row] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def remark(self, text: str) -> None:
        """Print a line, and keep it with the rows."""
        print(text, flush=True)
        self.remarks.append(text)

    def add(self, rows: Sequence[Row]) -> None:
        """Print the tables of these rows, and keep them."""
        self.rows.extend(rows)
        for question, group in by_question(rows).items():
            print(f"\n{question}, {group[0].unit}\n{as_text(table(group, self.reference))}\n")

    def write(self, folder: Path, draw: Callable[[Report], Any]) -> None:
        """Write NAME.json and NAME.png; each is whole, or as it was before."""
        from minicnn.files import write_whole
        from minicnn.plots import png

        folder.mkdir(parents=True, exist_ok=True)
        content = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        write_whole(folder / f"{self.name}.json", content)
        write_whole(folder / f"{self.name}.png", png(draw(self)))
        print(f"written to {folder}")


def read(path: Path) -> Report:
    """A report as ``Report.write`` left it."""
    fields = json.loads(path.read_text())
    return Report(**{**fields, "rows": [Row(**row) for row in fields["rows"]]})


# Tables -------------------------------------------------------------------------------------------


def by_question(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each question, in order."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.question, []).append(row)
    return groups


def table(rows: Sequence[Row], reference: str) -> list[list[str]]:
    """Cells, a header first, of the rows of one question.

    ``reference``: the side that others are compared with; the first one where it has no row.
    """
    if all(row.side != reference for row in rows):
        reference = rows[0].side
    medians = {row.case: row.median for row in rows if row.side == reference}
    extras = list(dict.fromkeys(name for row in rows for name in row.extra))
    cases = len({row.case for row in rows}) > 1
    head = ["case"] * cases + ["side", "median", "min", "max", f"times {reference}", *extras]
    lines = [head]
    for row in rows:
        times = row.median / medians[row.case] if row.case in medians else None
        numbers = [row.median, min(row.runs), max(row.runs), times]
        numbers += [row.extra.get(name) for name in extras]
        lines.append([row.case] * cases + [row.side, *map(number, numbers)])
    return lines


def number(value: float | None) -> str:
    """Three digits, more where they stand before the point; nothing for None."""
    if value is None:
        return ""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 else 4
    return f"{value:,.{digits}f}"


TEXTS = (  # the heads of columns of words
    *("case", "net", "command", "side", "minicnn's side", "version", "what changed", "ok"),
    *("part", "what", "outcome", "it says", "two runs", "kernel", "grid"),
)


def is_text(column: int, cells: list[list[str]]) -> bool:
    return cells[0][column] in TEXTS


def as_text(cells: list[list[str]]) -> str:
    """For the terminal: names to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for line in cells:
        padded = [
            cell.ljust(width) if is_text(i, cells) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def as_markdown(cells: list[list[str]]) -> str:
    """For a page."""
    rule = ["---" if is_text(i, cells) else "---:" for i in range(len(cells[0]))]
    return "\n".join(f"| {' | '.join(line)} |" for line in [cells[0], rule, *cells[1:]])


# The machine --------------------------------------------------------------------------------------


FEATURES = {  # what /proc/cpuinfo calls them, and what people do
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_tile": "AMX",
    "asimd": "NEON",
    "sve": "SVE",
}


def versions() -> str:
    """Machine and versions, in a line."""
    from importlib.metadata import version

    optional = [name for name in ("torch", "onnxruntime") if importlib.util.find_spec(name)]
    packages = ", ".join(f"{name} {version(name)}" for name in ["numpy", "numba", *optional])
    return f"Python {platform.python_version()}, {packages}; {processor()}, {os.cpu_count()} cores"


def processor(info: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name, with its vector and matrix instructions where ``info`` tells them."""
    text = info.read_text() if info.exists() else ""
    fields: dict[str, str] = {}
    for name, _, value in (line.partition(":") for line in text.splitlines()):
        fields.setdefault(name.strip(), value.strip())
    name = fields.get("model name") or platform.processor() or platform.machine()
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    features = ", ".join(called for flag, called in FEATURES.items() if flag in flags)
    return f"{name} ({features})" if features else name
