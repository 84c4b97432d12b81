"""CUDA C on the CPU: compiles kernels with g++ and runs them on NumPy arrays.

``shim/cuda.h`` has the machine. Here: reading the kernels' parameters, compiling, and launches that
accept exactly what the parameters say, because a GPU checks nothing.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["CompileError", "LaunchError", "Library", "Parameter", "build", "compiled", "signatures"]

SHIM = Path(__file__).parent / "shim" / "cuda.h"
C_TYPES = {
    "bool": "bool",
    "unsigned char": "uint8",
    "int": "int32",
    "unsigned": "uint32",
    "unsigned int": "uint32",
    "long long": "int64",
    "unsigned long long": "uint64",
    "float": "float32",
    "double": "float64",
}
MOST_SHARED = 48 * 1024  # bytes of a block, without asking for more
REALS = {"float32": "float", "float64": "double"}

BOUNDS = r"(?:__launch_bounds__\s*\(\s*(\d+)[^)]*\)\s*)?"
HEAD = re.compile(
    rf'extern\s+"C"\s+__global__\s+{BOUNDS}void\s+{BOUNDS}(?P<name>\w+)\s*\((?P<parameters>[^)]*)\)'
)
ROOM = re.compile(r"extern __shared__ (?:__align__\(\d+\) )?(\w+) (\w+)\[\];")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


class CompileError(RuntimeError):
    """The text is not CUDA C, or not the part of it that the shim knows; g++'s words."""


class LaunchError(RuntimeError):
    """A launch that a GPU refuses, or one whose threads never came to an end together."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kernel: ``const real* __restrict__ x`` is float32, a pointer, constant."""

    name: str
    c_type: str
    dtype: np.dtype[Any]
    is_pointer: bool
    is_constant: bool


def signatures(text: str, real: str = "float32") -> dict[str, list[Parameter]]:
    """The parameters of every kernel in ``text``, by the kernel's name.

    Raises:
        ValueError: a kernel or a parameter that is not written as the conventions want.
    """
    types = {**C_TYPES, "real": real}
    return {
        name: [_parameter(name, part, types) for part in head["parameters"].split(",") if part]
        for name, head in _heads(text).items()
    }


def _heads(text: str) -> dict[str, re.Match[str]]:
    """Where each kernel begins: its name, parameters and launch bounds."""
    text = COMMENT.sub(lambda comment: "\n" * comment[0].count("\n") or " ", text)
    heads = list(HEAD.finditer(text))
    for word in re.finditer("__global__", text):
        if not any(head.start() < word.start() < head.end() for head in heads):
            line = text.count("\n", 0, word.start()) + 1
            raise ValueError(f'line {line}: wanted extern "C" __global__ void name(parameters)')
    return {head["name"]: head for head in heads}


def _parameter(kernel: str, text: str, types: dict[str, str]) -> Parameter:
    words = re.findall(r"\w+|\*", text)
    name = words.pop() if words else ""
    c_type = " ".join(word for word in words if word not in ("const", "__restrict__", "*"))
    if c_type not in types or words.count("*") > 1:
        raise ValueError(f"{kernel}: cannot read the parameter '{' '.join(text.split())}'")
    return Parameter(name, c_type, np.dtype(types[c_type]), "*" in words, "const" in words)


class Library:
    """Compiled kernels, ready to be launched."""

    def __init__(self, path: Path, text: str, real: str) -> None:
        self._read_heads(text, real)
        self._library = ctypes.CDLL(str(path))

    def _read_heads(self, text: str, real: str) -> None:
        self.signatures = signatures(text, real)
        self._bounds = {name: head[1] or head[2] for name, head in _heads(text).items()}

    def launch(
        self,
        name: str,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Any],
        order: int = 0,
        shared: int = 0,
    ) -> None:
        """Run a kernel on NumPy arrays and NumPy scalars of exactly its parameters' dtypes.

        Args:
            shared: bytes of ``extern __shared__`` memory of a block.
            order: of the threads in a block, and of the blocks: 0 forward, 1 backward, 2 and more
                the seed of a random permutation, another one after each barrier.

        Raises:
            TypeError: an argument is not what the parameter says.
            LaunchError: sizes that CUDA refuses, threads that part at a barrier, a deadlock.
        """
        self.prepare(name, grid, block, args, order, shared)()

    def prepare(
        self,
        name: str,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Any],
        order: int = 0,
        shared: int = 0,
    ) -> Callable[[], None]:
        """A launch that is checked now and done whenever the result is called."""
        if name not in self.signatures:
            raise LaunchError(f"{name}: no such kernel; there are {', '.join(self.signatures)}")
        parameters = self.signatures[name]
        if len(args) != len(parameters):
            raise TypeError(f"{name}: {len(args)} arguments; wanted {len(parameters)}")
        sizes = self._checked_sizes(name, grid, block)
        if not 0 <= shared <= MOST_SHARED:
            raise LaunchError(f"{name}: {shared} bytes of shared memory; at most {MOST_SHARED}")
        cells = [_cell(name, *pair) for pair in zip(parameters, args, strict=True)]
        values = (ctypes.c_void_p * len(cells))(*(cell.ctypes.data for cell in cells))
        run = self._runner(name, [*sizes, ctypes.c_uint(shared)], values, args, order)
        held = cells, tuple(args)  # `values` points into these

        def launch() -> None:
            problem = run()
            if problem and held:
                raise LaunchError(f"{name}: {problem}")

        return launch

    def _runner(
        self, name: str, sizes: list[Any], values: Any, args: Sequence[Any], order: int
    ) -> Callable[[], str | None]:
        """A function that does a launch and says what was wrong with it."""
        run = getattr(self._library, f"launch_{name}")
        run.restype = ctypes.c_char_p

        def launch() -> str | None:
            problem = run(*sizes, values, ctypes.c_uint(order))
            return problem and problem.decode()

        return launch

    def _checked_sizes(self, name: str, grid: Sequence[int], block: Sequence[int]) -> list[Any]:
        full = [tuple(map(int, sizes)) + (1,) * (3 - len(sizes)) for sizes in (grid, block)]
        limits = (2**31 - 1, 65535, 65535), (1024, 1024, 64)
        for what, sizes, most in zip(("grid", "block"), full, limits, strict=True):
            if len(sizes) != 3 or not all(1 <= n <= m for n, m in zip(sizes, most, strict=True)):
                raise LaunchError(f"{name}: {what} is {sizes}; wanted 1 to {most}")
        threads, most_threads = int(np.prod(full[1])), int(self._bounds[name] or 1024)
        if threads > most_threads:
            raise LaunchError(f"{name}: a block of {threads} threads; at most {most_threads}")
        return [(ctypes.c_uint * 3)(*sizes) for sizes in full]


