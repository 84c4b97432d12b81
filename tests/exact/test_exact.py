"""Every way to compute an operation, a training step, a prediction, against loops: bit for bit.

A polynomial that is not zero is zero at few whole points (Schwartz and Zippel): a wrong index, a
cell that is counted twice or left out changes a sum of random whole numbers almost surely.
``python -m tests.exact`` does the same with more of everything, and counts.
"""

from __future__ import annotations

import shutil
from fractions import Fraction

import numpy as np
import pytest

from tests.exact import ways, winograd
from tests.exact.nets import exact, exact_at_points
from tests.exact.operations import FRACTIONS, KINDS, operation
from tests.exact.ways import differing
from tests.exact.winograd import FORMS, Piece

pytestmark = pytest.mark.long

NETS, CHUNK = 300, 25
OPERATIONS = 60  # of a kind
# the emulator takes its time, and a net with sizes as literals is compiled
OPERATIONS_ON_GPU, NETS_ON_GPU, LITERAL = 12, 20, 2
IN_FRACTIONS, AT_POINTS = 8, 20


# one that runs on the emulator
on_gpu = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


@pytest.mark.parametrize("way", ways.OPERATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_operation_is_exact(kind: str, way: str) -> None:
    cases = [operation(kind, number) for number in range(OPERATIONS)]
    seen, wrong = differing(ways.OPERATIONS[way], cases)
    assert seen > 0.9 * OPERATIONS
    assert not wrong


@on_gpu
@pytest.mark.parametrize("way", ways.OPERATIONS_ON_GPU)
@pytest.mark.parametrize("kind", KINDS)
def test_an_operation_on_a_gpu_is_exact(kind: str, way: str) -> None:
    cases = [operation(kind, number) for number in range(OPERATIONS_ON_GPU)]
    assert differing(ways.OPERATIONS_ON_GPU[way], cases) == (OPERATIONS_ON_GPU, [])


@pytest.mark.parametrize("way", ways.NETS)
@pytest.mark.parametrize("first", range(0, NETS, CHUNK))
def test_a_step_is_exact(first: int, way: str) -> None:
    seen, wrong = differing(ways.NETS[way], [exact(n) for n in range(first, first + CHUNK)])
    assert seen > 0.6 * CHUNK
    assert not wrong


@on_gpu
@pytest.mark.parametrize("way", ways.ON_GPU)
def test_a_step_on_a_gpu_is_exact(way: str) -> None:
    seen, wrong = differing(ways.ON_GPU[way], [exact(number) for number in range(NETS_ON_GPU)])
    assert seen > 0.6 * NETS_ON_GPU
    assert not wrong


@on_gpu
@pytest.mark.parametrize("way", ways.LITERAL)
def test_with_sizes_as_literals_it_is_too(way: str) -> None:
    seen, wrong = differing(ways.LITERAL[way], [exact(number) for number in range(LITERAL)])
    assert seen
    assert not wrong


def test_most_of_the_nets_fit_float32() -> None:
    """And together they have what can go wrong."""
    cases = [exact(number) for number in range(NETS)]
    assert all(case.fits("float64") for case in cases)
    assert sum(case.fits("float32") for case in cases) > 0.8 * NETS
    kinds = {type(layer).__name__ for case in cases for layer in case.layers}
    assert kinds == {"AvgPool", "Conv", "Dense", "Flatten", "MaxPool", "Relu"}
    halves = sum((case.logits[:, 0] == case.logits[:, 1]).any() for case in cases)
    assert halves > 20  # equal logits, probabilities of 1 / 2
    assert sum(np.any(case.dx) for case in cases) > 0.7 * NETS


# Winograd's algorithm -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_the_sums_that_its_kernels_have_are_exact(form: str) -> None:
    piece = Piece(form, 3, 2, np.random.default_rng(4))
    for ours, theirs in zip(piece.by_points, piece.by_loops, strict=True):
        assert all(type(number) in (Fraction, int) for number in ours.flat)
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("way", winograd.WAYS)
def test_in_fractions_nothing_is_lost(way: str) -> None:
    cases = [operation(FRACTIONS, number) for number in range(IN_FRACTIONS)]
    assert differing(winograd.WAYS[way], cases) == (IN_FRACTIONS, [])


@pytest.mark.parametrize("way", ways.AT_POINTS)
def test_a_step_at_points_is_wrong_by_rounding_alone(way: str) -> None:
    cases = [exact_at_points(number) for number in range(AT_POINTS)]
    assert differing(ways.AT_POINTS[way], cases) == (AT_POINTS, [])
