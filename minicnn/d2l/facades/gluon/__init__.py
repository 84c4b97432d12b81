"""mxnet and d2l.mxnet, on this engine."""

from __future__ import annotations

from minicnn.d2l.counting import Accumulator
from minicnn.d2l.facades.modules import Facade


def modules() -> list[Facade]:
    """The modules that ``install`` puts into place."""
    return [
        Facade("mxnet", "MXNet on minicnn.", {}),
        Facade("mxnet.gluon", "MXNet on minicnn.", {}),
        Facade("d2lzh", "The first edition's helpers, on minicnn.", {"Accumulator": Accumulator}),
        Facade(
            "d2l.mxnet", "The second edition's helpers, on minicnn.", {"Accumulator": Accumulator}
        ),
    ]
