"""What is measured in minicnn, each function in a process of its own.

Each returns what the record needs: ``said``, a line; ``tables``, titles and cells, a header first;
``rows`` of a table that several parts fill together; ``facts`` about the machine. One that finds
something wrong raises ``WrongError`` with it.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import minicnn
from benchmarks import lenet
from benchmarks.gpu_proof.sizes import Sizes
from benchmarks.tables import Row, number
from minicnn import compiler, data, models, nn, optim, selfcheck
from minicnn.train.loop import EagerStep

Result = dict[str, Any]
FIRST = 5  # losses that are compared with the CPU's in float32; in float64 all are
# How far losses may be off that differ in the order of their sums alone, relatively. Of the CPU's
# two ways, compiled and eager, they were off by 3e-4 (lenet-plus) and 7e-16; 40 steps later in
# float32 by 5e-2, for among nearly equal cells a max pooling may take another one.
LIKE_THE_CPU = {"float32": 1e-2, "float64": 1e-6}


class WrongError(ArithmeticError):
    """A result that is not what it has to be; ``result`` is what was measured all the same."""

    def __init__(self, result: Result):
        super().__init__(result["said"])
        self.result = result


def pictures(count: int) -> data.Dataset:
    """Training images of Fashion-MNIST: the sample's 6,000, as often as it takes."""
    sample, _ = data.load("fashion-mnist-sample")
    return sample[np.arange(count) % len(sample)]


def made(model: str, device: str = "gpu", dtype: str = "float32", **how: bool) -> tuple[Any, Any]:
    """A net and its training step: compiled, or eager where nothing can be compiled."""
    minicnn.manual_seed(0)
    net = models.build(model).to(dtype).to(device)
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    make: Any = minicnn.compile if compiler.is_available(device) else EagerStep
    return net, make(net, nn.CrossEntropyLoss(), optimizer, **how)


def batches(images: data.Dataset, size: int, device: str = "gpu") -> data.DataLoader:
    """Shuffled batches of pixels, always in the same order."""
    return data.DataLoader(images, size, True, 0, device, raw=True)


def wait() -> None:
    """Until the GPU has done all that it was told."""
    import cupy

    cupy.cuda.Device().synchronize()


# The same numbers ---------------------------------------------------------------------------------


def repeat(sizes: Sizes) -> Result:
    """Two runs on the GPU are equal bit for bit; the losses are the CPU's, up to rounding."""
    head = ["net", "steps", "two runs", f"off the CPU's, {FIRST} in float32", "all in float64"]
    cells, wrong = [head], []
    for model, size in sizes.batches.items():
        images = pictures(sizes.images)
        (losses, weights), (again, weights_again) = (trained(model, images, size) for _ in "12")
        same = losses == again and all(map(np.array_equal, weights, weights_again))
        off = {dtype: off_the_cpu(model, images, size, dtype) for dtype in LIKE_THE_CPU}
        found = (f"{by:.1e}" for by in off.values())
        cells.append([model, str(len(losses)), "equal" if same else "DIFFERENT", *found])
        if not same or not all(off[dtype] < most for dtype, most in LIKE_THE_CPU.items()):
            wrong.append(model)
    said = f"{', '.join(wrong)} wrong" if wrong else "two runs equal bit for bit, losses the CPU's"
    result = {"said": said, "tables": [["The same numbers", cells]]}
    if wrong:
        raise WrongError(result)
    return result


def off_the_cpu(model: str, images: data.Dataset, size: int, dtype: str) -> float:
    """The largest relative difference of a loss on the GPU."""
    images = images[: FIRST * size] if dtype == "float32" else images
    ours, theirs = (trained(model, images, size, device, dtype)[0] for device in ("gpu", "cpu"))
    return max(abs(a - b) / abs(b) for a, b in zip(ours, theirs, strict=True))


