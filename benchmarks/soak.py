"""Does anything grow, or change, while the engine works for hours?

    python -m benchmarks.soak --hours 0.5 [--mode eager|compiled|sweep] [--threads 1]

eager, compiled: a training on the sample, with a checkpoint after every few batches, is stopped,
goes on from its checkpoint in a new net, is saved and loaded; again and again. Each time it has to
end with the bits of the first time. sweep: nets, sizes of pictures and of batches are drawn; an
eager and a compiled step have to agree, and so have predictions for batches of several sizes; one
net is compiled once, for pictures of all sizes.

Every few seconds all that Python can free is freed, and a line added to a CSV file: resident memory
in MB of 1,048,576 bytes, memory blocks of Python's, open files and threads. After the time is over
a straight line is fitted to each, without the first quarter, in which buffers and kernels are made.
Where one rises by more than ``BOUNDS`` allows, the last line says so, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import csv
import gc
import hashlib
import itertools
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

import minicnn
from benchmarks.common import RESULTS
from minicnn import Tensor, data, models, nn, optim

SEED = 0
FEWEST = 8  # samples that a line is fitted to
CASES = 60  # nets with batches that ``sweeps`` draws
SIZES = [(9 + k, 21 - k) for k in range(10)]  # of pictures


class Sample(NamedTuple):
    """A line of the file."""

    seconds: float  # since the start
    rounds: int  # so far
    rss_mb: float  # resident memory
    blocks: int  # of memory that Python has given to its objects
    handles: int  # open files
    threads: int


# How much each may rise in an hour. A round takes a second or less: an object that each leaves
# behind is 3,600 blocks an hour. The C library's memory has holes that come and go.
BOUNDS = {"rss_mb": 10.0, "blocks": 1000.0, "handles": 1.0, "threads": 1.0}


# What is done -------------------------------------------------------------------------------------


def trainings(folder: Path, compile: bool) -> Iterator[None]:
    """The same training each time, which has to leave the same bits in its file."""
    few, first = data.load("fashion-mnist-sample")[0][:700], ""
    file, kept = folder / "net.safetensors", folder / "net.state"

    def epochs(count: int, **more: object) -> nn.Module:
        minicnn.manual_seed(SEED)
        net = models.lenet(channels=(4, 6), hidden=(20,), batch_norm=True, dropout=0.2)
        optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        loader = data.DataLoader(few, 64, shuffle=True)
        callbacks = [minicnn.Checkpoint(kept, every=3)]
        options = {"optimizer": optimizer, "callbacks": callbacks, "compile": compile}
        minicnn.fit(net, loader, few, epochs=count, quiet=True, **options, **more)
        return net

    while True:
        epochs(2)
        minicnn.save(epochs(3, resume=kept), file)
        loaded = minicnn.load(file)
        digest = hashlib.sha256(b"".join(t.numpy().tobytes() for t in loaded.values())).hexdigest()
        first = first or digest
        if digest != first:
            raise SystemExit(f"soak: weights {digest}; wanted those of the first round, {first}")
        yield


def sweeps(folder: Path) -> Iterator[None]:
    """Drawn nets and sizes; one net for pictures of many sizes. ``folder`` is not used.

    The cases come again and again, in other orders: the C library keeps as much as the largest
    took, and among new cases now and then one is the largest so far.

    In float64: with float32's roundings another cell now and then wins a window of max pooling.
    """
    rng = np.random.default_rng(SEED)
    lasting = nn.Sequential(nn.Conv2d(2, 5, (3, 2), padding=1), nn.ReLU(), nn.MaxPool2d((2, 3)))
    predict = minicnn.compile(lasting.double())
    for case in itertools.chain.from_iterable(rng.permutation(CASES) for _ in itertools.count()):
        train_and_predict(np.random.default_rng((SEED, case)))
        for size in SIZES:  # more than it keeps engines for
            x = minicnn.randn(int(rng.integers(1, 20)), 2, *size, dtype=np.float64)
            agree(predict(x), in_evaluation(lasting, x))
        yield


def train_and_predict(rng: np.random.Generator) -> None:
    """A drawn net, three drawn batches: eager and compiled."""
    net, shape = drawn(rng)
    loss, optimizer = nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.01)
    step, predict = minicnn.compile(net, loss, optimizer), minicnn.compile(net)
    for images in rng.integers(1, 70, size=3):
        x = minicnn.randn(images, *shape, dtype=np.float64)
        y = Tensor(rng.integers(0, 7, images))
        agree(predict(x), in_evaluation(net, x))
        minicnn.manual_seed(SEED)
        eager = loss(net(x), y)
        optimizer.zero_grad()
        eager.backward()
        theirs = {name: p.grad for name, p in net.named_parameters()}
        minicnn.manual_seed(SEED)
        agree(step(x, y)[0], eager)
        for name, gradient in step.gradients().items():
            agree(gradient, theirs[name])


def drawn(rng: np.random.Generator) -> tuple[nn.Module, tuple[int, ...]]:
    """A net for pictures of a drawn size, and their shape."""
    height, width, channels, hidden = (int(n) for n in rng.integers((8, 8, 1, 1), (31, 31, 20, 40)))
    kernel = tuple(int(n) for n in rng.integers(1, 6, size=2))
    pool = [nn.MaxPool2d, nn.AvgPool2d][rng.integers(2)]
    activation = [nn.ReLU, nn.Sigmoid, nn.Tanh][rng.integers(3)]
    body = nn.Sequential(
        nn.Conv2d(2, channels, kernel, padding=tuple(k // 2 for k in kernel)),
        activation(),
        pool((2, 3), stride=tuple(int(n) for n in rng.integers(1, 4, size=2))),
        nn.Dropout(0.3),
        nn.Flatten(),
    )
    shape = (2, height, width)
    size = body(Tensor(np.zeros((1, *shape), np.float32))).size
    head = nn.Linear(size, hidden), activation(), nn.Linear(hidden, 7)
    return nn.Sequential(*body, *head).double(), shape


def in_evaluation(net: nn.Module, x: Tensor) -> Tensor:
    """The net's own prediction; it is left in training mode."""
    with minicnn.no_grad():
        result = net.eval()(x)
    net.train()
    return result


