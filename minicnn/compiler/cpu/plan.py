"""A plan: the instructions of a step, the memory they share, and a table to read.

Only what every plan has stands here; which instructions an operation becomes stands in
``lower``, what the instructions do in ``kernels.tiles``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from minicnn.kernels.arrays import LANES
from minicnn.tensor import Tensor


@dataclass(eq=False)
class Buffer:
    """Cells of a group's memory that hold one result while it is needed.

    Attributes:
        shape: of one image.
        size: places in the group's memory.
        by_tile: laid out (tile, *shape, 16); otherwise a matrix (features, images of the group).
        first, last: the instructions that use it first and last.
        offset: where it begins, once ``Plan.finish`` has placed it.
        is_kept: whether somebody's ``backward`` counts on what stands in it.
    """

    shape: tuple[int, ...]
    size: int
    by_tile: bool
    first: int = -1
    last: int = -1
    offset: int = -1
    is_kept: bool = False

    @property
    def cells(self) -> int:
        """Cells an image."""
        return prod(self.shape)


@dataclass
class Line:
    """An instruction and what the table says about it; FLOPs and bytes are those of an image."""

    name: str
    what: str
    fields: dict[str, Any]
    flops: int
    bytes: int
    seconds: float = 0.0


@dataclass
class Part:
    """Instructions that every group runs by itself; then, all groups waiting, ``afterwards``."""

    lines: list[Line] = field(default_factory=list)
    afterwards: Callable[[Any], None] | None = None


class Plan:
    """The instructions of a training step, or of a prediction.

    Args:
        group: tiles in a group.
        dtype: of all numbers.

    Attributes:
        parts: the instructions; all but the last part end where the groups wait for each other.
        parameters: each with its place in ``weights`` and in the gradients.
        constants: what follows the parameters in ``weights``.
        tables: offsets of rows and taps.
        before: functions called at the beginning of each step.
        loss_settings: the constants of the loss: smoothing, scale of the gradient, ignored class,
            class weights.
        masks: dropout masks drawn a step.
        sums: places for sums over the batch.
        loss_sums: two of them: the losses, and how often the scores were right.
    """

    def __init__(self, group: int, dtype: np.dtype):
        self.group, self.dtype = group, dtype
        self.images = group * LANES
        self.parts = [Part()]
        self.buffers: list[Buffer] = []
        self.parameters: dict[int, tuple[Tensor, int]] = {}
        self.constants: list[np.ndarray] = []
        self.constants_size = self.parameters_size = 0
        self.tables: list[int] = []
        self._known_tables: dict[tuple[int, ...], int] = {}
        self.before: list[Callable[[Any], None]] = []
        self.masks = self.sums = self.memory = 0
        self.backward_from = self.loss_settings = self.loss_sums = 0
        self.images_seen = 0  # by a profiled run

    # Building -------------------------------------------------------------------------------------

    def buffer(self, shape: tuple[int, ...], by_tile: bool) -> Buffer:
        """Memory for a result of this shape an image."""
        buffer = Buffer(shape, prod(shape) * self.images, by_tile)
        self.buffers.append(buffer)
        return buffer

    def parameter(self, tensor: Tensor) -> int:
        """The place of a parameter in ``weights``; of its gradient in ``gradients``."""
        if id(tensor) not in self.parameters:
            self.parameters[id(tensor)] = tensor, self.parameters_size
            self.parameters_size += -(-tensor.size // LANES) * LANES
        return self.parameters[id(tensor)][1]

    def constant(self, values: Any) -> _Constant:
        """A place behind the parameters, with these numbers."""
        array = np.asarray(values, self.dtype).reshape(-1)
        place = _Constant(self.constants_size)
        self.constants.append(array)
        self.constants_size += array.size
        return place

    def table(self, offsets: Sequence[int] | np.ndarray) -> int:
        """The place of a list of offsets."""
        key = tuple(int(offset) for offset in offsets)
        if key not in self._known_tables:
            self._known_tables[key] = len(self.tables)
            self.tables.extend(key)
        return self._known_tables[key]

    def emit(self, code: int, name: str, what: str = "", flops: int = 0, **fields: Any) -> None:
        """Add an instruction. A field may be a number, a ``Buffer`` or a constant's place."""
        now = sum(len(part.lines) for part in self.parts)
        moved = 0
        for buffer in fields.values():
            if isinstance(buffer, Buffer):
                buffer.first = now if buffer.first < 0 else buffer.first
                buffer.last = now
                moved += buffer.cells * self.dtype.itemsize
        self.parts[-1].lines.append(Line(name, what, {"code": code, **fields}, flops, moved))

    def wait(self, afterwards: Callable[[Any], None]) -> None:
        """All groups come so far before ``afterwards(step)`` runs and any of them goes on."""
        self.parts[-1].afterwards = afterwards
        self.parts.append(Part())

    def finish(self) -> None:
        """Place the buffers in memory, first fit: two share a place if their times do not meet."""
        placed: list[Buffer] = []
        for buffer in sorted(self.buffers, key=lambda b: b.first):
            neighbours = sorted(
                (b for b in placed if b.last >= buffer.first and buffer.last >= b.first),
                key=lambda b: b.offset,
            )
            offset = 0
            for other in neighbours:
                if offset + buffer.size <= other.offset:
                    break
                offset = max(offset, other.offset + other.size)
            buffer.offset = offset
            placed.append(buffer)
        self.memory = max((b.offset + b.size for b in placed), default=0) + 64

    def program(self, part: Part, instruction: np.dtype) -> np.ndarray:
        """The part's instructions as records."""
        records = np.zeros(len(part.lines), instruction)
        for record, line in zip(records, part.lines, strict=True):
            for name, value in line.fields.items():
                record[name] = self._number(value)
        return records

    def _number(self, value: Any) -> int:
        if isinstance(value, Buffer):
            return value.offset
        if isinstance(value, _Constant):
            return self.parameters_size + value
        return int(value)

    # Reading --------------------------------------------------------------------------------------

    @property
    def lines(self) -> list[Line]:
        """All instructions, in order."""
        return [line for part in self.parts for line in part.lines]

    def __str__(self) -> str:
        names = max(len(line.name) for line in self.lines) + 2
        whats = max(len(line.what) for line in self.lines)
        rows = [f"{'':{names + whats}}{'FLOP':>10}{'bytes':>9}"]
        rows[0] += f"{'us':>9}{'GFLOP/s':>9}" if self.images_seen else ""
        for i, line in enumerate(self.lines):
            if i and i == self.backward_from:
                rows.append("-" * len(rows[0]))
            rows.append(f"{line.name:{names}}{line.what:{whats}}{self._numbers([line])}".rstrip())
        rows.append(f"{'an image':{names + whats}}{self._numbers(self.lines)}")
        size = self.memory * self.dtype.itemsize / 1e6
        rows.append(f"groups of {self.images} images; memory {size:.2f} MB a thread, reused")
        return "\n".join(rows)

    def _numbers(self, lines: list[Line]) -> str:
        """FLOPs, bytes and, after a profiled run, microseconds and GFLOP/s, of an image."""
        flops, moved = sum(line.flops for line in lines), sum(line.bytes for line in lines)
        numbers = f"{flops or '':>10}{moved or '':>9}"
        if not self.images_seen:
            return numbers
        seconds = sum(line.seconds for line in lines) / self.images_seen
        rate = f"{flops / seconds / 1e9:.1f}" if flops and seconds else ""
        return f"{numbers}{1e6 * seconds:9.3f}{rate:>9}"


class _Constant(int):
    """A place among the constants, counted from the first."""


def shapes(*given: tuple[int, ...]) -> str:
    """How the table writes shapes: 6x28x28 -> 6x14x14."""
    return " -> ".join("x".join(map(str, shape)) for shape in given)
