"""What a wrong gradient has in common with the right one: traces of a slip in an index or a sum."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, combinations, permutations

import numpy as np

MOST_AXES = 5  # of which all orders are tried

Close = Callable[[np.ndarray, np.ndarray], np.ndarray]


def where(wrong: np.ndarray) -> str:
    """How many cells are wrong, and the smallest block that holds them."""
    if not wrong.any() or wrong.size == 1:
        return ""
    block = []
    for size, places in zip(wrong.shape, np.nonzero(wrong), strict=True):
        first, last = int(places.min()), int(places.max())
        one = f"{first}" if first == last else f"{first}:{last + 1}"
        block.append(":" if (first, last) == (0, size - 1) else one)
    one_block = wrong.sum() > 1 and set(block) != {":"}
    inside = f", all in [{', '.join(block)}]" if one_block else ""
    return f"; wrong in {wrong.sum()} of {wrong.size} cells{inside}"


def diagnosis(grad: np.ndarray, right: np.ndarray, close: Close) -> str:
    """What the wrong gradient has in common with the right one, in words; "" if nothing."""
    are_numbers = np.isfinite(grad).all() and np.isfinite(right).all()
    if right.size < 2 or not are_numbers or close(np.zeros_like(right), right).all():
        return ""
    if not grad.any():
        return "; it is 0 everywhere"
    for words, ours, theirs in _resemblances(grad, right):
        factor = float((ours * theirs).sum() / (theirs * theirs).sum())
        constant = "" if abs(factor - 1) < 1e-6 else f"times {_number(factor)}"
        said = " and ".join(part for part in (words, constant) if part)
        if said and factor and close(ours, factor * theirs).all():
            return f"; it is the right gradient {said}"
    return ""


def _resemblances(
    grad: np.ndarray, right: np.ndarray
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """What may have happened, and two arrays that are equal up to a constant if it has."""
    if grad.shape == right.shape:
        yield "", grad, right
        for axes in _subsets(axis for axis in range(right.ndim) if right.shape[axis] > 1):
            yield f"flipped along {_axes(axes)}", grad, np.flip(right, axes)
    if grad.ndim == right.ndim <= MOST_AXES:
        for order in permutations(range(right.ndim)):
            turned = right.transpose(order)
            if turned.shape == grad.shape and order != tuple(range(right.ndim)):
                yield f"transposed, its axes in the order {order}", grad, turned
    yield from _of_another_shape(grad, right)
    if grad.size == right.size:
        yield "with its cells in another order", np.sort(grad, None), np.sort(right, None)


def _of_another_shape(
    grad: np.ndarray, right: np.ndarray
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """The same for a gradient of another shape: not reshaped, not cut off, not summed."""
    if grad.shape == right.shape:
        return
    if grad.size == right.size:
        yield "in another shape", grad.reshape(right.shape), right
    if grad.ndim == right.ndim:
        spare = [g - r for g, r in zip(grad.shape, right.shape, strict=True)]
        if min(spare) >= 0 and not any(cells % 2 for cells in spare):
            frame = tuple(cells // 2 for cells in spare)
            inner = tuple(slice(p, p + r) for p, r in zip(frame, right.shape, strict=True))
            yield f"in a frame of {frame} cells that was not cut off", grad[inner], right
    for axes in _subsets(range(grad.ndim)):
        total = grad.sum(axis=axes)
        if total.size == right.size:
            yield f"not summed over {_axes(axes)}", total.reshape(right.shape), right


def _subsets(axes: Iterable[int]) -> Iterator[tuple[int, ...]]:
    """All subsets that are not empty, the small ones first."""
    every = list(axes)
    return chain.from_iterable(combinations(every, k) for k in range(1, len(every) + 1))


def _axes(axes: Sequence[int]) -> str:
    """ "axis 2", "axes 2 and 3", "axes 0, 2 and 3"."""
    *others, last = map(str, axes)
    return f"axes {', '.join(others)} and {last}" if others else f"axis {last}"


def _number(factor: float) -> str:
    """A constant as text: 2, -1/3, 0.5772157."""
    for bottom in range(1, 65):
        top = round(factor * bottom)
        if abs(top / bottom - factor) < 1e-6 * abs(factor):
            return f"{top}" if bottom == 1 else f"{top}/{bottom}"
    return f"{factor:.7g}"
