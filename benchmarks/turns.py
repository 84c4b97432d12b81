"""Training steps of several nets: the sides take turns at each net, each in a process of its own.

A process measures many nets, one after another, so that a library is imported once a round.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common import Runs
from benchmarks.tables import Report, Row

HERE = Path(__file__).parents[1]


class Case(NamedTuple):
    """A net of ``benchmarks.zoo`` and a number of images."""

    net: str
    batch: int

    @property
    def name(self) -> str:
        return f"{self.net}, batch {self.batch}"


@dataclass(frozen=True)
class Contender:
    """A side of ``benchmarks.zoo``, and the checkout whose minicnn it imports."""

    side: str
    tree: Path = HERE

    @property
    def needs(self) -> tuple[str, ...]:
        """Packages, as those of ``common.Side``."""
        return ("torch",) if self.side.startswith("torch") else ()


class RefusedError(Exception):
    """A side computes no step of a net; the message says why."""


class Timer:
    """A process that times steps."""

    def __init__(self, process: subprocess.Popen[bytes]):
        self.process = process

    def milliseconds(self, case: Case) -> float:
        """A step's median. Raises RefusedError."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(case._asdict()).encode() + b"\n")
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{case.name}: {self.process.args}: status {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "refused" in answer:
            raise RefusedError(answer["refused"])
        return answer["ms"]


@contextmanager
def started(contender: Contender, threads: int) -> Iterator[Timer]:
    """A new process of this side; it is ended again."""
    # -P: the folder of zoo.py is no place to import from
    command = [sys.executable, "-P", str(HERE / "benchmarks/zoo.py"), contender.side, str(threads)]
    variables = {"PYTHONPATH": str(contender.tree), "OMP_NUM_THREADS": str(threads)}
    pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
    pipes = {"stdin": pipe, "stdout": pipe, "stderr": quiet, "bufsize": 0}
    with subprocess.Popen(command, env={**os.environ, **variables}, **pipes) as process:
        try:
            yield Timer(process)
        finally:
            process.kill()


def alternate(contenders: dict[str, Contender], cases: Sequence[Case], report: Report) -> Runs:
    """Milliseconds a step of each case, round by round; without those that a side refuses."""
    runs: Runs = {name: [] for name in contenders}
    refused: set[tuple[str, str]] = set()
    for turn in range(report.rounds):
        with ExitStack() as stack:
            timers = {
                name: stack.enter_context(started(contender, report.threads))
                for name, contender in contenders.items()
            }
            for of_side in runs.values():
                of_side.append({})
            for case in cases:
                for name, timer in timers.items():
                    if (name, case.net) in refused:
                        continue
                    try:
                        runs[name][-1][case.name] = timer.milliseconds(case)
                    except RefusedError as error:
                        refused.add((name, case.net))
                        report.remark(f"{case.net} is left out of {name}: {error}")
        print(f"round {turn + 1} of {report.rounds}", file=sys.stderr, flush=True)
    return runs


def rows(runs: Runs, cases: Sequence[Case], question: str) -> list[Row]:
    """A row a side and case that was measured in every round."""
    return [
        Row(question, case.name, side, "ms", [run[case.name] for run in of_side])
        for case in cases
        for side, of_side in runs.items()
        if all(case.name in run for run in of_side)
    ]
