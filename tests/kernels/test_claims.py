"""Several processes that need one kernel: one compiles it, the others wait for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from numba.core.compiler_lock import global_compiler_lock

from minicnn.kernels.cpu import jit, ready
from minicnn.kernels.cpu.claims import claimed
from minicnn.kernels.interrupts import held
from tests.kernels.test_ready import Forms, compiled_here, forms, helpers

__all__ = ["forms", "helpers"]  # fixtures

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")

CLAIM = """
import sys, time
from pathlib import Path
from typing import Any
from minicnn.kernels.cpu.claims import claimed
with claimed(Path(sys.argv[1])):
    print("claimed", flush=True)
    time.sleep(600)
"""
# waits to be told, calls three kernels with whole and other numbers, says how many it compiled
CALL = """
import sys
from tests.kernels.test_ready import ADDED
print("ready", flush=True)
sys.stdin.readline()
for kernel, added in ADDED.items():
    assert (kernel(4), kernel(0.25)) == (4 + added, 0.25 + added)
print(sum(sum(kernel.stats.cache_misses.values()) for kernel in ADDED))
"""


@contextmanager
def another_process_claims(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", CLAIM, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        try:
            yield process
        finally:
            process.kill()


def test_each_kernel_is_compiled_once(tmp_path: Path) -> None:
    """Three processes begin with the same kernel at the same moment."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": environment}
    command = [sys.executable, "-c", CALL]
    processes = [subprocess.Popen(command, text=True, **pipes) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    compiled = [int(process.communicate()[0]) for process in processes]
    assert sum(compiled) == 6


def test_the_claim_of_a_process_ends_with_it(tmp_path: Path) -> None:
    with another_process_claims(tmp_path / "kernel.nbc") as process:
        with claimed(tmp_path / "kernel.nbc", patience=0) as is_ours:
            assert not is_ours
        threading.Timer(0.2, process.send_signal, [signal.SIGKILL]).start()
        with claimed(tmp_path / "kernel.nbc", patience=60) as is_ours:
            assert is_ours
            assert process.wait() == -signal.SIGKILL
    with claimed(tmp_path / "kernel.nbc", patience=0) as is_ours:
        assert is_ours


def test_what_another_program_compiles_is_left_to_it(forms: Forms, helpers: list[object]) -> None:
    """And compiled where it is called, if that program did not."""
    path = forms[2].kernel._cache._path(forms[2].types)
    with another_process_claims(path):
        ready.make_ready(forms)
        assert [jit.is_there(*form) for form in forms] == [k != 2 for k in range(len(forms))]
    assert compiled_here(forms) < len(forms)
    assert forms[2].kernel(4) == 7


def test_a_thread_claims_no_kernel_while_another_is_compiling(forms: Forms) -> None:
    """It would wait for that one, and that one perhaps for the kernel."""
    with global_compiler_lock:
        thread = threading.Thread(target=jit.compiled, args=forms[0])
        thread.start()
        time.sleep(0.3)
        assert not jit.is_claimed(*forms[0])
    thread.join()
    assert jit.is_there(*forms[0])


def test_a_ctrl_c_is_answered_while_one_waits(tmp_path: Path) -> None:
    """Also where it is held back, as around all compiling."""
    begin = time.monotonic()
    with another_process_claims(tmp_path / "kernel.nbc"):
        threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt), held(), claimed(tmp_path / "kernel.nbc"):
            pass
    assert time.monotonic() - begin < 60


def test_where_nothing_can_be_written_nobody_waits(tmp_path: Path) -> None:
    with claimed(tmp_path / "no such folder" / "kernel.nbc") as is_ours:
        assert is_ours
