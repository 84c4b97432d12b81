"""Freed memory stays in this process, for the next array."""

from __future__ import annotations

import ctypes
import sys
from functools import cache


@cache
def keep_freed_memory() -> None:
    """Ask the C library (glibc) to keep freed memory.

    A training step takes and frees some 100 MB. By default they go back to the system each time,
    and come from it again page by page, zeroed: a quarter of the step's time.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is not None and hasattr(libc, "mallopt"):  # not every C library has it
        trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
        libc.mallopt(mmap_threshold, 32 << 20)
        libc.mallopt(trim_threshold, 256 << 20)
