"""Where branches of a net meet: the sum of two results, and results one after the other."""

from __future__ import annotations

from typing import NamedTuple

from .instruction import Group, Place, kernel
from .lanes import load, store


class Add(NamedTuple):
    """y = a + b, cell by cell."""

    a: Place
    b: Place
    y: Place  # may be a or b
    size: int  # places: of a tile, or of the group's matrix
    by_tile: int  # 1: ``size`` is that of one tile


@kernel
def add(op: Add, group: Group) -> None:
    """16 cells at a time."""
    memory = group.memory
    size = op.size * group.tiles if op.by_tile else op.size
    for k in range(0, size, 16):
        store(memory, op.y + k, load(16, memory, op.a + k) + load(16, memory, op.b + k))


class Copy(NamedTuple):
    """Some channels of a result (or features of a matrix) to a place among those of another."""

    inp: Place
    out: Place
    inp_begin: int  # places before the first channel, in each tile of ``inp`` (or in the matrix)
    out_begin: int  # the same for ``out``
    size: int  # places of these channels: of a tile, or of the group's matrix
    inp_tile: int  # from one tile to the next
    out_tile: int
    by_tile: int  # 1: tiles; 0: a matrix, which is copied in one piece


@kernel
def copy(op: Copy, group: Group) -> None:
    """16 cells at a time."""
    memory, tiles = group.memory, group.tiles if op.by_tile else 1
    for t in range(tiles):
        inp = op.inp + op.inp_begin + t * op.inp_tile
        out = op.out + op.out_begin + t * op.out_tile
        for k in range(0, op.size, 16):
            store(memory, out + k, load(16, memory, inp + k))
