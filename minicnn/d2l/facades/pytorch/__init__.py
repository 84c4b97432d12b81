"""torch and d2l.torch, on this engine."""

from __future__ import annotations

from minicnn.d2l.counting import Accumulator
from minicnn.d2l.facades.modules import Facade


def modules() -> list[Facade]:
    """The modules that ``install`` puts into place."""
    return [
        Facade("torch", "PyTorch on minicnn.", {}),
        Facade("torch.nn", "PyTorch on minicnn.", {}),
        Facade(
            "d2l.torch", "The second edition's helpers, on minicnn.", {"Accumulator": Accumulator}
        ),
    ]