def agree(ours: Tensor, theirs: Tensor | None) -> None:
    """Refuse what differs by more than roundings."""
    largest = 0.0 if theirs is None else float(np.abs(ours.numpy() - theirs.numpy()).max())
    if theirs is None or not largest <= 1e-9 * max(1.0, float(np.abs(theirs.numpy()).max())):
        raise SystemExit(f"soak: compiled and eager differ by {largest}; wanted roundings")


MODES: dict[str, Callable[[Path], Iterator[None]]] = {
    "eager": lambda folder: trainings(folder, compile=False),
    "compiled": lambda folder: trainings(folder, compile=True),
    "sweep": sweeps,
}


# What is measured ---------------------------------------------------------------------------------


def soak(rounds: Iterator[None], seconds: float, every: float, path: Path) -> None:
    """Go round until the time is over; a sample every few seconds, kept in the file alone."""
    began, last = time.monotonic(), -math.inf
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(Sample._fields)
        for number, _ in enumerate(rounds, 1):
            now = time.monotonic() - began
            if now - last >= every:
                table.writerow(sample(now, number))
                file.flush()
                last = now
            if now >= seconds:
                return


def read(path: Path) -> list[Sample]:
    """The samples of a file."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [[float(value) for value in row] for row in list(csv.reader(file))[1:]]
    return [Sample(s, int(n), rss, int(b), int(h), int(t)) for s, n, rss, b, h, t in rows]


def sample(seconds: float, rounds: int) -> Sample:
    """How things stand, after all that is unreachable has been freed."""
    import psutil

    gc.collect()
    process = psutil.Process()
    handles = process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
    rss = process.memory_info().rss / (1 << 20)
    blocks, threads = sys.getallocatedblocks(), process.num_threads()
    return Sample(round(seconds, 1), rounds, round(rss, 2), blocks, handles, threads)


def rises(samples: list[Sample]) -> dict[str, float]:
    """By how much each rises in an hour: the slope of the line with the least squares."""
    hours = np.array([s.seconds for s in samples]) / 3600
    values = {name: [getattr(s, name) for s in samples] for name in BOUNDS}
    return {name: float(np.polyfit(hours, column, 1)[0]) for name, column in values.items()}


def verdict(samples: list[Sample]) -> tuple[str, bool]:
    """The last line, and whether all is flat."""
    later = [s for s in samples if s.seconds >= samples[-1].seconds / 4]
    if len(later) < FEWEST:
        return f"too short: {len(later)} samples after the first quarter; wanted {FEWEST}", False
    found = rises(later)
    flat = all(found[name] <= bound for name, bound in BOUNDS.items())
    each = "; ".join(
        f"{name} {getattr(later[0], name)} to {getattr(later[-1], name)}, {rise:+.1f} an hour "
        f"(at most {BOUNDS[name]:g})"
        for name, rise in found.items()
    )
    told = f"{samples[-1].rounds} rounds in {samples[-1].seconds:.0f} s"
    return f"{'flat' if flat else 'NOT flat'}: {told}; {each}", flat


def main(argv: list[str] | None = None) -> int:
    """Do what is asked for; 1 if something grows."""
    parser = argparse.ArgumentParser("python -m benchmarks.soak")
    parser.add_argument("--hours", type=positive, default=0.5)
    parser.add_argument("--mode", choices=MODES, default="compiled")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--every", type=positive, default=10.0, help="seconds between samples")
    parser.add_argument(
        "--out", type=Path, default=RESULTS / "soak", help="folder for the CSV file"
    )
    options = parser.parse_args(argv)
    minicnn.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{options.mode}.csv"
    with tempfile.TemporaryDirectory() as folder:
        rounds = MODES[options.mode](Path(folder))
        soak(rounds, 3600 * options.hours, options.every, path)
    line, flat = verdict(read(path))
    print(f"{options.mode}: {line}")
    return int(not flat)


def positive(text: str) -> float:
    """A number above 0."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text}; wanted a number above 0")
    return number


if __name__ == "__main__":
    sys.exit(main())
