"""What do ranks bring, and what does their Allreduce cost?

    python -m benchmarks.ranks [--rounds 5] [--threads 2]

A compiled step on a batch that the threads of one process share, or as many ranks of one thread
each (``minicnn.distributed``), or one thread alone; and an Allreduce by the size of its message.

The remarks put this into a model of a step on N ranks of one thread:

T(N) = S + P / N + a log2 N + 2 b n (N - 1) / N.

P is what the images cost and S what stays whatever their number, of one thread's steps on a batch
and on half of it; a is the time of the smallest Allreduce on two ranks, b that of a further float;
the net has n parameters.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import common
from benchmarks.common import Runs, Side
from benchmarks.tables import Row

CASES = {"lenet": 256, "wide": 64}  # nets of ``benchmarks.zoo`` and their batches
TIMES = {"lenet": 40, "wide": 8}  # how often a step is timed, as often in every rank
FLOATS = [1, 1_000, 10_000, 100_000, 1_000_000]
STEP, ALLREDUCE = "A compiled step", "An Allreduce"
RANKS, THREADS, ONE = "ranks", "threads", "one thread"
# a network of 10 GBit/s, not measured: microseconds of the smallest message, and of another float
ETHERNET = 50.0, 0.0032


def measure(threads: int) -> dict[str, float]:
    """Milliseconds of a step of every case, whole and on half of the batch; in this process."""
    import minicnn

    minicnn.set_num_threads(threads)
    whole = {case_of(net): milliseconds(net, CASES[net]) for net in CASES}
    halves = {half_of(net): milliseconds(net, CASES[net] // 2) for net in CASES}
    sizes = {size_of(net): float(floats_of(net)) for net in CASES}
    return {**whole, **halves, **sizes}


def milliseconds(net: str, images: int, ranks: Any = None) -> float:
    """The median of a step's times; with ``ranks`` that of one of them."""
    import minicnn
    from benchmarks import zoo
    from minicnn import nn, optim
    from minicnn.train.sharing import Exchange

    minicnn.manual_seed(0)
    built = zoo.build(nn, net)
    x, y = zoo.batch_of(net, images)
    step = minicnn.compile(built, nn.CrossEntropyLoss(), optim.SGD(built.parameters(), lr=0.01))
    share = 1.0
    if ranks is not None:
        first, last = ranks.share(images)
        x, y, share = x[first:last], y[first:last], (last - first) / images
        step.exchange = Exchange(ranks)
    return 1e3 * median_of(lambda: step(x, y, share), TIMES[net])


def floats_of(net: str) -> int:
    from benchmarks import zoo
    from minicnn import nn

    return sum(p.size for p in zoo.build(nn, net).parameters())


