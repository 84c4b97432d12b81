"""Numbers for the tests of tensors."""

from __future__ import annotations

import numpy as np


def numbers(*shape: int) -> np.ndarray:
    """Distinct float64 numbers in a random order."""
    cells = np.random.default_rng(5).permutation(int(np.prod(shape)))
    return np.asarray(cells.reshape(shape) / 7 - 1)
