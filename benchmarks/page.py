"""Runs every benchmark and writes docs/benchmarks.md.

    python -m benchmarks.page [--rounds 5] [--threads 2]
    python -m benchmarks.page --from-json

``--from-json``: takes what is in benchmarks/results instead of measuring.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from benchmarks.common import RESULTS
from benchmarks.tables import Report, Row, as_markdown, by_question, number, read, table

DOCS = Path(__file__).parent.parent / "docs"
COMMANDS = {
    "nets": ["nets"],
    "limits": ["limits"],
    "lenet": ["lenet"],
    "floor": ["floor"],
    "lenet-from-outside": ["lenet", "--from-outside"],
    "lenet-whole": ["lenet", "--whole"],
    "scaling": ["scaling"],
    "ops": ["ops"],
    "inference": ["inference"],
    "startup": ["startup"],
    "memory": ["memory"],
    "ranks": ["ranks"],
}
TITLES = {
    "nets": "Ten nets",
    "limits": "Where the limits are",
    "lenet": "An epoch of training",
    "floor": "Against the products alone",
    "lenet-from-outside": "An epoch, from outside",
    "lenet-whole": "Ten epochs, start included",
    "scaling": "Over data sets and batches",
    "ops": "Operation by operation",
    "inference": "Prediction",
    "startup": "Starting",
    "memory": "Memory",
    "ranks": "Many ranks",
}
LONG = 30  # rows: a longer table is folded

HEAD = """\
# Benchmarks

{machine}.

Each side runs in its own process, and the sides take turns, round after round. The tables have the
median, the smallest and the largest of the rounds; less is better everywhere.
`python -m benchmarks.page` (with `pip install '.[bench]'`) measures everything again and writes
this page; the command under a title measures that section alone.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--from-json", action="store_true", help="do not measure")
    options = parser.parse_args()
    if not options.from_json:
        for command in COMMANDS.values():
            measure(command, options)
    paths = [RESULTS / name / f"{name}.json" for name in COMMANDS]
    write([read(path) for path in paths if path.is_file()])


def measure(command: list[str], options: argparse.Namespace) -> None:
    module, *flags = command
    same = ["--rounds", str(options.rounds), "--threads", str(options.threads)]
    subprocess.run([sys.executable, "-m", f"benchmarks.{module}", *flags, *same], check=True)


def write(reports: list[Report]) -> None:
    """The page and its pictures."""
    from minicnn.files import write_whole

    if not reports:
        sys.exit("there are no results yet: run without --from-json")
    for report in reports:
        draw_again(report)
    sections, said = [head(reports), wins(reports)], set()
    for report in reports:
        module = module_of(report)
        sections.append(section(report, with_about=module not in said))
        said.add(module)
    write_whole(DOCS / "benchmarks.md", "\n".join(sections))


def draw_again(report: Report) -> None:
    """The report's picture, as its benchmark draws it."""
    from benchmarks import figures
    from minicnn.files import write_whole
    from minicnn.plots import png

    draw = getattr(module_of(report), "draw", figures.bars)
    write_whole(DOCS / "pictures" / f"bench-{report.name}.png", png(draw(report)))


def head(reports: list[Report]) -> str:
    """Machine, versions and date; several where the reports differ."""
    machines = dict.fromkeys(f"{r.date}: {r.versions}, {r.threads} threads" for r in reports)
    return HEAD.format(machine=".\n".join(machines))


def module_of(report: Report) -> ModuleType:
    """The benchmark that a report comes from."""
    return importlib.import_module(f"benchmarks.{COMMANDS[report.name][0]}")


def section(report: Report, with_about: bool = True) -> str:
    """What was measured, by which command; picture, the benchmark's summary, tables, remarks.

    ``with_about``: with what the benchmark says of itself, unless an earlier section has said it.
    """
    title = TITLES[report.name]
    picture = f"![{title}](pictures/bench-{report.name}.png)"
    tables = [
        folded(f"{question}, {rows[0].unit}", table(rows, report.reference))
        for question, rows in by_question(report.rows).items()
    ]
    texts = [f"## {title}", f"    {report.command}", *([about(report)] if with_about else [])]
    summary = getattr(module_of(report), "summary", None)
    summaries = [as_markdown(summary(report))] if summary else []
    return "\n\n".join([*texts, picture, *summaries, *tables, *report.remarks]) + "\n"


def about(report: Report) -> str:
    """What the benchmark says of itself, without its title and its commands."""
    paragraphs = re.split(r"\n\n+", (module_of(report).__doc__ or "").strip())[1:]
    return "\n\n".join(p.replace("``", "`") for p in paragraphs if not p.startswith("    "))


def folded(title: str, cells: list[list[str]]) -> str:
    """A table with its title; folded away where it is long."""
    if len(cells) <= LONG:
        return f"**{title}**\n\n{as_markdown(cells)}"
    return f"<details><summary>{title}</summary>\n\n{as_markdown(cells)}\n\n</details>"


def wins(reports: list[Report]) -> str:
    """Every row of PyTorch (or ONNX Runtime) whose median is smaller than one of minicnn's."""
    text = (
        "Every row below in which PyTorch's median (or ONNX Runtime's) is smaller than minicnn's."
    )
    head = ["case", "side", "median", "minicnn's side", "minicnn's median", "times"]
    tables = [
        folded(TITLES[report.name], [head, *found]) for report in reports if (found := lost(report))
    ]
    return "\n\n".join(["## Where PyTorch wins", text, *(tables or ["There is none."])]) + "\n"


def lost(report: Report) -> list[list[str]]:
    """Each pair of one case in which minicnn's median is the larger one."""
    return [
        pair(theirs, ours)
        for theirs in report.rows
        for ours in report.rows
        if theirs.side.startswith(("torch", "ONNX"))
        and ours.side.startswith("minicnn")
        and (theirs.question, theirs.case) == (ours.question, ours.case)
        and theirs.median < ours.median
    ]


def pair(theirs: Row, ours: Row) -> list[str]:
    case = ", ".join(part for part in (theirs.question, theirs.case) if part)
    medians = [f"{number(row.median)} {row.unit}" for row in (theirs, ours)]
    times = number(ours.median / theirs.median)
    return [case, theirs.side, medians[0], ours.side, medians[1], times]


if __name__ == "__main__":
    main()
