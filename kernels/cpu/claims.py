"""Which process compiles a kernel, where several need it at once: ranks of one training, workers of
a sweep, ``ready``'s helper.

Whoever comes first claims the kernel, by a lock on a file next to where it will be kept; the others
wait and load it, or compile another meanwhile. The system ends the lock with the process, however
that ends; the file stays, empty. Where there are no such locks (Windows, some network folders),
each compiles for itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..interrupts import answer_now
from ..locks import locked

PATIENCE = 120  # seconds for a process that has claimed a kernel: somebody may have stopped it
PAUSE = 0.02  # seconds until one looks again


@contextmanager
def claimed(kept: Path, patience: float = PATIENCE) -> Iterator[bool]:
    """Inside, other processes leave it to this one to compile what ``kept`` will hold.

    Waits until none of them is at it, for ``patience`` seconds at most; says whether that was
    enough.
    """
    try:
        handle = _wait(kept.with_suffix(".claim"), time.monotonic() + patience)
    except BlockingIOError:
        yield False
        return
    except OSError:  # a folder that can be read only
        handle = None
    try:
        yield True
    finally:
        if handle is not None:
            os.close(handle)


def _wait(path: Path, until: float) -> int | None:
    while True:
        try:
            return locked(path, os.O_WRONLY | os.O_CREAT)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
        time.sleep(PAUSE)
        answer_now()
