"""kernels.tiles.lanes: vectors inside compiled loops, against the same statement in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest

from minicnn.kernels.tiles import lanes, sums, transpose

DTYPES = ["float32", "float64"]
WIDTH = 16
NAN, INF = np.nan, np.inf
X = np.array([-3.7, 2.5, 0.0, -0.0, 1.0, NAN, INF, -INF, 7.0, 7.0, NAN, -1e9, 0.3, 64, -0.5, 1e-3])
Y = np.array([1.25, 2.5, -0.0, 0.0, NAN, 1.0, 3.0, -INF, 6.0, 8.0, NAN, 2.0, 0.3, INF, 4.0, -2.0])


def cells(dtype: str, size: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(size).astype(dtype)


def applied(function: Callable[..., Any], *arrays: np.ndarray) -> np.ndarray:
    """``function`` of a vector from each array, each as long as the first."""
    compiled = numba.njit(function)
    if len(arrays) == 1:

        @numba.njit
        def run(x, y):  # type: ignore[no-untyped-def]
            lanes.store(y, 0, compiled(lanes.load(WIDTH, x, 0)))
    elif len(arrays) == 2:

        @numba.njit
        def run(a, x, y):  # type: ignore[no-untyped-def]
            lanes.store(y, 0, compiled(lanes.load(WIDTH, a, 0), lanes.load(WIDTH, x, 0)))
    else:

        @numba.njit
        def run(a, b, c, d, y):  # type: ignore[no-untyped-def]
            v, w = lanes.load(WIDTH, a, 0), lanes.load(WIDTH, b, 0)
            lanes.store(y, 0, compiled(v, w, lanes.load(WIDTH, c, 0), lanes.load(WIDTH, d, 0)))

    y = np.empty(WIDTH, arrays[0].dtype)
    run(*arrays, y)
    return y


@pytest.mark.parametrize("dtype", DTYPES)
def test_load_and_store_take_just_their_cells_wherever_they_lie(dtype: str) -> None:
    @numba.njit
    def move(x, i, y, j):  # type: ignore[no-untyped-def]
        lanes.store(y, j, lanes.load(64, x, i))

    x, y = cells(dtype, 83), np.zeros(83, dtype)
    move(x, 5, y, 13)
    np.testing.assert_array_equal(y[13:77], x[5:69])
    assert not y[:13].any()
    assert not y[77:].any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [16, 64])
def test_runs_that_lie_apart(width: int, dtype: str) -> None:
    @numba.njit
    def move(x, i, step, y, j, y_step):  # type: ignore[no-untyped-def]
        lanes.store_apart(y, j, y_step, lanes.load_apart(width, x, i, step))

    x, y = cells(dtype, 120), np.zeros(150, dtype)
    move(x, 3, 33, y, 7, 40)
    wanted = np.zeros(150, dtype)
    for run in range(width // 16):
        wanted[7 + 40 * run : 23 + 40 * run] = x[3 + 33 * run : 19 + 33 * run]
    np.testing.assert_array_equal(y, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [16, 64])
def test_fill_and_total(width: int, dtype: str) -> None:
    @numba.njit
    def run(x, y):  # type: ignore[no-untyped-def]
        v = lanes.load(width, x, 3)
        lanes.store(y, 0, lanes.fill(width, x[1]))
        y[width] = lanes.total(v)

    x, y = cells(dtype, width + 5), np.zeros(width + 2, dtype)
    run(x, y)
    np.testing.assert_array_equal(y[:width], x[1])
    assert y[width] == pytest.approx(x[3 : width + 3].astype("float64").sum(), rel=1e-5)
    assert y[width + 1] == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "function",
    [lambda a, x: a + x, lambda a, x: a - x, lambda a, x: a * x, lambda a, x: a / x],
    ids=["add", "sub", "mul", "div"],
)
def test_arithmetic_of_vectors(function: Callable[..., Any], dtype: str) -> None:
    a, x = cells(dtype, 2 * WIDTH).reshape(2, WIDTH)
    np.testing.assert_array_equal(applied(function, a, x), function(a, x))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_number_stands_on_the_left(dtype: str) -> None:
    number = np.dtype(dtype).type(3)
    x = cells(dtype)
    ours = applied(lambda x: number - number / (number * (number + x)), x)
    np.testing.assert_allclose(ours, number - number / (number * (number + x)), rtol=1e-5)


def test_dtypes_do_not_mix() -> None:
    with pytest.raises(numba.TypingError):
        applied(lambda a, x: a + x, cells("float32"), cells("float64"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("choose", "wins"),
    [
        (lanes.equal, X == Y),
        (lanes.larger, X > Y),
        (lanes.winner, (X > Y) | (np.isnan(X) & ~np.isnan(Y))),
    ],
    ids=["equal", "larger", "winner"],
)
def test_choices_cell_by_cell(choose: Any, wins: np.ndarray, dtype: str) -> None:
    a, b = cells(dtype, 2 * WIDTH).reshape(2, WIDTH)
    ours = applied(lambda x, y, a, b: choose(x, y, a, b), X.astype(dtype), Y.astype(dtype), a, b)
    np.testing.assert_array_equal(ours, np.where(wins, a, b))


@pytest.mark.parametrize("dtype", DTYPES)
def test_limited(dtype: str) -> None:
    low, high, x = np.dtype(dtype).type(-2), np.dtype(dtype).type(2.75), X.astype(dtype)
    np.testing.assert_array_equal(
        applied(lambda x: lanes.limited(x, low, high), x), np.clip(x, low, high)
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_reciprocal(dtype: str) -> None:
    x = 10 ** np.linspace(-30, 30, WIDTH).astype(dtype) * np.where(cells(dtype) > 0, 1, -1)
    ours = applied(lambda x: lanes.reciprocal(x), x.astype(dtype))
    np.testing.assert_allclose(ours, 1 / x, rtol=4 * float(np.finfo(dtype).eps))


def test_power_of_two() -> None:
    n = np.array([-126, -20, -1, 0, 1, 2, 3, 10, 23, 24, 60, 100, 125, 126, 127, -64], "float32")
    ours = applied(lambda z: lanes.power_of_two(z), np.float32(lanes.WHOLE) + n)
    np.testing.assert_array_equal(ours, np.ldexp(np.float32(1), n.astype(int)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_transpose_reads_numbers_or_bytes(dtype: str) -> None:
    @numba.njit
    def run(y, x, pixels, divisor):  # type: ignore[no-untyped-def]
        transpose.transpose(y, 3, 17, x, 5, 19)
        transpose.transpose_bytes(y, 403, 18, pixels, 1, 21, divisor)

    x, y = cells(dtype, 400), np.zeros(800, dtype)
    pixels = np.random.default_rng(1).permutation(400).astype(np.uint8)
    divisor = np.dtype(dtype).type(255)
    run(y, x, pixels, divisor)
    expected = np.zeros(800, dtype)
    for k in range(16):
        expected[3 + 17 * k : 19 + 17 * k] = x[5 + k : 5 + k + 16 * 19 : 19]
        expected[403 + 18 * k : 419 + 18 * k] = pixels[1 + k : 1 + k + 16 * 21 : 21] / divisor
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gather_reads_numbers_or_bytes(dtype: str) -> None:
    @numba.njit
    def run(y, memory, start, step):  # type: ignore[no-untyped-def]
        lanes.store(y, 0, lanes.gather(16, y, memory, start, step))
        lanes.store(y, 16, lanes.gather_bytes(16, y, memory, start, step))

    x, y = cells(dtype, 220), np.empty(32, dtype)
    memory = x.view(np.uint8)
    run(y, memory, 4, 13)
    np.testing.assert_array_equal(y[:16], x[4:212:13])
    np.testing.assert_array_equal(y[16:], memory[4:212:13])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [0, 1, 7, 15, 16, 23])
def test_the_first_cells_and_zeros_whatever_the_others_hold(dtype: str, count: int) -> None:
    @numba.njit
    def first(x, count, y):  # type: ignore[no-untyped-def]
        lanes.store(y, 0, sums.first_of(lanes.load(WIDTH, x, 0), count))

    x, y = X[::-1].astype(dtype), np.ones(WIDTH, dtype)
    first(x, count, y)
    np.testing.assert_array_equal(y, np.where(np.arange(WIDTH) < count, x, 0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_in_float64_are_added_as_such(dtype: str) -> None:
    @numba.njit
    def add(x, y, result):  # type: ignore[no-untyped-def]
        a, b = lanes.load(WIDTH, x, 0), lanes.load(WIDTH, y, 0)
        lanes.store(result, 0, sums.in_float64(a) + sums.in_float64(b))

    x, y, result = cells(dtype), 1e9 * cells(dtype)[::-1], np.empty(WIDTH)
    add(x, y, result)
    np.testing.assert_array_equal(result, x.astype("float64") + y.astype("float64"))


@pytest.mark.parametrize(
    ("name", "features", "has"),
    [
        ("generic", "", False),
        (None, "+avx2", False),
        (None, "+avx2,+avx512f", True),
        ("generic", "+avx512f", True),
        (None, None, True),  # as the processor here is taken to be
    ],
)
def test_registers_are_those_of_the_processor_that_is_compiled_for(
    name: str | None, features: str | None, has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = "minicnn.kernels.tiles.lanes"
    monkeypatch.setattr(f"{where}.switches.CPU_NAME", name)
    monkeypatch.setattr(f"{where}.switches.CPU_FEATURES", features)
    monkeypatch.setattr(f"{where}.binding.get_host_cpu_features", lambda: {"avx512f": True})
    assert lanes.has_avx512() == has
