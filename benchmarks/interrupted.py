"""Runs that are killed, and go on: docs/resume.md.

    python -m benchmarks.interrupted [kill] [disk] [flip] [cost] [--times 30] [--seed 0]

kill: a compiled and an eager run are killed (SIGKILL) at random moments, ``--times`` each, and
resumed; their files are compared with those of a run that was left alone. Half of them write their
state after every batch, so that many a kill comes while it is written. disk: a run on a file system
of 2 MB that fills up (needs root, for mount). flip: 1,000 bits of a state are flipped, one at a
time. cost: the milliseconds of an epoch's end. All of it on the sample in the package.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import minicnn
from minicnn import data, models, optim
from minicnn.train import state
from minicnn.train.callbacks import Training
from minicnn.train.run import Keeper, Run, read_jsonl

OPTIONS = (
    "--dataset fashion-mnist-sample --model lenet --channels 4,6 --hidden 20 --activation relu "
    "--batch-norm --dropout 0.2 --lr 0.05 --momentum 0.9 --schedule cosine --epochs 3 "
    "--batch-size 200 --validation 700 --threads 2 --quiet"
)
SECONDS = ("seconds", "eval_seconds", "examples_per_sec")
FLIPS = 1000


def process(*options: str) -> subprocess.Popen[str]:
    """The command, begun."""
    line = [sys.executable, "-m", "minicnn.train", *options]
    return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def ended(*options: str) -> tuple[int, str]:
    """The command's status and what it printed on stderr."""
    running = process(*options)
    _, errors = running.communicate()
    return running.returncode, errors


def content(run: Path) -> dict[str, object]:
    """All that has to be equal of two runs."""
    metrics = [
        {name: value for name, value in row.items() if name not in SECONDS}
        for row in read_jsonl(run / "metrics.jsonl")
    ]
    names = ("model.safetensors", "best.safetensors", "curve.jsonl")
    return {"metrics": metrics, **{name: (run / name).read_bytes() for name in names}}


# kill ---------------------------------------------------------------------------------------------


def kills(folder: Path, times: int) -> bool:
    """Kill runs and resume them; whether all ended as those that were left alone."""
    fine = True
    for kind, more in (("compiled", ["--epochs", "20"]), ("eager", ["--no-compile"])):
        options = [*OPTIONS.split(), *more]
        whole, took = left_alone(folder / kind, options)
        places, equal = [], 0
        for k in range(times):
            every = ["--checkpoint-every", "1"] if k % 2 else []
            run = folder / f"{kind}-{k}"
            kill(run, [*options, *every], random.uniform(0, took))
            facts = state.load(run / "state.safetensors").facts  # whole, or this raises
            places.append(f"{facts['epoch']}:{facts['batch']}")
            status, errors = ended("--resume", str(run))
            equal += status == 0 and content(run) == whole
            print(errors, end="", file=sys.stderr)
            shutil.rmtree(run)
        print(f"kill, {kind}: {times} states loaded, {equal} of {times} runs ended bit-equal")
        print(f"  killed after epoch:batch {' '.join(sorted(places))}")
        fine = fine and equal == times
    return fine


def left_alone(run: Path, options: list[str]) -> tuple[dict[str, object], float]:
    """What a run leaves that nobody kills, and how many seconds its training takes."""
    running = process(*options, "--out", str(run))
    wait_for(run, running)
    began = time.time()
    running.wait()
    return content(run), (run / "state.safetensors").stat().st_mtime - began


def kill(run: Path, options: list[str], seconds: float) -> None:
    """Begin a run, and kill it some seconds after its folder is there."""
    running = process(*options, "--out", str(run))
    wait_for(run, running)
    time.sleep(seconds)
    running.kill()
    running.communicate()


def wait_for(run: Path, running: subprocess.Popen[str]) -> None:
    """Until the folder is there."""
    while not run.exists():
        if running.poll() is not None:
            sys.exit(f"the run ended before its folder was there: {running.communicate()[1]}")
        time.sleep(0.001)


# disk ---------------------------------------------------------------------------------------------


def full_disk(folder: Path) -> bool:
    """Fill a small file system while a run writes into it; whether it said so and could go on."""
    options = [*OPTIONS.split(), "--epochs", "40"]
    whole, _ = left_alone(folder / "alone", options)
    with small_file_system(folder / "disk") as disk:
        run = disk / "run"
        running = process(*options, "--out", str(run))
        wait_for(run, running)
        while not running.poll() and len(read_jsonl(run / "metrics.jsonl")) < 3:
            time.sleep(0.01)
        filler = disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        _, errors = running.communicate()
        kept = state.load(run / "state.safetensors")
        filler.unlink()
        status, _ = ended("--resume", str(run))
        equal = status == 0 and content(run) == whole
    print(f"disk: status {running.returncode}, {errors.count(chr(10))} line: {errors.strip()}")
    print(f"  the state of epoch {kept.epochs_done} was whole; bit-equal after --resume: {equal}")
    return equal and running.returncode == 2 and errors.count("\n") == 1


@contextlib.contextmanager
def small_file_system(place: Path) -> Iterator[Path]:
    """A file system of 2 MB in memory."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


# flip, cost ---------------------------------------------------------------------------------------


def flips(folder: Path) -> bool:
    """Flip single bits of a state; whether each was noticed."""
    path = folder / "flipped.safetensors"
    state.save(lenet_training(), path)
    whole, read = path.read_bytes(), 0
    for bit in random.sample(range(8 * len(whole)), FLIPS):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with contextlib.suppress(ValueError):
            state.load(path)
            read += 1
    print(f"flip: of {FLIPS:,} states with a flipped bit, {read} were read ({len(whole):,} bytes)")
    return read == 0


def cost(folder: Path) -> bool:
    """Time what is written at an epoch's end, of the preset lenet, with and without the state."""
    training = lenet_training()
    run = Run(folder / "run", {}, training.net, training)
    keeper, times = Keeper(run, None), []
    for _ in range(50):
        start = time.perf_counter()
        keeper.on_epoch(training)
        whole = time.perf_counter()
        run.write(training.net, training.history)
        times.append((whole - start, time.perf_counter() - whole))
    both, before = (1e3 * median(column) for column in zip(*times, strict=True))
    print(f"cost: {both:.2f} ms at an epoch's end, {before:.2f} ms of them without the state")
    return True


def lenet_training() -> Training:
    """LeNet after an epoch on the sample."""
    train, _ = data.load("fashion-mnist-sample")
    net, seen = models.lenet(), list[Training]()

    class Look(minicnn.Callback):
        def on_epoch(self, training: Training) -> None:
            seen.append(training)

    optimizer = optim.SGD(net.parameters(), lr=0.9)
    batches = data.DataLoader(train, 256, shuffle=True, raw=True)
    minicnn.fit(
        net, batches, optimizer=optimizer, epochs=1, callbacks=[Look()], quiet=True, compile=True
    )
    return seen[0]


def main() -> int:
    """Do what is asked for; 1 if something was not as it should be."""
    parser = argparse.ArgumentParser("python -m benchmarks.interrupted")
    parts = {"kill": kills, "disk": full_disk, "flip": flips, "cost": cost}
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random.seed(options.seed)
    fine = True
    for name in options.parts or parts:
        with tempfile.TemporaryDirectory() as folder:
            more = [options.times] if name == "kill" else []
            fine = parts[name](Path(folder), *more) and fine
    return int(not fine)


if __name__ == "__main__":
    sys.exit(main())
