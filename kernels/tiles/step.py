"""A step, shared among threads: each takes the next piece that nobody has taken yet.

A step has phases, a phase has pieces with numbers. A thread that is free takes the next number,
from a counter; if another program keeps a thread from its core, the others take what it would have
taken. The next phase begins when all pieces are done. What a piece computes depends on its number
only: each share of the batch has gradients of its own, which are added in the shares' order. So the
results are the same bits, whoever took which piece.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from ..arrays import LANES, Array
from ..cpu.jit import compiled
from ..cpu.ready import Form, form_of
from ..cpu.turns import add, listen, look, wait_for
from ..cpu.windows import at
from .instruction import (
    Group,
    Numbers,
    address,
    address_of,
    array_at,
    call,
    columns_of,
    form_for,
    inner,
    kernel,
    row_of,
    uncounted,
    write,
)
from .parameters import PARAMETER, Places, take
from .program import run_groups, write_batch

# What a phase does: the parameters are copied; instructions that see no images, each once; the
# shares of the batch; their gradients are added up; the optimiser's step.
COPY, ONCE, SHARES, SUM, UPDATE = range(5)

# The columns of a phase: one of these; its pieces; of ONCE and SHARES the instruction with which it
# begins, and the one after its last; 1 if it is the first to add to the shares' gradients and sums.
KIND, PIECES, FIRST, LAST, BEGINS = range(5)
COLUMNS_OF_PHASE = 5

# The turns are counters. One grows when all is done; one is not 0 while the thread that called the
# others waits for a report. Then come, for each phase, the pieces taken and those done.
FINISHED, ASLEEP, TAKEN, DONE = range(4)

WIDTH = row_of(Group).size
GRADIENTS, SUMS = (columns_of(Group)[name][0] for name in ("gradients", "sums"))


class Work(NamedTuple):
    """A step, or phases of one. In its row an array takes two places, as in ``Group``."""

    turns: Annotated[Array, "int64"]  # the counters
    bell: Annotated[Array, "int64"]  # grows when there is work: see ``listen``
    phases: Annotated[Array, "int64"]  # row by row
    # the parameters
    parameters_size: int  # the places that they take
    gradients_size: int  # those that the gradients take
    parameters: Annotated[Array, PARAMETER]
    weights: Numbers
    update: int  # the address of the optimiser's kernel
    op: int  # that of its ``Update``
    # the shares
    shares: int
    edges: Annotated[Array, "int64"]  # the first tile of each share; then the number of tiles
    rows: Annotated[Array, "int64"]  # a ``Group`` for each share
    sums: Annotated[Array, "float64"]  # those of all shares
    group: int  # tiles in a group
    memory: int  # the address of rows of memory
    step: int  # bytes from one row to the next
    slots: Annotated[Array, "int64"]  # the row of each share's first group; or none: then each
    # thread has a row, which serves its groups in turn
    # the plan
    program: Annotated[Array, "int64"]  # see ``program_of``
    width: int  # of an instruction
    # the batch
    images: int
    pictures: Annotated[Array, "uint8"]
    labels: Annotated[Array, "int64"]
    logits: Numbers


COLUMNS = {name: column for name, (column, _) in columns_of(Work).items()}


class Thread(NamedTuple):
    """One that takes part."""

    number: int  # from 0
    places: Annotated[Array, "int64"]  # its ``Places``


@kernel
def take_part(work: Work, thread: Thread) -> None:
    """Take pieces until none is left, or until another thread's piece takes too long to wait."""
    turns, heard = work.turns, add(work.bell, 0, 1 if thread.number == 0 else 0)
    for number in range(work.phases.size // COLUMNS_OF_PHASE):
        phase, taken, done = number * COLUMNS_OF_PHASE, TAKEN + 2 * number, DONE + 2 * number
        pieces, piece = work.phases[at(phase + PIECES)], add(turns, taken, 1)
        while piece < pieces:
            _do(work, thread, phase, piece)
            add(turns, done, 1)
            piece = add(turns, taken, 1)
        if not wait_for(turns, done, pieces):
            return
    add(turns, FINISHED, 1)
    if thread.number > 0:
        listen(work.bell, heard, turns, ASLEEP)


@inner(inline="always")
def _do(work: Work, thread: Thread, phase: int, piece: int) -> None:
    kind, pieces = work.phases[at(phase + KIND)], work.phases[at(phase + PIECES)]
    size = work.gradients_size if kind == SUM else work.parameters_size
    first, last = _edge(size, piece, pieces), _edge(size, piece + 1, pieces)
    if kind == COPY:
        take(first, last, work.parameters, work.weights)
    elif kind == SUM:
        _add_up(work, first, last)
    elif kind == UPDATE:
        thread.places[0], thread.places[1] = first, last
        call(work.update, work.op, address(thread.places, 0))
    else:
        _run(work, thread.number, phase, piece)


@inner(inline="always")
def _edge(size: int, piece: int, pieces: int) -> int:
    """The place where a piece begins: a multiple of 16, as where a parameter begins."""
    return size // LANES * piece // pieces * LANES


@inner()
def _run(work: Work, number: int, phase: int, piece: int) -> None:
    """A share of the batch; or of ONCE an instruction that sees no images, for one group."""
    begin, end, memory = work.phases[at(phase + FIRST)], work.phases[at(phase + LAST)], work.memory
    share, first, last, group, slots = 0, 0, 1, 1, 1
    if work.phases[at(phase + KIND)] == ONCE:
        begin, end = begin + piece, begin + piece + 1
    else:
        share, group = piece, work.group
        first, last = work.edges[at(piece)], work.edges[at(piece + 1)]
        if work.slots.size == 0:
            memory += number * work.step
        else:  # as many as a share can have groups: each in a slot of its own
            memory, slots = memory + work.slots[at(share)] * work.step, last - first
    row = array_at(address(work.rows, share * WIDTH), WIDTH, work.turns)
    if work.phases[at(phase + BEGINS)]:
        _set_zero(array_at(row[GRADIENTS], row[GRADIENTS + 1], work.weights))
        _set_zero(array_at(row[SUMS], row[SUMS + 1], work.sums))
    write_batch(row, work.images, work.pictures, work.labels, work.logits)
    program = array_at(address(work.program, begin * work.width), (end - begin) * work.width, row)
    run_groups(program, work.width, row, memory, work.step, slots, first, last, group)


@inner(inline="always")
def _set_zero(numbers: Array) -> None:
    for k in range(numbers.size):
        numbers[at(k)] = 0


@inner()
def _add_up(work: Work, first: int, last: int) -> None:
    """Add the other shares' gradients to those of the first, in the shares' order."""
    size = work.rows[GRADIENTS + 1]
    total = array_at(work.rows[GRADIENTS], size, work.weights)
    for share in range(1, work.shares):
        more = array_at(work.rows[share * WIDTH + GRADIENTS], size, work.weights)
        for place in range(first, last):
            total[at(place)] += more[at(place)]


def _column_of(name: str) -> int:
    return columns_of(Work)[name][0]


OF_TURNS, OF_PHASES, OF_IMAGES = map(_column_of, ("turns", "phases", "images"))
OF_PICTURES, OF_LABELS, OF_LOGITS = map(_column_of, ("pictures", "labels", "logits"))


@uncounted
def set_batch(
    work: Array,
    turns: Array,
    phases: Array,
    images: int,
    pictures: Array,
    labels: Array,
    logits: Array,
) -> None:
    """``write`` what is another array in each call; from Python that takes 20 µs."""
    work[OF_TURNS], work[OF_TURNS + 1] = address(turns, 0), turns.size
    work[OF_PHASES], work[OF_PHASES + 1] = address(phases, 0), phases.size
    work[OF_IMAGES] = images
    work[OF_PICTURES], work[OF_PICTURES + 1] = address(pictures, 0), pictures.size
    work[OF_LABELS], work[OF_LABELS + 1] = address(labels, 0), labels.size
    work[OF_LOGITS], work[OF_LOGITS + 1] = address(logits, 0), logits.size


@uncounted
def take_turns(kernel: int, work: Array, thread: Array, turns: Array) -> bool:
    """Have a thread take part in a ``Work``; whether all is done.

    kernel: the address of ``take_part``.
    """
    call(kernel, address(work, 0), address(thread, 0))
    finished = look(turns, FINISHED) > 0
    if not finished and thread[0] == 0:
        add(turns, ASLEEP, 1)
    return finished


def forms_for(dtype: np.dtype) -> list[Form]:
    """Of all that a step with numbers of this dtype calls, but the instructions."""
    row, logits = row_of(Work), np.zeros(0, dtype)
    return [
        form_of(take_turns, 0, row, row, row),
        form_of(set_batch, row, row, row, 0, np.zeros(0, np.uint8), row, logits),
        form_for(take_part, Work, dtype, where=Thread),
    ]


def kernel_for(dtype: np.dtype) -> int:
    """The address of ``take_part`` for numbers of this dtype, and all of ``forms_for`` ready."""
    *others, of_step = forms_for(dtype)
    for form in others:
        compiled(*form)
    return address_of(of_step)


def new_thread(number: int) -> tuple[np.ndarray, np.ndarray]:
    """The row of a ``Thread``, and its places, to which the row points."""
    row, places = row_of(Thread), row_of(Places)
    row[0] = number
    write(Thread, row, places=places)
    return row, places
