"""Mutants of what Numba compiles: the kernels that have the mutated line are compiled again.

Nobody sees which test runs a compiled line, so the tests of each file stand here, a few that need
few kernels. The other kernels are linked into the folder that the mutated sources have.
"""

from __future__ import annotations

import ast
import functools
import importlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .operators import Mutant
from .rooms import ROOT
from .trying import Chosen, first_to_notice, in_child, put_in, run

KERNELS = "kernels/"
# Instructions are called by their addresses, none is compiled into these.
BY_ADDRESS = "kernels/tiles/program.py"
# What surrounds compiled code, and is no part of it.
AROUND = ("blas", "claims", "jit", "memory", "ready", "threads")

COMPILER, CPU = "tests/compiler/test_", "tests/kernels/test_"


def steps(*names: str) -> tuple[str, ...]:
    """Steps of these nets, in float64 and in float32."""
    way = f"{COMPILER}steps.py::test_a_step_is_eagers"
    return tuple(f"{way}[{name}-{of}]" for of in ("float64-37", "float32-16") for name in names)


def norms(*names: str) -> tuple[str, ...]:
    """The same of nets with batch norm, and their running statistics."""
    way = f"{COMPILER}steps.py::test_a_step_with_batch_norm_is_eagers"
    return tuple(f"{way}[{name}-{of}]" for of in ("float64-37", "float32-16") for name in names)


CONVOLUTIONS = steps(
    "deep-conv-everything",
    "deep-conv-of-many-channels",
    "deep-conv-of-many-channels-1x1",
    "conv-wide-kernel",
    "many-classes",
)
ONE_IMAGE = (
    f"{COMPILER}one_image.py::test_in_float32_and_from_bytes",
    f"{COMPILER}one_image.py::test_a_few_images_are_predicted_as_in_eager_mode",
    f"{COMPILER}one_image.py",
)
WINOGRAD = (f"{COMPILER}winograd.py",)
OWN = {  # tests of a file, in this order
    "kernels/cpu/blas.py": (f"{CPU}threads.py", "tests/faults/test_processes.py"),
    "kernels/cpu/claims.py": (f"{CPU}claims.py", f"{CPU}ready.py"),
    "kernels/cpu/gemm.py": (f"{CPU}by_image.py", "tests/ops/test_conv.py"),
    "kernels/cpu/jit.py": (f"{CPU}partial.py", f"{CPU}cache.py", f"{CPU}ready.py"),
    "kernels/cpu/memory.py": (f"{CPU}memory.py",),
    "kernels/cpu/ready.py": (f"{CPU}ready.py", f"{CPU}claims.py"),
    "kernels/cpu/threads.py": (f"{CPU}threads.py", f"{CPU}turns.py"),
    "kernels/cpu/turns.py": (f"{CPU}turns.py", f"{COMPILER}shares.py"),
    "kernels/winograd.py": (f"{COMPILER}winograd.py::test_the_matrices_are_exact", *WINOGRAD),
    "kernels/tiles/activation.py": (
        *steps("activations-in-a-row", "dropout-everywhere", "relu-then-max-pool"),
        *(f"tests/ops/test_edges.py::test_compiled_{what}" for what in (
            "activations_end_where_eagers_do", "slopes_are_flat_where_eagers_are",
            "infinite_gradients_go_as_eagers",
        )),
        f"{COMPILER}one_image.py::test_a_few_images_are_predicted_as_in_eager_mode",
    ),
    "kernels/tiles/blocks.py": (f"{CPU}blocks.py", *CONVOLUTIONS, *ONE_IMAGE[:1], *WINOGRAD),
    "kernels/tiles/instruction.py": (f"{CPU}instructions.py", *steps("conv-1x1", "many-classes")),
    "kernels/tiles/join.py": (f"{COMPILER}graphs.py::test_a_step_is_eagers",),
    "kernels/tiles/lanes.py": (f"{CPU}lanes.py", f"{CPU}partial.py", *CONVOLUTIONS),
    "kernels/tiles/linear_map.py": WINOGRAD,
    "kernels/tiles/loss.py": (
        *steps("dense-only", "two-classes"),
        f"{COMPILER}losses.py",
        f"{COMPILER}training.py::test_a_step_takes_the_means_that_eager_takes",
        "tests/ops/test_loss_edges.py",
    ),
    "kernels/tiles/move.py": (
        *steps("conv-everything", "padded", "deep-conv-same-even", "padded-first", "dense-only",
               "deep-conv-1x1", "conv-1x1-stride"),
        f"{COMPILER}calls.py::test_bytes_are_their_255ths",
        f"{COMPILER}calls.py",
    ),
    "kernels/tiles/norm.py": (
        *norms("norm", "norms-in-a-row", "norm-not-affine", "norm-and-dropout"),
        f"{COMPILER}steps.py::test_a_step_in_evaluation_mode_is_eagers",
        f"{COMPILER}steps.py::test_running_statistics_move_as_eagers",
        f"{COMPILER}steps.py::test_batch_norm_in_many_groups",
        "tests/ops/test_edges.py::test_a_compiled_variance_far_from_0_is_eagers",
    ),
    "kernels/tiles/parameters.py": (
        f"{COMPILER}training.py::test_every_setting_of_sgd",
        "tests/optim/test_adaptive.py",
        f"{COMPILER}training.py",
    ),
    "kernels/tiles/partial.py": (f"{CPU}partial.py", *ONE_IMAGE),
    "kernels/tiles/pixels.py": ONE_IMAGE,
    "kernels/tiles/pool.py": (
        *steps("max-pool-padding", "avg-pool-padding", "max-pool-dilation", "avg-pool-ceil",
               "max-pool", "avg-pool-overlapping", "relu-then-two-max-pools"),
        "tests/ops/test_edges.py::test_compiled_infinite_gradients_go_as_eagers",
        f"{COMPILER}steps.py::test_an_infinite_gradient_stays_with_the_cell_that_won",
        f"{COMPILER}steps.py::test_windows_without_a_cell",
        f"{COMPILER}steps.py::test_windows_beside_each_other",
    ),
    "kernels/tiles/product.py": (
        *CONVOLUTIONS,
        *steps("conv-1x1", "deep-conv-stride", "dense-only", "dense-of-one", "frozen-1"),
        f"{COMPILER}one_image.py::test_in_float32_and_from_bytes",
        f"{COMPILER}losses.py::test_the_function_instead_of_the_layer",
    ),
    "kernels/tiles/program.py": (
        f"{CPU}instructions.py",
        *steps("dense-only", "conv-1x1"),
        f"{COMPILER}shares.py",
        f"{COMPILER}winograd.py::test_a_first_convolution_goes_through_strips_of_lines",
        f"{COMPILER}one_image.py::test_a_few_images_are_predicted_as_in_eager_mode",
    ),
    "kernels/tiles/step.py": (
        *steps("dense-only", "deep-conv-everything"),
        f"{COMPILER}shares.py",
        f"{COMPILER}threads.py",
        f"{COMPILER}training.py",
        f"{COMPILER}calls.py",
    ),
    "kernels/tiles/sums.py": (f"{CPU}lanes.py", *norms("norm")),
    "kernels/tiles/transpose.py": (f"{CPU}lanes.py", *CONVOLUTIONS, *WINOGRAD),
    "kernels/tiles/winograd.py": WINOGRAD,
    "kernels/tiles/winograd_weights.py": WINOGRAD,
}  # fmt: skip


