"""How many threads the engine computes with."""

from __future__ import annotations

from minicnn import kernels
from minicnn.checks import check_integer


def set_num_threads(threads: int) -> None:
    """Compute on this number of CPU threads.

    Raises:
        ValueError: fewer than 1.
        TypeError: no integer.
    """
    check_integer("threads", threads, 1)
    kernels.host_kernels().set_num_threads(threads)


def get_num_threads() -> int:
    """The number of CPU threads that the engine computes on."""
    return kernels.host_kernels().get_num_threads()
