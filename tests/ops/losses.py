"""What the tests of losses share."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import Tensor

ROWS, CLASSES = 6, 4
TARGET = np.array([0, 3, 1, 2, 1, 3])
WEIGHT = np.array([0.5, 2.0, 0.25, 1.5])


def tensors(options: dict[str, Any]) -> dict[str, Any]:
    return {
        name: Tensor(value) if isinstance(value, np.ndarray) else value
        for name, value in options.items()
    }
