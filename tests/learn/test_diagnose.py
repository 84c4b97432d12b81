"""minicnn.learn.diagnose: a function of one's own compared with the right one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn.learn import COURSE, Exercise, diagnose
from minicnn.learn.diagnosis import Diagnosis
from minicnn.learn.judge import finding, right_arrays
from minicnn.learn.running import Outcome
from tests.learn.planting import catalogues

rng = np.random.default_rng(5)
INPUTS = [(rng.standard_normal((3, 4)), rng.standard_normal((4, 2))) for _ in range(2)]


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a @ b


def both(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return a @ b, a.sum(axis=1)


def test_a_right_function_is_right_and_rounding_is_no_mistake() -> None:
    found = diagnose(lambda a, b: np.einsum("ij,jk->ik", a, b) + 1e-12, product, INPUTS)
    assert found.right
    assert str(found) == "right"
    single = diagnose(lambda a, b: (a @ b).astype(np.float32), product, INPUTS)
    assert single.right


def test_a_slip_of_ones_own_catalogue_is_named_in_the_output_that_has_it() -> None:
    slips = {
        "the columns are summed": lambda a, b: (a @ b, a.sum(axis=0)),
        "a is forgotten": lambda a, b: (np.ones_like(a) @ b, a.sum(axis=1)),
    }
    found = diagnose(lambda a, b: (a @ b, a.sum(axis=0)), both, INPUTS, slips)
    assert (found.output, found.slip) == ("result 1", "the columns are summed")
    assert (found.got, found.wanted) == ((4,), (3,))
    assert str(found).startswith("result 1 has shape (4,), wanted (3,). The slip: the columns are")
    found = diagnose(lambda a, b: (b.sum(axis=0) + 0 * (a @ b), a), both, INPUTS, slips)
    assert (found.output, found.slip, found.index) == ("result 0", "a is forgotten", (0, 0))


@pytest.mark.parametrize(
    ("fn", "said"),
    [
        (
            lambda a, b: (a @ b, a.sum(axis=1), a),
            "returns 3; wanted the 2 arrays result 0, result 1",
        ),
        (lambda a, b: (a @ b,), "returns ndarray; wanted the 2 arrays result 0, result 1"),
        (lambda a, b: None, "returns None; wanted result 0, result 1: is there a return?"),
        (lambda a, b: (a @ b, "a"), "returns str; wanted an array of floating-point numbers"),
    ],
)
def test_more_or_fewer_arrays_than_wanted_are_a_finding(fn: Any, said: str) -> None:
    found = diagnose(fn, both, INPUTS)
    assert not found.right
    assert str(found) == f"<lambda> {said}"


def test_a_list_of_lists_is_not_taken_for_several_arrays() -> None:
    found = diagnose(lambda a, b: [[1.0, 2.0], [3.0, 4.0]], product, INPUTS)
    assert str(found) == "<lambda> returns list; wanted an array of floating-point numbers"
    assert not diagnose(lambda a, b: (a @ b, a), product, INPUTS).right
    with pytest.raises(ValueError, match="diagnose: reference returns list; wanted an array"):
        diagnose(product, lambda a, b: [[1.0, 2.0], [3.0, 4.0]], INPUTS)


def test_a_slip_that_returns_something_else_than_the_reference_is_named() -> None:
    slips = {"a alone": lambda a, b: a @ b}
    wanted = "diagnose: the slip 'a alone' returns ndarray; wanted 2 arrays"
    with pytest.raises(ValueError, match=wanted):
        diagnose(lambda a, b: (a @ b, a.sum(axis=0)), both, INPUTS, slips)


@pytest.mark.parametrize("name", ["none of it is right", "mean", "like.times", "{", "zero"])
@pytest.mark.parametrize("factor", [1, 3])
def test_a_slip_of_ones_own_is_said_as_it_was_named(name: str, factor: int) -> None:
    slips = {name: lambda a, b: (a @ b) ** 2 + a[0, 0]}
    found = diagnose(lambda a, b: factor * slips[name](a, b), product, INPUTS, slips)
    assert found.slip == name
    for language, mark in {"en": ": ", "zh": "：", "ja": "："}.items():
        assert f"{mark}{name}" in found.said(language)


def test_the_slip_has_to_fit_all_inputs() -> None:
    slips = {"a is forgotten": lambda a, b: np.ones_like(a) @ b}
    calls: list[int] = []

    def only_at_first(a: np.ndarray, b: np.ndarray) -> Any:
        calls.append(1)
        return (np.ones_like(a) if len(calls) == 1 else a) @ b

    found = diagnose(only_at_first, product, INPUTS, slips)
    assert (found.slip, found.kind, found.number) == ("", "none", 0)
    assert "No slip of the catalogue fits; 6 of 6 cells are wrong, all of them in [:, :]" in str(
        found
    )


def test_the_courses_catalogue_comes_with_its_answers() -> None:
    dy, x = rng.standard_normal((2, 4, 6, 5)), rng.standard_normal((2, 3, 8, 6))
    found = diagnose(lambda dy, x: COURSE[3].right(dy[:1], x[:1]), COURSE[3].right, [(dy, x)])
    assert (found.output, found.slip) == ("dW", "images_first")
    assert diagnose(COURSE[3].right, COURSE[3].right, [(dy, x)], {}).right


def test_inputs_that_are_changed_change_nothing_for_the_reference() -> None:
    def greedy(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a += 1
        return a @ b

    before = INPUTS[0][0].copy()
    assert not diagnose(greedy, product, INPUTS).right
    assert np.array_equal(INPUTS[0][0], before)


def test_a_number_is_compared_too() -> None:
    found = diagnose(lambda a, b: (a @ b).mean(), lambda a, b: (a @ b).sum(), INPUTS)
    assert found.index == ()
    assert str(found).startswith(f"result is {found.got:.6g}, wanted {found.wanted:.6g}")


def test_where_there_is_nothing_to_compare_it_says_so() -> None:
    with pytest.raises(ValueError, match="diagnose: inputs is empty; wanted the arguments"):
        diagnose(product, product, [])


# Answers of every kind ----------------------------------------------------------------------------

KINDS: dict[str, Any] = {
    "zeros": np.zeros_like,
    "nan": lambda a: np.full_like(a, np.nan),
    "inf": lambda a: np.full_like(a, -np.inf),
    "some nan": lambda a: np.where(a > np.median(a), a, np.nan),
    "a number": lambda a: np.asarray(0.25),
    "no cells": lambda a: np.zeros(0),
    "no cells, as many axes": lambda a: np.zeros((0,) * a.ndim),
    "an axis more": lambda a: np.stack([a, a]),
    "six axes": lambda a: np.ones((1, 2, 1, 2, 1, 2)),
    "huge": lambda a: a * 1e300,
    "tiny": lambda a: a * 1e-300,
    "one cell": lambda a: a + (np.arange(a.size).reshape(a.shape) == a.size - 1),
    "shuffled": lambda a: a.ravel()[::-1].reshape(a.shape),
}


@pytest.mark.parametrize(
    ("exercise", "number", "output"),
    catalogues(),
    ids=lambda value: value.name if isinstance(value, Exercise) else str(value),
)
def test_whatever_is_returned_there_is_a_finding_of_one_line(
    exercise: Exercise, number: int, output: str
) -> None:
    with np.errstate(all="ignore"):
        right = [right_arrays(exercise, case.arguments) for case in exercise.cases]
    for kind, change in KINDS.items():
        outcomes = []
        for arrays in right:
            changed = list(arrays)
            changed[number] = change(arrays[number])
            outcomes.append(Outcome(changed))
        found = finding(exercise, outcomes)
        for language in ("en", "zh", "ja"):
            assert "\n" not in found.said(language)
        assert isinstance(found, Diagnosis)
        if kind != "shuffled" or right[0][number].size > 1:
            assert (found.right, found.output) == (False, output), kind


def test_where_no_slip_fits_the_simpler_cases_that_are_right_are_named() -> None:
    exercise = COURSE[3]
    outcomes = [
        Outcome(right_arrays(exercise, (np.roll(dy, 1, axis=0), x)))
        for dy, x in (case.arguments for case in exercise.cases)
    ]
    found = finding(exercise, outcomes)
    assert (found.slip, found.right_cases) == ("", ("one_image",))
    assert "; 72 of 72 cells are wrong, all of them in [:, :, :, :]. It is right" in str(found)
    assert str(found).endswith("right where there is one image")
