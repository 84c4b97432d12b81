"""How convolutions are cut up on a GPU: the ways that are chosen, and what they seem to cost."""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple

import pytest

from minicnn.compiler.gpu import tiling
from minicnn.compiler.gpu.ways import Dinput, Dweight, Forward, Geometry, phases, time_of


class Chosen(NamedTuple):
    """A way, its cost in cycles, its rows and columns in shared memory, and all its cells there."""

    way: Any
    cost: int
    copied: tuple[int, int]
    shared: int


# As they were when benchmarks and budget.json were written: with better ones these are too.
CHOSEN: dict[str, tuple[Geometry, list[Chosen]]] = {
    "lenet's second": (
        Geometry(16, 6, 14, 14, 5, 5, 1, 1, 0, 0, 1, 1, 10, 10),
        [
            Chosen(Forward(4, 1, 4, 4, 10, 3, 2, 6, 5, 5, 16), 7594, (14, 16), 5688),
            Chosen(Dinput(1, 14, 6, 14, 1, 2, 8, 5, 5, 12), 14940, (10, 12), 4320),
            Chosen(Dweight(4, 10, 4, 10, 10, 1, 6, 5, 5, 20), 6364, (14, 16), 3600),
        ],
    ),
    "strides and dilation": (
        Geometry(12, 5, 31, 29, 3, 4, 2, 3, 1, 2, 2, 1, 15, 10),
        [
            Chosen(Forward(4, 1, 2, 3, 5, 5, 2, 5, 3, 4, 36), 5511, (13, 32), 5880),
            Chosen(Dinput(5, 6, 1, 16, 2, 2, 6, 3, 4, 20), 11858, (15, 16), 4464),
            Chosen(Dweight(4, 10, 3, 8, 10, 4, 5, 3, 4, 36), 6096, (19, 32), 4572),
        ],
    ),
    "many channels": (
        Geometry(96, 64, 7, 9, 3, 3, 1, 1, 1, 1, 1, 1, 7, 9),
        [
            Chosen(Forward(8, 1, 3, 6, 7, 3, 2, 8, 3, 3, 12), 86962, (9, 12), 5472),
            Chosen(Dinput(2, 9, 16, 7, 1, 2, 12, 3, 3, 12), 98098, (7, 12), 5904),
            Chosen(Dweight(8, 9, 2, 7, 9, 1, 32, 3, 3, 12), 85234, (9, 12), 4800),
        ],
    ),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_the_cheapest_ways_are_what_they_were(name: str) -> None:
    size, wanted = CHOSEN[name]
    forward, dinput, dweight = tiling.forward(size), tiling.dinput(size), tiling.dweight(size)
    assert forward is not None
    found = [
        Chosen(way, round(cost), way.copied(size), way.shared(size))
        for way, cost in (
            (forward, forward.cost(size, False)),
            (dinput, dinput.cost(size)),
            (dweight, dweight.cost(size)),
        )
    ]
    assert found == wanted


def test_each_sum_of_the_weights_gradient_is_of_as_many_pieces_as_keep_a_gpu_busy() -> None:
    for name, parts in (("lenet's second", 100), ("strides and dilation", 200)):
        size, (*_, chosen) = CHOSEN[name]
        assert chosen.way.parts(size, 100) == parts  # a block takes one piece
    size, (*_, chosen) = CHOSEN["many channels"]
    assert chosen.way.groups(size) == 6 * 2
    assert chosen.way.parts(size, 100) == 20  # of 5 of its 100 pieces each, for 12 x 20 blocks


def test_slices_meet_in_shared_memory_where_there_are_several() -> None:
    size = Geometry(64, 32, 4, 4, 1, 1, 1, 1, 0, 0, 1, 1, 4, 4)
    way = Dweight(8, 1, 8, 1, 1, 1, 32, 1, 1)
    assert way.shared(size) == 32 * 4 + 64 * 4
    assert way._replace(tr=2, slices=2).shared(size) == 8 * 32 * 8 * 2


def test_a_part_of_a_kernel_that_just_fits_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    size = Geometry(4, 3, 9, 40, 1, 31, 1, 1, 0, 0, 1, 1, 9, 10)
    way = Forward(4, 1, 2, 1, 1, 5, 1, 1, 1, 31)
    monkeypatch.setattr(tiling, "ROOM", way.shared(size))
    assert tiling._in_chunks(way, size, 3, 8) == way
    monkeypatch.setattr(tiling, "ROOM", way.shared(size) - 1)
    assert tiling._in_chunks(way, size, 3, 8).cj < 31


def test_the_cells_that_meet_the_same_taps_are_one_in_each_stride() -> None:
    for w, pw, sw in ((9, 0, 1), (9, 2, 1), (10, 2, 3), (11, 1, 4)):
        size = Geometry(1, 1, 5, w, 1, 1, 1, sw, 0, pw, 1, 1, 5, 1)
        meeting = {(pw + column) // sw for column in range(w)}
        assert phases(size) == (5, len(meeting))


def test_without_blocks_nothing_is_taken_for_quick() -> None:
    assert time_of(0, 256, 100.0, 100.0) == inf
