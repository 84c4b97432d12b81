"""Ranks that are threads of this process: what ``Ranks`` needs of mpi4py's communicator."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from minicnn.distributed import Ranks
from minicnn.random import Draws, drawing_from


class Aborted(BaseException):
    """A rank has ended the job."""


class Meeting:
    """Where all ranks bring something; what each brought is known when all have come."""

    def __init__(self, size: int):
        self.size = size
        self.rounds: dict[int, list[Any]] = {}
        self.lock = threading.Lock()

    def bring(self, number: int, rank: int, thing: Any) -> None:
        with self.lock:
            self.rounds.setdefault(number, [None] * self.size)[rank] = (thing,)

    def found(self, number: int) -> list[Any] | None:
        """What was brought to this round; None before all have come."""
        with self.lock:
            brought = self.rounds[number]
            return None if None in brought else [thing for (thing,) in brought]


class Request:
    """A message on its way."""

    def __init__(self, comm: Comm, number: int, array: Any = None):
        self.comm, self.number, self.array = comm, number, array

    def Test(self) -> bool:  # noqa: N802 (mpi4py's names)
        found = self.comm.meeting.found(self.number)
        if found is not None and self.array is not None:
            self.array[...] = np.sum(found, axis=0, dtype=self.array.dtype)
        return found is not None


class Comm:
    """One rank's communicator."""

    def __init__(self, meeting: Meeting, rank: int):
        self.meeting, self.rank, self.size = meeting, rank, meeting.size
        self.calls = 0

    def _bring(self, thing: Any) -> int:
        self.calls += 1
        self.meeting.bring(self.calls, self.rank, thing)
        return self.calls

    def Iallreduce(self, send: None, array: Any) -> Request:  # noqa: N802
        return Request(self, self._bring(array.copy()), array)

    def Abort(self, status: int) -> None:  # noqa: N802
        raise Aborted(status)


def on_ranks(size: int, work: Callable[[Ranks], Any], timeout: float = 60) -> list[Any]:
    """What ``work`` returns on each of ``size`` ranks, each with random draws of its own."""
    meeting = Meeting(size)

    def one(rank: int) -> Any:
        with drawing_from(Draws(0)):
            return work(Ranks(timeout, Comm(meeting, rank)))

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(one, range(size)))
