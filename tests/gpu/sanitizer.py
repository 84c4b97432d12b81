"""One launch under AddressSanitizer and UBSan, which see accesses outside of an array.

The sanitizer has to be in a process from its start, so the launch happens in a second one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.gpu import emulator

ROOT = Path(__file__).parents[2]


class SanitizerError(RuntimeError):
    """What the sanitizer, or the launch, complained of."""


def launch(
    text: str,
    name: str,
    grid: Sequence[int],
    block: Sequence[int],
    args: Sequence[Any],
    real: str = "float32",
    order: int = 0,
) -> list[np.ndarray]:
    """As ``Library.launch``, on copies of ``args``; returns them as the kernel left them.

    Raises:
        SanitizerError: an access out of bounds, undefined behaviour, or a launch that failed.
    """
    emulator.compiled(text, real, sanitize=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        call = {"text": text, "name": name, "grid": list(grid), "block": list(block)}
        (folder / "call.json").write_text(json.dumps({**call, "real": real, "order": order}))
        np.savez(folder / "before.npz", *args)
        command = [sys.executable, "-m", "tests.gpu.sanitizer", place]
        result = subprocess.run(
            command, cwd=ROOT, env=_environment(), capture_output=True, text=True
        )
        if result.returncode:
            raise SanitizerError(f"{name}: {result.stderr or result.stdout}")
        return _arrays(folder / "after.npz")


def _environment() -> dict[str, str]:
    options = {"ASAN_OPTIONS": "detect_leaks=0", "OPENBLAS_NUM_THREADS": "1"}
    preload = " ".join(map(_library_of_gcc, ("libasan.so", "libstdc++.so")))
    return {**os.environ, **options, "LD_PRELOAD": preload}


def _library_of_gcc(name: str) -> str:
    command = ["g++", f"-print-file-name={name}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _arrays(path: Path) -> list[np.ndarray]:
    with np.load(path) as saved:
        return [saved[f"arr_{i}"] for i in range(len(saved.files))]


def _run(folder: Path) -> None:
    """In the second process: read the call, launch, write the arrays."""
    call = json.loads((folder / "call.json").read_text())
    library = emulator.build(call["text"], call["real"], sanitize=True)
    parameters = library.signatures[call["name"]]
    arrays = [array.copy() for array in _arrays(folder / "before.npz")]  # its own exact memory
    args = [
        array if parameter.is_pointer else array[()]
        for parameter, array in zip(parameters, arrays, strict=True)
    ]
    library.launch(call["name"], call["grid"], call["block"], args, call["order"])
    np.savez(folder / "after.npz", *arrays)


if __name__ == "__main__":
    _run(Path(sys.argv[1]))
