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
FILES = (  # of the stand-in, the emulator and NVIDIA's tools, by the beginnings of their names
    "test_bugs", "test_emulator", "test_hardware", "test_names", "test_nvrtc", "test_proof",
    "test_ptx", "test_sanitized", "test_standin",
)  # fmt: skip
TESTS = {  # what the real CuPy lets nobody see, or what runs in a process of its own
    "test_compiling_is_said_and_is_no_part_of_the_first_epoch": "changes CuPy's RawModule",
    "test_a_device_that_is_not_there_is_one_line": "of a machine with two GPUs",
    "test_the_command_line_trains_on_a_gpu[gpu:1-compiled]": "of a machine with two GPUs",
    "test_the_command_line_trains_on_a_gpu[gpu:1-eager]": "of a machine with two GPUs",
    "test_too_little_memory_is_one_line": "runs the stand-in",
}


class _NoCounters:
    """What only the stand-in has."""

    def __getattr__(self, name: str) -> NoReturn:
        pytest.skip("only the stand-in counts")


def real_cupy() -> Any:
    """CuPy; the order of threads is the GPU's, and nothing is counted."""
    problem = gpu_problem()
    if problem is not None:
        pytest.exit(f"MINICNN_ON=gpu: {problem}", returncode=2)
    cupy: Any = importlib.import_module("cupy")
    cupy.counters = _NoCounters()
    cupy.reset_counters = lambda: None
    cupy.set_thread_order = lambda order: None
    return cupy


def wants_another_gpu(error: BaseException | None) -> bool:
    """Whether a test has failed for the lack of a second GPU."""
    return isinstance(error, DeviceError) and "it does not exist" in str(error)
