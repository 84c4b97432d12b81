"""Numbers that the host tells the device, when they change."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.kernels import Array


class Told:
    """An array on the device, with what the device has been told to put there.

    A replayed graph reads it where it lies, so it stays the same array.

    Attributes:
        array: on the device.
        numbers: what it holds; None if that is not known.
    """

    def __init__(self, array: Array):
        self.array = array
        self.numbers: tuple[Any, ...] | None = None
        self.sent = np.zeros(0)

    def tell(self, numbers: tuple[Any, ...]) -> None:
        """Send numbers, or rows of numbers, unless the device has them."""
        if numbers != self.numbers:
            self.sent = np.array(numbers, self.array.dtype)  # kept: the copy may be under way
            self.array.set(self.sent)
            self.numbers = numbers
