"""The threads that share a kernel's work.

They are our own. Numba's and BLAS's idle threads go on spinning for milliseconds after every call,
and two such pools in one process take the cores from each other.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from itertools import pairwise
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from ..interrupts import held


def _most_threads() -> int:
    """NUMBA_NUM_THREADS or OMP_NUM_THREADS, otherwise the cores this process may use."""
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        if os.environ.get(name, "").isdigit():
            return max(1, int(os.environ[name]))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_threads = _most_threads()


def set_num_threads(threads: int) -> None:
    """Run every kernel on this number of threads.

    Raises:
        ValueError: fewer than 1.
    """
    global _threads
    if threads < 1:
        raise ValueError(f"threads is {threads}; wanted at least 1")
    _threads = threads
    with held():  # an interrupt inside a finaliser (Team.__del__) would be lost
        _team.cache_clear()


def get_num_threads() -> int:
    """How many threads the kernels run on."""
    return _threads


class Team:
    """Threads that wait for calls, and end when the team is no longer referred to.

    ``concurrent.futures`` could do this, but takes 0.2 ms longer for a call and its result, and a
    training step makes dozens of calls.
    """

    def __init__(self, workers: int):
        self.workers, self.calls = workers, SimpleQueue[Any]()
        for number in range(workers):
            name = f"minicnn-{number}"
            threading.Thread(target=_work, args=(self.calls,), name=name, daemon=True).start()

    def __del__(self) -> None:
        for _ in range(self.workers):
            self.calls.put(None)


def _work(calls: SimpleQueue[Any]) -> None:
    """What a thread of a team does: make the calls, and report what each raised (or None)."""
    while (order := calls.get()) is not None:
        call, reports = order
        reports.put(_error_of(call))
        del order, call, reports  # they hold arrays, and the next call may be long in coming


def _error_of(call: Callable[[], None]) -> BaseException | None:
    try:
        call()
    except BaseException as error:
        return error
    return None


@cache
def _team(workers: int) -> Team:
    return Team(workers)


# Rung when there is work: a thread that has just done some listens for a moment (``tiles.step``).
bell = np.zeros(1, np.int64)

if hasattr(os, "register_at_fork"):  # a forked child has none of its parent's threads
    os.register_at_fork(after_in_child=_team.cache_clear)

# With less work than this, in cells of about 2 ns, waking a thread costs more than it saves.
WORTH_SHARING = 1 << 16


def share(loop: Callable[..., None], count: int, work: int, *arguments: Any) -> None:
    """Call loop(first, last, *arguments) on pieces of 0..count-1, one for each thread.

    A piece goes from ``first`` to before ``last``; this thread takes the first one. ``work``: about
    how long it takes, in units of 2 ns: as long as a cell with a division or a branch.
    """
    pieces = min(_threads, count) if work >= WORTH_SHARING else 1
    if pieces <= 1:
        loop(0, count, *arguments)
        return
    edges = [count * i // pieces for i in range(pieces + 1)]
    together([partial(loop, first, last, *arguments) for first, last in pairwise(edges)])


def together(calls: Sequence[Callable[[], None]]) -> None:
    """Make all calls at the same time: the first on this thread, the others on the team's.

    What a call raises is raised here, once all have ended; so is an interrupt (Ctrl-C).
    """
    first, *others = calls
    if not others:
        first()
        return
    reports = SimpleQueue[BaseException | None]()
    with held():  # if an interrupt lost a report, this thread would wait for it forever
        for call in others:
            _team(max(1, _threads - 1)).calls.put((call, reports))
        errors = [_error_of(first), *(reports.get() for _ in others)]
    for error in errors:
        if error is not None:
            raise error


MOMENT = 5e-5  # seconds of sleep


def take_turns(task: Callable[[int], bool], threads: int) -> None:
    """Call ``task(k)`` for k = 0, 1, ... before ``threads``: 0 here, the others on other threads.

    The calls take the pieces of one work in turns, and each returns whether all of them are done.
    One that returns False, because another call is still at work on what must come first, is made
    again after a moment. Nobody waits for a thread that is late: a call that has not begun when all
    is done never begins. A call that raises must see to it that the others return True.

    What a call raises is raised here, once all have ended; so is an interrupt (Ctrl-C).
    """
    reports, waiting = SimpleQueue[BaseException | None](), list[Callable[[], Any]]()
    waiting.extend(partial(task, k) for k in range(1, threads))
    missing = len(waiting)  # reports
    with held():
        for _ in range(missing):
            _team(max(1, _threads - 1)).calls.put((partial(_make_next, waiting), reports))
        try:
            while not task(0):
                with suppress(Empty):
                    error = reports.get(timeout=MOMENT)
                    missing -= 1
                    if error is not None:
                        raise error
        except BaseException:
            waiting.clear()
            for _ in range(missing):
                reports.get()
            raise
        waiting.clear()


def _make_next(waiting: list[Callable[[], Any]]) -> None:
    """Make one of the calls, if there is one left."""
    try:
        call = waiting.pop()
    except IndexError:
        return
    while not call():
        time.sleep(MOMENT)