def median_of(call: Callable[[], Any], times: int) -> float:
    """Seconds."""
    taken = []
    for _ in range(times + times // 4):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[times // 4 :])


def on_ranks(ranks: int) -> dict[str, float]:
    """What the first of these ranks measures."""
    here = Path(sys.executable).parent
    mpiexec = shutil.which("mpiexec", path=f"{here}{os.pathsep}{os.environ['PATH']}")
    command = [mpiexec or "mpiexec", "-n", str(ranks), sys.executable, "-m", "benchmarks.ranks"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [*command, "--rank"], capture_output=True, text=True, env=environment, check=True
    )
    return json.loads(ran.stdout.splitlines()[-1])


def in_a_rank() -> dict[str, float]:
    """Every case, and Allreduces of every size in microseconds."""
    import numpy as np

    import minicnn
    from minicnn.distributed import Ranks

    minicnn.set_num_threads(1)
    with Ranks() as ranks:
        found = {case_of(net): milliseconds(net, CASES[net], ranks) for net in CASES}
        for floats in FLOATS:
            numbers = np.zeros(floats, np.float32)
            ranks.gather(None, "the beginning")
            found[f"{floats:,} floats"] = 1e6 * median_of(lambda a=numbers: ranks.sum(a, ""), 40)
        if ranks.rank == 0:
            print(json.dumps(found), flush=True)
    return found


def case_of(net: str) -> str:
    return f"{net}, batch {CASES[net]}"


def half_of(net: str) -> str:
    return f"{net}, half a batch"


def size_of(net: str) -> str:
    return f"{net}, parameters"


SIDES = {
    ONE: Side(lambda options: measure(1)),
    THREADS: Side(lambda options: measure(options.threads)),
    RANKS: Side(lambda options: on_ranks(options.threads), needs=("mpi4py",)),
}


def rows(runs: Runs) -> list[Row]:
    steps = [
        Row(STEP, case_of(net), side, "ms", common.column(of_side, case_of(net)))
        for net in CASES
        for side, of_side in runs.items()
    ]
    sums = [
        Row(ALLREDUCE, case, RANKS, "µs", common.column(runs[RANKS], case))
        for case in (f"{floats:,} floats" for floats in FLOATS)
        if RANKS in runs
    ]
    return steps + sums


# The model ----------------------------------------------------------------------------------------


class Model(NamedTuple):
    """A step on N ranks, in microseconds: see the head of this file."""

    serial: float
    images: float
    alpha: float
    beta: float
    floats: float

    def step(self, ranks: int) -> float:
        """T(N)."""
        sums = 2 * self.beta * self.floats * (ranks - 1) / ranks
        return self.serial + self.images / ranks + self.alpha * math.log2(ranks) + sums

    def fastest(self, most: int) -> int:
        """The number of ranks with the shortest step, up to an image a rank."""
        return min(range(1, most + 1), key=self.step)

    def half_lost(self, most: int) -> int:
        """The first number of ranks, each of which is worth less than half of the first one."""
        lost = (n for n in range(1, most + 1) if self.step(1) / self.step(n) < n / 2)
        return next(lost, most)


def models(runs: Runs) -> dict[tuple[str, str], Model]:
    """For each net, with this machine's messages and with those of a network."""

    def of(side: str, case: str) -> float:
        return statistics.median(common.column(runs[side], case))

    smallest, largest = (of(RANKS, f"{floats:,} floats") for floats in (FLOATS[0], FLOATS[3]))
    here = smallest, (largest - smallest) / FLOATS[3]
    found = {}
    for net in CASES:
        whole, half = 1e3 * of(ONE, case_of(net)), 1e3 * of(ONE, half_of(net))
        serial = max(0.0, 2 * half - whole)
        for where, (alpha, beta) in (("here", here), ("10 GBit/s", ETHERNET)):
            floats = of(ONE, size_of(net))
            found[net, where] = Model(serial, whole - serial, alpha, beta, floats)
    return found


def remarks(runs: Runs, ranks: int) -> list[str]:
    """The model, next to what was measured on this number of ranks."""
    if RANKS not in runs:
        return []
    lines = []
    for (net, where), model in models(runs).items():
        most = CASES[net]
        measured = statistics.median(common.column(runs[RANKS], case_of(net)))
        seen = f" (measured: {measured:.2f} ms)" if where == "here" else ""
        lines.append(
            f"{case_of(net)}, {where}: S = {model.serial / 1e3:.2f} ms, "
            f"P = {model.images / 1e3:.2f} ms, a = {model.alpha:.0f} µs, "
            f"b n = {model.beta * model.floats:.0f} µs: T({ranks}) = "
            f"{model.step(ranks) / 1e3:.2f} ms{seen}; shortest on {model.fastest(most)} ranks, "
            f"half of each rank is lost from {model.half_lost(most)} on."
        )
    return lines


def main() -> None:
    parser = common.parser("ranks")
    parser.add_argument("--rank", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank:
        in_a_rank()
        return None
    if options.worker:
        return common.answer(SIDES, options)
    report = common.start("ranks", "ranks", THREADS, options)
    runs = common.alternate("ranks", SIDES, report)
    report.add(rows(runs))
    for line in remarks(runs, options.threads):
        report.remark(line)
    common.finish(report, options)


if __name__ == "__main__":
    main()
