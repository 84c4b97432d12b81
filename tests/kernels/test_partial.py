"""kernels.tiles.partial: a register's first cells alone, against the same statement in NumPy."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from minicnn.kernels.tiles import lanes, partial

DTYPES = ["float32", "float64"]
COUNTS = [0, 1, 7, 15, 16, 40]


@pytest.mark.parametrize("dtype", DTYPES)
def test_load_first_takes_its_cells_and_zeros(dtype: str) -> None:
    @numba.njit
    def copy(x, i, count, y):  # type: ignore[no-untyped-def]
        lanes.store(y, 0, partial.load_first(16, x, i, count))

    x, y = np.random.default_rng(1).standard_normal(60).astype(dtype), np.empty(16, dtype)
    for count in COUNTS:
        x[5 + count :] = np.nan  # what comes after must not matter
        copy(x, 5, count, y)
        np.testing.assert_array_equal(y, np.pad(x[5 : 5 + min(count, 16)], (0, 16))[:16])
        x = np.random.default_rng(count).standard_normal(60).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_load_each_first_takes_a_few_of_each_row(dtype: str) -> None:
    @numba.njit
    def copy(x, away, count, y):  # type: ignore[no-untyped-def]
        vectors = partial.load_each_first(16, x, (2, 30, 11), away, count)
        for k in range(3):
            lanes.store(y, 16 * k, vectors[k])

    x, y = np.arange(60).astype(dtype), np.empty((3, 16), dtype)
    copy(x, 4, 6, y.reshape(-1))
    np.testing.assert_array_equal(y[:, :6], [x[p + 4 : p + 10] for p in (2, 30, 11)])
    assert not y[:, 6:].any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_store_first_writes_only_its_cells(dtype: str) -> None:
    @numba.njit
    def copy(x, y, i, count):  # type: ignore[no-untyped-def]
        partial.store_first(y, i, count, lanes.load(16, x, 0))

    x = np.arange(1, 17).astype(dtype)
    for count in COUNTS:
        y = np.zeros(60, dtype)
        copy(x, y, 9, count)
        end = 9 + min(count, 16)
        np.testing.assert_array_equal(y[9:end], x[: end - 9])
        assert not y[:9].any()
        assert not y[end:].any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_first_cells_takes_the_others_from_another_vector(dtype: str) -> None:
    @numba.njit
    def copy(x, count, y):  # type: ignore[no-untyped-def]
        lanes.store(y, 0, partial.first_cells(count, lanes.load(16, x, 0), lanes.load(16, x, 16)))

    x, y = np.arange(32).astype(dtype), np.empty(16, dtype)
    for count in COUNTS:
        copy(x, count, y)
        np.testing.assert_array_equal(y, np.where(np.arange(16) < count, x[:16], x[16:]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_bytes_and_numbers_are_read_from_a_batch_of_bytes(dtype: str) -> None:
    @numba.njit
    def copy(batch, i, count, y):  # type: ignore[no-untyped-def]
        lanes.store(y, 0, partial.read_bytes(16, y, batch, i, count))
        lanes.store(y, 16, partial.read_numbers(16, y, batch, i, count))

    x, y = np.random.default_rng(2).standard_normal(40).astype(dtype), np.empty((2, 16), dtype)
    copy(x.view(np.uint8), 3, 11, y.reshape(-1))
    np.testing.assert_array_equal(y[0, :11], x.view(np.uint8)[3:14])
    np.testing.assert_array_equal(y[1, :11], x[3:14])
    assert not y[:, 11:].any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_cells_that_lie_apart(dtype: str) -> None:
    @numba.njit
    def copy(x, i, step, count, y):  # type: ignore[no-untyped-def]
        lanes.store(y, 0, partial.load_second(16, x, i))
        lanes.store(y, 16, partial.load_every(16, x, i, step, count))

    x, y = np.arange(100).astype(dtype), np.empty((2, 16), dtype)
    for step, count in (3, 16), (7, 5), (30, 1):
        copy(x, 8, step, count, y.reshape(-1))
        np.testing.assert_array_equal(y[0], x[8:40:2])
        np.testing.assert_array_equal(y[1, :count], x[8::step][:count])
        assert (y[1, count:] == y[1, count - 1]).all()
