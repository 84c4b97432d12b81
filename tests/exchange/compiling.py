"""C files, compiled as a careful user would, and called from here."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

STRICT = [
    *("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow"),
    *("-Wmissing-prototypes", "-Wstrict-prototypes", "-Wdouble-promotion", "-Werror"),
]
SANITISERS = ["-fsanitize=undefined,address", "-fno-sanitize-recover=all"]
COMPILER = shutil.which("gcc") or shutil.which("cc")

needs_a_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")


def compiled(path: Path, *options: str) -> Path:
    """The program or library that the compiler makes of ``path``, without a warning."""
    made = path.with_suffix(".so" if "-shared" in options else ".out")
    command = [str(COMPILER), *STRICT, *options, str(path), "-o", str(made), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]
    assert done.stderr == ""
    return made


def called(path: Path, pictures: np.ndarray, outputs: int, name: str = "net") -> np.ndarray:
    """What the C function makes of each picture, float32 (N, C, H, W): (N, outputs)."""
    library = ctypes.CDLL(str(compiled(path, "-O1", "-shared", "-fPIC")))
    function: Any = getattr(library, f"{name}_predict")
    function.restype = None
    rows = np.ascontiguousarray(pictures, np.float32)
    results = np.full((len(rows), outputs), np.nan, np.float32)
    pointer = ctypes.POINTER(ctypes.c_float)
    for row, result in zip(rows, results, strict=True):
        function(row.ctypes.data_as(pointer), result.ctypes.data_as(pointer))
    return results


def self_test(path: Path, macro: str = "NET_SELF_TEST") -> subprocess.CompletedProcess[str]:
    """Run the file's own test under the sanitisers of the address and of undefined behaviour."""
    program = compiled(path, "-g", f"-D{macro}", *SANITISERS)
    return subprocess.run([str(program)], capture_output=True, text=True)
