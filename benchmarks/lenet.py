"""How long does an epoch of LeNet take, here and in PyTorch?

    python -m benchmarks.lenet [--rounds 5] [--threads 2] [--model lenet lenet-max]
    python -m benchmarks.lenet --from-outside
    python -m benchmarks.lenet --whole
    python -m benchmarks.lenet --device gpu

The time of an epoch is that of everything in it: shuffling, making float32 batches of 60,000 images
of bytes, the steps, the mean loss and the number of correct predictions. The first epoch of a
process warms up (kernels from the cache, threads, allocations), the second one is timed. The floor
is the time that the products of the textbook's algorithm (a convolution's or dense layer's forward
pass, dW and dX, each a multiplication and an addition a weight and place; the first layer needs no
dX) would take at the speed of NumPy's matrix product (sgemm), which is measured in the same
process, for two seconds before the compiled epochs and for two after them. "times floor" divides
the time of each round by the floor of that round and takes the median.

``--from-outside``: the wall-clock time of ``python -m minicnn.train --epochs 4`` minus that of
``--epochs 1``, divided by 3, and the same for a PyTorch program (``benchmarks/torch_lenet.py``).
``--whole``: the wall-clock time of 10 epochs from the start of the program, with Numba's kernels
still to be compiled (cold) and compiled by an earlier run (warm).
``--device gpu``: an epoch on a GPU. minicnn replays a CUDA graph, launches its kernels one by one,
or runs eagerly; PyTorch runs eagerly or replays a CUDA graph.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks import common, programs
from benchmarks.common import Runs, Side
from benchmarks.tables import Row

BATCH, LR, IMAGES = 256, 0.9, 60_000
MODELS = ["lenet", "lenet-max"]
COMPILED = "minicnn compiled"


def minicnn_epochs(
    model: str, threads: int, epochs: int, compiled: bool = True, device: str = "cpu", **how: bool
) -> tuple[list[float], Any]:
    """Seconds of each epoch of minicnn, and the step that trained."""
    import minicnn
    from minicnn import data, models, nn, optim
    from minicnn.train.loop import EagerStep

    minicnn.set_num_threads(threads)
    minicnn.manual_seed(0)
    net = models.build(model).to(device)
    make: Any = minicnn.compile if compiled else EagerStep
    step = make(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=LR), **how)
    train, _ = data.load("fashion-mnist")
    batches = data.DataLoader(train, BATCH, shuffle=True, seed=0, device=device, raw=compiled)
    return timed(lambda: minicnn_epoch(step, batches), epochs), step


def minicnn_epoch(step: Any, batches: Any) -> dict[str, float]:
    """Train an epoch; its mean loss and accuracy."""
    step.means.reset()
    for x, y in batches:
        step(x, y)
    return step.means.read()


def torch_epochs(
    model: str,
    threads: int,
    epochs: int,
    channels_last: bool = False,
    compiled: bool = False,
    device: str = "cpu",
    graph: bool = False,
) -> list[float]:
    """Seconds of each epoch of PyTorch, the same program."""
    import torch

    from benchmarks import torch_lenet
    from minicnn import data

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    torch.backends.cudnn.allow_tf32 = False  # on a GPU, products in float32 all through
    layout = torch.channels_last if channels_last else torch.contiguous_format
    net: Any = torch_lenet.build(model).to(device, memory_format=layout)
    optimizer = torch.optim.SGD(net.parameters(), lr=LR)
    net = torch.compile(net) if compiled else net
    train, _ = data.load("fashion-mnist")
    images = torch.tensor(train.images)[:, None].contiguous(memory_format=layout).to(device)
    labels = torch.tensor(train.labels).to(device)
    step = (torch_lenet.graphed_step if graph else torch_lenet.eager_step)(net, optimizer)
    return timed(lambda: torch_lenet.train_epoch(step, images, labels), epochs)


def timed(epoch: Callable[[], Any], count: int) -> list[float]:
    """Seconds of each of ``count`` epochs."""
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - began)
    return seconds


def peak_mb() -> float:
    """The most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# The sides ----------------------------------------------------------------------------------------


