"""From a gradient to the loss: the paths that its sum consists of, written out.

dW is a sum of dy times x, each dy a sum of W times the dy above it, and so on, up to p - t. So dW
is a sum over paths, each with one term of every sum on its way. They are too many to walk, but
their number and the largest of them follow from those of the cells one step on.
"""

from __future__ import annotations

import functools
import heapq
from typing import Any, NamedTuple

from ..conv.terms import Product

Index = tuple[int, ...]
Cell = tuple[str, Index]


class Path(NamedTuple):
    """A path: the cells that it goes through, the first one included, and its product."""

    product: float
    cells: tuple[Cell, ...]


class Paths(NamedTuple):
    """How many paths there are (``number``), and the largest of them, by absolute value."""

    number: int
    largest: list[Path]


def paths_from(followed: Any, array: str, index: Index, largest: int) -> Paths:
    """See ``Followed.paths``."""
    if not is_gradient(array):
        raise ValueError(f"paths: {array} is no gradient; wanted one, as conv1.dW or dx")
    end = f"{followed.layers[-1].name}.dy"

    @functools.cache
    def paths(array: str, index: Index) -> Paths:
        """All paths from this cell. As deep as the net: a call for each array on the way."""
        if array == end:
            return Paths(1, [Path(followed.value(array, *index), ((array, index),))])
        number, found = 0, []
        for term in followed.terms(array, *index):
            there, factor = step(term)
            beyond = paths(*there)
            number += beyond.number
            found += [Path(factor * p.product, ((array, index), *p.cells)) for p in beyond.largest]
        return Paths(number, heapq.nlargest(largest, found, key=lambda path: abs(path.product)))

    return paths(array, index)


def step(term: Product) -> tuple[Cell, float]:
    """The gradient in a term, and what it is multiplied by."""
    assert term.left.index is not None
    return (term.left.grid, term.left.index), term.right.value


def is_gradient(array: str) -> bool:
    """Whether an array is called ``dx``, ``conv1.dy``..."""
    return array.rpartition(".")[2].startswith("d")
