"""The rooms: which files are mutated together, and which tests run for them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .operators import Mutant, of_python

ROOT = Path(__file__).parents[2]

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
    "files": ("tests/test_checkpoint.py", "tests/test_files.py", "tests/test_old_files.py"),
    "data": ("tests/data",),
    "train": ("tests/train",),
}


class Room(NamedTuple):
    """Files that are mutated, and what runs for each mutant.

    Attributes:
        files: patterns of paths, from the root of the checkout.
        tests: which of ``TESTS`` they are.
        kernels: what ``MINICNN_KERNELS`` is while they run.
    """

    files: tuple[str, ...]
    tests: str = "engine"
    kernels: str = "reference"

    def paths(self) -> list[str]:
        """The room's files, from the root of the checkout."""
        found = [path for pattern in self.files for path in sorted(ROOT.glob(pattern))]
        return [path.relative_to(ROOT).as_posix() for path in found]

    def mutants(self) -> list[Mutant]:
        """All mutants of the room's files."""
        return [m for path in self.paths() for m in of_python(path, (ROOT / path).read_bytes())]


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
    "train": Room(("minicnn/train/*.py",), "train"),
}
WHOLE = ("tape", "ops", "optim")  # of which every mutant was tried, and none is left
ROOMS["whole"] = Room(tuple(file for name in WHOLE for file in ROOMS[name].files))
