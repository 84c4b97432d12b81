"""How much memory does an epoch of lenet take?

    python -m benchmarks.memory [--rounds 5] [--threads 2]

The largest resident set of a process that imports the library, loads Fashion-MNIST and trains one
epoch in batches of 256; in MB of 1,048,576 bytes.
"""

from __future__ import annotations

import argparse
from functools import partial

from benchmarks import common, lenet
from benchmarks.common import Side
from benchmarks.tables import Row


def measure_minicnn(options: argparse.Namespace, compiled: bool) -> dict[str, float]:
    lenet.minicnn_epochs("lenet", options.threads, 1, compiled)
    return {"peak_mb": lenet.peak_mb()}


def measure_torch(options: argparse.Namespace) -> dict[str, float]:
    lenet.torch_epochs("lenet", options.threads, 1)
    return {"peak_mb": lenet.peak_mb()}


SIDES = {
    lenet.COMPILED: Side(partial(measure_minicnn, compiled=True)),
    "minicnn eager": Side(partial(measure_minicnn, compiled=False)),
    "torch eager": Side(measure_torch, ("torch",)),
}


def main() -> None:
    options = common.parser("memory").parse_args()
    if options.worker:
        return common.answer(SIDES, options)
    report = common.start("memory", "memory", lenet.COMPILED, options)
    runs = common.alternate("memory", common.available(SIDES, report), report)
    question = "Peak memory of an epoch of lenet"
    report.add(
        [
            Row(question, "", side, "MB", common.column(of_side, "peak_mb"))
            for side, of_side in runs.items()
        ]
    )
    common.finish(report, options)


if __name__ == "__main__":
    main()
