"""Ranks: processes that do one work together, each a part of it; they talk through MPI.

    mpiexec -n 4 python program.py      # which calls ``fit(..., ranks=Ranks())``

MPI is loaded by mpi4py (extra ``mpi``) when there are to be ranks, and by nothing else. Every wait
for other ranks is a loop that asks whether they have come: so a Ctrl-C is answered, a rank that
never comes is noticed, and where there are fewer cores than ranks the others get theirs. MPI's own
waits do nothing of this.
"""

from __future__ import annotations

import faulthandler
import json
import os
import pickle
import platform
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, NoReturn, Self

import numpy as np

from minicnn.kernels import Array
from minicnn.kernels.interrupts import answer_now, is_waiting
from minicnn.terminal import say
from minicnn.threads import get_num_threads

TIMEOUT = 300.0  # seconds
LOOKS = 200  # at a message that is on its way, before other processes get the core
PATIENCE = 5.0  # seconds that a Ctrl-C is kept waiting for the other ranks
READ = 0.2  # seconds in which mpiexec reads what a rank has said last: an abort loses the rest
PAUSE = 1.0  # seconds in which the first rank says what all of them would say, and ends them
# In which of these a program that starts processes tells each how many there are.
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_NTASKS")
INSTALL = "wanted mpi4py and an MPI: pip install mpi4py mpich, or '.[mpi]' in minicnn's folder"


