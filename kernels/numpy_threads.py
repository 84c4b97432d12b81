"""How many threads NumPy's matrix products (BLAS) run on."""

from __future__ import annotations

from threadpoolctl import ThreadpoolController

# NumPy's: looked for once, for what is loaded later (SciPy's own BLAS, say) computes nothing here.
BLAS = ThreadpoolController().select(user_api="blas")


def set_num_threads(threads: int) -> None:
    """Run NumPy's matrix products on this number of threads; everything else here runs on one.

    Raises:
        ValueError: fewer than 1.
    """
    if threads < 1:
        raise ValueError(f"threads is {threads}; wanted at least 1")
    BLAS.limit(limits=threads)


def get_num_threads() -> int:
    """How many threads NumPy's matrix products run on."""
    return max((pool["num_threads"] for pool in BLAS.info()), default=1)
