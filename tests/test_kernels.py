"""The kernels themselves: ``cpu`` against ``reference``, their definitions, threads, layouts."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minicnn.kernels import cpu, reference

import minicnn
from minicnn import Tensor, kernels
from minicnn.nn import functional as F

EPS = {np.float32: 1.2e-7, np.float64: 2.3e-16}
Draw = Callable[..., np.ndarray]  # draw(*shape): standard normal numbers


@contextmanager
def three_threads() -> Iterator[None]:
    """Small work is shared too, and three threads often meet fewer than three planes."""
    before, worth = cpu.get_num_threads(), cpu.WORTH_SHARING
    cpu.set_num_threads(3)
    cpu.WORTH_SHARING = 0
    try:
        yield
    finally:
        cpu.set_num_threads(before)
        cpu.WORTH_SHARING = worth


# Definitions --------------------------------------------------------------------------------------


class Geometry:
    """A picture, a window and where it stands; drawn by hypothesis, small and awkward."""

    def __init__(self, draw: Callable[[Any], Any]):
        def pair(least: int, most: int) -> tuple[int, int]:
            return draw(st.integers(least, most)), draw(st.integers(least, most))

        self.kernel_size, self.stride, self.dilation = pair(1, 4), pair(1, 4), pair(1, 3)
        self.padding = pair(0, 3)
        least = [
            max(1, d * (k - 1) + 1 - 2 * p)
            for k, p, d in zip(self.kernel_size, self.padding, self.dilation, strict=True)
        ]
        size = tuple(n + draw(st.integers(0, 5)) for n in least)
        self.shape = (draw(st.integers(0, 3)), draw(st.integers(1, 3)), *size)
        self.window = self.kernel_size, self.stride, self.padding, self.dilation
        self.seed = draw(st.integers(0, 1000))

    def __repr__(self) -> str:
        return f"Geometry({vars(self)})"


@st.composite
def geometries(draw: Callable[[Any], Any]) -> Geometry:
    return Geometry(draw)


examples = settings(max_examples=60, deadline=None, derandomize=True, database=None)
both = pytest.mark.parametrize("kernel", [reference, cpu], ids=["reference", "cpu"])


@both
@given(g=geometries())
@examples
def test_im2col_and_col2im_are_transposes(kernel: ModuleType, g: Geometry) -> None:
    """<im2col(x), c> = <x, col2im(c)>"""
    rng = np.random.default_rng(g.seed)
    x = rng.standard_normal(g.shape)
    columns = kernel.im2col(x, *g.window)
    c = rng.standard_normal(columns.shape)
    back = kernel.col2im(c, g.shape, *g.window)
    assert back.shape == g.shape
    np.testing.assert_allclose((columns * c).sum(), (x * back).sum(), rtol=1e-10, atol=1e-10)


@both
@given(g=geometries())
@examples
def test_im2col_writes_every_window_out_as_a_column(kernel: ModuleType, g: Geometry) -> None:
    x = np.random.default_rng(g.seed).standard_normal(g.shape)
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = g.window
    framed = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    columns = kernel.im2col(x, *g.window)
    rows = range(0, framed.shape[2] - dh * (kh - 1), sh)
    cols = range(0, framed.shape[3] - dw * (kw - 1), sw)
    n, c = g.shape[:2]
    assert columns.shape == (n, c * kh * kw, len(rows) * len(cols))
    for image, row in np.ndindex(columns.shape[:2]):
        channel, i, j = row // (kh * kw), row // kw % kh, row % kw
        seen = [framed[image, channel, r + i * dh, q + j * dw] for r in rows for q in cols]
        assert columns[image, row].tolist() == seen


@both
def test_the_picture_of_the_documentation(kernel: ModuleType) -> None:
    x = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    columns = kernel.im2col(x, (2, 2), (1, 1), (0, 0), (1, 1))
    assert columns.tolist() == [[[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]]]
    counts = kernel.col2im(np.ones_like(columns), x.shape, (2, 2), (1, 1), (0, 0), (1, 1))
    assert counts.tolist() == [[[[1, 2, 1], [2, 4, 2], [1, 2, 1]]]]


# cpu against reference ----------------------------------------------------------------------------


MORE = st.tuples(st.integers(0, 1), st.integers(0, 1))  # windows that reach over the frame
DTYPES = st.sampled_from([np.float32, np.float64])


@given(g=geometries(), more=MORE, dtype=DTYPES)
@settings(examples, max_examples=100)
def test_compiled_windows_are_those_of_the_reference(
    g: Geometry, more: tuple[int, int], dtype: Any
) -> None:
    """All kernels with windows, exactly where numbers are only moved; ties and NaN included."""
    rng = np.random.default_rng(g.seed)
    x = rng.integers(-2, 3, g.shape).astype(dtype)  # many ties; and sums are exact
    x[rng.random(g.shape) < 0.1] = np.nan
    output = output_of(g, more=more)
    y, index = expected = reference.max_pool(x, *g.window, output)
    with three_threads():
        for mine, theirs in zip(cpu.max_pool(x, *g.window, output), expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        dy = rng.integers(-9, 9, y.shape).astype(dtype)
        np.testing.assert_array_equal(
            cpu.max_pool_backward(dy, index, g.shape),
            reference.max_pool_backward(dy, index, g.shape),
        )
        x = np.nan_to_num(x)
        columns = reference.im2col(x, *g.window)
        np.testing.assert_array_equal(cpu.im2col(x, *g.window), columns)
        np.testing.assert_array_equal(
            cpu.col2im(columns, g.shape, *g.window), reference.col2im(columns, g.shape, *g.window)
        )


@given(g=geometries(), more=MORE, dtype=DTYPES)
@settings(examples, max_examples=100)
def test_compiled_means_are_those_of_the_reference(
    g: Geometry, more: tuple[int, int], dtype: Any
) -> None:
    window = g.kernel_size, g.stride, g.padding
    output = output_of(g, dilation=(1, 1), more=more)
    rng = np.random.default_rng(g.seed)
    x = rng.integers(-9, 9, g.shape).astype(dtype)
    dy = rng.integers(-9, 9, (*g.shape[:2], *output)).astype(dtype)
    divisor = 2.0 ** rng.integers(-2, 3, output).astype(dtype)  # so that all is exact
    with three_threads():
        np.testing.assert_array_equal(
            cpu.avg_pool(x, divisor, *window), reference.avg_pool(x, divisor, *window)
        )
        np.testing.assert_array_equal(
            cpu.avg_pool_backward(dy, divisor, g.shape, *window),
            reference.avg_pool_backward(dy, divisor, g.shape, *window),
        )


def output_of(
    g: Geometry, dilation: tuple[int, int] | None = None, more: tuple[int, int] = (0, 0)
) -> tuple[int, int]:
    """How many windows fit, and some ``more``."""
    rows, cols = (
        len(range(0, size + 2 * p - d * (k - 1), s)) + extra
        for size, k, s, p, d, extra in zip(
            g.shape[2:],
            g.kernel_size,
            g.stride,
            g.padding,
            dilation or g.dilation,
            more,
            strict=True,
        )
    )
    return rows, cols


WINDOW = (2, 3), (2, 1), (1, 2), (1, 2)  # kernel size, stride, padding, dilation
POOLING = (2, 3), (2, 1), (1, 1)
OUTPUT = (4, 3)  # of both, on pictures of 7 x 5
INDEX = np.random.default_rng(5).integers(-1, 35, (2, 1, *OUTPUT))
DIVISOR = np.arange(1.0, 1 + 4 * 5).reshape(4, 5)
COMPUTE: dict[str, Callable[[ModuleType, Draw], Any]] = {
    "im2col": lambda k, draw: k.im2col(draw(2, 1, 7, 5), *WINDOW),
    "col2im": lambda k, draw: k.col2im(draw(2, 6, 4 * 5), (2, 1, 7, 5), *WINDOW),
    "max_pool": lambda k, draw: k.max_pool(draw(2, 1, 7, 5), *WINDOW, (4, 5)),
    "max_pool_backward": lambda k, draw: k.max_pool_backward(
        draw(2, 1, *OUTPUT), INDEX, (2, 1, 7, 5)
    ),
    "avg_pool": lambda k, draw: k.avg_pool(
        draw(2, 1, 7, 5), DIVISOR.astype(draw().dtype), *POOLING
    ),
    "avg_pool_backward": lambda k, draw: k.avg_pool_backward(
        draw(2, 1, 4, 5), DIVISOR.astype(draw().dtype), (2, 1, 7, 5), *POOLING
    ),
    "sigmoid": lambda k, draw: k.sigmoid(9 * draw(2, 7, 5)),
    "sigmoid_backward": lambda k, draw: k.sigmoid_backward(draw(2, 7, 5), draw(2, 7, 5)),
    "relu_backward": lambda k, draw: k.relu_backward(draw(2, 7, 5), draw(2, 7, 5)),
    "sum_over": lambda k, draw: k.sum_over(draw(2, 3, 701), (0, 1)),
    "sum_over, the last": lambda k, draw: k.sum_over(draw(6, 351, 2), (0, 2), keepdims=True),
    "sigmoid of one number": lambda k, draw: k.sigmoid(draw()),
    "softmax_cross_entropy": lambda k, draw: k.softmax_cross_entropy(
        9 * draw(5, 7), np.array([3, -1, 6, 0, 3])
    ),
    "matmul": lambda k, draw: k.matmul(draw(2, 7), draw(7, 5)),
    "matmul, stacked": lambda k, draw: k.matmul(draw(2, 3, 7), draw(2, 7, 5)),
    "matmul, plus": lambda k, draw: k.matmul(draw(2, 7), draw(7, 5), plus=draw(2, 1)),
}


def plain(array: np.ndarray) -> np.ndarray:
    return array


def strided(array: np.ndarray) -> np.ndarray:
    """The same numbers, every other of a larger array whose axes lie the other way round."""
    wide = np.zeros([2 * n for n in array.shape[::-1]], array.dtype).T
    wide[tuple(slice(None, None, 2) for _ in array.shape)] = array
    return wide[tuple(slice(None, None, 2) for _ in array.shape)]


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", [plain, strided, read_only])
@pytest.mark.parametrize("name", COMPUTE)
def test_compiled_kernels_take_any_layout_and_change_nothing(
    name: str, layout: Callable[[np.ndarray], np.ndarray], dtype: Any
) -> None:
    """Few numbers are summed, each of at most 30, in another order: 60 roundings at the most."""
    given: list[np.ndarray] = []

    def drawing(layout: Callable[[np.ndarray], np.ndarray]) -> Draw:
        rng = np.random.default_rng(11)

        def draw(*shape: int) -> np.ndarray:
            given.append(layout(np.asarray(rng.standard_normal(shape), dtype)))
            return given[-1]

        return draw

    expected = COMPUTE[name](reference, drawing(plain))
    count = len(given)
    for threads in (1, 3):
        with three_threads():
            cpu.set_num_threads(threads)
            results = COMPUTE[name](cpu, drawing(layout))
        for mine, theirs in zip(as_tuple(results), as_tuple(expected), strict=True):
            assert mine.shape == theirs.shape
            assert mine.dtype == theirs.dtype
            np.testing.assert_allclose(mine, theirs, rtol=60 * EPS[dtype], atol=60 * EPS[dtype])
            assert not any(np.shares_memory(mine, array) for array in given)
    for first, again in zip(given[:count] * 2, given[count:], strict=True):
        np.testing.assert_array_equal(first, again)


def as_tuple(results: Any) -> tuple[Any, ...]:
    return results if isinstance(results, tuple) else (results,)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0, 1, 7, 100_000])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_compiled_descent_is_the_references(
    size: int, momentum: float, dtype: type, rng: np.random.Generator
) -> None:
    cells: np.ndarray = rng.standard_normal((3, size)).astype(dtype)
    results = []
    for kernel in (reference, cpu):
        p, g, v = cells.copy()
        kernel.sgd(p, g, v if momentum else None, 0.3, momentum, 0.1, 0.01, False, True)
        results.append((p, v))
    tolerance = 1e-5 if dtype is np.float32 else 1e-13
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, tolerance, tolerance)


def test_sets_have_the_same_functions() -> None:
    names = [
        "adadelta",
        "adam",
        "avg_pool",
        "avg_pool_backward",
        "col2im",
        "get_num_threads",
        "im2col",
        "matmul",
        "max_pool",
        "max_pool_backward",
        "random_uniform",
        "relu_backward",
        "set_num_threads",
        "sgd",
        "sigmoid",
        "sigmoid_backward",
        "softmax_cross_entropy",
        "sum_over",
    ]
    for kernel in (reference, cpu):
        assert all(callable(getattr(kernel, name, None)) for name in names)


# Threads ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7, 100])
def test_shared_pieces_cover_all_and_never_meet(count: int) -> None:
    taken: list[tuple[int, int]] = []
    with three_threads():
        cpu.share(lambda first, last: taken.append((first, last)), count, 1)
    assert sorted(i for first, last in taken for i in range(first, last)) == list(range(count))
    assert len(taken) == max(1, min(3, count))


def test_little_work_stays_on_the_calling_thread() -> None:
    on: list[str] = []
    with three_threads():
        cpu.WORTH_SHARING = 1000
        cpu.share(lambda first, last: on.append(threading.current_thread().name), 50, 999)
        assert on == [threading.current_thread().name]
        cpu.share(lambda first, last: on.append(threading.current_thread().name), 50, 1000)
    assert len(set(on)) > 1


def test_what_goes_wrong_on_another_thread_is_raised_here() -> None:
    def fail_at_the_end(first: int, last: int) -> None:
        if last == 30:
            raise ZeroDivisionError

    with three_threads(), pytest.raises(ZeroDivisionError):
        cpu.share(fail_at_the_end, 30, 1)


def test_all_calls_have_ended_when_one_is_raised() -> None:
    ended: list[int] = []

    def call(number: int) -> None:
        if number == 0:
            raise ZeroDivisionError
        time.sleep(0.05)
        ended.append(number)

    with three_threads():
        with pytest.raises(ZeroDivisionError):
            cpu.together([partial(call, number) for number in range(3)])
        assert sorted(ended) == [1, 2]


@pytest.mark.parametrize("by", [0, 1])
def test_an_interruption_waits_for_the_calls(by: int, request: pytest.FixtureRequest) -> None:
    """Ctrl-C in this thread's own call, or while it waits for the other."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # some shells ignore it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    here, ended = threading.get_ident(), threading.Event()

    def call(number: int) -> None:
        if number == by:
            time.sleep(0.02)
            signal.pthread_kill(here, signal.SIGINT)
        if number == 1:
            time.sleep(0.05)
            ended.set()

    with three_threads():
        with pytest.raises(KeyboardInterrupt):
            cpu.together([partial(call, number) for number in range(2)])
        assert ended.is_set()


