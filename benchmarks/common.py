"""What every benchmark does: sides take turns, each in its own process; rows, tables, files.

A benchmark is a module with sides. A side is a function that measures and returns numbers; it runs
in a process of its own (``python -m benchmarks.NAME --worker SIDE``), and the sides take turns,
round after round, so that a machine that slows down slows them all. What is compared are medians
over the rounds. Only the standard library is imported here: a process's peak memory begins with
that of the process that started it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Runs = dict[str, list[dict[str, float]]]  # of each side what each round gave

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Side:
    """One of those compared.

    Attributes:
        measure: takes the options, returns the numbers of one round.
        needs: packages; where one is missing, or where it fails, the side is left out.
    """

    measure: Callable[[argparse.Namespace], dict[str, float]]
    needs: tuple[str, ...] = ()


@dataclass
class Row:
    """What one side took for one case of a question; less is better.

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


# The command line ---------------------------------------------------------------------------------


def parser(module: str) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    p = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    p.add_argument("--out", type=Path, help="folder for the JSON file and the plot")
    p.add_argument("--worker", help=argparse.SUPPRESS)
    return p


def start(name: str, command: str, reference: str, options: argparse.Namespace) -> Report:
    """An empty report; prints the machine."""
    whole = f"python -m benchmarks.{command} --rounds {options.rounds} --threads {options.threads}"
    report = Report(name, whole, reference, options.threads, options.rounds)
    print(f"{report.versions}; {options.threads} threads, {options.rounds} rounds", flush=True)
    return report


def finish(
    report: Report, options: argparse.Namespace, draw: Callable[[Report], Any] | None = None
) -> None:
    """Write the report to ``--out``, with the benchmark's own picture or with bars."""
    from benchmarks import figures

    report.write(options.out or RESULTS / report.name, draw or figures.bars)


# Running ------------------------------------------------------------------------------------------


def answer(sides: dict[str, Side], options: argparse.Namespace) -> None:
    """In a worker: measure, and hand the numbers to the process that started this one."""
    print(json.dumps(sides[options.worker].measure(options)))


def available(sides: dict[str, Side], report: Report) -> dict[str, Side]:
    """The sides whose packages are installed; says which are left out."""
    there = {}
    for name, side in sides.items():
        missing = [package for package in side.needs if not importlib.util.find_spec(package)]
        if missing:
            report.remark(f"{name} is left out: {', '.join(missing)} (extra 'bench') is missing")
        else:
            there[name] = side
    return there


def alternate(
    module: str, sides: dict[str, Side], report: Report, arguments: Sequence[str] = ()
) -> Runs:
    """Every side once a round, in turn. One that needs a package and fails is left out."""
    runs: Runs = {name: [] for name in sides}
    for _ in range(report.rounds):
        for name in list(runs):
            try:
                runs[name].append(run_side(module, name, report.threads, arguments))
            except subprocess.CalledProcessError as error:
                if not sides[name].needs:
                    sys.exit(f"{name} failed:\n{error.stderr}")
                report.remark(f"{name} failed and is left out: {last_line(error.stderr)}")
                del runs[name]
    return runs


def run_side(module: str, side: str, threads: int, arguments: Sequence[str]) -> dict[str, float]:
    """One round of one side, in a new process."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    command += ["--threads", str(threads), "--worker", side]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def column(runs: Sequence[dict[str, float]], key: str, factor: float = 1) -> list[float]:
    """A number of each round, times ``factor``."""
    return [run[key] * factor for run in runs]


def typical_seconds(work: Callable[[], Any], seconds: float = 0.3, least: int = 5) -> float:
    """Median time of a call, over calls that take ``seconds`` together; the first is not counted.

    Args:
        least: as many calls at least.
    """
    work()
    times: list[float] = []
    while len(times) < least or sum(times) < seconds:
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def sgemm_peak(options: argparse.Namespace) -> dict[str, float]:
    """GFLOP/s of NumPy's product of two float32 matrices of 2048 x 2048, over two seconds."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    size = 2048
    a, b = np.random.default_rng(0).random((2, size, size), np.float32)
    out = np.empty_like(a)
    with threadpool_limits(options.threads):
        np.matmul(a, b, out)
        began, products = time.perf_counter(), 0
        while (seconds := time.perf_counter() - began) < 2:
            np.matmul(a, b, out)
            products += 1
    return {"gflops": products * 2 * size**3 / seconds / 1e9}


# Tables -------------------------------------------------------------------------------------------


def by_question(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each question, in order."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.question, []).append(row)
    return groups


def table(rows: Sequence[Row], reference: str) -> list[list[str]]:
    """Cells, a header first, of the rows of one question."""
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


def is_text(column: int, cells: list[list[str]]) -> bool:
    return cells[0][column] in ("case", "command", "side", "minicnn's side")


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


def versions() -> str:
    """Machine and versions, in a line."""
    from importlib.metadata import version

    optional = [name for name in ("torch", "onnxruntime") if importlib.util.find_spec(name)]
    packages = ", ".join(f"{name} {version(name)}" for name in ["numpy", "numba", *optional])
    return f"Python {platform.python_version()}, {packages}; {processor()}, {os.cpu_count()} cores"


def processor() -> str:
    """The name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
