"""What every benchmark does: sides take turns, each in its own process.

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
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.tables import Report

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
    """The speed of NumPy's matrix product, over two seconds."""
    return {"gflops": sgemm(options.threads, 2)}


def sgemm(threads: int, seconds: float) -> float:
    """GFLOP/s of NumPy's product of two float32 matrices of 2048 x 2048."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    size = 2048
    a, b = np.random.default_rng(0).random((2, size, size), np.float32)
    out = np.empty_like(a)
    with threadpool_limits(threads):
        np.matmul(a, b, out)
        began, products = time.perf_counter(), 0
        while (took := time.perf_counter() - began) < seconds:
            np.matmul(a, b, out)
            products += 1
    return products * 2 * size**3 / took / 1e9
