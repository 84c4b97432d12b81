"""A learner's wrong numbers, shown next to the right ones on the page of a layer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minicnn.checks import check_is

from .notes import key


class Yours(NamedTuple):
    """An answer of which some cells are wrong.

    Attributes:
        grid: the grid that it belongs to, ``"dweight"``.
        answer: the numbers, of the shape of that grid's array without its frame.
        wrong: which of them are wrong.
    """

    grid: str
    answer: np.ndarray
    wrong: np.ndarray


def in_data(yours: Yours | None) -> dict[str, Any]:
    """What the scripts read: the wrong numbers by their cells; the page begins at the first."""
    if yours is not None:
        check_is("yours", yours, Yours, "a Yours, as minicnn.learn makes them")
    if yours is None or not yours.wrong.any():
        return {}
    places = np.argwhere(yours.wrong).tolist()
    numbers = {key(*at): float(yours.answer[tuple(at)]) for at in places}
    shown = {at: v if np.isfinite(v) else str(v) for at, v in numbers.items()}
    return {"yours": {yours.grid: shown}, "start": [yours.grid, next(iter(shown))]}
