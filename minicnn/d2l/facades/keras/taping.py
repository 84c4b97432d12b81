"""What is recorded when: in TensorFlow only what is computed inside a ``GradientTape``.

A time of recording begins when a tape is entered while none is, and ends when the last is left. An
array remembers in which time it was computed; in any other it is a constant.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from minicnn.tensor import no_grad

if TYPE_CHECKING:
    from minicnn.d2l.facades.keras.gradients import GradientTape


class _Recording(threading.local):
    """This thread's tapes that are entered, and the number of its time of recording."""

    def __init__(self) -> None:
        self.tapes: list[GradientTape] = []
        self.time = 0

    @property
    def now(self) -> int:
        """The number of this time; 0 while nothing is recorded."""
        return self.time if self.tapes else 0


recording = _Recording()


def recorded_or_not() -> Any:
    """A context in which the engine records if a tape is entered, and only then."""
    return contextlib.nullcontext() if recording.tapes else no_grad()
