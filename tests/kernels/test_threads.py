"""Threads of the kernels: shared pieces, products, errors, interruptions."""

from __future__ import annotations

import queue
import signal
import threading
import time
import weakref
from functools import partial
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.kernels import cpu, reference
from minicnn.kernels.cpu import threads
from minicnn.kernels.cpu.blas import one_blas_thread
from tests.kernels.geometry import three_threads


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7, 100])
def test_shared_pieces_cover_all_and_never_meet(count: int) -> None:
    taken: list[tuple[int, int]] = []
    with three_threads():
        threads.share(lambda first, last: taken.append((first, last)), count, 1)
    assert sorted(i for first, last in taken for i in range(first, last)) == list(range(count))
    assert len(taken) == max(1, min(3, count))


def test_little_work_stays_on_the_calling_thread() -> None:
    on: list[str] = []
    with three_threads():
        threads.WORTH_SHARING = 1000
        threads.share(lambda first, last: on.append(threading.current_thread().name), 50, 999)
        assert on == [threading.current_thread().name]
        threads.share(lambda first, last: on.append(threading.current_thread().name), 50, 1000)
    assert len(set(on)) > 1


def test_all_calls_are_made_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=20)
    with three_threads():
        threads.together([lambda: {meeting.wait()}.clear()] * 3)


def test_what_goes_wrong_on_another_thread_is_raised_here() -> None:
    def fail_at_the_end(first: int, last: int) -> None:
        if last == 30:
            raise ZeroDivisionError

    with three_threads(), pytest.raises(ZeroDivisionError):
        threads.share(fail_at_the_end, 30, 1)


def test_all_calls_have_ended_when_one_is_raised() -> None:
    ended: list[int] = []

    def call(number: int) -> None:
        if number == 0:
            raise ZeroDivisionError
        time.sleep(0.05)
        ended.append(number)

    with three_threads():
        with pytest.raises(ZeroDivisionError):
            threads.together([partial(call, number) for number in range(3)])
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
            threads.together([partial(call, number) for number in range(2)])
        assert ended.is_set()


def test_threads_of_a_team_end_with_it() -> None:
    team = threads.Team(2)
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


def test_an_idle_thread_holds_no_array() -> None:
    """The next call may be long in coming."""
    array = np.zeros(3)
    held = weakref.ref(array)
    with three_threads():
        threads.together([partial(np.sum, array) for _ in range(3)])
        del array
        for _ in range(100):  # a thread reports first, and forgets then
            if held() is None:
                break
            time.sleep(0.01)
        assert held() is None


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
        with one_blas_thread:
            cpu.matmul(rng.standard_normal((200, 200)), rng.standard_normal((200, 200)))
            assert reference.get_num_threads() == 1
        assert reference.get_num_threads() == 2
        with pytest.raises(ValueError, match="broadcast"):
            cpu.matmul(np.ones((2, 3, 4)), np.ones((5, 4, 3)))
        assert reference.get_num_threads() == 2
    finally:
        reference.set_num_threads(before)


@pytest.mark.parity
def test_a_blas_that_is_loaded_later_is_not_numpys() -> None:
    """SciPy brings its own; it is part of the extra ``parity``."""
    pytest.importorskip("scipy.linalg")
    test_blas_gets_its_threads_back(np.random.default_rng(0))


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
