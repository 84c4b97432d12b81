"""Executes the instructions of a compiled plan, for one thread's share of a batch."""

from __future__ import annotations

import functools
from functools import partial
from typing import Any

import numpy as np

from ..arrays import LANES
from ..cpu.jit import jit
from . import activation, loss, move, norm, pool, product
from .instruction import Group, address_of, call, columns_of

KERNELS: dict[type, Any] = {
    move.LoadPixels: move.load_pixels,
    move.LoadNumbers: move.load_numbers,
    move.SetZero: move.set_zeros,
    move.Frame: move.frame,
    move.Unframe: move.unframe,
    move.Flatten: move.flatten,
    move.Unflatten: move.unflatten,
    move.Turn: move.turn,
    product.Product: product.product,
    product.ConvDWeight: product.conv_dweight,
    product.SumRows: product.sum_rows,
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
    norm.Normalise: norm.normalise,
    norm.NormaliseMoments: norm.normalise_moments,
    norm.NormaliseBackward: norm.normalise_backward,
    loss.GiveLogits: loss.give_logits,
    loss.CrossEntropy: loss.cross_entropy,
}


TILES, FIRST, MEMORY = (columns_of(Group)[name][0] for name in ("tiles", "first", "memory"))


@functools.cache
def _kernel_of(instruction: type, dtype: np.dtype) -> int:
    return address_of(KERNELS[instruction], instruction, dtype)


def program_of(ops: list[tuple[type, list[int]]], dtype: np.dtype) -> np.ndarray:
    """Instructions, each its kind and its fields, as rows: the kernel's address, then the fields.

    The kernels are compiled for numbers of this dtype, or loaded from the disk, as far as they are
    not there yet.
    """
    rows = [[_kernel_of(kind, dtype), *fields] for kind, fields in ops]
    program = np.zeros((len(rows), max(map(len, rows), default=1)), np.int64)
    for k, row in enumerate(rows):
        program[k, : len(row)] = row
    return program


def new_row() -> np.ndarray:
    """A row for a ``Group``."""
    size = sum(1 if hint is int else 2 for _, hint in columns_of(Group).values())
    return np.zeros(size, np.int64)


def fill_row(row: np.ndarray, group: Group) -> None:
    """Write a group's numbers, and its arrays' addresses and sizes, into a row."""
    numbers: list[int] = []
    for field in group:
        numbers += [field] if isinstance(field, int) else [field.ctypes.data, field.size]
    row[:] = numbers


@partial(jit, _nrt=False)
def run(program, group_row, memory, step, slots, first, last, group):  # type: ignore[no-untyped-def]
    """Execute ``program`` for the tiles from ``first`` to before ``last``, ``group`` by ``group``.

    Args:
        program: see ``program_of``.
        group_row: a ``Group`` as int64; the columns that change are filled in here.
        memory: the address of this thread's memory, ``slots`` times ``step`` bytes; group g of the
            thread uses slot g % slots.
    """
    for start in range(first, last, group):
        group_row[MEMORY] = memory + ((start - first) // group) % slots * step
        group_row[TILES] = min(group, last - start)
        group_row[FIRST] = start * LANES
        for k in range(len(program)):
            call(program[k, 0], program[k, 1:].ctypes.data, group_row.ctypes.data)
