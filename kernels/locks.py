"""Locks between processes. The system ends them with the process, however that ends."""

from __future__ import annotations

import os
from pathlib import Path


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
