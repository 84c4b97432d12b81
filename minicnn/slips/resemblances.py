"""What a wrong array has in common with the right one, whatever they are: flipped, transposed...

These slips need no formula: they are seen in the two arrays alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, combinations, permutations
from typing import Any, NamedTuple

import numpy as np

MOST_AXES = 5  # of which all orders are tried

Close = Callable[[np.ndarray, np.ndarray], np.ndarray]  # where two arrays are equal


class Resemblance(NamedTuple):
    """The wrong array is the right one after this, and times a factor.

    Attributes:
        key: of its sentence in ``minicnn.slips.words``; "" where the factor is all.
        values: what stands in the sentence's places.
        factor: as text, "1/4"; "" for 1.
    """

    key: str
    values: dict[str, Any]
    factor: str = ""


def where(wrong: np.ndarray) -> str:
    """How many cells are wrong, and the smallest block that holds them."""
    if not wrong.any() or wrong.size == 1:
        return ""
    block = block_of(wrong)
    inside = f", all in {block}" if wrong.sum() > 1 and set(block) - set("[:, ]") else ""
    return f"; wrong in {wrong.sum()} of {wrong.size} cells{inside}"


def block_of(wrong: np.ndarray) -> str:
    """The smallest block that holds all wrong cells: [:, 0, 2:4]."""
    block = []
    for size, places in zip(wrong.shape, np.nonzero(wrong), strict=True):
        first, last = int(places.min()), int(places.max())
        one = f"{first}" if first == last else f"{first}:{last + 1}"
        block.append(":" if (first, last) == (0, size - 1) else one)
    return f"[{', '.join(block)}]"


def resemblance(wrong: np.ndarray, right: np.ndarray, close: Close) -> Resemblance | None:
    """What they have in common; None if nothing, or if the right one is 0."""
    are_numbers = np.isfinite(wrong).all() and np.isfinite(right).all()
    if right.size < 2 or not are_numbers or close(np.zeros_like(right), right).all():
        return None
    if not wrong.any():
        return Resemblance("zero", {})
    for key, values, ours, theirs in _candidates(wrong, right):
        factor = float((ours * theirs).sum() / (theirs * theirs).sum())
        constant = "" if abs(factor - 1) < 1e-6 else number(factor)
        if (key or constant) and factor and close(ours, factor * theirs).all():
            return Resemblance(key, values, constant)
    return None


Candidate = tuple[str, dict[str, Any], np.ndarray, np.ndarray]


def _candidates(wrong: np.ndarray, right: np.ndarray) -> Iterator[Candidate]:
    """What may have happened, and two arrays that are equal up to a constant if it has."""
    if wrong.shape == right.shape:
        yield "", {}, wrong, right
        for axes in _subsets(axis for axis in range(right.ndim) if right.shape[axis] > 1):
            yield "flipped_along", {"axes": axes}, wrong, np.flip(right, axes)
    if wrong.ndim == right.ndim <= MOST_AXES:
        for order in permutations(range(right.ndim)):
            turned = right.transpose(order)
            if turned.shape == wrong.shape and order != tuple(range(right.ndim)):
                yield "transposed_to", {"order": order}, wrong, turned
    yield from _of_another_shape(wrong, right)
    if wrong.size == right.size:
        yield "other_order", {}, np.sort(wrong, None), np.sort(right, None)


def _of_another_shape(wrong: np.ndarray, right: np.ndarray) -> Iterator[Candidate]:
    """The same for an array of another shape: not reshaped, not cut off, not summed."""
    if wrong.shape == right.shape:
        return
    if wrong.size == right.size:
        yield "other_shape", {}, wrong.reshape(right.shape), right
    if wrong.ndim == right.ndim:
        spare = [g - r for g, r in zip(wrong.shape, right.shape, strict=True)]
        if min(spare) >= 0 and not any(cells % 2 for cells in spare):
            frame = tuple(cells // 2 for cells in spare)
            inner = tuple(slice(p, p + r) for p, r in zip(frame, right.shape, strict=True))
            yield "in_a_frame", {"frame": frame}, wrong[inner], right
    for axes in _subsets(range(wrong.ndim)):
        total = wrong.sum(axis=axes)
        if total.size == right.size:
            yield "not_summed_over", {"axes": axes}, total.reshape(right.shape), right


def _subsets(axes: Iterable[int]) -> Iterator[tuple[int, ...]]:
    """All subsets that are not empty, the small ones first."""
    every = list(axes)
    return chain.from_iterable(combinations(every, k) for k in range(1, len(every) + 1))


def number(factor: float) -> str:
    """A constant as text: 2, -1/3, 0.5772157."""
    for bottom in range(1, 65):
        top = round(factor * bottom)
        if abs(top / bottom - factor) < 1e-6 * abs(factor):
            return f"{top}" if bottom == 1 else f"{top}/{bottom}"
    return f"{factor:.7g}"