def trained(
    model: str, images: data.Dataset, size: int, device: str = "gpu", dtype: str = "float32"
) -> tuple[list[float], list[np.ndarray]]:
    """The losses of an epoch, and the parameters after it."""
    # with fewer products, equal windows differ in their last digits, depending on their places, and
    # of equal cells a max pooling takes another one: another gradient, which is right too
    plain = {"winograd": False} if device == "cpu" and compiler.is_available() else {}
    net, step = made(model, device, dtype, **plain)
    losses = []
    for x, y in batches(images, size, device):
        if isinstance(step, EagerStep):
            x = minicnn.Tensor(x.data.astype(dtype) / np.dtype(dtype).type(255))
        losses.append(step(x, y)[0].item())
    return losses, [p.numpy().copy() for p in net.parameters()]


def small(sizes: Sizes) -> Result:
    """Every kernel and every kind of step once, in memory of its own: for a memory checker.

    Without CuPy's pool, what lies beyond an array lies beyond an allocation.
    """
    import cupy

    cupy.cuda.set_allocator(None)
    for name, arguments in selfcheck.kernel_cases("float32"):
        _check(name, selfcheck.check_kernel(name, arguments, "gpu"))
    for net in selfcheck.NETS:
        selfcheck.train(net, "float32", "gpu", minicnn.compile, (5, 5, 5, 3))
    return {"said": "every kernel and step ran"}


def _check(name: str, problem: str | None) -> None:
    if problem is not None:
        raise WrongError({"said": f"{name}: {problem}"})


# Time ---------------------------------------------------------------------------------------------


def replays(sizes: Sizes) -> Result:
    """Microseconds of a step: of its graph by events, of Python, and by the clock."""
    head = ["net", "batch", "kernels", "a replay, us", "Python, us", "a step, us"]
    cells = [head]
    for model, size in sizes.batches.items():
        _, step = made(model)
        ((x, y),) = batches(pictures(size), size)
        call = partial(step, x, y)
        for _ in range(sizes.warm):
            call()
        replay = step._engine_of_last_call().graph.launch
        alone = [by_events(replay, sizes.replays) for _ in range(sizes.turns)]
        both = [by_clock(call, sizes.replays) for _ in range(sizes.turns)]
        times = [statistics.median(of) for of in (alone, *zip(*both, strict=True))]
        launches = str(len(step.plan.lines))
        cells.append([model, str(size), launches, *(number(us) for us in times)])
    said = ", ".join(f"{line[0]} {line[3]}" for line in cells[1:])
    return {"said": f"a replay: {said} us", "tables": [["A step", cells]]}


def by_events(work: Callable[[], Any], times: int) -> float:
    """Microseconds of one of ``times`` calls on the GPU, by the GPU's own clock."""
    import cupy

    begin, end = cupy.cuda.Event(), cupy.cuda.Event()
    begin.record()
    for _ in range(times):
        work()
    end.record()
    end.synchronize()
    return 1e3 * cupy.cuda.get_elapsed_time(begin, end) / times  # from milliseconds


def by_clock(work: Callable[[], Any], times: int) -> tuple[float, float]:
    """Microseconds of a call until it has returned, and until the GPU has done it too."""
    wait()
    began = time.perf_counter()
    for _ in range(times):
        work()
    returned = time.perf_counter()
    wait()
    done = time.perf_counter()
    return 1e6 * (returned - began) / times, 1e6 * (done - began) / times


def kernels(sizes: Sizes) -> Result:
    """The time of every kernel of a step, by events around each launch."""
    tables = []
    for model, size in sizes.batches.items():
        _, step = made(model, profile=True)
        ((x, y),) = batches(pictures(size), size)
        for _ in range(sizes.profiled + 1):  # the first one is not timed
            step(x, y)
        plan = step.plan
        print(f"{model}\n{plan}\n", flush=True)
        times = [1e6 * line.seconds / plan.runs for line in plan.lines]
        cells = [["kernel", "what", "us", "share, %"]]
        for line, us in zip(plan.lines, times, strict=True):
            what = f"{line.name}, {line.what}"
            cells.append([line.kernel, what, number(us), number(100 * us / sum(times))])
        tables.append([f"{model}, batch {size}: its kernels, each between two events", cells])
    return {"said": f"{len(tables)} plans timed", "tables": tables}


