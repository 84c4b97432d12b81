"""Locks between processes, which the system ends with them; and locks when a process forks."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def locked(path: Path, flags: int) -> int | None:
    """Open a file or folder, which this process then has for itself until it closes it.

    None where there are no such locks (Windows); on some network folders nobody is refused.

    Raises:
        BlockingIOError: another process has it.
        OSError: it cannot be opened.
    """
    try:
        import fcntl
    except ImportError:
        return None
    handle = os.open(path, flags, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError:  # a file system without locks
        pass
    return handle


def whole_at_fork(lock: Any, in_child: Callable[[], None] = lambda: None) -> None:
    """Have each fork of this process wait until no other thread holds the lock.

    Otherwise the child would have it held by a thread that it does not have, for ever, and what it
    guards half done. ``in_child`` is called there before the lock is open.
    """
    if not hasattr(os, "register_at_fork"):
        return

    def open_in_child() -> None:
        in_child()
        lock.release()

    os.register_at_fork(
        before=lock.acquire, after_in_parent=lock.release, after_in_child=open_in_child
    )
