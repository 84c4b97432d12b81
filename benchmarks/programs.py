"""The two training programs, started and timed from the outside as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

MINICNN, TORCH = "minicnn.train", "benchmarks.torch_lenet"


def arguments(program: str, model: str, epochs: int, threads: int, out: str) -> list[str]:
    """Options for ``program`` that make both do the same; minicnn writes its run to ``out``."""
    same = ["--model", model, "--epochs", str(epochs), "--threads", str(threads)]
    if program == MINICNN:
        return [*same, "--dataset", "fashion-mnist", "--device", "cpu", "--out", out]
    return [*same, "--data-dir", str(data_folder())]


def wall_seconds(program: str, model: str, epochs: int, threads: int, cache: str = "") -> float:
    """Seconds from the start of a program to its end. ``cache``: a folder for Numba's kernels."""
    with TemporaryDirectory() as folder:
        options = arguments(program, model, epochs, threads, f"{folder}/run")
        command = [sys.executable, "-m", program, *options]
        began = time.perf_counter()
        run(command, cache)
        return time.perf_counter() - began


def peak_mb(program: str, model: str, epochs: int, threads: int, cache: str = "") -> float:
    """The most memory that a program has at once, with the processes that it starts; in MB."""
    with TemporaryDirectory() as folder:
        options = arguments(program, model, epochs, threads, f"{folder}/run")
        command = [sys.executable, "-m", program, *options]
        peak = 0.0
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, env=environment(cache)
        ) as process:
            while process.poll() is None:
                peak = max(peak, memory_mb(process.pid))
                time.sleep(0.02)
    if process.returncode:
        sys.exit(f"{program} ended with status {process.returncode}")
    return peak


def memory_mb(pid: int, counted: tuple[str, ...] = ("Rss",)) -> float:
    """Resident memory of a process, and what those below it do not share; 0 where it has ended.

    Linux only. What others share (code of libraries, most of all) counts once, with the first.
    """
    folder = Path(f"/proc/{pid}")
    try:
        lines = (folder / "smaps_rollup").read_text().splitlines()
        below = " ".join(path.read_text() for path in folder.glob("task/*/children")).split()
    except OSError:
        return 0.0
    fields = (line.split(":") for line in lines[1:])  # "Rss:   1234 kB"
    own = sum(int(value.split()[0]) for name, value in fields if name in counted)
    private = ("Private_Clean", "Private_Dirty")
    return own / 1024 + sum(memory_mb(int(child), private) for child in below)


def run(command: Sequence[str], cache: str = "") -> None:
    """Run to the end, quietly."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment(cache))


def environment(cache: str) -> dict[str, str]:
    """This process's, with a folder for Numba's kernels."""
    return {**os.environ, **({"NUMBA_CACHE_DIR": cache} if cache else {})}


@contextmanager
def kernel_cache(warm: bool) -> Iterator[str]:
    """A fresh folder for Numba's kernels: empty, or filled by an epoch on the sample."""
    with TemporaryDirectory() as cache:
        if warm:
            out = ["--out", f"{cache}/run"]
            sample = ["--dataset", "fashion-mnist-sample", "--device", "cpu", "--epochs", "1"]
            run([sys.executable, "-m", MINICNN, *sample, *out], cache)
        yield cache


def data_folder() -> Path:
    """Where minicnn finds Fashion-MNIST, for a program that knows nothing of minicnn."""
    from minicnn.data import catalogue, find

    return find._locate("fashion-mnist", catalogue.CATALOGUE["fashion-mnist"])