class Tried:
    """Tries mutants in a checkout.

    Args:
        tests: instead of a file's own.
    """

    def __init__(self, root: Path, tests: Sequence[str] | None = None):
        self.root, self.tests = root, tests
        self.kept = Path(in_child(lambda: str(jit().folder())))

    def noticed(self, mutant: Mutant) -> str:
        """The first test that fails with the mutated file; empty if none does."""
        right = without(mutant.file, self.kept)

        def tried(names: list[str]) -> str:
            with put_in(self.root, mutant):
                return in_child(lambda: with_the_right_ones(names))

        def with_the_right_ones(names: list[str]) -> str:
            os.utime(self.kept)  # the folder that was not used for longest is deleted
            with suppress(Exception):  # a mutant that cannot be imported: the tests say so
                link(right, jit().folder())
            return tests_fail(names)

        return first_to_notice(tried, self.unmutated, list(self.tests or OWN[mutant.file]))

    @functools.cache  # noqa: B019 (one object, as long as the process)
    def unmutated(self, *names: str) -> str:
        """The first of the tests that fails with nothing mutated; what it compiles is kept."""
        return in_child(lambda: tests_fail(list(names)))


def tests_fail(names: list[str]) -> str:
    """The first of these tests that fails, those that take long included."""
    return run(Chosen(names), names, "-m", "not gpu")


def jit() -> Any:
    """The engine's module, which belongs to a child: of the sources as they are then."""
    return importlib.import_module("minicnn.kernels.cpu.jit")


def without(file: str, kept: Path) -> list[Path]:
    """The compiled kernels of which a file is no part."""

    def module(path: Path) -> str:  # minicnn.kernels.tiles.pool.max_pool-121-0123456789abcdef.nbc
        name = path.name.partition("-")[0].rpartition(".")[0].removeprefix("minicnn.")
        return name.replace(".", "/") + ".py"

    return [path for path in kept.glob("*.nbc") if file not in parts(module(path))]


def link(paths: list[Path], folder: Path) -> None:
    """Put them there too: into the folder of the sources as they are now."""
    for path in paths:
        if not (folder / path.name).exists():
            os.link(path, folder / path.name)


@functools.cache
def parts(file: str) -> frozenset[str]:
    """The files whose lines may be compiled into the kernels of a file: itself, what it imports."""
    found: set[str] = set()
    todo = [file]
    while todo:
        one = todo.pop()
        if one not in found and (ROOT / one).exists():
            found.add(one)
            todo += imports(one)
    return frozenset(found - {f"kernels/cpu/{name}.py" for name in AROUND})


@functools.cache
def imports(file: str) -> list[str]:
    """The files of kernels that a file imports."""
    found = []
    for node in ast.walk(ast.parse((ROOT / file).read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.level:
            package = Path(file).parents[node.level - 1]
            if node.module:
                found.append(f"{package / node.module.replace('.', '/')}.py")
            elif file != BY_ADDRESS:
                found += [f"{package / name.name}.py" for name in node.names]
    return found