def test_threads_of_a_team_end_with_it() -> None:
    team = cpu.Team(2)
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()
    on: list[threading.Thread] = []
    meet = threading.Barrier(2)

    def call() -> None:
        on.append(threading.current_thread())
        meet.wait()

    for _ in range(2):
        team.calls.put((call, done))
    assert [done.get(), done.get()] == [None, None]
    del team
    for thread in on:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((7, 4), (4, 5)),
        ((4, 4), (4, 5)),
        ((2, 4), (2, 4, 5)),
        ((4, 2, 4), (4, 5)),
        ((5, 2, 4), (5, 4, 3)),
        ((1, 2, 4), (5, 4, 3)),
        ((5, 2, 4), (1, 4, 3)),
        ((4, 1, 2, 3), (5, 3, 2)),
        ((1, 6), (6, 1)),
        ((6,), (6,)),
        ((2, 6), (6,)),
        ((0, 6), (6, 3)),
    ],
)
def test_shared_products_are_numpys(
    a: tuple[int, ...], b: tuple[int, ...], rng: np.random.Generator
) -> None:
    left, right = rng.standard_normal(a), rng.standard_normal(b)
    with three_threads():
        product = cpu.matmul(left, right)
    assert np.shape(product) == np.shape(left @ right)
    np.testing.assert_allclose(product, left @ right, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("a", "b", "plus"),
    [
        *(((5, 2, 4), (5, 4, 3), plus) for plus in [(5, 2, 3), (5, 1, 1), (1, 2, 1), (2, 1), ()]),
        *(((2, 4), (5, 4, 3), plus) for plus in [(5, 2, 3), (1, 1, 3), (2, 1)]),
        *(((5, 4), (4, 3), plus) for plus in [(5, 3), (5, 1), (1, 3), (3,), (1,)]),
    ],
)
def test_shared_products_add_what_broadcasts(
    a: tuple[int, ...], b: tuple[int, ...], plus: tuple[int, ...], rng: np.random.Generator
) -> None:
    left, right, term = (np.asarray(rng.standard_normal(shape)) for shape in (a, b, plus))
    with three_threads():
        product = cpu.matmul(left, right, plus=term)
    np.testing.assert_allclose(product, left @ right + term, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("plus", [(2, 3), (5, 2), (6, 3), (1, 5, 3)])
def test_what_does_not_broadcast_to_a_product_is_refused(
    plus: tuple[int, ...], threads: int, rng: np.random.Generator
) -> None:
    a, b = rng.standard_normal((5, 4)), rng.standard_normal((4, 3))
    with three_threads():
        cpu.set_num_threads(threads)
        with pytest.raises(ValueError, match=r"broadcast|dimensions"):
            cpu.matmul(a, b, plus=np.ones(plus))


@pytest.mark.parametrize("inner", [0, 2])
def test_products_without_a_cell_or_a_summand(inner: int) -> None:
    row = np.arange(3.0)
    for rows in (0, 2):
        product = cpu.matmul(np.ones((rows, inner)), np.ones((inner, 3)), plus=row)
        np.testing.assert_array_equal(product, np.tile(row + inner, (rows, 1)))


def test_blas_gets_its_threads_back(rng: np.random.Generator) -> None:
    before = reference.get_num_threads()
    try:
        reference.set_num_threads(2)
        with cpu._one_blas_thread:
            cpu.matmul(rng.standard_normal((200, 200)), rng.standard_normal((200, 200)))
            assert reference.get_num_threads() == 1
        assert reference.get_num_threads() == 2
        with pytest.raises(ValueError, match="broadcast"):
            cpu.matmul(np.ones((2, 3, 4)), np.ones((5, 4, 3)))
        assert reference.get_num_threads() == 2
    finally:
        reference.set_num_threads(before)


@pytest.mark.parametrize("shape", [(3, 2, 90, 130), (1, 1, 300, 301)])
def test_large_pictures_are_shared_by_more_threads_than_there_are_planes(
    shape: tuple[int, int, int, int], rng: np.random.Generator
) -> None:
    """With the threshold as it is: large enough to be shared."""
    x = rng.standard_normal(shape).astype(np.float32)
    columns = reference.im2col(x, (3, 2), (1, 2), (1, 0), (1, 1))
    before = cpu.get_num_threads()
    cpu.set_num_threads(3)
    try:
        shared = cpu.im2col(x, (3, 2), (1, 2), (1, 0), (1, 1))
        back = cpu.col2im(columns, shape, (3, 2), (1, 2), (1, 0), (1, 1))
        s = cpu.sigmoid(x)
    finally:
        cpu.set_num_threads(before)
    np.testing.assert_array_equal(shared, columns)
    expected = reference.col2im(columns, shape, (3, 2), (1, 2), (1, 0), (1, 1))
    np.testing.assert_allclose(back, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(s, reference.sigmoid(x), rtol=1e-6)


def test_fewer_than_one_thread_is_refused(kernel_set: str) -> None:
    with pytest.raises(ValueError, match="threads is 0; wanted"):
        minicnn.set_num_threads(0)


# Random numbers -----------------------------------------------------------------------------------


def test_philox_gives_the_published_numbers() -> None:
    """Counters and keys of zeros, and of ones: kat_vectors of the authors' Random123."""
    zeros = reference.philox(np.zeros(1, np.uint64), 0, 0)
    assert [f"{word:08x}" for word in zeros[0]] == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]
    ones = reference.philox(np.full(1, 2**64 - 1, np.uint64), 2**64 - 1, 2**64 - 1)
    assert [f"{word:08x}" for word in ones[0]] == ["408f276d", "41c83b0e", "a20bc7c6", "6d5451fd"]


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (4,), (5,), (0, 3), (101, 3)])
@pytest.mark.parametrize(("seed", "draw"), [(0, 0), (7, 1), (2**64 - 1, 2**40 + 3)])
def test_both_sets_draw_the_same_numbers(shape: tuple[int, ...], seed: int, draw: int) -> None:
    like = np.empty(shape)
    expected = reference.random_uniform(like, seed, draw)
    assert expected.shape == shape
    assert expected.dtype == np.float32
    for threads in (1, 3):
        with three_threads():
            cpu.set_num_threads(threads)
            numbers = cpu.random_uniform(like, seed, draw)
        np.testing.assert_array_equal(numbers, expected)