class Ranks:
    """This process's place among the processes that ``mpiexec`` has started.

        with Ranks() as ranks:
            fit(net, train, optimizer=optimizer, ranks=ranks, quiet=ranks.rank > 0)

    Inside ``with``, an exception in one rank ends all of them, with its message.

    Args:
        timeout: seconds after which a wait for other ranks ends the job.
        comm: who talks to whom; by default all processes of the job (``MPI.COMM_WORLD``).

    Attributes:
        rank: the number of this process, from 0.
        size: how many there are.
        place: what the work has got to, said where a wait takes too long.

    Raises:
        ImportError: mpi4py or MPI itself is missing.
        ValueError: this process is alone, though it was started as one of several.
    """

    def __init__(self, timeout: float = TIMEOUT, comm: Any = None):
        self.comm = _world(timeout) if comm is None else comm
        self.rank, self.size = int(self.comm.rank), int(self.comm.size)
        self.timeout, self.place = timeout, ""
        self.stderr = sys.stderr  # for the last words, also where what a rank prints is not heard

    def share(self, count: int) -> tuple[int, int]:
        """The first of this rank's items, of ``count`` in all, and the one after its last."""
        return count * self.rank // self.size, count * (self.rank + 1) // self.size

    def sum(self, numbers: Array, what: str) -> None:
        """Sum an array over the ranks, in place. All of them get the same bits."""
        self._wait(self.comm.Iallreduce(None, numbers), what)

    def gather(self, thing: Any, what: str) -> list[Any]:
        """What each rank has here, in the ranks' order: bytes, summed with the others' zeros."""
        mine = np.frombuffer(pickle.dumps(thing), np.uint8)
        sizes = np.zeros(self.size, np.int64)
        sizes[self.rank] = len(mine)
        self.sum(sizes, what)
        everything = np.zeros(sizes.sum(), np.uint8)
        parts = np.split(everything, np.cumsum(sizes)[:-1])
        parts[self.rank][...] = mine
        self.sum(everything, what)
        return [pickle.loads(part.tobytes()) for part in parts]

    def check_alike(self, facts: Mapping[str, Any], what: str) -> None:
        """Refuse ranks that differ in ``facts``.

        Raises:
            ValueError: on all ranks; it says what differs, and which ranks have which.
        """
        texts = {name: json.dumps(value, default=str) for name, value in facts.items()}
        differences = [*_differences(self.gather(texts, what))]
        if differences:
            raise ValueError(f"the ranks disagree: {'; '.join(differences)}")

    def threads(self) -> int:
        """How many threads each rank of this machine may have: its cores, divided among them."""
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()
        all_of_them = self.gather((platform.node(), cores), "the number of cores")
        here = [cores for node, cores in all_of_them if node == platform.node()]
        together = len(set.union(*here)) or os.cpu_count() or 1
        return max(1, min(get_num_threads(), together // len(here)))

    def _wait(self, request: Any, what: str) -> None:
        """Until the message is there. A Ctrl-C that is held back waits for ``PATIENCE`` only."""
        for _ in range(LOOKS):
            if request.Test():
                return
        began = time.monotonic()
        while not request.Test():
            waited = time.monotonic() - began
            time.sleep(min(waited / 100, 0.01))  # another process may need the core to come here
            if waited > PATIENCE and is_waiting():
                answer_now()
            if waited > self.timeout:
                place = f" {self.place}" if self.place else ""
                self.end(
                    f"waited {self.timeout:g} seconds for the other ranks, for {what}{place}: one "
                    "of them hangs, or they need more time"
                )

    def end(self, message: str, status: int = 1) -> NoReturn:
        """End the whole job, whatever the other ranks do.

        The first rank speaks first: a mistake that all ranks make is said once.
        """
        if self.rank > 0:
            time.sleep(PAUSE)
        if message and self.stderr is not None:
            say(f"rank {self.rank} of {self.size}: {message}", self.stderr)
        for stream in (sys.stdout, self.stderr):
            if stream is not None:
                stream.flush()
        time.sleep(READ)
        self.comm.Abort(status)
        os._exit(status)  # MPICH comes back from it now and then; Python's end would wait forever

    def end_interrupted(self) -> NoReturn:
        """End the job after a Ctrl-C, which all ranks get: the first one, when it has written."""
        if self.rank > 0:
            time.sleep(self.timeout)
        self.end("", 130)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        status = error.code if isinstance(error, SystemExit) else None
        if error is None or (isinstance(error, SystemExit) and status in (None, 0)):
            # one that is still at work would leave the others in MPI's own wait
            self.gather(None, "the end")
        elif isinstance(error, KeyboardInterrupt):
            self.end_interrupted()
        elif isinstance(status, int):
            self.end(f"exit status {status}", status)
        elif status is not None:  # a message, as sys.exit takes it
            self.end(str(status))
        else:
            self.end("".join(traceback.format_exception(error)).strip())


def _world(timeout: float) -> Any:
    """All processes of the job. MPI starts here, which waits until all of them have got here."""
    os.environ.setdefault("MPIR_CVAR_SUPPRESS_ABORT_MESSAGE", "1")  # MPICH: ``end`` has said it
    # a rank that has ended already is not noticed there, and Python stands still meanwhile
    faulthandler.dump_traceback_later(timeout, exit=True, file=2)
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise ImportError(f"{INSTALL} ({' '.join(str(error).split())})") from error
    finally:
        faulthandler.cancel_dump_traceback_later()
    comm = MPI.COMM_WORLD
    _check_not_alone(comm.size, MPI.get_vendor()[0])
    return comm


def _check_not_alone(size: int, library: str) -> None:
    """Refuse to be one of several processes of which each believes that it is the only one."""
    for name in SIZES:
        told = os.environ.get(name, "")
        if size == 1 and told.isdigit() and int(told) > 1:
            raise ValueError(
                f"{name} says that there are {told} processes, and this one finds no other: "
                f"another MPI's mpiexec has started them, or none; wanted that of {library}, which "
                "mpi4py has loaded"
            )


def _differences(all_of_them: list[dict[str, str]]) -> Iterator[str]:
    """For each fact that differs: "numpy is 2.4 on rank 0, 2.3 on ranks 1, 2"."""
    for name in dict.fromkeys(name for facts in all_of_them for name in facts):
        of_value: dict[str, list[int]] = {}
        for rank, facts in enumerate(all_of_them):
            of_value.setdefault(facts.get(name, "nothing"), []).append(rank)
        if len(of_value) > 1:
            told = [
                f"{_short(value)} on rank{'s' * (len(ranks) > 1)} {', '.join(map(str, ranks))}"
                for value, ranks in of_value.items()
            ]
            yield f"{name} is {', '.join(told)}"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
