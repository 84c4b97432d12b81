"""A plugin of pytest: the kernels that Numba compiles are run as the Python that they are.

So a mutant of theirs need not be compiled. Tests that ask for compiled kernels fail, and serve
nobody. BLAS, which compiled code calls by its address, is called by NumPy here.
"""

from __future__ import annotations

import sys
from typing import Any

import numba

from minicnn.kernels.arrays import Array

switches: Any = numba.config
switches.DISABLE_JIT = 1  # the environment's NUMBA_DISABLE_JIT would choose other kernels


def gemm(
    address: int, a: Array, a_is_turned: bool, b: Array, b_is_turned: bool, keep: int, c: Array
) -> None:
    """See ``minicnn.kernels.cpu.gemm``."""
    product = (a.T if a_is_turned else a) @ (b.T if b_is_turned else b)
    c[...] = product + keep * c if keep else product


def pytest_collection_finish() -> None:
    """The kernels are there: exchange what is no Python."""
    conv: Any = sys.modules["minicnn.kernels.cpu.conv"]
    conv.gemm = gemm
