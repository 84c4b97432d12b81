"""Compiled steps on the kernels as they stand in ``*.cu``, which take their sizes as arguments.

A plan is compiled with its sizes as literals. Where the geometry is not what is tested, the general
form computes the same from the same lines, and one compilation serves all plans.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def general_form() -> Iterator[None]:
    """Inside, plans are made of kernels in their general form; CuPy is there, or its stand-in."""
    literal: Any = importlib.import_module("minicnn.kernels.gpu.literal")
    before, literal.compiled = literal.compiled, compiled
    try:
        yield
    finally:
        literal.compiled = before


def compiled(calls: Sequence[Any], dtype: str) -> list[Callable[..., None]]:
    """As ``literal.compiled``."""
    launch: Any = importlib.import_module("minicnn.kernels.gpu.launch")
    return [_with_sizes(launch.kernel(call.kernel, dtype), call.arguments) for call in calls]


def _with_sizes(kernel: Any, arguments: tuple[Any, ...]) -> Callable[..., None]:
    """What is launched without the sizes."""
    all_arguments = tuple(np.int32(a) if isinstance(a, int) else a for a in arguments)

    def launched(grid: Any, block: Any, passed: Any, *, shared_mem: int) -> None:
        kernel(grid, block, all_arguments, shared_mem=shared_mem)

    return launched
