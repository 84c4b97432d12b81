"""A plan: the instructions of a step, the memory that they share, and a table to read.

Which instructions an operation becomes stands in ``conv``, ``linear``, ``pool``...; what an
instruction does, next to its kernel in ``kernels/tiles``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeAlias

import numpy as np

from minicnn.kernels.arrays import LANES
from minicnn.tensor import Tensor

from ..lowering import Lowering
from ..table import Column, Line, bytes_of, flops_of, table, times

Instruction: TypeAlias = Any  # a NamedTuple that is declared next to its kernel


@dataclass(eq=False)
class Buffer:
    """Cells of a group's memory that hold one result while it is needed.

    Attributes:
        shape: of one image.
        size: places in the group's memory.
        by_tile: laid out (tile, *shape, 16); otherwise a matrix (features, images of the group).
        first, last: the instructions that use it first and last.
        offset: where it begins, once ``Plan.finish`` has placed it.
        is_kept: whether a ``backward`` or another stage reads it later: nothing is written over it.
        strips: of a picture, that have these places in turn (see ``Plan.strips``); ``shape`` is
            that of one.
    """

    shape: tuple[int, ...]
    size: int
    by_tile: bool
    first: int = -1
    last: int = -1
    offset: int = -1
    # two results share a place if no instruction needs both; see Plan.finish
    is_kept: bool = False
    strips: int = 1

    @property
    def cells(self) -> int:
        """Cells an image."""
        return prod(self.shape)


class Constant(int):
    """A place among the constants, counted from the first."""


class Extra(int):
    """A place after the parameters' gradients, counted from the first."""


@dataclass(kw_only=True)
class CpuLine(Line):
    """An instruction, and what the table says about it.

    Attributes:
        again: if this is the last of some that are done strip by strip: how many steps back the
            first of them is, and the number of strips.
    """

    op: Instruction
    again: tuple[int, int] = (0, 0)


@dataclass
class Part:
    """Instructions that each group runs without waiting for others; then ``once`` others.

    Most plans have one part. Batch normalisation ends a part: it needs sums over all groups.
    ``once`` has one instruction: several would be taken by threads at the same time.
    """

    lines: list[CpuLine] = field(default_factory=list)
    once: list[CpuLine] = field(default_factory=list)


