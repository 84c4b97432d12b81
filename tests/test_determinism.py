"""The same seed, threads and processor give the same bits; other threads other roundings."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.repeated import digests, trained

pytestmark = pytest.mark.long

METHODS = multiprocessing.get_all_start_methods()  # fork, spawn, forkserver
# Of the largest number of each tensor. The sums of a batch are roundings apart, and the steps of
# SGD enlarge them; Adam's, which divide by the gradient's size, would do so without a bound.
DIFFERENCE = {"float32": 1e-6, "float64": 1e-14}


@pytest.fixture(scope="module")
def expected() -> list[str]:
    """What this process gives: eager, compiled."""
    return digests()


def test_a_training_repeats_its_bits_in_one_process(expected: list[str]) -> None:
    assert digests() == expected
    assert expected[0] != expected[1], "both are eager, or both compiled"


@pytest.mark.parametrize("seed", ["0", "1234"])
def test_a_training_repeats_its_bits_whatever_the_hash_seed(seed: str, expected: list[str]) -> None:
    command = [sys.executable, "-m", "tests.repeated"]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.split() == expected


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_training_repeats_its_bits_however_a_process_is_started(
    method: str, expected: list[str]
) -> None:
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply_async(digests).get(300) == expected


@pytest.mark.parametrize("dtype", DIFFERENCE)
@pytest.mark.parametrize("compile", [False, True], ids=["eager", "compiled"])
def test_another_number_of_threads_changes_roundings_alone(compile: bool, dtype: str) -> None:
    one, *others = (trained(compile, threads, dtype, ["SGD"]) for threads in (1, 2, 3))
    for other in others:
        for name, numbers in one.items():
            difference = np.abs(other[name] - numbers).max()
            assert difference <= DIFFERENCE[dtype] * max(1, np.abs(numbers).max()), name
    if compile:  # otherwise the threads were not those that were asked for
        assert any((others[0][name] != numbers).any() for name, numbers in one.items())
