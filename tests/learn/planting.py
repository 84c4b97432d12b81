"""Planted answers judged, and a table of it: ``python -m tests.learn.planting``."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from minicnn.learn.cases import SQUARE
from minicnn.learn.child import outcome_of
from minicnn.learn.course import COURSE, Exercise
from minicnn.learn.diagnosis import Diagnosis
from minicnn.learn.judge import finding, right_arrays
from minicnn.learn.running import Outcome
from tests.learn.planted import PLANTED, Planted, conv, others, rights

MODULES = (rights, conv, others)  # importing them fills PLANTED
EXERCISES = {exercise.name: exercise for exercise in COURSE.values()}


@cache
def outcomes(planted: Planted) -> list[Outcome]:
    """What the answer gives in each case, as the process of a learner's code reports it."""
    exercise = EXERCISES[planted.exercise]
    with np.errstate(all="ignore"):
        found = [
            outcome_of(planted.fn, __file__, case.arguments, len(exercise.outputs))
            for case in exercise.cases
        ]
    return [Outcome.of(*one) for one in found]


@cache
def judged(planted: Planted) -> Diagnosis:
    """What the course finds."""
    return finding(EXERCISES[planted.exercise], outcomes(planted))


def first_wrong_cell(planted: Planted) -> tuple[str, tuple[int, ...] | None] | None:
    """The output, and its first cell that differs, found by a loop; None if none does."""
    exercise = EXERCISES[planted.exercise]
    for k, output in enumerate(exercise.outputs):
        for case, outcome in zip(exercise.cases, outcomes(planted), strict=True):
            if outcome.arrays and not (outcomes(planted)[0].problem and case.name != SQUARE):
                with np.errstate(all="ignore"):
                    right = right_arrays(exercise, case.arguments)[k]
                differing = _differing(outcome.arrays[k], right)
                if differing != EQUAL:
                    return output, differing
    return None


EQUAL = (-1,)


def _differing(got: np.ndarray, right: np.ndarray) -> tuple[int, ...] | None:
    """The first cell that differs, None where the shape does, ``EQUAL`` where nothing does."""
    if got.shape != right.shape:
        return None
    largest = max((abs(v) for v in right.ravel() if np.isfinite(v)), default=0.0)
    for index in np.ndindex(right.shape):
        if not abs(got[index] - right[index]) <= 1e-5 * largest:
            return index
    return EQUAL


def main() -> int:
    """Print the table; 1 where fewer than 95 in 100 slips are named, or a right one is not."""
    rows: Callable[[], Any] = Counter
    planted, named, fine, passed = rows(), rows(), rows(), rows()
    for one in PLANTED:
        found = judged(one)
        if one.slip:
            planted[one.exercise] += 1
            named[one.exercise] += found.slip == one.slip
            if found.slip != one.slip:
                print(f"{one.exercise}: {one.slip} is taken for {found.slip or 'nothing known'}")
        else:
            fine[one.exercise] += 1
            passed[one.exercise] += found.right
    print(f"{'exercise':16}{'slips':>7}{'named':>7}{'right':>7}{'passed':>8}{'catalogue':>11}")
    for exercise in COURSE.values():
        name, known = exercise.name, sum(map(len, exercise.slips.values()))
        row = f"{planted[name]:7}{named[name]:7}{fine[name]:7}{passed[name]:8}{known:11}"
        print(f"{name:16}{row}")
    total = [sum(column.values()) for column in (planted, named, fine, passed)]
    print(f"{'all':16}{total[0]:7}{total[1]:7}{total[2]:7}{total[3]:8}{_known():11}")
    return int(total[1] < 0.95 * total[0] or total[3] < total[2])


def _known() -> int:
    return sum(len(table) for exercise in COURSE.values() for table in exercise.slips.values())


def catalogues() -> list[tuple[Exercise, int, str]]:
    """Every output of every exercise: the exercise, the output's number and name."""
    return [(e, k, output) for e in COURSE.values() for k, output in enumerate(e.outputs)]


if __name__ == "__main__":
    sys.exit(main())