@both
def test_random_numbers_are_uniform_and_independent(kernel: ModuleType) -> None:
    numbers = kernel.random_uniform(np.empty(100_000), 3, 4).astype(np.float64)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.bincount((numbers * 20).astype(int), minlength=20)
    assert ((counts - 5000) ** 2 / 5000).sum() < 50  # chi-squared, 19 degrees of freedom
    for lag in (1, 2, 3, 4, 8):
        assert abs(np.corrcoef(numbers[:-lag], numbers[lag:])[0, 1]) < 0.02
    other = kernel.random_uniform(np.empty(100_000), 3, 5)
    assert abs(np.corrcoef(numbers, other)[0, 1]) < 0.02


# Which kernels run --------------------------------------------------------------------------------


def test_arrays_find_the_kernels_of_the_environment(kernel_set: str) -> None:
    assert kernels.of(np.zeros(1)).__name__ == f"minicnn.kernels.{kernel_set}"


def test_an_unknown_kernel_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINICNN_KERNELS", "fast")
    kernels.host_kernels.cache_clear()
    with pytest.raises(ValueError, match="MINICNN_KERNELS is 'fast'; wanted 'cpu' or 'reference'"):
        kernels.host_kernels()
    kernels.host_kernels.cache_clear()


def operations_on_the_tape(last: Tensor) -> list[str]:
    """Names of the operations that ``last`` was computed by, the last one first."""
    names, tensors, seen = [], [last], set()
    while tensors:
        tensor = tensors.pop(0)
        if tensor.node is not None and id(tensor) not in seen:
            seen.add(id(tensor))
            names.append(tensor.node.operation.name)
            tensors += tensor.node.inputs
    return names