class Plan:
    """The instructions of a training step, or of a prediction.

    Args:
        group: tiles in a group.
        dtype: of all numbers.

    Attributes:
        parts: the instructions; all but the last part end where the groups wait for each other.
        prologue: what runs once a step, before the first group; it may write into ``weights``.
        epilogue: what runs once a step, after the last group, on the sum of all gradients.
        parameters: each with its place in ``weights`` and in the gradients.
        constants: what follows the parameters in ``weights``.
        extras_size: places that follow the parameters' in ``gradients``.
        tables: offsets of rows and taps.
        before, after: functions called at the beginning and at the end of each step.
        loss_settings: the constants of the loss: smoothing, scale of the gradient, ignored class,
            class weights.
        slack: places after the last buffer, which may be read or written but hold nothing.
        shared: what lowerings that have a parameter in common decide, or make, but once.
        masks: dropout masks drawn a step.
        sums: places for sums over the batch.
        loss_sums: two of them: the losses, and the correct predictions.
    """

    def __init__(self, group: int, dtype: np.dtype):
        self.group, self.dtype = group, dtype
        self.images = group * LANES
        self.parts = [Part()]
        self.prologue: list[CpuLine] = []
        self.epilogue: list[CpuLine] = []
        self.buffers: list[Buffer] = []
        self._zeros: Buffer | None = None
        self.slack = 64
        self.shared: dict[Any, Any] = {}
        self.parameters: dict[int, tuple[Tensor, int]] = {}  # by id
        self.constants: list[np.ndarray] = []
        self.constants_size = self.parameters_size = self.extras_size = 0
        self.tables: list[int] = []
        self._known_tables: dict[tuple[int, ...], int] = {}
        self.before: list[Callable[[Any], None]] = []
        self.after: list[Callable[[Any], None]] = []
        self.masks = self.sums = self.memory = 0
        self.backward_from = self.loss_settings = self.loss_sums = 0
        self.images_seen = 0  # by a profiled run

    # Building -------------------------------------------------------------------------------------

    def buffer(self, shape: tuple[int, ...], by_tile: bool, strips: int = 1) -> Buffer:
        """Memory for a result of this shape an image, or a strip of an image."""
        buffer = Buffer(shape, prod(shape) * self.images, by_tile, strips=strips)
        self.buffers.append(buffer)
        return buffer

    def zeros(self) -> Buffer:
        """A cell of zeros, 16 places that nothing is ever written to."""
        if self._zeros is None:
            self._zeros = self.buffer((1,), by_tile=True)
            self._zeros.size = LANES
        return self._zeros

    def over(self, x: Buffer) -> Buffer:
        """Memory for a result of x's shape: x itself, unless that is needed later."""
        return self.buffer(x.shape, x.by_tile) if x.is_kept else x

    def parameter(self, tensor: Tensor) -> int:
        """The place of a parameter in ``weights``; of its gradient in ``gradients``."""
        if id(tensor) not in self.parameters:
            self.parameters[id(tensor)] = tensor, self.parameters_size
            # a multiple of 16: each begins where a register may be loaded in one piece
            self.parameters_size += -(-tensor.size // LANES) * LANES
        return self.parameters[id(tensor)][1]

    def constant(self, values: Any) -> Constant:
        """A place after the parameters, with these numbers."""
        array = np.asarray(values, self.dtype).reshape(-1)
        # where the parameters end is known when all are: ``_number`` adds it
        place = Constant(self.constants_size)
        self.constants.append(array)
        self.constants_size += array.size
        return place

    def extra(self, size: int) -> Extra:
        """A place in ``gradients`` after the parameters', for what is not a gradient yet."""
        place = Extra(self.extras_size)
        self.extras_size += -(-size // LANES) * LANES
        return place

    def sums_for(self, parameter: Tensor, kind: str, size: int) -> tuple[Extra, bool]:
        """A place for sums of which a parameter's gradient is made, and whether it is a new one.

        Stages that share the parameter add to the same sums.
        """
        key = kind, id(parameter)
        is_new = key not in self.shared
        place = self.shared[key] = self.extra(size) if is_new else self.shared[key]
        return place, is_new

    def table(self, offsets: Sequence[int] | np.ndarray) -> int:
        """The place of a list of offsets; equal lists are kept once."""
        key = tuple(int(offset) for offset in offsets)
        if key not in self._known_tables:
            self._known_tables[key] = len(self.tables)
            self.tables.extend(key)
        return self._known_tables[key]

    def emit(self, op: Instruction, name: str, what: str = "", flops: int = 0) -> None:
        """Add an instruction; ``name`` and ``what`` are for the printed plan."""
        now = sum(len(part.lines) for part in self.parts)  # the number of this instruction
        moved = 0  # bytes, of each image, in all strips
        for value in _fields_of(op):
            if isinstance(value, Buffer):
                value.first = now if value.first < 0 else value.first
                value.last = now
                moved += value.cells * value.strips * self.dtype.itemsize
        self.parts[-1].lines.append(CpuLine(name=name, what=what, flops=flops, bytes=moved, op=op))

    @contextmanager
    def strips(self, number: int) -> Iterator[None]:
        """What is emitted inside is done for one strip after the other: see ``Group.strip``."""
        lines = self.parts[-1].lines
        first = len(lines)
        yield
        if number == 1 or len(lines) == first:  # nothing is repeated
            return
        lines[-1].again = len(lines) - 1 - first, number
        # what is used in one strip has to stay for the next one
        end = sum(len(part.lines) for part in self.parts) - 1
        begin = end - lines[-1].again[0]
        for line in lines[first:]:
            for value in _fields_of(line.op):
                if isinstance(value, Buffer):
                    value.first, value.last = min(value.first, begin), max(value.last, end)

    def emit_once(self, lines: list[CpuLine], op: Instruction, name: str, what: str = "") -> None:
        """Add an instruction to ``prologue``, ``epilogue`` or a part's ``once``.

        It sees no images and no buffers. Threads take those of a list in any order.
        """
        lines.append(CpuLine(name=name, what=what, flops=0, bytes=0, op=op))

    def wait(self, op: Instruction, name: str, what: str = "") -> None:
        """End a part: ``op`` runs once, when all groups have come to this point."""
        self.emit_once(self.parts[-1].once, op, name, what)
        self.parts.append(Part())

    def finish(self) -> None:
        """Place the buffers in memory: two may share a place if no instruction needs both.

        First fit: each takes the first gap between those that are alive at the same time.
        """
        if self._zeros is not None:  # never anybody else's
            self._zeros.first, self._zeros.last = 0, sum(len(part.lines) for part in self.parts)
        placed: list[Buffer] = []
        for buffer in sorted(self.buffers, key=lambda b: b.first):
            neighbours = sorted(
                (b for b in placed if b.last >= buffer.first and buffer.last >= b.first),
                key=lambda b: b.offset,
            )
            offset = 0  # the end of the neighbours so far
            for other in neighbours:
                if offset + buffer.size <= other.offset:
                    break
                offset = max(offset, other.offset + other.size)
            buffer.offset = offset
            placed.append(buffer)
        # the last row of a product may be stored to a register's end
        self.memory = max((b.offset + b.size for b in placed), default=0) + self.slack

    def numbers_of(self, op: Instruction) -> list[int]:
        """The fields of an instruction, each place as a number: what its kernel reads."""
        return [self._number(value) for value in _fields_of(op)]

    def _number(self, value: Any) -> int:
        if isinstance(value, Buffer):
            return value.offset
        if isinstance(value, Constant | Extra):
            return self.parameters_size + value
        return int(value)

    # Reading --------------------------------------------------------------------------------------

    @property
    def lines(self) -> list[CpuLine]:
        """All instructions, in order."""
        parts = [lines for part in self.parts for lines in (part.lines, part.once)]
        return [line for lines in (self.prologue, *parts, self.epilogue) for line in lines]

    def __str__(self) -> str:
        columns = [
            Column("FLOP", ">10", lambda lines: str(flops_of(lines) or "")),
            Column("bytes", ">9", lambda lines: str(bytes_of(lines) or "")),
            *times(self.images_seen, ".3f", ".1f"),
        ]
        rows = table(self.lines, self.backward_from, "an image", columns)
        return "\n".join([*rows, self._footer()])

    def _footer(self) -> str:
        size = self.memory * self.dtype.itemsize / 1e6
        # groups that wait for each other between two parts keep their results
        whose = "a thread, reused" if len(self.parts) == 1 else "a group"
        return f"groups of {self.images} images; memory {size:.2f} MB {whose}"


CpuLowering: TypeAlias = Lowering[Plan, Buffer, Buffer]


def _fields_of(op: Instruction) -> Iterator[Any]:
    """The fields in a row, those of a tuple among them in its place."""
    for value in op:
        if isinstance(value, tuple):
            yield from _fields_of(value)
        else:
            yield value
