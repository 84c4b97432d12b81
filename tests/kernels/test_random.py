"""Random numbers: Philox's published ones, and both sets' the same."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from minicnn.kernels import cpu, reference
from tests.kernels.geometry import both, three_threads


def test_philox_gives_the_published_numbers() -> None:
    """Counters and keys of zeros, and of ones: kat_vectors of the authors' Random123."""
    zeros = reference.philox(np.zeros(1, np.uint64), 0, 0)
    assert [f"{word:08x}" for word in zeros[0]] == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]
    ones = reference.philox(np.full(1, 2**64 - 1, np.uint64), 2**64 - 1, 2**64 - 1)
    assert [f"{word:08x}" for word in ones[0]] == ["408f276d", "41c83b0e", "a20bc7c6", "6d5451fd"]


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (4,), (5,), (0, 3), (101, 3)])
@pytest.mark.parametrize(("seed", "draw"), [(0, 0), (7, 1), (2**64 - 1, 2**40 + 3)])
def test_both_sets_draw_the_same_numbers(shape: tuple[int, ...], seed: int, draw: int) -> None:
    like = np.empty(shape)
    expected = reference.random_uniform(like, seed, draw)
    assert expected.shape == shape
    assert expected.dtype == np.float32
    for threads in (1, 3):
        with three_threads():
            cpu.set_num_threads(threads)
            numbers = cpu.random_uniform(like, seed, draw)
        np.testing.assert_array_equal(numbers, expected)


@both
@pytest.mark.parametrize("first", [0, 1, 3, 4, 10, 22])
def test_a_part_of_a_set_has_its_numbers(first: int, kernel: ModuleType) -> None:
    whole = kernel.random_uniform(np.empty(23), 3, 4)
    part = kernel.random_uniform(np.empty((23 - first) // 2), 3, 4, first)
    np.testing.assert_array_equal(part, whole[first : first + part.size])


@both
def test_random_numbers_are_uniform_and_independent(kernel: ModuleType) -> None:
    numbers = kernel.random_uniform(np.empty(100_000), 3, 4).astype(np.float64)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.bincount((numbers * 20).astype(int), minlength=20)
    assert ((counts - 5000) ** 2 / 5000).sum() < 50  # chi-squared, 19 degrees of freedom
    for lag in (1, 2, 3, 4, 8):
        assert abs(np.corrcoef(numbers[:-lag], numbers[lag:])[0, 1]) < 0.02
    other = kernel.random_uniform(np.empty(100_000), 3, 5)
    assert abs(np.corrcoef(numbers, other)[0, 1]) < 0.02
