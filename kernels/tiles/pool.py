"""Max and average pooling over tiles.

Which cells a window sees stands in tables, made in ``minicnn.compiler.cpu.pool``: a window at an
edge has fewer. Four windows side by side go through their taps together, 64 cells in registers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..arrays import LANES, Array
from ..cpu.windows import at
from .activation import slope_times
from .instruction import Fixed, Group, Place, inner, kernel
from .lanes import Vector, equal, fill, load, load_apart, store, store_apart, winner
from .move import set_zero


class Windows(NamedTuple):
    """The windows of a pooling. The large picture is what is pooled, the small one the result."""

    channels: int
    large: int  # places of a channel of the large picture
    small: int  # and of the small one
    step: int  # places from a window to its neighbour on the right, in the large picture
    # Table, four numbers a window: its number in the small picture, its place in the large one,
    # its taps (a table), how many taps. A tap is two numbers: its place, counted from the window's,
    # and its number i KW + j.
    windows: int
    fours: int  # rows of the table that each stand for four windows side by side; they come first
    ones: int  # rows for one window each, those at the edges; they come last


Visit: TypeAlias = Callable[[int, Any, int, int, int, int, int, Array, Array, Array], None]


def _for_windows(visit: Visit) -> Callable[[Any, int, Array, Array, Array], None]:
    """A walk over the windows, channel by channel, that calls ``visit``.

    ``visit(cells, op, x, y, window, first, last, memory, weights, tables)`` computes one window
    (16 cells, the images) or four (64). Their taps lie at x, x + step, ... of the large picture,
    the windows side by side at y of the small one; ``first`` to ``last`` are the taps' table.
    """

    @inner(inline="always")
    def walk(op: Any, tiles: int, memory: Array, weights: Array, tables: Array) -> None:
        of = op.windows
        fours, end = of.windows + 4 * of.fours, of.windows + 4 * (of.fours + of.ones)
        for plane in range(tiles * of.channels):
            for k in range(of.windows, end, 4):
                window, first = tables[at(k)], tables[at(k + 2)]
                last = first + 2 * tables[at(k + 3)]
                x, y = plane * of.large + tables[at(k + 1)], plane * of.small + window * LANES
                if k < fours:
                    visit(64, op, x, y, window, first, last, memory, weights, tables)
                else:
                    visit(16, op, x, y, window, first, last, memory, weights, tables)

    return walk


class AvgPool(NamedTuple):
    """The sum of each window's cells times the window's share."""

    x: Place
    y: Place
    share: Place  # in ``weights``: 1 / divisor, a number a window
    windows: Windows


@_for_windows
@inner(inline="always")
def _avg(
    cells: int,
    op: AvgPool,
    x: int,
    y: int,
    window: int,
    first: int,
    last: int,
    memory: Array,
    weights: Array,
    tables: Array,
) -> None:
    a = fill(cells, memory.dtype.type(0))
    for tap in range(first, last, 2):
        a = a + load_apart(cells, memory, op.x + x + tables[at(tap)], op.windows.step)
    store(memory, op.y + y, weights[at(op.share + window)] * a)


@kernel
def avg_pool(op: AvgPool, group: Group) -> None:
    """Four windows' sums in registers."""
    _avg(op, group.tiles, group.memory, group.weights, group.tables)


class MaxPool(NamedTuple):
    """The largest cell of each window, and the number i KW + j of the tap where it stands."""

    x: Place
    y: Place
    winner: Place  # as large as y; a number of the plan's dtype
    windows: Windows


@_for_windows
@inner(inline="always")
def _max(
    cells: int,
    op: MaxPool,
    x: int,
    y: int,
    window: int,
    first: int,
    last: int,
    memory: Array,
    weights: Array,
    tables: Array,
) -> None:
    number = memory.dtype.type
    best, won = fill(cells, number(-np.inf)), fill(cells, number(tables[at(first + 1)]))
    for tap in range(first, last, 2):
        value = load_apart(cells, memory, op.x + x + tables[at(tap)], op.windows.step)
        won = winner(value, best, fill(cells, number(tables[at(tap + 1)])), won)
        best = winner(value, best, value, best)
    store(memory, op.y + y, best)
    store(memory, op.winner + y, won)


@kernel
def max_pool(op: MaxPool, group: Group) -> None:
    """Of equal cells the first one wins; a NaN wins against every number."""
    _max(op, group.tiles, group.memory, group.weights, group.tables)


class AvgPoolBackward(NamedTuple):
    """Every cell of a window gets its share of dy."""

    dy: Place
    dx: Place
    share: Place  # as for ``AvgPool``
    windows: Windows
    overlap: int  # 1: a cell may lie in several windows or in none; 0: it lies in exactly one
    # With 0, dx is that of the activation before the pooling: the same pass goes back through both.
    kind: Fixed  # SIGMOID, TANH, RELU; or NONE, where there is no activation
    activated: Place  # the activation's result


@inner(inline="always")
def _put(
    cells: int, op: AvgPoolBackward | MaxPoolBackward, x: int, dx: Vector, memory: Array
) -> None:
    """Add to dx; or, where windows do not overlap, store it times the activation's slope."""
    place, step = op.dx + x, op.windows.step
    if op.overlap:
        dx = dx + load_apart(cells, memory, place, step)
    else:
        dx = slope_times(dx, load_apart(cells, memory, op.activated + x, step), op.kind)
    store_apart(memory, place, step, dx)


@_for_windows
@inner(inline="always")
def _avg_backward(
    cells: int,
    op: AvgPoolBackward,
    x: int,
    y: int,
    window: int,
    first: int,
    last: int,
    memory: Array,
    weights: Array,
    tables: Array,
) -> None:
    dx = weights[at(op.share + window)] * load(cells, memory, op.dy + y)
    for tap in range(first, last, 2):
        _put(cells, op, x + tables[at(tap)], dx, memory)


@kernel
def avg_pool_backward(op: AvgPoolBackward, group: Group) -> None:
    """Window by window; where windows overlap, dx begins as zeros."""
    if op.overlap:
        set_zero(group.memory, op.dx, group.tiles * op.windows.channels * op.windows.large)
    _avg_backward(op, group.tiles, group.memory, group.weights, group.tables)


class MaxPoolBackward(NamedTuple):
    """dy goes to the cell that won its window, 0 to the others."""

    dy: Place
    dx: Place
    winner: Place  # as ``MaxPool`` left it
    windows: Windows
    overlap: int  # these three as for ``AvgPoolBackward``
    kind: Fixed
    activated: Place


@_for_windows
@inner(inline="always")
def _max_backward(
    cells: int,
    op: MaxPoolBackward,
    x: int,
    y: int,
    window: int,
    first: int,
    last: int,
    memory: Array,
    weights: Array,
    tables: Array,
) -> None:
    number = memory.dtype.type
    dy, won = load(cells, memory, op.dy + y), load(cells, memory, op.winner + y)
    zero = fill(cells, number(0))
    for tap in range(first, last, 2):
        here = fill(cells, number(tables[at(tap + 1)]))
        _put(cells, op, x + tables[at(tap)], equal(won, here, dy, zero), memory)


@kernel
def max_pool_backward(op: MaxPoolBackward, group: Group) -> None:
    """Window by window; where windows overlap, dx begins as zeros."""
    if op.overlap:
        set_zero(group.memory, op.dx, group.tiles * op.windows.channels * op.windows.large)
    _max_backward(op, group.tiles, group.memory, group.weights, group.tables)
