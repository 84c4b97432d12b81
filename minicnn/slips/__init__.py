"""The slips that people make in a backward pass, as wrong results that can be computed.

``conv``, ``pool``, ``linear``, ``loss``, ``activation`` and ``optim`` have tables: the name of a
slip, and functions that compute what comes out with it. ``fitting`` compares an answer with all of
them; ``resemblances`` sees flips, transpositions and constants in any two arrays. The course
(``minicnn.learn``) and ``minicnn.gradcheck`` ask both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .conv import Catalogue, Way
from .resemblances import Resemblance, number, resemblance

__all__ = ["Catalogue", "Resemblance", "close", "fitting", "number", "resemblance", "same"]

RTOL = 1e-5  # of the largest number: what float32 on the way changes, and no slip does


def close(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where a is b up to rounding; nan is nan, and inf is inf."""
    largest = np.abs(b[np.isfinite(b)]).max(initial=0)
    return np.isclose(a, b, rtol=0, atol=RTOL * largest, equal_nan=True)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are the same up to rounding, in shape too."""
    return a.shape == b.shape and bool(close(a, b).all())


def fitting(
    answers: Sequence[np.ndarray | None], cases: Sequence[tuple[Any, ...]], catalogue: Catalogue
) -> list[str]:
    """The names of the slips with which these answers come out.

    Args:
        answers: the answer to each case; None where there is none.
        cases: the arguments of each case.
        catalogue: the slips, functions of these arguments.
    """
    asked = [(a, case) for a, case in zip(answers, cases, strict=True) if a is not None]
    return [
        name
        for name, ways in catalogue.items()
        if any(all(_comes_out(way, case, a) for a, case in asked) for way in ways)
    ]


def _comes_out(way: Way, case: tuple[Any, ...], answer: np.ndarray) -> bool:
    with np.errstate(all="ignore"):
        return same(answer, np.asarray(way(*case)))
