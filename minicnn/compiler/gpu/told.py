"""Numbers that the host tells the device, when they change."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.kernels import Array, array_module


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
        self.under_way: list[tuple[Any, np.ndarray]] = []  # copies: an event after each, its source

    def tell(self, numbers: tuple[Any, ...]) -> None:
        """Send numbers, or rows of numbers, unless the device has them."""
        if numbers == self.numbers:
            return
        sent = np.array(numbers, self.array.dtype)
        self.numbers = None  # until all is sent: an interruption before has it sent again
        self.array.set(sent)
        cuda = array_module(self.array).cuda
        copied = cuda.get_current_stream().record(cuda.Event(disable_timing=True))
        # nobody waits: what is sent is kept until it has been copied
        self.under_way = [(event, kept) for event, kept in self.under_way if not event.done]
        self.under_way.append((copied, sent))
        self.numbers = numbers
