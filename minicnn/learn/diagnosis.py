"""What is wrong with an answer: the slip that it comes from, and the first cell that differs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minicnn import slips
from minicnn.checks import check_callable, check_is, check_one_of, check_sequence
from minicnn.slips import Catalogue
from minicnn.slips.resemblances import block_of

from .child import arrays_of
from .course import COURSE
from .words import LANGUAGES, of_slip, said

NO_ARRAYS = ("nothing", "count", "type")  # kinds of findings where nothing can be compared
Answers = Sequence[Sequence[np.ndarray] | None]  # for each case its arrays; None where it has none


@dataclass(frozen=True)
class Diagnosis:
    """What a comparison with the right answer has found; ``str()`` says it in English.

    Attributes:
        right: whether all is right.
        kind: of the finding: ``"right"``; ``"slip"``, of the catalogue; ``"slip_times"``, times a
            constant as well; ``"like"``, as two arrays show by themselves; ``"none"`` if none fits;
            ``"nothing"``, ``"count"`` or ``"type"`` where what is returned is no such arrays.
        output: the name of the first array that is wrong.
        slip: the name of the slip; "" if none fits.
        own: whether that is a name of the caller's, which is said as it is.
        index: the first cell that is wrong, in the order of rows; None where the shape is.
        got, wanted: the numbers there, or the two shapes.
        number, case: the number and the name of the case they belong to; the first has no name.
        values: what stands in the places of the sentence.
        right_cases: the names of the cases in which nothing is wrong.
    """

    right: bool
    kind: str = "right"
    output: str = ""
    slip: str = ""
    own: bool = False
    index: tuple[int, ...] | None = None
    got: Any = None
    wanted: Any = None
    number: int = 0
    case: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    right_cases: tuple[str, ...] = ()

    def said(self, language: str = "en") -> str:
        """The finding in one line, in ``"en"``, ``"zh"`` or ``"ja"``."""
        check_one_of("said: language", language, LANGUAGES)
        if self.right:
            return said("right", language)
        if self.kind in NO_ARRAYS:
            return said(self.kind, language, **self.values)
        where = said("shapes" if self.index is None else "numbers", language, **self._place())
        where += said("in_case", language, case=_case(self.case, language)) if self.case else ""
        cause = of_slip(self.kind, self.slip, language, self.values, self.own)
        if self.right_cases and not self.slip:
            fine = ", ".join(_case(name, language) for name in self.right_cases)
            cause += said("right_where", language, cases=fine)
        return where + cause

    def _place(self) -> dict[str, Any]:
        if self.index is None:
            return {"output": self.output, "got": self.got, "wanted": self.wanted}
        at = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        return {
            "cell": f"{self.output}{at}",
            "got": f"{self.got:.6g}",
            "wanted": f"{self.wanted:.6g}",
        }

    def __str__(self) -> str:
        return self.said()


def _case(name: str, language: str) -> str:
    return said(f"case.{name}", language)


def diagnose(
    fn: Callable[..., Any],
    reference: Callable[..., Any],
    inputs: Sequence[Sequence[Any]],
    catalogue: Mapping[str, Callable[..., Any]] | None = None,
) -> Diagnosis:
    """Compare ``fn`` with ``reference`` on all ``inputs``, and say what kind of slip it has.

    Both are called in this process with copies of the arguments.

    Args:
        fn: the function to be judged.
        reference: the right one; it returns an array, or a tuple of several.
        inputs: the arguments of each call. Give sizes that differ from each other, and random
            numbers: else two slips may look the same.
        catalogue: wrong results by the name of their slip, functions of the same arguments that
            return what ``reference`` does. Where ``reference`` is the right answer of an exercise
            (``COURSE[3].right``) it has that of the course, otherwise none.
            What two arrays show by themselves (flipped, transposed, times a constant, not summed)
            is seen without it.

    Returns:
        The finding.

    Raises:
        ValueError: no inputs; ``reference`` returns something else than arrays, or a slip something
            else than ``reference``.
    """
    check_callable("diagnose: fn", fn, "a function")
    check_callable("diagnose: reference", reference, "a function")
    check_sequence("diagnose: inputs", inputs, "a list of the arguments of each call")
    for arguments in inputs:
        check_sequence("diagnose: a call of inputs", arguments, "a list of its arguments")
    if catalogue is not None:
        check_is("diagnose: catalogue", catalogue, Mapping, "functions by the names of slips")
    if not len(inputs):
        raise ValueError("diagnose: inputs is empty; wanted the arguments of at least one call")
    calls = [tuple(arguments) for arguments in inputs]
    returned = [reference(*_copies(arguments)) for arguments in calls]
    count = len(returned[0]) if isinstance(returned[0], tuple) else 1
    wanted = [_right(one, count, "reference") for one in returned]
    names, tables = _tables(reference, count, catalogue)
    answers = []
    for number, arguments in enumerate(calls):
        kind, found = arrays_of(_alone(fn(*_copies(arguments))), count)
        if kind != "arrays":
            function = getattr(fn, "__name__", type(fn).__name__)
            values = {"function": function, "count": count, "outputs": ", ".join(names), **found}
            return Diagnosis(False, kind, number=number, values=values)
        answers.append(found)
    diagnosis = compare(answers, wanted, calls, dict(zip(names, tables, strict=True)))
    return replace(diagnosis, own=catalogue is not None)


def _copies(arguments: Sequence[Any]) -> list[Any]:
    return [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]


def _alone(returned: Any) -> Any:
    """What a tuple of one array holds; all else as it is."""
    return returned[0] if isinstance(returned, tuple) and len(returned) == 1 else returned


def _right(returned: Any, count: int, whose: str) -> list[np.ndarray]:
    """What a right or a wrong function of the caller's returns, as ``count`` arrays.

    Raises:
        ValueError: it is something else.
    """
    kind, found = arrays_of(_alone(returned), count)
    if kind != "arrays":
        got = found.get("got", "None")
        wanted = "an array, or a tuple of arrays" if count == 1 else f"{count} arrays"
        raise ValueError(f"diagnose: {whose} returns {got}; wanted {wanted}")
    return list(found)


def _tables(
    reference: Callable[..., Any], count: int, own: Mapping[str, Callable[..., Any]] | None
) -> tuple[list[str], list[Catalogue]]:
    """The outputs' names, and a catalogue for each."""
    for exercise in COURSE.values():
        if own is None and reference is exercise.right:
            return list(exercise.slips), list(exercise.slips.values())

    def part(name: str, way: Callable[..., Any], k: int) -> Callable[..., np.ndarray]:
        return lambda *arguments: _right(way(*arguments), count, f"the slip {name!r}")[k]

    names = ["result"] if count == 1 else [f"result {k}" for k in range(count)]
    ways = (own or {}).items()
    return names, [{name: (part(name, way, k),) for name, way in ways} for k in range(count)]


