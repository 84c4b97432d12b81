"""On a real GPU: ``python -m pytest -m gpu``. Without one these are deselected, never passed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minicnn.device import gpu_problem

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def a_gpu() -> None:
    problem = gpu_problem()
    if problem is not None:
        pytest.fail(f"no GPU can be used: {problem}")


def run(*arguments: str, **environment: str) -> None:
    """A command in a process of its own, its output shown by ``pytest -s``; it has to succeed."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, env=env, check=True)


def test_selfcheck() -> None:
    run("minicnn.selfcheck", "--device", "gpu")


def test_the_engines_suite_with_every_tensor_on_the_gpu() -> None:
    run("pytest", "-q", "-p", "tests.gpu.on_device", "tests", MINICNN_ON="gpu")


def test_the_gpu_paths_own_tests_on_the_real_cupy() -> None:
    run("pytest", "-q", "tests/gpu", MINICNN_ON="gpu")


@pytest.mark.parametrize("flags", [(), ("--no-compile",)], ids=["compiled", "eager"])
@pytest.mark.parametrize("model", ["lenet", "lenet-max"])
def test_training_from_the_command_line(tmp_path: Path, model: str, flags: tuple[str, ...]) -> None:
    out = ["--out", str(tmp_path / "run"), "--dataset", "fashion-mnist-sample", "--epochs", "2"]
    run("minicnn.train", "--device", "gpu", "--model", model, *out, *flags)
