"""Where each step's output lies: two ends of one array, which all steps share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .step import Step

BYTES = {"float": 4, "int8_t": 1}
NAMES = {"float": "floats", "int8_t": "bytes"}  # of the memory for each C type


class Plan(NamedTuple):
    """The calls of the steps and the memory that they need.

    Attributes:
        calls: for each step the C expressions of its input and its output.
        cells: the memory's size for each C type that is needed.
    """

    calls: list[tuple[str, str]]
    cells: dict[str, int]

    @property
    def bytes(self) -> int:
        """The size of the memory."""
        return sum(BYTES[kind] * count for kind, count in self.cells.items())


def plan(steps: Sequence[Step]) -> Plan:
    """Put each output at the other end of the memory than its input, the last into ``logits``.

    A step that works cell by cell writes over its input.
    """
    cells: dict[str, int] = {}
    for step in steps[:-1]:
        apart = step is not steps[0] and step.x_type == step.y_type and not step.cell_by_cell
        needed = math.prod(step.output_shape) + apart * math.prod(step.input_shape)
        cells[step.y_type] = max(cells.get(step.y_type, 0), needed)

    calls, x = [], "pixels"
    for step in steps[:-1]:
        front = NAMES[step.y_type]
        back = f"{front} + {cells[step.y_type] - math.prod(step.output_shape)}"
        over = step.cell_by_cell and x.startswith(front)
        y = x if over else back if x == front else front
        calls.append((x, y))
        x = y
    return Plan([*calls, (x, "logits")], cells)
