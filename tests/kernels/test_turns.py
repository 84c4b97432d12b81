"""Pieces that threads take in turns: counters in compiled code, and who is waited for."""

from __future__ import annotations

import queue
import signal
import threading
import time
from typing import Any

import numba
import numpy as np
import pytest

from minicnn.kernels.cpu import threads, turns
from tests.kernels.geometry import three_threads


# with ``njit``, because ``jit`` would keep them on disk: this file is not among its sources
@numba.njit(nogil=True)
def count(counters: np.ndarray, times: int) -> None:
    for _ in range(times):
        turns.add(counters, 1, 1)
        turns.pause()  # over which no compiler makes one addition of several


@numba.njit
def add_and_look(counters: np.ndarray, number: int) -> tuple[int, int]:
    return turns.add(counters, 1, number), turns.look(counters, 1)


def test_no_addition_of_several_threads_is_lost() -> None:
    counters = np.zeros(3, np.int64)
    count(counters, 1)
    team = [threading.Thread(target=count, args=(counters, 200_000)) for _ in range(3)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    np.testing.assert_array_equal(counters, [0, 600_001, 0])


def test_an_addition_returns_what_stood_there_before() -> None:
    counters = np.array([7, 20, 9])
    assert add_and_look(counters, 3) == (20, 23)
    assert add_and_look(counters, -30) == (23, -7)
    np.testing.assert_array_equal(counters, [7, -7, 9])


@numba.njit(nogil=True)
def sees_a_change(counters: np.ndarray, looks: int) -> bool:
    before = turns.look(counters, 1)
    while looks > 0 and turns.look(counters, 1) == before:
        looks -= 1
    return looks > 0


def test_what_another_thread_writes_is_seen_at_the_next_look() -> None:
    """A number that is merely read would be read once, before the loop."""
    counters, seen = np.zeros(3, np.int64), list[bool]()
    assert not sees_a_change(counters, 1000)

    def look() -> None:
        seen.append(sees_a_change(counters, 10**9))

    thread = threading.Thread(target=look)
    thread.start()
    time.sleep(0.02)
    while thread.is_alive():
        counters[1] += 1
        time.sleep(0.01)
    assert seen == [True]


def test_waiting_ends_when_the_number_is_reached_and_otherwise_after_a_moment() -> None:
    counters = np.array([7, 20])
    assert turns.wait_for(counters, 1, 20)
    assert turns.wait_for(counters, 1, 19)  # it may have gone on since
    assert not turns.wait_for(counters, 0, 8)


class Work:
    """Pieces that are taken in turns, as a step's: each call takes them until none is left."""

    def __init__(self, pieces: int):
        self.left = queue.SimpleQueue[int]()
        for piece in range(pieces):
            self.left.put(piece)
        self.pieces, self.done, self.calls = pieces, list[int](), list[int]()

    def __call__(self, thread: int) -> bool:
        self.calls.append(thread)
        while True:
            try:
                piece = self.left.get_nowait()
            except queue.Empty:
                return len(self.done) == self.pieces
            time.sleep(0.001)
            self.done.append(piece)


def test_each_piece_is_done_once() -> None:
    work = Work(20)
    with three_threads():
        threads.take_turns(work, 3)
    assert sorted(work.done) == list(range(20))
    assert sorted(set(work.calls)) == [0, 1, 2]


def test_a_thread_that_has_taken_a_piece_is_waited_for() -> None:
    work, taken = Work(1), threading.Event()

    def task(thread: int) -> bool:
        if thread == 0:
            taken.wait(10)
            return work(0)
        piece = work.left.get()
        taken.set()
        time.sleep(0.05)
        work.done.append(piece)
        return True

    with three_threads():
        threads.take_turns(task, 2)
    assert work.done == [0]
    assert set(work.calls) == {0}  # with nothing to do, again and again until the piece was done


def occupy_the_team() -> threading.Event:
    """Both threads of a team of two are busy elsewhere until this event."""
    gate, busy, reports = threading.Event(), threading.Barrier(3), queue.SimpleQueue[Any]()

    def occupy() -> None:
        busy.wait(10)
        gate.wait(10)

    for _ in range(2):
        threads._team(2).calls.put((occupy, reports))
    busy.wait(10)
    return gate


def test_a_thread_that_comes_too_late_is_not_waited_for_and_never_begins() -> None:
    with three_threads():
        gate = occupy_the_team()
        work = Work(5)
        threads.take_turns(work, 3)
        assert sorted(work.done) == list(range(5))
        gate.set()
        meeting = threading.Barrier(3)

        def meet() -> None:
            meeting.wait(10)

        threads.together([meet] * 3)  # now the team has been through all that came before
    assert work.calls == [0]


def test_a_thread_that_comes_after_an_error_never_begins() -> None:
    calls = list[int]()

    def task(thread: int) -> bool:
        calls.append(thread)
        threading.Timer(0.05, gate.set).start()
        raise ZeroDivisionError

    with three_threads():
        gate = occupy_the_team()
        with pytest.raises(ZeroDivisionError):
            threads.take_turns(task, 3)
    assert calls == [0]


def test_a_call_that_has_to_wait_for_another_is_made_again() -> None:
    """On any thread: here the second has not done its piece until it is called once more."""
    calls = list[int]()

    def task(thread: int) -> bool:
        calls.append(thread)
        return calls.count(1) > 1 or len(calls) > 20_000  # a second or more

    with three_threads():
        threads.take_turns(task, 2)
    assert calls.count(1) == 2


@pytest.mark.parametrize("by", [0, 1])
def test_what_one_raises_is_raised_when_all_have_ended(by: int) -> None:
    both, ended = threading.Barrier(2), list[int]()

    def task(thread: int) -> bool:
        both.wait(10)
        if thread == by:
            raise ZeroDivisionError
        time.sleep(0.05)
        ended.append(thread)
        return by == 0  # thread 0 looks again, until it is told

    with three_threads(), pytest.raises(ZeroDivisionError):
        threads.take_turns(task, 2)
    assert ended == [1 - by]


def test_an_interrupt_is_answered_when_all_is_done(request: pytest.FixtureRequest) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # some shells ignore it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    work = Work(10)

    def task(thread: int) -> bool:
        if thread == 0:
            signal.raise_signal(signal.SIGINT)
        return work(thread)

    with three_threads(), pytest.raises(KeyboardInterrupt):
        threads.take_turns(task, 3)
    assert sorted(work.done) == list(range(10))
