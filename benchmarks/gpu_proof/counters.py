"""The hardware's counters of every kernel of a step, read by NVIDIA's profiler ``ncu``."""

from __future__ import annotations

import csv
import subprocess
import sys
from typing import Any

from benchmarks.gpu_proof.sizes import SMALL, Sizes
from benchmarks.tables import number

METRICS = {  # what ncu calls them; their columns' titles; the factor to these titles' units
    "gpu__time_duration.sum": ("us", 1e-3),  # from nanoseconds
    "smsp__inst_executed.sum": ("warp instructions, thousands", 1e-3),
    "smsp__issue_active.avg.pct_of_peak_sustained_elapsed": ("issue slots, %", 1.0),
    "gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed": ("memory, %", 1.0),
    "sm__warps_active.avg.pct_of_peak_sustained_active": ("occupancy, %", 1.0),
    "launch__registers_per_thread": ("registers", 1.0),
}
HOW = (  # the clocks stay as they are; only what lies between profilerStart and profilerStop
    "ncu", "--clock-control", "none", "--profile-from-start", "off", "--csv", "--page", "raw",
    "--print-units", "base", "--metrics", ",".join(METRICS),
)  # fmt: skip


def counters(sizes: Sizes) -> dict[str, Any]:
    """A table with a row for each kernel; see ``measures``."""
    command = [*HOW, sys.executable, "-m", "benchmarks.gpu_proof", "--part", "profiled"]
    command += ["--small"] if sizes is SMALL else []
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout, flush=True)
    cells = table(done.stdout)
    if done.returncode or len(cells) == 1:
        sys.exit(f"ncu ended with status {done.returncode}, {len(cells) - 1} kernels counted")
    title = f"{next(iter(sizes.batches))}: what ncu counts"
    return {"said": f"{len(cells) - 1} kernels counted", "tables": [[title, cells]]}


def table(text: str) -> list[list[str]]:
    """A header, and a row for each kernel, of what ncu prints: CSV after lines of its own."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), len(lines))
    rows = [row for row in csv.DictReader(lines[start:]) if (row["ID"] or "").isdigit()]
    head = ["kernel", "grid", *(title for title, _ in METRICS.values())]
    names = [row["Kernel Name"].split("(")[0] for row in rows]
    return [
        head,
        *([name, row["Grid Size"], *_numbers(row)] for name, row in zip(names, rows, strict=True)),
    ]


def _numbers(row: dict[str, str]) -> list[str]:
    found = []
    for name, (_, factor) in METRICS.items():
        text = (row.get(name) or "").replace(",", "")
        found.append(number(float(text) * factor) if text else "")
    return found
