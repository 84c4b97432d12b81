"""An answer in a learner's folder, run and judged."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.checks import check_callable, check_integer, check_one_of
from minicnn.formats import shown

from .cases import SQUARE
from .child import arrays_of, outcome_of
from .course import COURSE, Exercise
from .diagnosis import Diagnosis, compare
from .running import SECONDS, Outcome, run
from .words import LANGUAGES, said, typed_for

RIGHT, WRONG, NOT_BEGUN = "right", "wrong", "not_begun"


@dataclass(frozen=True)
class Verdict:
    """What is said of an answer.

    Attributes:
        state: ``"right"``, ``"wrong"`` or ``"not_begun"``.
        line: the finding, in one line.
        diagnosis: what the comparison found; None where there was nothing to compare.
        answers: the arrays of the case that ``diagnosis`` speaks of.
    """

    state: str
    line: str
    diagnosis: Diagnosis | None = None
    answers: Sequence[np.ndarray] = ()


def judge(
    exercise: Exercise,
    folder: Path,
    language: str = "en",
    seconds: float = SECONDS,
    silent: bool = False,
) -> Verdict:
    """Run the learner's function on all cases of the exercise, and compare.

    Args:
        folder: where the learner's file lies.
        seconds: that it may take; then it is told that it does not end.
        silent: do not show what it prints.
    """
    file = (folder / exercise.file).resolve()
    if not file.is_file():
        here = typed_for(folder)
        return Verdict(WRONG, said("no_file", language, file=exercise.file, here=here))
    arguments = [case.arguments for case in exercise.cases]
    outcomes = run(file, exercise.function, arguments, len(exercise.outputs), seconds, silent)
    return _verdict(exercise, outcomes, language)


def grade(number: int, fn: Callable[..., Any], language: str = "en") -> None:
    """Refuse a function that does not solve exercise ``number``: for tests, as those of nbgrader.

    It is called in this process, on all cases of the exercise.

    Raises:
        AssertionError: it is wrong; the message is what ``python -m minicnn.learn check`` says.
        KeyError: no such exercise.
        TypeError: no number, nothing that can be called.
    """
    check_integer("grade: number", number)
    if number not in COURSE:
        raise KeyError(f"grade: number is {shown(number)}; wanted 1 to {len(COURSE)}")
    check_callable("grade: fn", fn, "a function")
    check_one_of("grade: language", language, LANGUAGES)
    exercise = COURSE[number]
    file, count = _file_of(fn), len(exercise.outputs)
    found = [outcome_of(fn, file, case.arguments, count) for case in exercise.cases]
    verdict = _verdict(exercise, [Outcome.of(*one) for one in found], language)
    assert verdict.state == RIGHT, verdict.line


def _file_of(fn: Callable[..., Any]) -> str:
    try:
        return inspect.getsourcefile(fn) or ""
    except TypeError:  # not a function: a partial, an object that can be called
        return ""


def _verdict(exercise: Exercise, outcomes: Sequence[Outcome], language: str) -> Verdict:
    first = next((k for k, outcome in enumerate(outcomes) if outcome.problem), None)
    if first is not None:
        return _problem(exercise, outcomes, first, language)
    found = finding(exercise, outcomes)
    answers = outcomes[found.number].arrays
    return Verdict(RIGHT if found.right else WRONG, found.said(language), found, answers)


def finding(exercise: Exercise, outcomes: Sequence[Outcome]) -> Diagnosis:
    """The comparison with the right answers, in all cases that have arrays.

    An answer that already fails in the first case is judged in the square one alone: elsewhere
    NumPy may have stretched an axis of one cell, with a result that nobody had in mind.
    """
    names = [case.name for case in exercise.cases]
    asked = [k for k, outcome in enumerate(outcomes) if not outcome.problem]
    if 0 not in asked and SQUARE in names:
        asked = [k for k in asked if names[k] == SQUARE]
    cases = [exercise.cases[k] for k in asked]
    wanted = [right_arrays(exercise, case.arguments) for case in cases]
    answers = [outcomes[k].arrays for k in asked]
    calls = [case.arguments for case in cases]
    found = compare(answers, wanted, calls, exercise.slips, [case.name for case in cases])
    return found if found.right else replace(found, number=asked[found.number])


def right_arrays(exercise: Exercise, arguments: Sequence[Any]) -> list[np.ndarray]:
    """The right answer, as arrays."""
    _, arrays = arrays_of(exercise.right(*arguments), len(exercise.outputs))
    return list(arrays)


def _problem(exercise: Exercise, outcomes: Sequence[Outcome], first: int, language: str) -> Verdict:
    """A case in which nothing was returned that could be compared."""
    outcome = outcomes[first]
    values = {
        "file": exercise.file,
        "function": exercise.function,
        "outputs": ", ".join(exercise.outputs),
        "count": len(exercise.outputs),
        "call": _call(exercise, exercise.cases[first].arguments),
        **outcome.values,
    }
    if outcome.problem == "changed":
        values["input"] = exercise.parameters[outcome.values["number"]]
    line = said(outcome.problem, language, **values)
    if outcome.problem == NOT_BEGUN:
        return Verdict(NOT_BEGUN, line)
    if outcome.problem == "raised":
        line += _elsewhere(exercise, outcomes, first, language)
    return Verdict(WRONG, line)


def _elsewhere(exercise: Exercise, outcomes: Sequence[Outcome], first: int, language: str) -> str:
    """What is to be said of the cases that raise nothing; ``first`` is the first that does."""
    names = [case.name for case in exercise.cases]
    if first:  # the first case has all that is difficult, and runs
        case = said(f"case.{names[first]}", language)
        found = finding(exercise, outcomes)
        return said("raised_in", language, case=case, finding=found.said(language))
    if SQUARE not in names or outcomes[names.index(SQUARE)].problem:
        return ""
    found = finding(exercise, outcomes)
    key = "right_if_square" if found.right else "raised_but_square"
    return said(key, language, finding=found.said(language))


def _call(exercise: Exercise, arguments: Sequence[Any]) -> str:
    """dy (2, 4, 6, 5), x (2, 3, 8, 6), stride (2, 3)."""
    pairs = zip(exercise.parameters, arguments, strict=True)
    return ", ".join(
        f"{name} {value.shape if isinstance(value, np.ndarray) else value}" for name, value in pairs
    )