def profiled(sizes: Sizes) -> Result:
    """A step whose kernels a profiler may count: launched one by one, when all are compiled."""
    import cupy

    model, size = next(iter(sizes.batches.items()))
    _, step = made(model, graph=False)
    ((x, y),) = batches(pictures(size), size)
    for last in (False, False, True):
        wait()
        if last:
            cupy.cuda.runtime.profilerStart()
        step(x, y)
    wait()
    cupy.cuda.runtime.profilerStop()
    return {"said": f"{len(step.plan.lines)} kernels ran"}


def epochs(sizes: Sizes, model: str, side: str) -> Result:
    """Milliseconds of an epoch of training by minicnn or by PyTorch, loader and means included."""
    from benchmarks.gpu_proof import rivals

    train = pictures(sizes.epoch)
    if side in OURS:
        seconds = _our_epochs(model, side, train, sizes.epochs)
    else:
        seconds = rivals.epochs(model, side, train, sizes.epochs)
    runs = [1e3 * s for s in seconds]
    row = Row(f"{model}: an epoch of {sizes.epoch:,} images", "", side, "ms", runs)
    said = f"{number(row.median)} ms an epoch"
    return {"said": said, "rows": [dataclasses.asdict(row)]}


OURS: dict[str, dict[str, bool]] = {
    "minicnn graph": {},
    "minicnn launches": {"graph": False},
    "minicnn eager": {"eager": True},
}


def _our_epochs(model: str, side: str, train: data.Dataset, count: int) -> list[float]:
    how = dict(OURS[side])
    eager = how.pop("eager", False)
    minicnn.manual_seed(0)
    net = models.build(model).to("gpu")
    make: Any = EagerStep if eager else minicnn.compile
    step = make(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=lenet.LR), **how)
    loader = data.DataLoader(train, lenet.BATCH, True, 0, "gpu", raw=not eager)
    return lenet.timed(lambda: lenet.minicnn_epoch(step, loader), count + 1)[1:]


# The machine --------------------------------------------------------------------------------------


def machine(sizes: Sizes) -> Result:
    """What the record says of the machine, and whether PyTorch sees its GPU."""
    from minicnn.device import describe

    gpu = describe("gpu")
    facts = {"GPU": gpu, "driver": _driver(), **dict(_versions())}
    facts["processor"] = f"{_processor()}, {os.cpu_count()} cores"
    facts["minicnn"] = _commit()
    for name, value in facts.items():
        print(f"{name}: {value}", flush=True)
    return {"said": gpu, "facts": facts, "rival": _rival_sees_it()}


def _driver() -> str:
    """The driver's version and the clocks, from nvidia-smi."""
    query = "driver_version,clocks.max.sm,clocks.max.mem,power.limit"
    return _output("nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader", "--id=0")


def _versions() -> Iterator[tuple[str, str]]:
    """Of Python, and of the packages that count."""
    from importlib.metadata import PackageNotFoundError, version

    yield "Python", platform.python_version()
    for name in ("numpy", "numba", "torch", "pytest"):
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, "missing"


def _processor() -> str:
    from benchmarks.tables import processor

    return processor()


def _commit() -> str:
    return f"{minicnn.__version__}, commit {_output('git', 'describe', '--always', '--dirty')}"


def _output(*command: str) -> str:
    """What a program prints, or that it is missing."""
    import subprocess

    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except FileNotFoundError:
        return f"unknown ({command[0]} is missing)"
    except (subprocess.SubprocessError, OSError):
        return f"unknown ({command[0]} failed)"
    return done.stdout.strip()


def _rival_sees_it() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()
