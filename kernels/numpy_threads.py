"""How many threads NumPy's matrix products (BLAS) run on."""

from __future__ import annotations

import os
from typing import Any

try:
    from threadpoolctl import ThreadpoolController
except ModuleNotFoundError:  # a bare machine: NumPy's threads are as many as they are
    BLAS: Any = None
else:
    # NumPy's: looked for once, for what is loaded later (SciPy's own BLAS, say) computes nothing
    BLAS = ThreadpoolController().select(user_api="blas")


def set_num_threads(threads: int) -> None:
    """Run NumPy's matrix products on this number of threads; everything else here runs on one.

    Without threadpoolctl NumPy keeps its own number.

    Raises:
        ValueError: fewer than 1.
    """
    if threads < 1:
        raise ValueError(f"threads is {threads}; wanted at least 1")
    if BLAS is not None:
        BLAS.limit(limits=threads)


def get_num_threads() -> int:
    """How many threads NumPy's matrix products run on."""
    if BLAS is None:
        return os.cpu_count() or 1  # what a BLAS takes unless it is told otherwise
    return max((pool["num_threads"] for pool in BLAS.info()), default=1)