def test_a_step_of_lenet_is_these_operations_and_kernels(
    kernel_set: str, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    """A guard that noise cannot move: whatever takes time beyond these calls shows up here."""
    net = minicnn.models.lenet()
    x = Tensor(rng.standard_normal((3, 1, 28, 28)).astype(np.float32))
    target = Tensor(np.array([7, 0, 9]))
    calls: Counter[str] = Counter()
    module = kernels.host_kernels()
    for name in [
        "avg_pool",
        "avg_pool_backward",
        "col2im",
        "im2col",
        "matmul",
        "max_pool",
        "max_pool_backward",
        "random_uniform",
        "sigmoid",
        "sigmoid_backward",
        "softmax_cross_entropy",
    ]:
        monkeypatch.setattr(module, name, counted(name, getattr(module, name), calls))

    loss = F.cross_entropy(net(x), target)
    block = ["AvgPool2d", "Sigmoid", "Conv2d"]
    dense = ["Linear", "Sigmoid", "Linear", "Sigmoid", "Linear", "Reshape"]
    assert operations_on_the_tape(loss) == ["SoftmaxCrossEntropy", *dense, *block, *block]
    forward = {"im2col": 2, "matmul": 5, "sigmoid": 4, "avg_pool": 2, "softmax_cross_entropy": 1}
    assert calls == forward

    calls.clear()
    loss.backward()
    # weights 5, inputs 4 (nobody asks for the pictures' gradient, so no first col2im), biases of
    # convolutions 2
    assert calls == {"matmul": 11, "col2im": 1, "sigmoid_backward": 4, "avg_pool_backward": 2}


def counted(name: str, kernel: Callable[..., Any], calls: Counter[str]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        calls[name] += 1
        return kernel(*arguments, **named)

    return call
