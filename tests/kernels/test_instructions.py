"""kernels.tiles.instruction and program: from a row of numbers to a kernel's fields."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import pytest

from minicnn.kernels.tiles import instruction, program
from minicnn.kernels.tiles.instruction import (
    Fixed,
    Group,
    address_of,
    columns_of,
    form_for,
    inner,
    row_of,
    write,
)
from minicnn.kernels.tiles.program import program_of, run

DTYPES = ["float32", "float64"]


class Pair(NamedTuple):
    left: int
    right: int


class Read(NamedTuple):
    """Writes what it finds into the group's memory."""

    first: int
    pair: Pair
    last: int


class Fail(NamedTuple):
    """Raises an error where its number is 7."""

    number: int


# with ``inner``, because ``kernel`` would keep it on disk: this file is not among its sources
@inner()
def read(op: Read, group: Group) -> None:
    y = group.memory
    y[0], y[1], y[2], y[3] = op.first, op.pair.left, op.pair.right, op.last
    y[4], y[5], y[6], y[7] = group.tiles, group.first, group.images, y.size
    y[8], y[9] = group.weights[1], group.weights.size
    y[10], y[11] = group.tables[2], group.tables.size
    y[12], y[13] = group.pictures[3], group.pictures.size
    y[14], y[15] = group.labels[0], group.keys[1]
    group.gradients[2] = 30
    group.sums[1] = 40
    group.logits[group.logits.size - 1] = 50


@inner()
def fail(op: Fail, group: Group) -> None:
    if op.number == 7:
        raise ValueError("seven")
    group.sums[0] += op.number


class Note(NamedTuple):
    """Notes its number and the strip, so that the order can be told."""

    number: int


@inner()
def note(op: Note, group: Group) -> None:
    group.sums[0] = 3 * group.sums[0] + op.number + 100 * group.strip


@pytest.fixture(autouse=True)
def kernels_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(program.KERNELS, Read, read)
    monkeypatch.setitem(program.KERNELS, Note, note)
    monkeypatch.setitem(program.KERNELS, Fail, fail)


Arrays: TypeAlias = dict[str, np.ndarray]


def arrays_of(dtype: str, groups: int) -> Arrays:
    """Every array of another size; 0.5 is a number of any floating-point dtype."""
    return {
        "memory": np.zeros((groups, 16), dtype),
        "weights": np.array([0.25, 0.5, 0.75], dtype),
        "gradients": np.zeros(4, dtype),
        "sums": np.zeros(5),
        "tables": np.arange(7, 13),
        "keys": np.array([21, 22], np.uint64),
        "pictures": np.arange(200, 207, dtype=np.uint8),
        "labels": np.array([11, 12, 13, 14, 15, 16, 17, 18]),
        "logits": np.zeros(9, dtype),
    }


def execute(made: np.ndarray, arrays: Arrays, first: int, last: int, group: int) -> None:
    """Run a program for these tiles of a batch of 119 images."""
    row, memory = row_of(Group), arrays["memory"]
    names = ("weights", "gradients", "sums", "tables", "keys")
    write(Group, row, memory=memory[0], **{name: arrays[name] for name in names})
    batch = arrays["pictures"], arrays["labels"], arrays["logits"]
    start, step = memory.ctypes.data, memory[0].nbytes
    run(made, row, start, step, len(memory), first, last, group, 119, *batch)


def test_a_tuple_takes_as_many_columns_as_it_has_fields_and_an_array_two() -> None:
    assert [column for column, _ in columns_of(Read).values()] == [0, 1, 3]
    assert [column for column, _ in columns_of(Group).values()] == [0, 1, 2, 3, *range(4, 24, 2)]
    assert row_of(Group).shape == (24,)


class Half(NamedTuple):
    size: int
    way: Fixed


class Whole(NamedTuple):
    way: Fixed
    halves: Half
    last: Fixed


def test_numbers_that_a_kernel_is_compiled_for_are_found_inside_of_tuples_too() -> None:
    assert instruction._fixed(Whole) == [0, 2, 3]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_program_has_an_instruction_a_row(dtype: str) -> None:
    number = np.dtype(dtype)
    made = program_of([(Fail, [5]), (Read, [1, 2, 3, 4])], number)
    addresses = [
        address_of(form_for(kernel, kind, number)) for kind, kernel in ((Fail, fail), (Read, read))
    ]
    rows = [[addresses[0], 0, 0, 5, 0, 0, 0], [addresses[1], 0, 0, 1, 2, 3, 4]]
    np.testing.assert_array_equal(made, rows)
    assert made.dtype == np.int64
    assert addresses[0] != addresses[1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_kernel_finds_every_field_where_it_is_declared(dtype: str) -> None:
    found = arrays_of(dtype, groups=2)
    made = program_of([(Read, [-3, 5, 6, 1000])], np.dtype(dtype))
    # tiles 3 to 7 in groups of two, with memory for two groups: 3 4 | 5 6 | 7, the last in slot 0
    execute(made, found, first=3, last=8, group=2)
    fields, arrays = [-3, 5, 6, 1000], [0.5, 3, 9, 6, 203, 7, 11, 22]
    np.testing.assert_array_equal(found["memory"][0], [*fields, 1, 7 * 16, 119, 16, *arrays])
    np.testing.assert_array_equal(found["memory"][1], [*fields, 2, 5 * 16, 119, 16, *arrays])
    np.testing.assert_array_equal(found["gradients"], [0, 0, 30, 0])
    np.testing.assert_array_equal(found["sums"], [0, 40, 0, 0, 0])
    np.testing.assert_array_equal(found["logits"], [0] * 8 + [50])


def test_the_last_few_instructions_are_done_again_for_each_strip() -> None:
    """5, then (7, 11) three times, then 13."""
    found = arrays_of("float64", groups=1)
    ops: list[tuple[type, list[int]]] = [(Note, [number]) for number in (5, 7, 11, 13)]
    made = program_of(ops, np.dtype("float64"), {2: (1, 3)})
    execute(made, found, first=0, last=1, group=1)
    noted = [(5, 0), (7, 0), (11, 0), (7, 1), (11, 1), (7, 2), (11, 2), (13, 0)]
    expected = 0
    for number, strip in noted:
        expected = 3 * expected + number + 100 * strip
    assert found["sums"][0] == expected


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_a_kernel_raises_is_raised_and_ends_the_program(dtype: str) -> None:
    found = arrays_of(dtype, groups=1)
    made = program_of([(Fail, [5]), (Fail, [7]), (Fail, [11])], np.dtype(dtype))
    with pytest.raises(ValueError, match="seven"):
        execute(made, found, first=0, last=1, group=1)
    assert found["sums"][0] == 5
