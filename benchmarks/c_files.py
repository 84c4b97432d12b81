"""``python -m benchmarks.c_files RUN...``: the C files of trained nets, measured.

A row for each run and kind: how far the C file's logits are from the net's on 1,000 test pictures,
the accuracy on all of them, its memory, and the processor time of a picture (gcc -O2, the fastest
of five rounds).
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import minicnn
from minicnn import export, load_run, train
from minicnn.train.run import load_sets

WARNINGS = "-std=c99 -pedantic -Wall -Wextra -Wconversion -Wshadow -Werror"


def function_of(path: Path):
    """``net_predict`` of a C file."""
    library = path.with_suffix(".so")
    options = [*WARNINGS.split(), "-O2", "-shared", "-fPIC"]
    subprocess.run(["gcc", *options, str(path), "-o", str(library), "-lm"], check=True)
    function, pointer = ctypes.CDLL(str(library)).net_predict, ctypes.POINTER(ctypes.c_float)
    return lambda x, y: function(x.ctypes.data_as(pointer), y.ctypes.data_as(pointer))


def row(run: Path, kind: str, folder: Path) -> str:
    """One row of the table."""
    net, config = load_run(run)
    sets = load_sets(config)
    path = folder / f"{config['model']}-{kind}.c"
    made = export.to_c(net, path, int8_from=sets if kind == "int8" else None)
    function, test = function_of(path), sets[1]
    pixels = test.images[:1000].astype(np.float32) / 255
    logits = np.empty((len(pixels), 10), np.float32)
    rounds = []
    for _ in range(5):
        start = time.process_time()
        for x, y in zip(pixels, logits, strict=True):
            function(x, y)
        rounds.append((time.process_time() - start) / len(pixels) * 1e6)
    with minicnn.no_grad():
        theirs = net(minicnn.Tensor(pixels[:, None])).numpy()
    far = np.abs(logits - theirs).max()
    batches = minicnn.data.DataLoader(test, 250)
    accuracy = made.accuracy[1] if made.accuracy else train.loop.evaluate(net, batches)
    return (
        f"| {config['model']} | {kind} | {far:.1e} of {np.abs(theirs).max():.1f} | {accuracy:.4f} "
        f"| {made.constant_bytes:,} | {made.scratch_bytes:,} | {min(rounds):,.0f} |"
    )


def main(runs: list[str]) -> None:
    """Print the table."""
    print("| net | kind | largest difference | accuracy | constants | scratch | us a picture |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for run in runs:
            for kind in ("float32", "int8"):
                print(row(Path(run), kind, Path(folder)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
