"""The GPU path's tests on a real GPU: ``MINICNN_ON=gpu python -m pytest tests/gpu``.

The fixture ``cupy`` then gives the real CuPy. A test that asks for what only the stand-in has is
skipped: when it reads ``cupy.counters``, or when it wants a second GPU that this machine lacks.
"""

from __future__ import annotations

import importlib
import os
from typing import Any, NoReturn

import pytest

from minicnn.device import DeviceError, gpu_problem

ON_HARDWARE = os.environ.get("MINICNN_ON") == "gpu"
FILES = ("test_standin.py", "test_deferred.py", "test_proof.py")  # about the stand-in
TESTS = {  # what the real CuPy lets nobody see, or what runs in a process of its own
    "test_compiling_is_said_and_is_no_part_of_the_first_epoch": "changes CuPy's RawModule",
    "test_a_device_that_is_not_there_is_one_line": "of a machine with two GPUs",
    "test_the_command_line_trains_on_a_gpu[gpu:1-compiled]": "of a machine with two GPUs",
    "test_the_command_line_trains_on_a_gpu[gpu:1-eager]": "of a machine with two GPUs",
    "test_too_little_memory_is_one_line": "runs the stand-in",
}


class _NoCounters:
    """Of what only the stand-in counts."""

    def __getattr__(self, name: str) -> NoReturn:
        skip()


def skip(*_: Any) -> NoReturn:
    """For what only the stand-in can do."""
    pytest.skip("only the stand-in does so")


def real_cupy() -> Any:
    """CuPy; the order of threads is the GPU's, and nothing is counted."""
    problem = gpu_problem()
    if problem is not None:
        pytest.exit(f"MINICNN_ON=gpu: {problem}", returncode=2)
    cupy: Any = importlib.import_module("cupy")
    cupy.counters = _NoCounters()
    cupy.reset_counters = lambda: None
    cupy.set_thread_order = lambda order: None
    cupy.set_deferred = cupy.set_build = skip
    return cupy


def runs(item: pytest.Item) -> bool:
    """Whether a test is about what CuPy computes, and can see it there."""
    if "cupy" not in getattr(item, "fixturenames", ()) or item.path.name in FILES:
        return False  # of the emulator, of NVIDIA's tools
    return not {item.name, getattr(item, "originalname", "")} & TESTS.keys()


def wants_another_gpu(error: BaseException | None) -> bool:
    """Whether a test has failed for the lack of a second GPU."""
    return isinstance(error, DeviceError) and "it does not exist" in str(error)
