"""kernels.tiles.blocks: tuples of vectors inside compiled code, against the same in NumPy."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from minicnn.kernels.tiles import blocks, lanes

DTYPES = ["float32", "float64"]
WIDTH = 16


def cells(dtype: str, *shape: int) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape).astype(dtype)


@numba.njit
def store_rows(y, rows):  # type: ignore[no-untyped-def]
    """Row k of a block to y[16 k : 16 k + 16]; each is 16 cells."""
    for k in range(len(rows)):
        lanes.store(y, 16 * k, rows[k])


@pytest.mark.parametrize("dtype", DTYPES)
def test_repeat(dtype: str) -> None:
    @numba.njit
    def run(x, y):  # type: ignore[no-untyped-def]
        store_rows(y, blocks.repeat(3, lanes.load(16, x, 5)))

    x, y = cells(dtype, 30), np.zeros((3, WIDTH), dtype)
    run(x, y.reshape(-1))
    np.testing.assert_array_equal(y, [x[5:21]] * 3)


@pytest.mark.parametrize("dtype", [*DTYPES, "int64"])
def test_take_gives_the_last_number_again_after_the_last(dtype: str) -> None:
    @numba.njit
    def run(x, first, last, y):  # type: ignore[no-untyped-def]
        numbers = blocks.take(4, x, first, last)
        for k in range(4):
            y[k] = numbers[k]

    x, y = (10 * cells("float64", 11)).astype(dtype), np.zeros(4, dtype)
    for first, last in [(2, 10), (6, 9), (6, 8), (7, 7)]:
        run(x, first, last, y)
        np.testing.assert_array_equal(y, x[np.minimum(first + np.arange(4), last)])


@pytest.mark.parametrize("dtype", DTYPES)
def test_take_at(dtype: str) -> None:
    @numba.njit
    def run(x, places, away, y):  # type: ignore[no-untyped-def]
        numbers = blocks.take_at(x, places, away)
        for k in range(3):
            y[k] = numbers[k]

    x, y, places = cells(dtype, 17), np.zeros(3, dtype), (3, 11, 0)
    run(x, places, 4, y)
    np.testing.assert_array_equal(y, x[np.array(places) + 4])


@pytest.mark.parametrize("dtype", DTYPES)
def test_fill_each(dtype: str) -> None:
    @numba.njit
    def run(x, y):  # type: ignore[no-untyped-def]
        store_rows(y, blocks.fill_each(16, (x[4], x[0], x[2])))

    x, y = cells(dtype, 5), np.zeros((3, WIDTH), dtype)
    run(x, y.reshape(-1))
    np.testing.assert_array_equal(y, np.repeat(x[[4, 0, 2]], WIDTH).reshape(3, WIDTH))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [0, 2, 3, 5])
def test_loaded_rows_are_stored_or_added_as_many_as_there_are(count: int, dtype: str) -> None:
    @numba.njit
    def run(x, x_places, stored, added, y_places, count):  # type: ignore[no-untyped-def]
        rows = blocks.load_each(16, x, x_places, 3)
        blocks.store_each(stored, y_places, 5, count, rows)
        blocks.add_each(added, y_places, 5, count, rows)

    # the rows overlap, in x and in y: the second one begins within the first one, before the third
    x_places, y_places = (20, 31, 0), (0, 9, 19)
    x, stored = cells(dtype, 53), cells(dtype, 61)
    added, wanted, total = stored.copy(), stored.copy(), stored.copy()
    for x_place, y_place in list(zip(x_places, y_places, strict=True))[:count]:
        row, place = x[x_place + 3 : x_place + 3 + WIDTH], slice(y_place + 5, y_place + 5 + WIDTH)
        wanted[place] = row
        total[place] += row
    run(x, x_places, stored, added, y_places, count)
    np.testing.assert_array_equal(stored, wanted)
    np.testing.assert_array_equal(added, total)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("of_vectors", [False, True])
def test_add_outer(of_vectors: bool, dtype: str) -> None:
    @numba.njit
    def of_numbers(sums, a, b, y):  # type: ignore[no-untyped-def]
        s = blocks.load_each(16, sums, (0, 16, 32, 48, 64, 80), 0)
        vectors = blocks.load_each(16, b, (0, 16), 0)
        store_rows(y, blocks.add_outer(s, blocks.take_at(a, (0, 16, 32), 0), vectors))

    @numba.njit
    def of_rows(sums, a, b, y):  # type: ignore[no-untyped-def]
        s = blocks.load_each(16, sums, (0, 16, 32, 48, 64, 80), 0)
        vectors = blocks.load_each(16, b, (0, 16), 0)
        store_rows(y, blocks.add_outer(s, blocks.load_each(16, a, (0, 16, 32), 0), vectors))

    everything = cells(dtype, 11, WIDTH)
    sums, a, b = everything[:6].reshape(3, 2, WIDTH), everything[6:9], everything[9:]
    y = np.zeros_like(sums)
    run = of_rows if of_vectors else of_numbers
    run(sums.reshape(-1), a.reshape(-1), b.reshape(-1), y.reshape(-1))
    factors = a if of_vectors else a[:, :1]
    wanted = sums.astype("float64") + factors[:, None].astype("float64") * b
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=4 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("dtype", DTYPES)
def test_total_each(dtype: str) -> None:
    @numba.njit
    def run(x, y):  # type: ignore[no-untyped-def]
        totals = blocks.total_each(blocks.load_each(16, x, (0, 16, 32), 1))
        for k in range(3):
            y[k] = totals[k]

    x, y = cells(dtype, 50), np.zeros(3, dtype)
    run(x, y)
    wanted = x[1:49].reshape(3, WIDTH).astype("float64").sum(axis=1)
    np.testing.assert_allclose(y, wanted, rtol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [8, 16])
def test_totals(dtype: str, width: int) -> None:
    @numba.njit
    def run(x, y):  # type: ignore[no-untyped-def]
        rows = blocks.load_each(width, x, blocks.steps(width, 1, width), 0)
        lanes.store(y, 0, blocks.totals(rows))

    x, y = cells(dtype, 257), np.zeros(width, dtype)
    run(x, y)
    wanted = x[1 : 1 + width * width].reshape(width, width).astype("float64").sum(axis=1)
    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-6)
