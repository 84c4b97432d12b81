"""Ctrl-C at random moments of real training runs: ``python -m tests.interrupts --runs 200``.

Each run has other settings: compiled or eager, 1 to 4 threads, with and without warm kernels; every
third is interrupted twice. Two go on at a time, next to a process that keeps a core busy. What has
to hold: none hangs; after the first line that a run prints, an interrupt ends it with status 130
(unless it was done); its folder, if there is one, has weights that load and nothing half-written.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import minicnn

HANGS = 120  # seconds after which a run that was interrupted counts as hanging
BUSY = "while True: pass"


def one_run(number: int, seed: int, folder: Path) -> tuple[str, str]:
    """Train, interrupt, look at what is left: (what happened, the settings)."""
    rng = random.Random(f"{seed} {number}")
    settings = [
        *("--dataset", "fashion-mnist-sample", "--out", str(folder), "--seed", str(number)),
        *("--model", rng.choice(["lenet", "lenet-max", "mlp"])),
        *("--epochs", rng.choice(["2", "99"])),
        *("--threads", str(rng.randint(1, 4))),
        *(["--no-compile"] if rng.random() < 0.5 else []),
    ]  # fmt: skip
    cold = {"NUMBA_CACHE_DIR": str(folder) + "-kernels"} if rng.random() < 0.1 else {}
    process = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-u", "-m", "minicnn.train", *settings],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **cold},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        before = rng.random() < 0.1
        first_line = "" if before else process.stdout.readline()
        time.sleep(rng.random() * rng.choice([0.5, 2, 6]))
        was_done = process.poll() is not None
        for _ in range(1 + (number % 3 == 0)):
            process.send_signal(signal.SIGINT)
            time.sleep(rng.choice([0, 0.01, 0.3]))
        try:
            _, errors = process.communicate(timeout=HANGS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # with -X faulthandler: says where it is
            return f"HANGS\n{process.communicate()[1]}", " ".join(settings)
    finally:
        process.kill()
    return verdict(process.returncode, was_done, bool(first_line), errors, folder), " ".join(
        settings
    )


def verdict(status: int, was_done: bool, printed: bool, errors: str, folder: Path) -> str:
    """What happened, in capitals where it must not."""
    if (wrong := what_is_wrong_in(folder)) is not None:
        return f"BROKEN FOLDER: {wrong}"
    if was_done or (status == 0 and (folder / "curves.png").exists()):
        return "was done"
    if status == 130:
        return "130" + ("" if folder.exists() else ", before there was a folder")
    if not printed:
        return f"status {status} before the first line"
    return f"STATUS {status}: {errors.strip().splitlines()[-1:]}"


def what_is_wrong_in(folder: Path) -> str | None:
    """Of a run's folder: a file that is missing, half-written, or left over."""
    if not folder.exists():
        return None
    try:
        minicnn.load_run(folder)
        for name in ("metrics", "curve"):
            path = folder / f"{name}.jsonl"
            for line in path.read_text().splitlines() if path.exists() else []:
                json.loads(line)
    except (OSError, ValueError) as error:
        return str(error)
    names = {"config.json", "model.safetensors", "metrics.jsonl", "curve.jsonl", "curves.png"}
    left = {path.name for path in folder.iterdir()} - names
    left |= {path.name for path in folder.parent.glob(f".{folder.name}*")}
    return f"left over: {sorted(left)}" if left else None


def main() -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser("python -m tests.interrupts", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    busy: subprocess.Popen[Any] = subprocess.Popen([sys.executable, "-c", BUSY])
    found: Counter[str] = Counter()
    try:
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
            runs = [
                pool.submit(one_run, number, options.seed, Path(folder) / f"run-{number}")
                for number in range(options.runs)
            ]
            for run in runs:
                what, settings = run.result()
                found[what] += 1
                if what.split()[0].isupper():
                    print(what, settings, sep="\n    ", flush=True)
    finally:
        busy.kill()
    for what, count in found.most_common():
        print(f"{count:5}  {what}")
    return int(any(what.split()[0].isupper() for what in found))


if __name__ == "__main__":
    sys.exit(main())
