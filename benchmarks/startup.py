"""How long until training has begun, here and in PyTorch?

    python -m benchmarks.startup [--rounds 5] [--threads 2]

The time of ``import minicnn`` and of ``import torch`` in a new process, and the time from the start
of ``python -m minicnn.train`` (and of ``benchmarks/torch_lenet.py``) to the start and to the end of
the first step (minicnn's is compiled), and to the line about the first epoch, which includes its
test. Cold: Numba's kernels are still to be compiled; warm: an earlier run has left them in the
cache. The system has the libraries' files in memory in both cases.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from tempfile import TemporaryDirectory

from benchmarks import common, programs
from benchmarks.common import Side
from benchmarks.tables import Row

IMPORT = """
import time
began = time.perf_counter()
import {package}
print(time.perf_counter() - began)
"""

# Runs a program; prints a line when a method is called for the first time, and when that call ends.
ANNOUNCE = """
import importlib, runpy, sys

def announce(module, owner, method):
    owner = getattr(importlib.import_module(module), owner)
    original = getattr(owner, method)

    def first(*arguments, **named):
        setattr(owner, method, original)
        print(method, "begins", flush=True)
        result = original(*arguments, **named)
        print(method, "ends", flush=True)
        return result

    setattr(owner, method, first)

for place in {places}:
    announce(*place)
runpy.run_module("{program}", run_name="__main__", alter_sys=True)
"""
# Of each program: the methods that the first step begins with and ends with.
STEP = {
    programs.MINICNN: [("minicnn.compiler", "CompiledStep", "__call__")] * 2,
    programs.TORCH: [("torch.nn", "Sequential", "forward"), ("torch.optim", "SGD", "step")],
}
QUESTIONS = {
    "import": "Importing the library",
    "first step": "To the start of the first step",
    "first step's end": "To the end of the first step",
    "first epoch": "To the end of the first epoch",
}


def measure(
    options: argparse.Namespace, package: str, program: str, warm: bool
) -> dict[str, float]:
    """Seconds for each question. Importing reads no cache: it is timed on the warm side alone."""
    with programs.kernel_cache(warm) as cache, TemporaryDirectory() as folder:
        measured = {"import": import_seconds(package)} if warm else {}
        begin, end = STEP[program]
        places = list(dict.fromkeys([begin, end]))
        code = ANNOUNCE.format(places=places, program=program)
        arguments = programs.arguments(program, "lenet", 1, options.threads, f"{folder}/run")
        marks = {
            "first step": f"{begin[-1]} begins",
            "first step's end": f"{end[-1]} ends",
            "first epoch": "1 ",
        }
        return {**measured, **watch([sys.executable, "-c", code, *arguments], marks, cache)}


def import_seconds(package: str) -> float:
    command = [sys.executable, "-c", IMPORT.format(package=package)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def watch(command: Sequence[str], marks: dict[str, str], cache: str) -> dict[str, float]:
    """Seconds from a program's start to the first line that begins with each mark."""
    seconds: dict[str, float] = {}
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=programs.environment(cache)
    ) as process:
        for line in process.stdout or ():
            for name, mark in marks.items():
                if line.strip().startswith(mark):
                    seconds.setdefault(name, time.perf_counter() - began)
    if process.returncode:
        sys.exit(f"the program ended with status {process.returncode}")
    return seconds


WARM = "minicnn, warm"
ours = partial(measure, package="minicnn", program=programs.MINICNN)
SIDES = {
    WARM: Side(partial(ours, warm=True)),
    "minicnn, cold": Side(partial(ours, warm=False)),
    "torch eager": Side(
        partial(measure, package="torch", program=programs.TORCH, warm=True), ("torch",)
    ),
}


def main() -> None:
    options = common.parser("startup").parse_args()
    if options.worker:
        return common.answer(SIDES, options)
    report = common.start("startup", "startup", WARM, options)
    runs = common.alternate("startup", common.available(SIDES, report), report)
    report.add(
        [
            Row(question, "", name, "s", common.column(of_side, key))
            for key, question in QUESTIONS.items()
            for name, of_side in runs.items()
            if key in of_side[0]
        ]
    )
    common.finish(report, options)


if __name__ == "__main__":
    main()
