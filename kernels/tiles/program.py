"""Executes the instructions of a compiled plan, for one thread's share of a batch."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from ..arrays import LANES, Array
from ..cpu.ready import Form
from ..cpu.turns import add, listen, wait_for
from ..cpu.windows import at
from . import activation, join, loss, move, norm, pixels, pool, product, winograd, winograd_weights
from .instruction import (
    Group,
    address,
    address_of,
    array_at,
    call,
    columns_of,
    form_for,
    inner,
    uncounted,
)

KERNELS: dict[type, Any] = {
    move.LoadPixels: move.load_pixels,
    move.LoadNumbers: move.load_numbers,
    move.SetZero: move.set_zeros,
    move.Frame: move.frame,
    move.Unframe: move.unframe,
    move.Pick: move.pick,
    move.Spread: move.spread,
    move.Flatten: move.flatten,
    move.Unflatten: move.unflatten,
    move.Turn: move.turn,
    product.Product: product.product,
    product.ConvDWeight: product.conv_dweight,
    product.KernelGradient: product.kernel_gradient,
    product.SumRows: product.sum_rows,
    winograd_weights.WeightsToPoints: winograd_weights.weights_to_points,
    winograd.ToPoints: winograd.to_points,
    winograd.FromPoints: winograd.from_points,
    winograd.TurnPoints: winograd.turn_points,
    winograd_weights.WeightGradient: winograd_weights.weight_gradient,
    pool.AvgPool: pool.avg_pool,
    pool.AvgPoolBackward: pool.avg_pool_backward,
    pool.MaxPool: pool.max_pool,
    pool.MaxPoolBackward: pool.max_pool_backward,
    activation.Sigmoid: activation.sigmoid,
    activation.Tanh: activation.tanh,
    activation.ReLU: activation.relu,
    activation.ActivateBackward: activation.activate_backward,
    activation.Dropout: activation.dropout,
    norm.Moments: norm.moments,
    norm.Statistics: norm.statistics,
    norm.Normalise: norm.normalise,
    norm.NormaliseMoments: norm.normalise_moments,
    norm.NormaliseGradients: norm.normalise_gradients,
    norm.NormaliseBackward: norm.normalise_backward,
    join.Add: join.add,
    join.Copy: join.copy,
    loss.GiveLogits: loss.give_logits,
    loss.CrossEntropy: loss.cross_entropy,
    pixels.ImageOfBytes: pixels.image_of_bytes,
    pixels.ImageOfNumbers: pixels.image_of_numbers,
    pixels.Reframe: pixels.reframe,
    pixels.AvgPoolPixels: pixels.avg_pool_pixels,
    pixels.MaxPoolPixels: pixels.max_pool_pixels,
    pixels.DenseOfOne: pixels.dense_of_one,
    pixels.NormalisePixels: pixels.normalise_pixels,
    pixels.GiveResult: pixels.give_result,
}


COLUMNS = {name: column for name, (column, _) in columns_of(Group).items()}
TILES, FIRST, IMAGES, STRIP = (COLUMNS[name] for name in ("tiles", "first", "images", "strip"))
MEMORY = COLUMNS["memory"]
PICTURES, LABELS, LOGITS = (COLUMNS[name] for name in ("pictures", "labels", "logits"))


EMPTY: dict[int, tuple[int, int]] = {}
_kernel_of = functools.cache(address_of)

Op: TypeAlias = tuple[type, list[int]]  # an instruction: its kind and its fields


def _form_of(op: Op, dtype: np.dtype) -> Form:
    kind, fields = op
    return form_for(KERNELS[kind], kind, dtype, numbers=fields)


def forms_of(ops: Iterable[Op], dtype: np.dtype) -> list[Form]:
    """Of the kernels that execute these instructions for numbers of this dtype: each once."""
    return list(dict.fromkeys(_form_of(op, dtype) for op in ops))


KERNEL, BACK, STRIPS, FIELDS = range(4)  # columns of a program; the fields are the last ones


def program_of(
    ops: list[Op], dtype: np.dtype, loops: dict[int, tuple[int, int]] = EMPTY
) -> np.ndarray:
    """Instructions as rows: the kernel's address, then the fields.

    loops: instructions after which the last few are done again, for the next strip: how many steps
    back that is, and the number of strips.

    The kernels are compiled for numbers of this dtype, or loaded from the disk, as far as they are
    not there yet.
    """
    rows = [
        [_kernel_of(_form_of(op, dtype)), *loops.get(k, (0, 0)), *op[1]] for k, op in enumerate(ops)
    ]
    program = np.zeros((len(rows), max(map(len, rows), default=1)), np.int64)
    for k, row in enumerate(rows):
        program[k, : len(row)] = row
    return program


@uncounted
def run(
    program: Array,
    row: Array,
    memory: int,
    step: int,
    slots: int,
    first: int,
    last: int,
    group: int,
    images: int,
    pictures: Array,
    labels: Array,
    logits: Array,
) -> None:
    """Execute ``program`` for the tiles from ``first`` to before ``last``, ``group`` by ``group``.

    Args:
        program: see ``program_of``.
        row: a ``Group``, whose other arrays are known; those of the batch are written in here.
        memory: the address of this thread's memory, ``slots`` times ``step`` bytes; group g of the
            thread uses slot g % slots.
        images: in the batch.
        pictures, labels, logits: the batch, as in ``Group``.
    """
    write_batch(row, images, pictures, labels, logits)
    flat = array_at(address(program, 0), program.size, row)
    run_groups(flat, program.shape[1], row, memory, step, slots, first, last, group)


@inner(inline="always")
def write_batch(row: Array, images: int, pictures: Array, labels: Array, logits: Array) -> None:
    """``write`` the batch into the row of a ``Group``."""
    row[IMAGES] = images
    row[PICTURES], row[PICTURES + 1] = address(pictures, 0), pictures.size
    row[LABELS], row[LABELS + 1] = address(labels, 0), labels.size
    row[LOGITS], row[LOGITS + 1] = address(logits, 0), logits.size


@inner(inline="always")
def run_groups(
    program: Array,
    width: int,
    row: Array,
    memory: int,
    step: int,
    slots: int,
    first: int,
    last: int,
    group: int,
) -> None:
    """``run`` for a flat program, instructions of this width, with the batch in its row."""
    for start in range(first, last, group):
        row[MEMORY] = memory + ((start - first) // group) % slots * step
        row[TILES] = min(group, last - start)
        row[FIRST] = start * LANES
        execute(program, width, row)


@inner(inline="always")
def execute(program: Array, width: int, row: Array) -> None:
    """One instruction after the other; where it says so, the last few again for the next strip."""
    k = 0
    while k < program.size:
        call(program[at(k + KERNEL)], address(program, k + FIELDS), address(row, 0))
        strips = program[at(k + STRIPS)]
        if row[STRIP] + 1 < strips:
            row[STRIP] += 1
            k -= program[at(k + BACK)] * width
        else:
            if strips:
                row[STRIP] = 0
            k += width


# The turns of ``run_images``, counters: images taken; those done; and one that is not 0 while the
# thread that called the others waits for a report.
TAKEN, DONE, ASLEEP = range(3)


@uncounted
def run_images(
    program: Array,
    row: Array,
    turns: Array,
    images: int,
    pictures: Array,
    logits: Array,
    bell: Array,
    thread: int,
) -> bool:
    """Execute ``program``, of a plan for one image, for each image that no other thread has taken.

    Whether all are done: if another thread's takes too long to wait, they are not. Thread 0 has
    called the others, which then listen for its next call. The other arrays of the ``Group`` whose
    row this is are known.
    """
    flat = array_at(address(program, 0), program.size, row)
    heard = add(bell, 0, 1 if thread == 0 else 0)
    image = add(turns, TAKEN, 1)
    while image < images:
        # not sooner: who comes too late and finds none left must not touch the row
        row[PICTURES], row[PICTURES + 1] = address(pictures, 0), pictures.size
        row[LOGITS], row[LOGITS + 1] = address(logits, 0), logits.size
        row[FIRST] = image
        execute(flat, program.shape[1], row)
        add(turns, DONE, 1)
        image = add(turns, TAKEN, 1)
    finished = wait_for(turns, DONE, images)
    if thread > 0:
        listen(bell, heard, turns, ASLEEP)
    elif not finished:
        add(turns, ASLEEP, 1)
    return finished
