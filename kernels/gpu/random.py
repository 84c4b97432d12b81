"""Random numbers (random.cu)."""

from __future__ import annotations

import cupy
import numpy as np

from ..arrays import Array
from .launch import I64, U64, launch


def random_uniform(like: Array, seed: int, draw: int, first: int = 0) -> Array:
    """See ``reference.random_uniform``."""
    numbers = cupy.empty(like.shape, np.float32)
    arguments = numbers, I64(numbers.size), U64(seed), U64(draw), U64(first)
    launch("random_uniform", np.float32, numbers.size, *arguments)
    return numbers
