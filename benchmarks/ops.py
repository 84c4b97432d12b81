"""How long does each operation take, forward and backward, here and in PyTorch?

    python -m benchmarks.ops [--rounds 5] [--threads 2]

Eager: the median time of a call of the function in ``nn.functional``, recorded on the tape, and of
``backward`` from its result, in either library. Compiled: the operation's own instructions in a
profiled plan. Their time is summed over the threads and divided by the number of threads. A
profiled plan starts each instruction from Python, which takes time as well (it matters for a batch
of 1). The plan has one instruction for cross-entropy and its gradient, so there the two directions
are one row.

GFLOP/s count the products of convolutions and dense layers, 2 FLOPs each; "% of peak" compares them
with sgemm's peak, measured in the same rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import common
from benchmarks.common import Runs, Side
from benchmarks.tables import Report, Row, by_question

BATCHES = [1, 16, 256, 1_024]
SECONDS, LEAST = 0.15, 5  # that a measurement takes, in calls at least
FORWARD, BACKWARD, BOTH = "forward", "backward", "forward + backward"
PEAK = "sgemm peak"


@dataclass(frozen=True)
class Operation:
    """An operation of LeNet, or one that could stand in it.

    Attributes:
        shape: of an image of the input.
        parameters: the shapes of the parameters.
        call: the operation; takes ``nn.functional`` of either library and its tensors.
        lines: how the plan's instructions of each direction begin.
        layer: between a convolution and a dense layer; None: the operation is in lenet itself.
        flops: of an image forward, and of each of its products backward.
        products: how many gradients are products (dW, dX).
        learns_input: whether the input wants a gradient.
    """

    shape: tuple[int, ...]
    call: Callable[..., Any]
    lines: dict[str, tuple[str, ...]]
    parameters: tuple[tuple[int, ...], ...] = ()
    layer: Callable[[Any], Any] | None = None
    flops: int = 0
    products: int = 0
    learns_input: bool = True

    def work(self, direction: str) -> int:
        """FLOPs of an image."""
        return self.flops if direction == FORWARD else self.flops * self.products


def elementwise(name: str, layer: str) -> Operation:
    """An activation after the first convolution."""
    lines = {FORWARD: (f"{name} 6x28x28",), BACKWARD: (f"{name} dinput 6x28x28",)}
    return Operation(
        (6, 28, 28), lambda f, x: getattr(f, name)(x), lines, layer=lambda nn: getattr(nn, layer)()
    )


def pooling(name: str, function: str, layer: str) -> Operation:
    """Pooling 2 x 2 after the first convolution."""
    lines = {FORWARD: (f"{name} pool 6x28x28",), BACKWARD: (f"{name} pool dinput 6x14x14",)}
    return Operation(
        (6, 28, 28),
        lambda f, x: getattr(f, function)(x, 2),
        lines,
        layer=lambda nn: getattr(nn, layer)(2),
    )


OPERATIONS = {
    "conv 1 → 6, 5 × 5": Operation(
        (1, 28, 28),
        lambda f, x, w, b: f.conv2d(x, w, b, padding=2),
        {
            FORWARD: (
                "conv weights 6x1x5x5",
                "conv to points 1x28x28",
                "conv 1x28x28",
                "conv from points 8x295",
            ),
            BACKWARD: (
                "conv dbias 6x28x28",
                "conv dy to points 6x28x28",
                "conv dweight 6x28x28",
                "conv dweight 6x1x5x5",
            ),
        },
        parameters=((6, 1, 5, 5), (6,)),
        flops=2 * 6 * 28 * 28 * 25,
        products=1,
        learns_input=False,
    ),
    "conv 6 → 16, 5 × 5": Operation(
        (6, 14, 14),
        lambda f, x, w, b: f.conv2d(x, w, b),
        {
            FORWARD: (
                "conv weights 16x6x5x5",  # forward, and for dX: once a step each
                "conv to points 6x14x14",
                "conv 6x14x14",
                "conv from points 8x481",
            ),
            BACKWARD: (
                "conv dbias 16x10x10",
                "conv dy to points 16x10x10",
                "conv dweight 16x10x10",
                "conv dweight 16x6x5x5",
                "conv dinput 16x10x10",
                "conv dinput from points 8x253",
            ),
        },
        parameters=((16, 6, 5, 5), (16,)),
        flops=2 * 16 * 10 * 10 * 6 * 25,
        products=2,
    ),
    "sigmoid": elementwise("sigmoid", "Sigmoid"),
    "tanh": elementwise("tanh", "Tanh"),
    "relu": elementwise("relu", "ReLU"),
    "max pool 2 × 2": pooling("max", "max_pool2d", "MaxPool2d"),
    "avg pool 2 × 2": pooling("avg", "avg_pool2d", "AvgPool2d"),
    "linear 400 → 120": Operation(
        (400,),
        lambda f, x, w, b: f.linear(x, w, b),
        {
            FORWARD: ("dense 400 ",),
            BACKWARD: (
                "turn 400",
                "dense dweight 120 -> 120x400",
                "dense dbias 120",
                "dense dinput 120 ",
            ),
        },
        parameters=((120, 400), (120,)),
        flops=2 * 400 * 120,
        products=2,
    ),
    "batch norm": Operation(
        (6, 28, 28),
        lambda f, x, w, b: f.batch_norm(x, None, None, w, b, training=True),
        {
            FORWARD: ("moments 6x28x28", "normalise 6x28x28"),
            BACKWARD: ("norm. dweight 6x28x28", "norm. dinput 6x28x28"),
        },
        parameters=((6,), (6,)),
        layer=lambda nn: nn.BatchNorm2d(6),
    ),
    "cross-entropy": Operation(
        (10,), lambda f, x, y: f.cross_entropy(x, y), {BOTH: ("cross-entropy",)}
    ),
}


def case(name: str, direction: str) -> str:
    return f"{name}, {direction}"


def key(batch: int, of_case: str) -> str:
    return f"{batch}: {of_case}"


# Eager --------------------------------------------------------------------------------------------


def measure_minicnn(options: argparse.Namespace) -> dict[str, float]:
    import minicnn
    from minicnn.nn import functional

    minicnn.set_num_threads(options.threads)
    return measure_eager(functional, minicnn.Tensor)


def measure_torch(options: argparse.Namespace) -> dict[str, float]:
    import torch

    def tensor(array: Any, requires_grad: bool = False) -> torch.Tensor:
        return torch.tensor(array, requires_grad=requires_grad)

    torch.set_num_threads(options.threads)
    return measure_eager(torch.nn.functional, tensor)


def measure_eager(functional: Any, tensor: Callable[..., Any]) -> dict[str, float]:
    """Microseconds of every case."""
    return {
        key(batch, case(name, direction)): 1e6 * seconds
        for batch in BATCHES
        for name, operation in OPERATIONS.items()
        for direction, seconds in time_eager(operation, batch, functional, tensor).items()
    }


def time_eager(
    operation: Operation, batch: int, functional: Any, tensor: Callable[..., Any]
) -> dict[str, float]:
    """Median seconds of the directions."""
    import numpy as np

    rng = np.random.default_rng(0)

    def learned(*shape: int) -> Any:
        return tensor(rng.standard_normal(shape, np.float32), requires_grad=True)

    x = learned(batch, *operation.shape)
    x.requires_grad = operation.learns_input
    rest = [learned(*shape) for shape in operation.parameters]
    if BOTH in operation.lines:
        rest = [tensor(rng.integers(0, 10, batch))]
    result = operation.call(functional, x, *rest)
    gradient = tensor(rng.standard_normal(tuple(result.shape), np.float32))

    times: list[tuple[float, float]] = []
    began = time.perf_counter()
    while len(times) < LEAST + 1 or time.perf_counter() - began < SECONDS:
        for leaf in (x, *rest):
            leaf.grad = None
        start = time.perf_counter()
        result = operation.call(functional, x, *rest)
        middle = time.perf_counter()
        result.backward(gradient)
        times.append((middle - start, time.perf_counter() - middle))
    forward, backward = (statistics.median(column) for column in zip(*times[1:], strict=True))
    if BOTH in operation.lines:
        return {BOTH: forward + backward}
    return {FORWARD: forward, BACKWARD: backward}


# Compiled -----------------------------------------------------------------------------------------


def measure_compiled(options: argparse.Namespace) -> dict[str, float]:
    """Microseconds of every case of which a plan has instructions."""
    import minicnn

    minicnn.set_num_threads(options.threads)
    measured = {}
    for name, operation in OPERATIONS.items():
        step = profiled_step(operation)
        for batch in BATCHES:
            seconds = seconds_of_lines(step, batch, options.threads)
            for direction, beginnings in operation.lines.items():
                matching = [s for line, s in seconds.items() if line.startswith(beginnings)]
                measured[key(batch, case(name, direction))] = 1e6 * sum(matching)
    return measured


def profiled_step(operation: Operation) -> Any:
    """A step of lenet, or of a small net with the operation's layer in it."""
    import minicnn
    from minicnn import models, nn, optim

    minicnn.manual_seed(0)
    net = models.build("lenet")
    if operation.layer is not None:
        first = nn.Conv2d(1, 6, 5, padding=2)
        net = nn.Sequential(first, operation.layer(nn), nn.Flatten(), nn.LazyLinear(10))
        net(minicnn.randn(1, 1, 28, 28))
    optimizer = optim.SGD(net.parameters(), lr=0.01)
    return minicnn.compile(net, nn.CrossEntropyLoss(), optimizer, profile=True)


