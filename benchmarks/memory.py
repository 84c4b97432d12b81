"""How much memory does training lenet take?

    python -m benchmarks.memory [--rounds 5] [--threads 2]

In MB of 1,048,576 bytes. An epoch: the largest resident set of a process that imports the library,
loads Fashion-MNIST and trains one epoch in batches of 256. A program (on Linux): the most that
``python -m minicnn.train --epochs 1`` takes together with the processes that it starts, and
``benchmarks/torch_lenet.py``, looked at every 0.02 s; what they share counts once. Cold:
Numba's kernels are still to be compiled; warm: an earlier run has left them on disk.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from benchmarks import common, lenet, programs
from benchmarks.common import Side
from benchmarks.tables import Row


def measure_minicnn(options: argparse.Namespace, compiled: bool) -> dict[str, float]:
    lenet.minicnn_epochs("lenet", options.threads, 1, compiled)
    return {"peak_mb": lenet.peak_mb()}


def measure_torch(options: argparse.Namespace) -> dict[str, float]:
    lenet.torch_epochs("lenet", options.threads, 1)
    return {"peak_mb": lenet.peak_mb()}


def measure_program(options: argparse.Namespace, program: str, warm: bool) -> dict[str, float]:
    with programs.kernel_cache(warm) as cache:
        return {"peak_mb": programs.peak_mb(program, "lenet", 1, options.threads, cache)}


EPOCH = {
    lenet.COMPILED: Side(partial(measure_minicnn, compiled=True)),
    "minicnn eager": Side(partial(measure_minicnn, compiled=False)),
    "torch eager": Side(measure_torch, ("torch",)),
}
ours = partial(measure_program, program=programs.MINICNN)
PROGRAM = {
    "minicnn, warm": Side(partial(ours, warm=True)),
    "minicnn, cold": Side(partial(ours, warm=False)),
    "torch program": Side(partial(measure_program, program=programs.TORCH, warm=False), ("torch",)),
}
SIDES = {**EPOCH, **PROGRAM}
QUESTIONS = {
    "Peak memory of an epoch of lenet": EPOCH,
    "Peak memory of a program that trains an epoch": PROGRAM,
}


def main() -> None:
    options = common.parser("memory").parse_args()
    if options.worker:
        return common.answer(SIDES, options)
    report = common.start("memory", "memory", lenet.COMPILED, options)
    there = common.available(SIDES, report)
    if not Path("/proc/self/smaps_rollup").exists():
        report.remark("programs are left out: this system tells no memory of others")
        there = {name: side for name, side in there.items() if name in EPOCH}
    runs = common.alternate("memory", there, report)
    report.add(
        [
            Row(question, "", side, "MB", common.column(runs[side], "peak_mb"))
            for question, sides in QUESTIONS.items()
            for side in sides
            if side in runs
        ]
    )
    common.finish(report, options)


if __name__ == "__main__":
    main()
