"""How far is LeNet's compiled step from the time of its products alone?

    python -m benchmarks.floor [--rounds 5] [--threads 2] [--model lenet lenet-max]

Microseconds an image. The floor is the time of the textbook's products at the speed of NumPy's
matrix product (sgemm), as in ``benchmarks.lenet``; an algorithm with fewer products may lie below.
A step: ``step(x, y)`` on one thread with a batch of 256 images that lies in memory. An epoch: the
second one of ``fit`` on all 60,000 images, with ``--threads`` threads. In a process, sgemm and
steps (or epochs) alternate four times on the same number of threads; "times floor" is the median of
what each of these turns took over the floor of that turn.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

from benchmarks import common, lenet
from benchmarks.common import Runs, Side
from benchmarks.tables import Report, Row

TURNS = 4
SECONDS = 0.5  # of products, and of steps, in a turn


def turns_of(threads: int, net: Any, microseconds: Callable[[], float]) -> dict[str, float]:
    """Medians of what takes ``microseconds`` an image, of its floor, and of their ratio by turn."""
    flops, ours, floors = lenet.flops_of(net), [], []
    for _ in range(TURNS):
        floors.append(flops / common.sgemm(threads, SECONDS) / 1e3)
        ours.append(microseconds())
    ratios = [mine / floor for mine, floor in zip(ours, floors, strict=True)]
    medians = map(statistics.median, (ours, floors, ratios))
    return dict(zip(("us", "floor", "times"), medians, strict=True))


def measure_step(options: argparse.Namespace) -> dict[str, float]:
    """``step(x, y)`` on one thread."""
    import numpy as np

    import minicnn
    from minicnn import nn

    net, optimizer = preset(options.model[0], threads=1)
    step = minicnn.compile(net, nn.CrossEntropyLoss(), optimizer)
    rng = np.random.default_rng(0)
    x = rng.random((lenet.BATCH, 1, 28, 28), dtype=np.float32)
    y = rng.integers(0, 10, lenet.BATCH)

    def microseconds() -> float:
        return 1e6 * common.typical_seconds(lambda: step(x, y), SECONDS) / lenet.BATCH

    return turns_of(1, net, microseconds)


def measure_epoch(options: argparse.Namespace) -> dict[str, float]:
    """An epoch of ``fit``, the second one."""
    import minicnn
    from minicnn import data

    net, optimizer = preset(options.model[0], options.threads)
    train, _ = data.load("fashion-mnist")
    batches = data.DataLoader(train, lenet.BATCH, shuffle=True, seed=0, raw=True)

    def microseconds() -> float:
        history = minicnn.fit(net, batches, optimizer=optimizer, epochs=2, quiet=True, compile=True)
        return 1e6 * history.epochs[-1]["seconds"] / len(train)

    return turns_of(options.threads, net, microseconds)


def preset(model: str, threads: int) -> tuple[Any, Any]:
    """A LeNet and its SGD."""
    import minicnn
    from minicnn import models, optim

    minicnn.set_num_threads(threads)
    minicnn.manual_seed(0)
    net = models.build(model)
    return net, optim.SGD(net.parameters(), lr=lenet.LR)


STEP, EPOCH = "a step, one thread", "an epoch of fit"
SIDES = {STEP: Side(measure_step), EPOCH: Side(measure_epoch)}


def rows(model: str, runs: Runs) -> list[Row]:
    """For each of the two questions the compiled step, and its floor."""
    found = []
    for question, rounds in runs.items():
        times = statistics.median(common.column(rounds, "times"))
        for side, key, ratio in ((lenet.COMPILED, "us", times), ("floor", "floor", 1.0)):
            name, figures = f"{model}: {question}", common.column(rounds, key)
            found.append(Row(name, "", side, "µs an image", figures, {"times floor": ratio}))
    return found


def main() -> None:
    parser = common.parser("floor")
    parser.add_argument("--model", nargs="+", choices=lenet.MODELS, default=lenet.MODELS)
    options = parser.parse_args()
    if options.worker:
        return common.answer(SIDES, options)
    report: Report = common.start("floor", "floor", lenet.COMPILED, options)
    for model in options.model:
        report.add(rows(model, common.alternate("floor", SIDES, report, ["--model", model])))
    common.finish(report, options)


if __name__ == "__main__":
    main()
