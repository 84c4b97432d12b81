"""Packages that are missing, one by one: what needs one says so in a line, all else goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minicnn import models
from minicnn.train.run import Run

from .running import FAST, complaints, printed, python

pytestmark = pytest.mark.long

# For each package in turn: a child that lacks it runs a program, and says how that ended.
CHILDREN = """
import contextlib, io, json, os, sys, traceback
from importlib.machinery import PathFinder
import minicnn
find = PathFinder.find_spec

def outcome(program):
    status = 0
    with contextlib.redirect_stdout(io.StringIO()) as said:
        with contextlib.redirect_stderr(io.StringIO()) as told:
            try:
                exec(program, {})
            except SystemExit as ended:
                status = ended.code
            except ImportError as error:
                status = 1
                print(error, file=sys.stderr)
    return status, told.getvalue(), said.getvalue()

for package, program in json.loads(sys.stdin.read()):
    if (child := os.fork()) == 0:
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]
        def without(name, path=None, target=None):
            return None if name.partition(".")[0] == package else find(name, path, target)
        PathFinder.find_spec = without
        print(json.dumps(outcome(program)), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def command(name: str, *arguments: str) -> str:
    """A program: this command."""
    module = "compare" if name == "compare" else f"{name}.__main__"
    return f"import sys; from minicnn.{module} import main; sys.exit(main({[*arguments]!r}))"


LENET = """
import minicnn
from minicnn import kernels, models
models.lenet()(minicnn.rand(2, 1, 28, 28)).sum().backward()
print(kernels.host_kernels().__name__)
"""
REFERENCE = (0, "", "minicnn.kernels.reference\n")


DOWNLOAD = """
from minicnn import data
from minicnn.data.catalogue import CATALOGUE, Source
CATALOGUE["tiny"] = Source(("a",), {"x": ""}, None, ("http://127.0.0.1:9/a",), files=("x",))
try:
    data.load("tiny")
except data.DatasetNotFoundError as error:
    print("requests is not installed" in str(error))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_missing_package_is_one_line_where_it_is_needed(tmp_path: Path) -> None:
    """A training does without the picture at its end; the others say what they miss."""
    config = {"model": "mlp", "model_args": {"hidden": [3]}, "dataset": "fashion-mnist-sample"}
    Run(tmp_path / "run", config, models.mlp(hidden=(3,)))
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(tmp_path / "7.png")
    run = ["--run", "run"]
    fast = [*FAST, "--no-compile", "--quiet", "--out"]

    def error(name: str, text: str) -> tuple[int, str, str]:
        return 2, f"python -m minicnn.{name}: error: {text}\n", ""

    cases = [
        ("numba", LENET, REFERENCE),
        ("threadpoolctl", LENET, REFERENCE),
        (
            "matplotlib",
            command("train", *fast, "a"),
            (0, "python -m minicnn.train: no curves.png: No module named 'matplotlib'\n", "a\n"),
        ),
        ("tqdm", command("train", *fast, "b"), error("train", "No module named 'tqdm'")),
        ("PIL", command("predict", *run, "7.png"), error("predict", "No module named 'PIL'")),
        (
            "safetensors",
            command("train", *fast, "c"),
            error("train", "No module named 'safetensors'"),
        ),
        ("requests", DOWNLOAD, (0, "", "True\n")),
        (
            "torch",
            command("export", *run, "--to", "torch", "--out", "d"),
            error("export", "the package torch is not installed: pip install torch"),
        ),
        (
            "onnx",
            command("export", *run, "--to", "onnx", "--out", "d"),
            error(
                "export",
                "the package onnx is not installed: pip install '.[onnx]' in minicnn's folder",
            ),
        ),
        (
            "mpi4py",
            command("train", *fast, "d", "--distributed"),
            error(
                "train",
                "wanted mpi4py and an MPI: pip install mpi4py mpich, or '.[mpi]' in minicnn's "
                "folder (No module named 'mpi4py')",
            ),
        ),
        (
            "psutil",
            command("sweep", "--grid", "lr=0.1,0.2", "--out", "d"),
            error(
                "sweep",
                "psutil is not installed; a sweep needs the extra dask: pip install '.[dask]'",
            ),
        ),
    ]
    done = python("-c", CHILDREN, input=json.dumps([case[:2] for case in cases]), cwd=tmp_path)
    for (package, _, wanted), line in zip(cases, printed(done).splitlines(), strict=True):
        status, errors, out = json.loads(line)
        assert (package, status, complaints(errors), out) == (package, *wanted)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["7.png", "a", "b", "run"]