def measure_compiled(options: argparse.Namespace) -> dict[str, float]:
    before = common.sgemm_peak(options)["gflops"]
    seconds, step = minicnn_epochs(options.model[0], options.threads, 2)
    memory, after = peak_mb(), common.sgemm_peak(options)["gflops"]
    peak = (before + after) / 2
    return {"seconds": seconds[1], "peak_mb": memory, "flops": flops_of(step.net), "gflops": peak}


def flops_of(net: Any, shape: tuple[int, ...] = (1, 28, 28)) -> int:
    """The textbook's FLOPs of a training step for one image: a Sequential's forward, dW and dX."""
    import minicnn
    from minicnn import nn

    x, flops = minicnn.zeros(1, *shape), []
    for layer in net:
        x = layer(x)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            places = x.size // len(layer.weight)  # each weight is used once a place
            flops.append(2 * layer.weight.size * places)
    return 3 * sum(flops) - flops[0]


def measure_eager(options: argparse.Namespace) -> dict[str, float]:
    seconds, _ = minicnn_epochs(options.model[0], options.threads, 2, compiled=False)
    return {"seconds": seconds[1], "peak_mb": peak_mb()}


def measure_torch(options: argparse.Namespace, **how: bool) -> dict[str, float]:
    seconds = torch_epochs(options.model[0], options.threads, 2, **how)
    return {"seconds": seconds[1], "peak_mb": peak_mb()}


def measure_on_gpu(options: argparse.Namespace, **how: bool) -> dict[str, float]:
    seconds, _ = minicnn_epochs(options.model[0], options.threads, 3, device="gpu", **how)
    return {"seconds": min(seconds[1:])}


def measure_cuda(options: argparse.Namespace, graph: bool) -> dict[str, float]:
    seconds = torch_epochs(options.model[0], options.threads, 3, device="cuda", graph=graph)
    return {"seconds": min(seconds[1:])}


def measure_outside(options: argparse.Namespace, program: str) -> dict[str, float]:
    with programs.kernel_cache(warm=True) as cache:
        few, many = (
            programs.wall_seconds(program, options.model[0], epochs, options.threads, cache)
            for epochs in (1, 4)
        )
    return {"seconds": (many - few) / 3}


def measure_whole(options: argparse.Namespace, program: str, warm: bool) -> dict[str, float]:
    with programs.kernel_cache(warm) as cache:
        seconds = programs.wall_seconds(program, options.model[0], 10, options.threads, cache)
    return {"seconds": seconds}


EPOCH = {
    COMPILED: Side(measure_compiled),
    "minicnn eager": Side(measure_eager),
    "torch eager": Side(measure_torch, ("torch",)),
    "torch channels_last": Side(partial(measure_torch, channels_last=True), ("torch",)),
    "torch compile": Side(partial(measure_torch, compiled=True), ("torch",)),
}
ON_GPU = {
    "minicnn graph": Side(measure_on_gpu),
    "minicnn launches": Side(partial(measure_on_gpu, graph=False)),
    "minicnn eager": Side(partial(measure_on_gpu, compiled=False)),
    "torch eager": Side(partial(measure_cuda, graph=False), ("torch",)),
    "torch graph": Side(partial(measure_cuda, graph=True), ("torch",)),
}
OUTSIDE = {
    "minicnn": Side(partial(measure_outside, program=programs.MINICNN)),
    "torch eager": Side(partial(measure_outside, program=programs.TORCH), ("torch",)),
}
WHOLE = {
    "minicnn, warm": Side(partial(measure_whole, program=programs.MINICNN, warm=True)),
    "minicnn, cold": Side(partial(measure_whole, program=programs.MINICNN, warm=False)),
    "torch eager": Side(partial(measure_whole, program=programs.TORCH, warm=False), ("torch",)),
}


# The questions ------------------------------------------------------------------------------------


