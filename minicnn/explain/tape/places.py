"""Where the boxes and lines of a tape's picture go: every operation in a row below its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .steps import Step

GAP, ROW_GAP, LANE = 28, 30, 14  # between boxes, between rows, width of a lane
MARGIN = 8
SWEEPS = 8  # how often the boxes are moved towards their neighbours


@dataclass(eq=False)
class Slot:
    """A place in a row of the picture: a step's box, or a lane on which a line passes the row.

    ``x`` is its middle, ``y`` its upper edge. Lines lead here from the slots ``above``, and on to
    those ``below``.
    """

    row: int
    width: float
    height: float
    step: int | None = None
    x: float = 0.0
    y: float = 0.0
    above: list[Slot] = field(default_factory=list)
    below: list[Slot] = field(default_factory=list)


def _rows(steps: Sequence[Step]) -> list[int]:
    """The row of each step: below all its inputs; for a first tensor, just above its first use."""
    rows: list[int] = []
    for step in steps:
        rows.append(1 + max((rows[i] for i in step.inputs), default=-1))
    for number, step in enumerate(steps):
        if not step.is_operation:
            rows[number] = min(rows[k] for k, s in enumerate(steps) if number in s.inputs) - 1
    return rows


def slots_of(steps: Sequence[Step], sizes: Sequence[tuple[float, float]]) -> list[Slot]:
    """A slot for each step, and a lane in every row that a line has to pass.

    All lines from one step run in the same lanes as far down as they go.
    """
    rows = _rows(steps)
    boxes = [Slot(rows[k], *sizes[k], step=k) for k in range(len(steps))]
    slots = list(boxes)
    users: list[list[int]] = [[] for _ in steps]
    for number, step in enumerate(steps):
        for i in step.inputs:
            users[i].append(number)
    for number, box in enumerate(boxes):
        tail, passing = box, {box.row: box}
        for row in range(box.row + 1, max((rows[k] for k in users[number]), default=0)):
            lane = Slot(row, LANE, 0)
            _link(tail, lane)
            tail = passing[row] = lane
            slots.append(lane)
        for k in users[number]:
            _link(passing[rows[k] - 1], boxes[k])
    return slots


def _link(above: Slot, below: Slot) -> None:
    above.below.append(below)
    below.above.append(above)


def lay_out(slots: Sequence[Slot], least: float) -> tuple[float, float]:
    """Give every slot its place. Returns the picture's width, at least ``least``, and height."""
    grid: list[list[Slot]] = [[] for _ in range(1 + max(slot.row for slot in slots))]
    for slot in slots:
        grid[slot.row].append(slot)
    y = float(MARGIN)
    for row in grid:
        height = max(slot.height for slot in row)
        for slot in row:
            slot.y = y
            slot.height = slot.height if slot.step is not None else height
        y += height + ROW_GAP
    for _ in range(SWEEPS):
        for row in grid:
            _align(row, lambda slot: slot.above)
        for row in reversed(grid):
            _align(row, lambda slot: slot.below)
    left = min(slot.x - slot.width / 2 for slot in slots)
    right = max(slot.x + slot.width / 2 for slot in slots)
    width = max(right - left, least) + 2 * MARGIN
    for slot in slots:
        slot.x += (width - left - right) / 2
    return width, y - ROW_GAP + MARGIN


def _align(row: list[Slot], neighbours: Callable[[Slot], list[Slot]]) -> None:
    """Move each slot of a row to the middle of its neighbours in another row.

    Slots that would overlap are put side by side in the order of these middles; then the whole row
    is shifted so that they are on average where they should be.
    """

    def wish(slot: Slot) -> float:
        there = neighbours(slot)
        return sum(n.x for n in there) / len(there) if there else slot.x

    wishes = {id(slot): wish(slot) for slot in row}
    row.sort(key=lambda slot: wishes[id(slot)])
    right = -np.inf
    for slot in row:
        slot.x = max(wishes[id(slot)], right + slot.width / 2)
        right = slot.x + slot.width / 2 + GAP
    shift = sum(wishes[id(slot)] - slot.x for slot in row) / len(row)
    for slot in row:
        slot.x += shift