def compare(
    answers: Answers,
    wanted: Sequence[Sequence[np.ndarray]],
    cases: Sequence[tuple[Any, ...]],
    catalogues: Mapping[str, Catalogue],
    names: Sequence[str] = (),
) -> Diagnosis:
    """The finding for these answers; where several outputs are wrong, that of the first one.

    Args:
        answers, wanted: for each case its arrays.
        cases: the arguments of each case.
        catalogues: for each output its name and its slips.
        names: of the cases.
    """
    for k, (output, catalogue) in enumerate(catalogues.items()):
        ours = [None if arrays is None else arrays[k] for arrays in answers]
        theirs = [arrays[k] for arrays in wanted]
        wrong = [i for i, a in enumerate(ours) if a is not None and not slips.same(a, theirs[i])]
        if wrong:
            fine = [i for i, a in enumerate(ours) if a is not None and i not in wrong]
            at = wrong[0]
            with np.errstate(all="ignore"):
                found = _cause(ours, theirs, cases, catalogue, at)
            place = _first_wrong(ours[at], theirs[at])  # type: ignore[arg-type]
            known = tuple(names[i] for i in fine if names and names[i])
            case = names[at] if names else ""
            return Diagnosis(
                False, output=output, **found, **place, number=at, case=case, right_cases=known
            )
    return Diagnosis(True)


def _first_wrong(got: np.ndarray, wanted: np.ndarray) -> dict[str, Any]:
    """The first cell that is wrong, and both numbers; or both shapes."""
    if got.shape != wanted.shape:
        return {"got": got.shape, "wanted": wanted.shape}
    wrong = ~slips.close(got, wanted)
    index = tuple(int(k) for k in np.unravel_index(wrong.argmax(), wrong.shape))
    return {"index": index, "got": float(got[index]), "wanted": float(wanted[index])}


def _cause(
    ours: Sequence[np.ndarray | None],
    theirs: Sequence[np.ndarray],
    cases: Sequence[tuple[Any, ...]],
    catalogue: Catalogue,
    at: int,
) -> dict[str, Any]:
    """The slip; otherwise what the two arrays have in common; otherwise where they differ."""
    found = slips.fitting(ours, cases, catalogue)
    if found:
        return {"kind": "slip", "slip": found[0]}
    got, wanted = ours[at], theirs[at]
    assert got is not None
    seen = slips.resemblance(got, wanted, slips.close)
    if seen is not None:
        values = {**seen.values, "factor": seen.factor}
        return {"kind": "like", "slip": seen.key or "times", "values": values}
    several = _times_a_constant(ours, cases, catalogue, at)
    if several is not None:
        return several
    if got.shape != wanted.shape:
        return {"kind": "none.shape"}
    wrong = ~slips.close(got, wanted)
    if wrong.sum() < 2:
        return {"kind": "none.one"}
    values = {"cells": int(wrong.sum()), "all": wrong.size, "block": block_of(wrong)}
    return {"kind": "none", "values": values}


def _times_a_constant(
    ours: Sequence[np.ndarray | None],
    cases: Sequence[tuple[Any, ...]],
    catalogue: Catalogue,
    at: int,
) -> dict[str, Any] | None:
    """A slip of the catalogue and a constant factor as well, the same in all cases."""
    got = ours[at]
    assert got is not None
    for name, ways in catalogue.items():
        for way in ways:
            factor = _factor(got, way(*cases[at]))
            scaled = {name: (lambda *case, way=way, factor=factor: factor * way(*case),)}
            if factor and slips.fitting(ours, cases, scaled):
                values = {"factor": slips.number(factor)}
                return {"kind": "slip_times", "slip": name, "values": values}
    return None


def _factor(got: np.ndarray, slipped: np.ndarray) -> float:
    """The number by which the second array has to be multiplied for the first; 0 for none."""
    if slipped.shape != got.shape or got.size < 2 or not np.isfinite(slipped).all():
        return 0.0
    length = float((slipped * slipped).sum())
    factor = float((got * slipped).sum()) / length if length else 0.0
    return factor if math.isfinite(factor) else 0.0
