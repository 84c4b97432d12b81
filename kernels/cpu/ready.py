"""Has kernels ready before they are called: those that nobody has compiled yet, by two processes.

Numba compiles one kernel after the other, however many threads ask for one. So a second process, a
helper, compiles too. It shares nothing with the first but the folder of compiled kernels (see
``jit``), from where the first one loads what the helper has compiled, and a pipe with the kernels'
numbers, a byte each: whoever has time takes the next byte, and a pipe gives no byte twice.

A kernel that the helper did not compile, for whatever reason, is compiled where it is called.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

from . import jit
from .threads import get_num_threads

WORTH_A_HELPER = 6  # kernels: with fewer, one process has ended before another helps much
MOST_KERNELS = 256  # that bytes can number
# Without SciPy: where it is installed, Numba loads its BLAS, which no kernel calls (0.2 s, 15 MB).
HELPER = f"import sys; sys.modules['scipy'] = None; from {__name__} import main; main()"
PATIENCE = 60  # seconds that a helper may take for its last kernel


class Form(NamedTuple):
    """A kernel, and the types of the arguments that it is compiled for."""

    kernel: Any
    types: tuple[Any, ...]


def form_of(kernel: Any, *arguments: Any) -> Form:
    """The form of a kernel that a call with these arguments needs."""
    return Form(kernel, tuple(map(kernel.typeof_pyval, arguments)))


def make_ready(forms: Sequence[Form]) -> None:
    """Have these compiled, or on disk, if there are enough of them for a helper to pay."""
    missing = [form for form in forms if not jit.is_there(*form)][:MOST_KERNELS]
    if len(missing) < WORTH_A_HELPER or not jit.can_keep():
        return
    is_helped = get_num_threads() > 1 and _is_python(sys.executable)
    with _numbers(len(missing)) as queue, _helper(missing, queue) if is_helped else nullcontext():
        _compile_from(queue, missing)


@contextmanager
def _numbers(count: int) -> Iterator[int]:
    """A pipe that holds the numbers 0 to count - 1 and nothing after them: its end to read from."""
    queue, end = os.pipe()
    try:
        os.write(end, bytes(range(count)))
        os.close(end)
        yield queue
    finally:
        os.close(queue)


def _is_python(executable: str | None) -> bool:
    """By its name: where Python is part of a program, or frozen into one, it is that program's."""
    name = Path(executable or "").name.lower()
    return name.startswith("python") and not hasattr(sys, "frozen")


@contextmanager
def _helper(missing: Sequence[Form], queue: int) -> Iterator[None]:
    """Another process that takes numbers from the queue; it has ended afterwards."""
    names = [(f.kernel.py_func.__module__, f.kernel.py_func.__name__, f.types) for f in missing]
    work = pickle.dumps((str(jit.folder()), names)).hex()
    # it finds the modules that this process finds, and none in the current folder
    path = os.pathsep.join(map(os.path.abspath, sys.path))
    command = [sys.executable, "-P", "-c", HELPER, work]
    quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        helper = subprocess.Popen(
            command, stdin=queue, env={**os.environ, "PYTHONPATH": path}, **quiet
        )
    except OSError:  # no more processes: all are compiled here
        yield
        return
    try:
        yield
        with suppress(subprocess.TimeoutExpired):
            helper.wait(PATIENCE)
    finally:
        helper.kill()
        helper.wait()


def _compile_from(queue: int, missing: Sequence[Form]) -> None:
    """Take numbers until there are none left, and compile what they stand for.

    What other programs are compiling is left to them.
    """
    while number := os.read(queue, 1):
        form = missing[number[0]]
        if not jit.is_claimed(*form):
            jit.compiled(*form)


def main() -> None:
    """What the helper does. Its queue is what it reads as standard input."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a Ctrl-C at the keyboard ends it at once
    folder, names = pickle.loads(bytes.fromhex(sys.argv[1]))
    if str(jit.folder()) != folder:  # sources or switches have changed: nobody would look there
        return
    missing = [
        Form(getattr(importlib.import_module(module), name), types) for module, name, types in names
    ]
    _compile_from(sys.stdin.fileno(), missing)
    os._exit(0)  # at once: LLVM takes half a second to tidy up
