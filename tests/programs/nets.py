"""The same net in minicnn and in PyTorch, made of a list of blocks.

All blocks keep the number of channels and few sizes occur, so that the kernels of compiled plans
are the same in all programs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

import minicnn
from minicnn import Tensor
from minicnn.nn import functional as F

PICTURE = (2, 8, 7)
CHANNELS, CLASSES = 4, 3
BLOCKS = [
    "shared",
    "branches",
    "joined",
    "norm",
    "plain norm",
    "max",
    "avg",
    "relu",
    "tanh",
    "dropout",
]
HEADS = ["one layer", "shared layer"]


class BoomError(Exception):
    """Raised by a layer of the user's."""


class Design(NamedTuple):
    """What a net is made of: the names of blocks, and how it ends."""

    blocks: Sequence[str]
    head: str


def net_of(library: Any, design: Design) -> Any:
    """The net in float64, for pictures of shape ``PICTURE``; ``library``: minicnn or torch."""
    nn, kinds = library.nn, blocks_of(library)
    parts = [nn.Conv2d(PICTURE[0], CHANNELS, (2, 3)), kinds["trap"]()]
    parts += [kinds[name]() for name in design.blocks]
    # pooling, at most once of each kind, halves the 7 rows or the 5 columns
    size = 7 // (1 + ("max" in design.blocks)) * (5 // (1 + ("avg" in design.blocks)))
    parts += [nn.Flatten(), nn.Linear(CHANNELS * size, 5)]
    parts += [kinds["shared layer"]()] if design.head == "shared layer" else []
    return nn.Sequential(*parts, kinds["trap"](), nn.Linear(5, CLASSES)).double()


@cache
def blocks_of(library: Any) -> dict[str, Callable[[], Any]]:
    """What makes a block, by its name."""
    nn, cat = library.nn, library.cat
    convolution = partial(nn.Conv2d, CHANNELS)

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        """A forward as a user writes it: ``formula(self, x)``, of ``parts``."""

        def __init__(self, formula: Callable[[Any, Any], Any], **parts: Any):
            super().__init__()
            self.formula = formula
            for name, part in parts.items():
                setattr(self, name, part)

        def forward(self, x: Any) -> Any:
            return self.formula(self, x)

    return {
        "shared": lambda: Block(
            lambda my, x: my.twice(my.twice(x).tanh()),
            twice=convolution(CHANNELS, (3, 1), padding=(1, 0)),
        ),
        "branches": lambda: Block(
            lambda my, x: x + my.way(x).relu(),
            way=convolution(CHANNELS, (1, 3), padding=(0, 1), bias=False),
        ),
        "joined": lambda: Block(
            lambda my, x: cat((my.narrow(x), my.wide(x).sigmoid()), 1),
            narrow=convolution(1, 1),
            wide=convolution(CHANNELS - 1, 3, padding=1),
        ),
        "shared layer": lambda: Block(
            lambda my, x: my.twice(my.twice(x).sigmoid()), twice=nn.Linear(5, 5)
        ),
        "trap": lambda: Block(_spring, is_set=False),
        "norm": lambda: nn.BatchNorm2d(CHANNELS),
        "plain norm": lambda: nn.BatchNorm2d(CHANNELS, momentum=None, affine=False),
        "max": lambda: nn.MaxPool2d((2, 1)),
        "avg": lambda: nn.AvgPool2d((1, 2)),
        "relu": nn.ReLU,
        "tanh": nn.Tanh,
        "dropout": lambda: nn.Dropout(0.3) if library is minicnn else Block(_drop),
    }


def _spring(my: Any, x: Any) -> Any:
    """A trap: it returns what it gets, unless it is set."""
    if my.is_set:
        raise BoomError
    return x


def _drop(my: Any, x: Any) -> Any:
    """PyTorch's dropout, with the masks that minicnn draws."""
    mask = F.dropout(Tensor(np.ones(tuple(x.shape))), 0.3, my.training)
    return x * x.new_tensor(mask.numpy())


def traps_of(net: Any) -> list[Any]:
    """The layers that can be set to raise."""
    return [module for module in net.modules() if hasattr(module, "is_set")]


def batch(images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures that cannot be written to, and labels."""
    rng = np.random.default_rng((seed, images))
    x, y = rng.standard_normal((images, *PICTURE)), rng.integers(0, CLASSES, images)
    y[:1] = 0  # one at least that no loss ignores
    x.flags.writeable = y.flags.writeable = False
    return x, y