def seconds_of_lines(step: Any, batch: int, threads: int) -> dict[str, float]:
    """Median seconds in a step, by an instruction's name and what it works on."""
    import numpy as np

    from minicnn.compiler.cpu.plan import LANES

    rng = np.random.default_rng(0)
    x, y = rng.random((batch, 1, 28, 28), np.float32), rng.integers(0, 10, batch)
    for _ in range(3):
        step(x, y)
    lines, times, began = step.plan.lines, list[list[float]](), time.perf_counter()
    while len(times) < LEAST or time.perf_counter() - began < SECONDS:
        before = [line.seconds for line in lines]
        step(x, y)
        times.append([line.seconds - then for line, then in zip(lines, before, strict=True)])
    # a thread that loses its core in the middle of an instruction counts in no median
    shared = min(threads, -(-batch // LANES))
    medians = (statistics.median(column) / shared for column in zip(*times, strict=True))
    found: dict[str, float] = {}
    for line, seconds in zip(lines, medians, strict=True):
        name = f"{line.name} {line.what}"
        found[name] = found.get(name, 0.0) + seconds  # some instructions have one name
    return found


# The rows -----------------------------------------------------------------------------------------

SIDES = {
    "minicnn eager": Side(measure_minicnn),
    "minicnn compiled": Side(measure_compiled),
    "torch eager": Side(measure_torch, ("torch",)),
    PEAK: Side(common.sgemm_peak),
}


def rows(runs: Runs) -> list[Row]:
    peak = statistics.median(common.column(runs[PEAK], "gflops"))
    return [
        row(batch, name, direction, side, of_side, peak)
        for batch in BATCHES
        for name, operation in OPERATIONS.items()
        for direction in operation.lines
        for side, of_side in runs.items()
        if side != PEAK
    ]


def row(
    batch: int, name: str, direction: str, side: str, of_side: list[dict[str, float]], peak: float
) -> Row:
    """With GFLOP/s and their share of ``peak`` where the work is products."""
    of_case = case(name, direction)
    measured = Row(
        f"Batch {batch:,}", of_case, side, "µs", common.column(of_side, key(batch, of_case))
    )
    if work := batch * OPERATIONS[name].work(direction):
        gflops = work / measured.median / 1e3
        measured.extra = {"GFLOP/s": gflops, "% of peak": 100 * gflops / peak}
    return measured


def draw(report: Report) -> Any:
    """A panel for each batch: how many times faster than PyTorch each operation is."""
    from benchmarks import figures

    title = "PyTorch's time over minicnn's: to the right minicnn is faster"
    groups = by_question(report.rows)
    cases = list(dict.fromkeys(row.case for row in report.rows))
    picture = figures.figure(12.0, 1.3 + 0.27 * len(cases), title)
    panels = picture.subplots(1, len(groups), sharey=True, sharex=True)
    for axes, (question, group) in zip(panels, groups.items(), strict=True):
        figures.versus(axes, group, cases, question, "torch eager")
    figures.legend(panels[0], ["minicnn compiled", "minicnn eager"])
    return picture


def main() -> None:
    options = common.parser("ops").parse_args()
    if options.worker:
        return common.answer(SIDES, options)
    report = common.start("ops", "ops", "minicnn eager", options)
    runs = common.alternate("ops", common.available(SIDES, report), report)
    report.add(rows(runs))
    peaks = common.column(runs[PEAK], "gflops")
    report.remark(
        f"sgemm's peak: {statistics.median(peaks):.0f} GFLOP/s "
        f"({min(peaks):.0f} to {max(peaks):.0f})."
    )
    common.finish(report, options, draw)


if __name__ == "__main__":
    main()
