"""The machine of ``shim/ptx/`` as a library: built once, it runs any program."""

from __future__ import annotations

import ctypes
import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.gpu import emulator

from .program import Program

FOLDER = Path(__file__).parents[1] / "shim" / "ptx"
COMMAND = ["g++", "-std=c++17", "-fPIC", "-shared", "-w", "-O2", "-ftree-vectorize"]
COMMAND += ["-march=native", "-ffp-contract=off", "-fwrapv", "-fno-strict-aliasing"]
COMMAND += ["-fno-math-errno"]
ULPS = 2  # by which the hardware's approximations may be off


SIZES = ("length", "registers", "predicates", "shared", "local", "granule", "shared_granule")
NUMBERS = ("kind", "line", "other_line", "size")
WHO = ("block", "thread", "other_block", "other_thread")


class _Program(ctypes.Structure):
    _fields_ = (
        ("instructions", ctypes.c_void_p),
        ("constants", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in SIZES),
        ("shared_holes", ctypes.c_char_p),
        ("bound", ctypes.c_int32 * 16),
        ("ulps", ctypes.c_int32),
    )


class Finding(ctypes.Structure):
    """What was wrong in a launch, in numbers."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in NUMBERS),
        *((name, ctypes.c_uint32) for name in WHO),
        ("address", ctypes.c_uint64),
    )


@functools.cache
def library() -> Any:
    """The compiled machine."""
    texts = [path.read_text() for path in sorted(FOLDER.iterdir())]
    first_core = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    flags = [line for line in first_core.splitlines() if line.startswith(("flags", "model name"))]
    key = hashlib.sha256("\0".join([*COMMAND, *texts, *flags]).encode()).hexdigest()
    path = emulator._cache_folder() / f"ptx-{key[:32]}.so"
    if not path.exists():
        source = '#include "machine.cpp"\n'
        emulator._compile([*COMMAND, f"-I{FOLDER}"], source, path)
    loaded = ctypes.CDLL(str(path))
    loaded.ptx_name.restype = ctypes.c_char_p
    return loaded


@functools.cache
def functions() -> dict[str, int]:
    """The machine's functions, by name."""
    return {library().ptx_name(n).decode(): n for n in range(library().ptx_functions())}


def run(
    program: Program,
    sizes: Sequence[int],
    shared: int,
    values: Any,
    order: int,
    regions: np.ndarray,
) -> Finding | None:
    """Do a launch; what was wrong with it, if anything.

    Args:
        sizes: of grid and block, x, y, z each.
        shared: bytes of ``extern __shared__`` memory of a block.
        values: an array of pointers to the arguments.
        order: of threads and blocks: see ``emulator.Library.launch``.
        regions: uint64, (..., 2): begin and end of all memory that it may touch, in order.
    """
    shape = _Program(
        program.instructions.ctypes.data,
        program.constants.ctypes.data,
        len(program.instructions),
        program.register_bytes,
        len(program.predicates),
        program.shared,
        program.local,
        program.granule,
        program.shared_granule,
        program.holes,
        (ctypes.c_int32 * 16)(*program.bound),
        ULPS,
    )
    place, finding = ctypes.c_void_p(regions.ctypes.data), Finding()
    found = library().ptx_launch(
        ctypes.byref(shape),
        (ctypes.c_uint * 6)(*sizes),
        values,
        ctypes.c_uint(order),
        place,
        ctypes.c_int(len(regions)),
        ctypes.c_int64(shared),
        ctypes.byref(finding),
    )
    return finding if found else None
