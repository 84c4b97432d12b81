"""tensorflow and d2l.tensorflow, on this engine."""

from __future__ import annotations

from minicnn.d2l.counting import Accumulator
from minicnn.d2l.facades.modules import Facade


def modules() -> list[Facade]:
    """The modules that ``install`` puts into place."""
    return [
        Facade("tensorflow", "TensorFlow on minicnn.", {}),
        Facade("tensorflow.keras", "TensorFlow on minicnn.", {}),
        Facade(
            "d2l.tensorflow",
            "The second edition's helpers, on minicnn.",
            {"Accumulator": Accumulator},
        ),
    ]