def epoch_rows(model: str, runs: Runs) -> list[Row]:
    """A row a side, and the floor as the last one."""
    floors = floors_of(runs)
    question = f"{model}: an epoch of training"
    rows = [
        Row(question, "", side, "s", common.column(of_side, "seconds"), extra(of_side, floors))
        for side, of_side in runs.items()
    ]
    return [*rows, Row(question, "", "floor", "s", floors, {"times floor": 1.0})]


def extra(of_side: list[dict[str, float]], floors: list[float]) -> dict[str, float]:
    """The further columns of a side."""
    peak = statistics.median(common.column(of_side, "peak_mb"))
    return {"times floor": times_floor(of_side, floors), "peak MB": peak}


def floors_of(runs: Runs) -> list[float]:
    """The floor of each round, in seconds."""
    return [IMAGES * run["flops"] / (1e9 * run["gflops"]) for run in runs[COMPILED]]


def times_floor(of_side: list[dict[str, float]], floors: list[float]) -> float:
    """The time of each round divided by the floor of that round: the median."""
    seconds = common.column(of_side, "seconds")
    return statistics.median(s / floor for s, floor in zip(seconds, floors, strict=True))


def floor_remark(model: str, runs: Runs) -> str:
    """The floor, and the figures that it is computed from."""
    flops, peaks = runs[COMPILED][0]["flops"], common.column(runs[COMPILED], "gflops")
    return (
        f"{model}: a step takes {flops / 1e6:.2f} MFLOP an image; sgemm's peak here was "
        f"{statistics.median(peaks):.0f} GFLOP/s ({min(peaks):.0f} to {max(peaks):.0f}), so the "
        f"floor of an epoch {statistics.median(floors_of(runs)):.2f} s; compiled took "
        f"{times_floor(runs[COMPILED], floors_of(runs)):.2f} times as long."
    )


def ask_epoch(options: argparse.Namespace) -> None:
    report = common.start("lenet", "lenet", COMPILED, options)
    sides = common.available(EPOCH, report)
    for model in options.model or MODELS:
        runs = common.alternate("lenet", sides, report, ["--model", model])
        report.add(epoch_rows(model, runs))
        report.remark(floor_remark(model, runs))
    common.finish(report, options)


def ask_programs(
    options: argparse.Namespace, flag: str, sides: dict[str, Side], question: str
) -> None:
    """Compare the programs as they are started from a shell."""
    reference = next(iter(sides))
    name = "lenet-" + flag.strip("-").replace(" ", "-")
    report = common.start(name, f"lenet {flag}", reference, options)
    sides = common.available(sides, report)
    for model in options.model or MODELS[:1]:
        runs = common.alternate("lenet", sides, report, [*flag.split(), "--model", model])
        report.add(
            [
                Row(f"{model}: {question}", "", side, "s", common.column(of_side, "seconds"))
                for side, of_side in runs.items()
            ]
        )
    common.finish(report, options)


def require_gpu() -> None:
    """Name the GPU, or end with what keeps this machine from using one."""
    from minicnn.device import describe, gpu_problem

    problem = gpu_problem()
    if problem is not None:
        sys.exit(f"python -m benchmarks.lenet: error: {problem}")
    print(describe("gpu"))


def main() -> None:
    parser = common.parser("lenet")
    parser.add_argument(
        "--model", nargs="+", choices=MODELS, help="by default both; lenet for the others"
    )
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--from-outside", action="store_true", help="an epoch by the wall-clock")
    other.add_argument("--whole", action="store_true", help="10 epochs by the wall-clock")
    other.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    options = parser.parse_args()
    on_gpu = options.device == "gpu"
    sides = (
        OUTSIDE if options.from_outside else WHOLE if options.whole else ON_GPU if on_gpu else EPOCH
    )
    if options.worker:
        common.answer(sides, options)
    elif options.from_outside:
        ask_programs(options, "--from-outside", sides, "an epoch, with its test, from outside")
    elif options.whole:
        ask_programs(options, "--whole", sides, "10 epochs, start included")
    elif on_gpu:
        require_gpu()
        ask_programs(options, "--device gpu", sides, "an epoch of training on a GPU")
    else:
        ask_epoch(options)


if __name__ == "__main__":
    main()
