"""Which process compiles a kernel, where several need it at once: ranks of one training, workers of
a sweep, ``ready``'s helper.

Whoever comes first claims the kernel, by a lock on a file next to where it will be kept; the others
wait and load it, or compile another meanwhile. The system ends the lock with the process, however
that ends; the file stays, empty. Where there are no such locks (Windows, some network folders),
each compiles for itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..interrupts import answer_now

try:
    import fcntl
except ImportError:  # Windows
    fcntl: Any = None  # type: ignore[no-redef]

PATIENCE = 120  # seconds for a process that has claimed a kernel: somebody may have stopped it
PAUSE = 0.02  # seconds until one looks again


@contextmanager
def claimed(kept: Path, patience: float = PATIENCE) -> Iterator[bool]:
    """Inside, other processes leave it to this one to compile what ``kept`` will hold.

    Waits until none of them is at it, for ``patience`` seconds at most; says whether that was
    enough.
    """
    try:
        file = kept.with_suffix(".claim").open("w")
    except OSError:  # a folder that can be read only
        yield True
        return
    with file:
        yield fcntl is None or _lock(file, time.monotonic() + patience)


def _lock(file: IO[str], until: float) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
        except OSError:  # a file system without locks
            return True
        time.sleep(PAUSE)
        answer_now()
