"""What a worker does: a run, from its beginning or from its last state, in the worker's process.

A worker does one run at a time, for the engine's threads and random streams are the process's.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import io
import json
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import minicnn
from minicnn.command import arguments_of, in_a_line
from minicnn.data import DatasetError, DatasetNotFoundError
from minicnn.data.chosen import choose
from minicnn.data.own.arrays import Found
from minicnn.sweep.outcome import FAILED, FINISHED, OPEN, Outcome, is_begun, outcome
from minicnn.sweep.plan import parsed, parser
from minicnn.train import job
from minicnn.train.callbacks import Callback, Training

PACKAGES = ("numpy", "numba", "distributed")
RECORD = "sweep.json"  # in the sweep's folder, by which a worker knows that it sees the same one
AGAIN = 0.5  # seconds until a folder is tried again that another process works in
REFUSED = "refused"  # a status: not on this machine
STOPPED = 130  # train's exit status after a Ctrl-C
SAYS = "python -m minicnn.train: "  # how train's own messages begin


class Reply(NamedTuple):
    """What a worker answers.

    Attributes:
        worker: its address.
        versions: of what it computes with.
        outcome: of the run; its status may also be REFUSED.
    """

    worker: str
    versions: dict[str, str]
    outcome: Outcome


class RefusalError(Exception):
    """This worker cannot do the run, another one may."""


def dask_setup(worker: Any) -> None:
    """Called by Dask when a worker of ours starts."""
    from tqdm import tqdm

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the command to answer
    # tqdm's own lock is for several processes: one that is killed leaves it, and Python says so
    tqdm.set_lock(threading.RLock())


def versions() -> dict[str, str]:
    """The versions of what decides a run's numbers."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"minicnn": minicnn.__version__, "python": platform.python_version(), **found}


def work(sweep: str, token: str, name: str, options: Mapping[str, Any]) -> Reply:
    """Do a run in the folder ``name`` of the sweep's folder, which has this token in its record.

    What goes wrong is in the reply.
    """
    try:
        check_place(Path(sweep), token)
        done = _done(Path(sweep, name), options)
    except RefusalError as error:
        done = Outcome(REFUSED, {}, str(error))
    except KeyboardInterrupt:
        done = Outcome(OPEN)
    except Exception as error:
        done = Outcome(FAILED, {}, in_a_line(error))
    return Reply(_address(), versions(), done)


def check_place(sweep: Path, token: str) -> None:
    """Refuse to work where the sweep's folder is not, or in a process that does several runs.

    Raises:
        RefusalError: with what is wrong.
    """
    if not (sweep / RECORD).exists():
        raise RefusalError(f"there is no {sweep / RECORD}; wanted a folder that all workers share")
    if json.loads((sweep / RECORD).read_text()).get("token") != token:
        raise RefusalError(
            f"{sweep} here is another sweep's; wanted a folder that all workers share"
        )
    if not os.access(sweep, os.W_OK):
        raise RefusalError(f"{sweep} cannot be written")
    if (threads := _dask_threads()) != 1:
        raise RefusalError(
            f"a worker has {threads} threads of Dask; wanted 1: dask worker --nthreads 1"
        )


def _worker() -> Any:
    """Dask's worker of this process; None if a run is done by hand."""
    from distributed import get_worker

    try:
        return get_worker()
    except ValueError:
        return None


def _address() -> str:
    return "here" if (worker := _worker()) is None else worker.address


def _dask_threads() -> int:
    """How many tasks Dask gives this process at a time."""
    return 1 if (worker := _worker()) is None else worker.state.nthreads


# A run --------------------------------------------------------------------------------------------


def _done(folder: Path, options: Mapping[str, Any]) -> Outcome:
    """Begin the run, or go on with it, or read what came of it.

    While another process works in the folder, wait: a worker that was thought dead may still live.
    """
    is_stopped = stopped_by_dask()
    while not is_stopped():
        if (found := outcome(folder)).status == FINISHED:
            return found
        try:
            message = _train(folder, options, is_stopped)
        except (OSError, ValueError) as error:
            if not _is_taken(error, folder):
                raise
            time.sleep(AGAIN)
        else:
            found = outcome(folder)
            failed = message and found.status != FINISHED
            return Outcome(FAILED, {}, message) if failed else found
    return outcome(folder)


def _is_taken(error: Exception, folder: Path) -> bool:
    """Whether the error is that another process works in the folder, or has just made it."""
    cause = error.__cause__ or error
    made = isinstance(cause, FileExistsError) and is_begun(folder)
    return made or isinstance(cause, BlockingIOError)


def _train(folder: Path, options: Mapping[str, Any], is_stopped: Callable[[], bool]) -> str:
    """Train to the end; why that failed, if it did and nobody stopped it."""
    if is_begun(folder):
        # the data may have moved
        data = {"data_dir": options["data_dir"]} if "data_dir" in options else {}
        found = parser().parse(["--quiet", "--resume", str(folder), *arguments_of(data)])
    else:
        found = parsed(["--quiet", f"--out={folder}", *arguments_of(options)])
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = job.run(found, remembered, [Stop(is_stopped)])
    if status == STOPPED:
        return ""
    lines = said.getvalue().splitlines()
    return next((line.removeprefix(SAYS) for line in lines if line.startswith(SAYS)), "")


def remembered(name: str | None, folder: Path | None, size: Any, seed: int) -> Found:
    """``choose``, but files are read once, however many runs the process does.

    Raises:
        RefusalError: this machine does not have them.
    """
    is_own = name is None and folder is not None
    try:
        return _read(name, folder, size, seed if is_own else 0)  # the seed splits your own pictures
    except (DatasetError, DatasetNotFoundError) as error:
        raise RefusalError(in_a_line(error)) from error


_read = functools.lru_cache(maxsize=4)(choose)


class Stop(Callback):
    """Ends a training, as a Ctrl-C does, when nobody wants it any longer: its state is kept."""

    def __init__(self, is_stopped: Callable[[], bool]):
        self.is_stopped = is_stopped

    def on_batch(self, training: Training) -> None:
        """Look whether it is so."""
        if self.is_stopped():
            raise KeyboardInterrupt


def stopped_by_dask() -> Callable[[], bool]:
    """A function that says whether Dask has cancelled this task.

    It does so at a Ctrl-C, and when the command that wanted it is gone.
    """
    if (worker := _worker()) is None:
        return lambda: False
    key = worker.get_current_task()
    return lambda: getattr(worker.state.tasks.get(key), "state", "cancelled") == "cancelled"
