"""The catalogue of slips: no two agree, and planted ones are named."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from minicnn import slips
from minicnn.learn.course import COURSE, Exercise
from minicnn.learn.judge import right_arrays
from tests.learn.planted import PLANTED, Planted
from tests.learn.planting import catalogues, first_wrong_cell, judged


def name_of(planted: Planted) -> str:
    return f"{planted.exercise}-{planted.slip or 'right'}-{planted.fn.__name__}"


def test_there_are_enough_planted_answers_for_every_exercise() -> None:
    wrong = Counter(planted.exercise for planted in PLANTED if planted.slip)
    fine = Counter(planted.exercise for planted in PLANTED if not planted.slip)
    assert wrong.total() >= 60
    for exercise in COURSE.values():
        assert wrong[exercise.name] >= 4
        assert fine[exercise.name] == 3
    names = {name for e in COURSE.values() for table in e.slips.values() for name in table}
    assert len(names) >= 60


@pytest.mark.parametrize("planted", [p for p in PLANTED if not p.slip], ids=name_of)
def test_a_right_answer_is_called_right(planted: Planted) -> None:
    found = judged(planted)
    assert found.right, str(found)
    assert first_wrong_cell(planted) is None


@pytest.mark.parametrize("planted", [p for p in PLANTED if p.slip], ids=name_of)
def test_the_first_wrong_cell_of_a_slip_is_named_with_both_numbers(planted: Planted) -> None:
    found = judged(planted)
    assert (found.output, found.index) == first_wrong_cell(planted)
    assert found.slip == planted.slip, str(found)
    assert "\n" not in str(found)


@pytest.mark.parametrize(
    ("exercise", "number", "output"),
    catalogues(),
    ids=lambda value: value.name if isinstance(value, Exercise) else str(value),
)
def test_no_two_slips_agree_and_none_is_right(exercise: Exercise, number: int, output: str) -> None:
    cases = [case.arguments for case in exercise.cases]
    with np.errstate(all="ignore"):
        right = [right_arrays(exercise, case)[number] for case in cases]
        computed = {
            (name, k): [np.asarray(way(*case)) for case in cases]
            for name, ways in exercise.slips[output].items()
            for k, way in enumerate(ways)
        }
    for results in computed.values():
        assert not all(map(slips.same, results, right))
    for (one, ours), (other, theirs) in combinations(computed.items(), 2):
        assert one[0] == other[0] or not all(map(slips.same, ours, theirs)), (one, other)


def test_a_slip_is_named_when_all_of_it_is_multiplied_by_a_constant_too() -> None:
    from minicnn.learn import diagnose

    rng = np.random.default_rng(4)
    dy, x = rng.standard_normal((2, 4, 6, 5)), rng.standard_normal((2, 3, 8, 6))
    first = COURSE[3].right(dy[:1], x[:1])
    found = diagnose(lambda dy, x: COURSE[3].right(dy[:1], x[:1]) / 2, COURSE[3].right, [(dy, x)])
    assert (found.slip, found.got) == ("images_first", pytest.approx(first[0, 0, 0, 0] / 2))
    assert "multiplied by 1/2" in str(found)