def _cell(kernel: str, parameter: Parameter, value: Any) -> np.ndarray:
    """What the kernel finds in its parameter, as an array of one: an address or a number."""
    kind: Any = np.ndarray if parameter.is_pointer else np.generic
    good = isinstance(value, kind) and value.dtype == parameter.dtype
    if good and parameter.is_pointer:
        good = value.flags.c_contiguous and (parameter.is_constant or value.flags.writeable)
    elif value is None and parameter.is_pointer:
        return np.array(0, np.uintp)
    if not good:
        wanted = "contiguous array" if parameter.is_pointer else "NumPy scalar"
        received = f"{type(value).__name__} {getattr(value, 'dtype', repr(value))}"
        raise TypeError(
            f"{kernel}: argument '{parameter.name}' is {received}; "
            f"wanted a {wanted} of {parameter.dtype}"
        )
    return np.array(value.ctypes.data, np.uintp) if parameter.is_pointer else np.array(value)


def build(text: str, real: str = "float32", sanitize: bool = False, quick: bool = False) -> Library:
    """Compile the kernels in ``text`` and load them.

    Args:
        real: what the type ``real`` stands for, "float32" or "float64".
        sanitize: with AddressSanitizer and UBSan, for ``sanitizer.py``.
        quick: compiled in less time, for kernels that run only once.

    Raises:
        CompileError: with g++'s message; its lines are those of ``text``.
    """
    return Library(compiled(text, real, sanitize, quick), text, real)


def compiled(text: str, real: str, sanitize: bool, quick: bool = False) -> Path:
    """The shared library of ``text``; the same text is compiled once and kept on disk."""
    source = _source(text, real)
    command = ["g++", "-std=c++17", "-fPIC", "-shared", "-w", "-ffp-contract=off"]
    # shared memory of inline functions has one name for every `real`: each library gets its own
    command += ["-fno-gnu-unique", "-U_FORTIFY_SOURCE", f"-DREAL={REALS[real]}"]
    sanitizers = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command += sanitizers if sanitize else ["-O1" if quick else "-O2"]
    key = hashlib.sha256("\0".join([*command, SHIM.read_text(), source]).encode()).hexdigest()
    path = _cache_folder() / f"{key[:32]}.so"
    if not path.exists():
        _compile([*command, f"-I{SHIM.parent}"], source, path)
    return path


def _compile(command: list[str], source: str, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        cpp, so = Path(folder, "module.cpp"), Path(folder, "module.so")
        cpp.write_text(source)
        try:
            result = subprocess.run(
                [*command, str(cpp), "-o", str(so)], capture_output=True, text=True
            )
        except FileNotFoundError:
            raise CompileError("g++ is missing") from None
        if result.returncode:
            raise CompileError(result.stderr)
        os.replace(so, path)


def _source(text: str, real: str) -> str:
    """The C++ file: the shim, the kernels in a namespace of their own, a C function for each."""
    plain = re.sub(r'extern\s+"C"', lambda words: "\n" * words[0].count("\n"), text)
    plain = ROOM.sub(r"\1* \2 = (\1*)emulator::room.get();", plain)
    launchers = []
    for name, parameters in signatures(text, real).items():
        arguments = ", ".join(
            f"*({parameter.c_type}{'*' * parameter.is_pointer}*)a[{i}]"
            for i, parameter in enumerate(parameters)
        )
        launchers.append(
            f'extern "C" const char* launch_{name}'
            "(const unsigned* grid, const unsigned* block, unsigned shared, void** values,"
            " unsigned order) {\n"
            f"    auto run = [](void** a) {{ {name}({arguments}); }};\n"
            "    return emulator::launch(run, grid, block, shared, values, order);\n}"
        )
    parts = ['#include "cuda.h"', "namespace kernels {", '#line 1 "kernels.cu"', plain]
    return "\n".join([*parts, '#line 1 "launchers"', *launchers, "}", ""])


def _cache_folder() -> Path:
    """A folder that can be written; the user's cache if possible."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "minicnn-emulator"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    folder = Path(tempfile.gettempdir()) / f"minicnn-emulator-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
