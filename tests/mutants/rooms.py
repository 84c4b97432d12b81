"""The rooms: which files are mutated together, and which tests run for them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .cuda import of_cuda
from .operators import Mutant, of_python

ROOT = Path(__file__).parents[2]

OF_THE_COMPILED = (
    "compiled", "compiled_calls", "compiled_norm", "conv", "dense", "gathered", "literal",
    "optimizers", "training", "update",
)  # fmt: skip
TESTS = {  # which run for the mutants of a room
    "engine": (
        "tests/tensor",
        "tests/ops",
        "tests/nn",
        "tests/optim",
        "tests/exact",
        "tests/test_checkpoint.py",
        "tests/test_gradient_check.py",
        "tests/test_gradient_diagnoses.py",
        "tests/test_guards.py",
        "tests/test_models.py",
        "tests/test_random.py",
        "tests/test_device.py",
        "tests/train/test_training.py",
        "tests/train/test_fit.py",
        "tests/train/test_state.py",
        "tests/train/test_batches.py",
        "tests/kernels/test_definitions.py",
        "tests/kernels/test_random.py",
        "tests/gpu/test_made_there.py",
        "tests/gpu/test_edges.py",
    ),
    "files": (
        "tests/test_checkpoint.py",
        "tests/test_files.py",
        "tests/test_formats.py",
        "tests/test_old_files.py",
    ),
    "data": ("tests/data",),
    "train": (
        "tests/train",
        "tests/distributed/test_ranks.py",
        "tests/distributed/test_sharing.py",
    ),
    "compiler": ("tests/compiler",),
    "compiler_gpu": tuple(f"tests/gpu/test_{name}.py" for name in OF_THE_COMPILED),
    "cpu": (
        *(f"tests/kernels/test_{name}.py" for name in ("by_image", "cpu", "definitions", "random")),
        *(f"tests/ops/test_{name}.py" for name in ("activation", "conv", "loss", "norm", "pool")),
        "tests/optim/test_adaptive.py",
    ),
}


class Room(NamedTuple):
    """Files that are mutated, and what runs for each mutant.

    Attributes:
        files: patterns of paths, from the root of the checkout.
        tests: which of ``TESTS`` they are.
        kernels: what ``MINICNN_KERNELS`` is while they run.
        way: how a mutant is tried: its functions are "exchanged" (``trying.py``), its kernels
            "compiled" (``compiled.py``), or it is "CUDA" (``cuda.py``).
        options: of pytest.
    """

    files: tuple[str, ...]
    tests: str = "engine"
    kernels: str = "reference"
    way: str = "exchanged"
    options: tuple[str, ...] = ()

    def paths(self) -> list[str]:
        """The room's files, from the root of the checkout."""
        found = [path for pattern in self.files for path in sorted(ROOT.glob(pattern))]
        return [path.relative_to(ROOT).as_posix() for path in found]

    def mutants(self) -> list[Mutant]:
        """All mutants of the room's files."""
        return [m for path in self.paths() for m in mutants_of(path)]


def mutants_of(path: str) -> list[Mutant]:
    """Those of a file, Python or CUDA C."""
    text = (ROOT / path).read_bytes()
    return of_python(path, text) if path.endswith(".py") else of_cuda(path, text)


ROOMS = {
    "tape": Room(("minicnn/tape.py",)),
    "ops": Room(("minicnn/ops/*.py",)),
    "optim": Room(("minicnn/optim/*.py",)),
    "nn": Room(("minicnn/nn/**/*.py",)),
    "kernels": Room(
        (
            "kernels/reference.py",
            "kernels/reference_batches.py",
            "kernels/reference_sums.py",
            "kernels/philox.py",
            "kernels/arrays.py",
        ),
    ),
    "tensor": Room(
        (
            "minicnn/tensor.py",
            "minicnn/arithmetic.py",
            "minicnn/shape.py",
            "minicnn/inplace.py",
            "minicnn/names.py",
            "minicnn/numpy_calls.py",
            "minicnn/functions.py",
            "minicnn/dtypes.py",
            "minicnn/random.py",
        ),
    ),
    "gradient_check": Room(("minicnn/gradient_check.py",)),
    "checkpoint": Room(
        ("minicnn/checkpoint.py", "minicnn/files.py", "minicnn/formats.py"),
        "files",
    ),
    "data": Room(("minicnn/data/*.py",), "data"),
    # compiled kernels, for the tests train nets; the chapters' nets take minutes
    "train": Room(("minicnn/train/*.py",), "train", "cpu", options=("-k", "not chapter")),
    "compiler": Room(
        ("minicnn/compiler/*.py", "minicnn/compiler/cpu/**/*.py"),
        "compiler",
        "cpu",
        # of the grid of nets a part is enough
        options=("-k", "not (float32 or 64-1] or 64-5] or 64-16])"),
    ),
    "compiler_gpu": Room(
        ("minicnn/compiler/gpu/*.py",),
        "compiler_gpu",
        "cpu",
        # PTX takes minutes, and sees what the source does
        options=("-p", "tests.mutants.general", "-k", "not ptx"),
    ),
    "cpu": Room(
        tuple(
            f"kernels/cpu/{name}.py"
            for name in (
                *("activation", "conv", "linear", "loss", "norm", "optim", "pool", "random"),
                *("sums", "windows"),
            )
        ),
        "cpu",
        "cpu",
        # without what takes a minute each, so slow are loops of Python
        options=(
            *("-p", "tests.mutants.uncompiled"),
            *("-k", "not (uniform or max_pool2d-plain or float64-by_image or [reference)"),
        ),
    ),
    # how the kernels above are compiled, kept and called; gemm and turns are LLVM's instructions
    "around": Room(
        tuple(
            f"kernels/cpu/{name}.py"
            for name in ("blas", "claims", "gemm", "jit", "memory", "ready", "threads", "turns")
        ),
        "",
        "cpu",
        "compiled",
    ),
    "tiles": Room(("kernels/tiles/*.py", "kernels/winograd.py"), "", "cpu", "compiled"),
    "cuda": Room(("kernels/gpu/*.cuh", "kernels/gpu/*.cu"), "", "cpu", "CUDA"),
}
# of which every mutant was tried, and none is left
WHOLE = ("tape", "ops", "optim", "nn", "kernels", "gradient_check", "checkpoint")
ROOMS["whole"] = Room(tuple(file for name in WHOLE for file in ROOMS[name].files), "whole")
TESTS["whole"] = tuple(dict.fromkeys(path for name in WHOLE for path in TESTS[ROOMS[name].tests]))
