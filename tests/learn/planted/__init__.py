"""Right and wrong answers to the exercises, as other people write them: none calls the catalogue.

``slipped`` and ``right`` collect them: the exercise's name, and the slip that was planted.
"""

from collections.abc import Callable
from typing import Any, NamedTuple


class Planted(NamedTuple):
    """An answer, and what it is: the name of a slip, or "" for a right one."""

    exercise: str
    slip: str
    fn: Callable[..., Any]


PLANTED: list[Planted] = []


def slipped(exercise: str, slip: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Collect a wrong answer."""

    def collect(fn: Callable[..., Any]) -> Callable[..., Any]:
        PLANTED.append(Planted(exercise, slip, fn))
        return fn

    return collect


def right(exercise: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Collect a right answer."""
    return slipped(exercise, "")
