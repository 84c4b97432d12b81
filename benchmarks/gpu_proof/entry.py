"""The record of a proof, as docs/gpu-runs.md keeps it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu_proof.running import ROOT, Outcome
from benchmarks.tables import Row, as_markdown, by_question, table
from minicnn.files import write_whole

PAGE = ROOT / "docs" / "gpu-runs.md"
REFERENCE = "torch eager"  # what other sides' epochs are compared with


def entry(outcomes: Sequence[Outcome], date: str, seconds: float, command: str) -> str:
    """Markdown: the machine, a row a part, the tables."""
    facts = next((o.result["facts"] for o in outcomes if "facts" in o.result), {})
    gpu = facts.get("GPU", "unknown GPU").split(",")[0]
    blocks = [
        f"## {date}: {gpu}",
        "\n".join(f"- {name}: {value}" for name, value in facts.items()),
        f"`{command}`, {seconds:.0f} s:",
        as_markdown(_cells(outcomes)),
    ]
    for title, cells in _tables(outcomes):
        blocks += [f"**{title}**", as_markdown(cells)]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _cells(outcomes: Sequence[Outcome]) -> list[list[str]]:
    head = ["part", "what", "outcome", "s", "it says"]
    return [head, *(
        [o.part.name, o.part.about, o.status, f"{o.seconds:.0f}", _in_a_cell(o.said)]
        for o in outcomes
    )]  # fmt: skip


def _in_a_cell(text: str) -> str:
    """Without what Markdown would take for the end of a cell."""
    return re.sub(r"\s+", " ", text.replace("|", "/"))


def _tables(outcomes: Sequence[Outcome]) -> list[tuple[str, list[list[str]]]]:
    """Those of the parts; the epochs of all sides in one for each net."""
    found = [(title, cells) for o in outcomes for title, cells in o.result.get("tables", [])]
    rows = [Row(**row) for o in outcomes for row in o.result.get("rows", [])]
    for question, group in by_question(rows).items():
        found.append((f"{question}, ms", table(group, REFERENCE)))
    return found


def record(text: str, page: Path = PAGE) -> None:
    """Put an entry on the page of runs, before those that are there."""
    head, mark, others = page.read_text().partition("\n## ")
    head = re.sub(r"\n\nThere is none yet.*?(?=\n\n|$)", "", head.rstrip(), flags=re.DOTALL)
    write_whole(page, f"{head}\n\n{text}{mark}{others}")
