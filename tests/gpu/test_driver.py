"""What is said of a driver that fails: the real CuPy on a stub of NVIDIA's library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUB = Path(__file__).parent / "shim" / "libcuda.c"
# CUDA looks at the stub's variables when it is first used, so each case is a process of its own; to
# import CuPy takes longest, and is done once
SCRIPT = """if True:
    import os, sys
    import cupy
    from minicnn.device import gpu_problem
    for case in sys.argv[1:]:
        fails, _, version = case.partition(":")
        os.environ["FAILS_WITH"], os.environ["DRIVER_FOR"] = fails, version
        if os.fork() == 0:
            print(gpu_problem(), flush=True)
            os._exit(0)
        os.wait()
"""
CASES = {  # what the driver's functions return, and the CUDA that it is for
    "100:13000": "no GPU was found",
    "999:13000": "the NVIDIA driver failed (cudaErrorUnknown: unknown error); restart the machine, "
    "or unload and load the driver's module nvidia_uvm",
    "802:13000": "the NVIDIA driver failed (cudaErrorSystemNotReady: system not yet initialized); "
    "start the fabric manager: systemctl start nvidia-fabricmanager",
    "803:13000": "the NVIDIA driver failed (cudaErrorSystemDriverMismatch: system has unsupported "
    "display driver / cuda driver combination); restart the machine: the driver's library and its "
    "kernel module have different versions",
    "804:13000": "the NVIDIA driver failed (cudaErrorCompatNotSupportedOnDevice: forward "
    "compatibility was attempted on non supported HW); take the package cuda-compat, which is for "
    "data centres' GPUs, off LD_LIBRARY_PATH, or update the driver",
    "0:12040": "the NVIDIA driver is for CUDA 12.4, this CuPy needs 13.0; update the driver, or "
    "pip install '.[cuda12]'",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What ``gpu_problem`` says in each case."""
    pytest.importorskip("cupy")
    folder = tmp_path_factory.mktemp("driver")
    library = folder / "libcuda.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, STUB], check=True)
    paths = filter(None, [str(folder), os.environ.get("LD_LIBRARY_PATH")])
    env = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(paths), "PYTHONPATH": str(ROOT)}
    env.pop("CUDA_VISIBLE_DEVICES", None)
    line = [sys.executable, "-c", SCRIPT, *CASES]
    done = subprocess.run(line, env=env, capture_output=True, text=True, check=True)
    return dict(zip(CASES, done.stdout.splitlines(), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_a_driver_that_fails_is_told_in_its_own_words(told: dict[str, str], case: str) -> None:
    assert told[case] == CASES[case]
