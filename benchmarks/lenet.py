"""How long does an epoch of LeNet take, here and in PyTorch?

    python -m benchmarks.lenet [--rounds 5] [--threads 2] [--model lenet lenet-max]

Each side trains in its own process, the sides take turns, round after round. An epoch is counted
whole: shuffling and batching 60,000 bytes-images into float32, the steps, and counting what was
right. The first epoch of a process warms up (kernels from the cache, threads, allocations) and is
not counted; of the next two the better one is. Prints the median of these over the rounds, their
range, the ratio and the peak memory.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BATCH, LR = 256, 0.9
MODELS = ["lenet", "lenet-max"]


def minicnn_epochs(model: str, threads: int, epochs: int) -> list[float]:
    """Seconds of each epoch of minicnn, eager."""
    import minicnn
    from minicnn import data, models, nn, optim
    from minicnn.training import RunningMeans

    minicnn.set_num_threads(threads)
    minicnn.manual_seed(0)
    net = models.build(model)
    optimizer, loss_of = optim.SGD(net.parameters(), lr=LR), nn.CrossEntropyLoss()
    train, _ = data.load("fashion-mnist")
    batches = data.DataLoader(train, BATCH, shuffle=True, seed=0)

    def epoch() -> None:
        means = RunningMeans()
        for x, y in batches:
            logits = net(x)
            loss = loss_of(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            means.add(loss, logits, y)
        means.read()

    return timed(epoch, epochs)


def torch_epochs(model: str, threads: int, epochs: int, channels_last: bool = False) -> list[float]:
    """Seconds of each epoch of PyTorch, eager, the same program."""
    import torch
    from torch import nn

    from minicnn import data

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    pool: Callable[[], nn.Module] = lambda: (  # noqa: E731
        nn.AvgPool2d(2, 2) if model == "lenet" else nn.MaxPool2d(2, 2)
    )
    padding, features = (2, 400) if model == "lenet" else (0, 256)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=padding), nn.Sigmoid(), pool(),
        nn.Conv2d(6, 16, 5), nn.Sigmoid(), pool(), nn.Flatten(),
        nn.Linear(features, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10),
    )  # fmt: skip
    layout = torch.channels_last if channels_last else torch.contiguous_format
    net = net.to(memory_format=layout)
    optimizer, loss_of = torch.optim.SGD(net.parameters(), lr=LR), nn.CrossEntropyLoss()
    train, _ = data.load("fashion-mnist")
    images = torch.tensor(train.images)[:, None].contiguous(memory_format=layout)
    labels = torch.tensor(train.labels)

    def epoch() -> None:
        order = torch.randperm(len(labels))
        loss_sum, hits = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for rows in order.split(BATCH):
            x, y = images[rows].float().div_(255), labels[rows]
            logits = net(x)
            loss = loss_of(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                loss_sum += loss * len(y)
                hits += (logits.argmax(1) == y).sum()
        float(loss_sum), float(hits)

    return timed(epoch, epochs)


SIDES: dict[str, Callable[[str, int, int], list[float]]] = {
    "minicnn eager": minicnn_epochs,
    "torch eager": torch_epochs,
    "torch channels_last": lambda *run: torch_epochs(*run, channels_last=True),
}


def timed(epoch: Callable[[], None], count: int) -> list[float]:
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - start)
    return seconds


def run_side(side: str, model: str, threads: int) -> dict[str, Any]:
    """One process: a warming epoch, then two that count; the better one, and the peak memory."""
    command = [sys.executable, "-m", "benchmarks.lenet", "--worker", side, "--model", model,
               "--threads", str(threads)]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(output.stdout.splitlines()[-1])


def worker(side: str, model: str, threads: int) -> None:
    seconds = SIDES[side](model, threads, 3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": min(seconds[1:]), "peak_mb": peak}))


def versions() -> str:
    """Machine and versions, in a line."""
    from importlib.metadata import version

    names = ["numpy", "numba", *(["torch"] if importlib.util.find_spec("torch") else [])]
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    return f"Python {platform.python_version()}, {packages}; {processor()}, {os.cpu_count()} cores"


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lenet")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--model", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--worker", choices=list(SIDES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker(options.worker, options.model[0], options.threads)

    sides = list(SIDES)
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed (the extra 'parity'): measuring minicnn alone")
        sides = [side for side in sides if not side.startswith("torch")]
    print(f"{versions()}; {options.threads} threads, {options.rounds} rounds")
    for model in options.model:
        results: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
        for _ in range(options.rounds):
            for side in sides:
                results[side].append(run_side(side, model, options.threads))
        print_table(model, results)


def print_table(model: str, results: dict[str, list[dict[str, Any]]]) -> None:
    def median(side: str, key: str) -> float:
        return statistics.median(run[key] for run in results[side])

    ours = median("minicnn eager", "seconds")
    print(f"\n{model}: seconds an epoch\n{'':22}median    min    max   times minicnn's   peak MB")
    for side, runs in results.items():
        seconds = [r["seconds"] for r in runs]
        print(
            f"{side:22}{median(side, 'seconds'):6.2f} {min(seconds):6.2f} {max(seconds):6.2f}"
            f"   {median(side, 'seconds') / ours:15.2f}   {median(side, 'peak_mb'):7.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
