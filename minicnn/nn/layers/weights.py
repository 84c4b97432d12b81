"""What layers with weights share: default weights, a check of sizes, and being lazy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from minicnn.formats import shown
from minicnn.nn import init
from minicnn.nn.module import Module, Parameter


def default_weights(shape: Sequence[int], bias: bool) -> tuple[Parameter, Parameter | None]:
    """PyTorch's default: weight and bias uniform in ±1 / sqrt(fan_in)."""
    weight = Parameter(np.empty(shape, np.float32))
    bound = 1 / math.sqrt(init.fans(weight)[0])
    init.uniform_(weight, -bound, bound)
    if not bias:
        return weight, None
    return weight, init.uniform_(Parameter(np.empty(shape[0], np.float32)), -bound, bound)  # type: ignore[return-value]


def check_sizes(layer: Module, **sizes: int) -> None:
    """Refuse sizes that are no integers of at least 1 (ValueError)."""
    for name, size in sizes.items():
        if not isinstance(size, int | np.integer) or size < 1:
            kind = type(layer).__name__
            raise ValueError(f"{kind}: {name} is {shown(size)}; wanted an integer of at least 1")


class Lazy(Module):
    """A layer that learns its input size from its first input (or from a loaded state).

    From then on it is a layer of the plain class, ``type(layer)`` included.
    """

    def _own_parameters(self) -> Iterator[tuple[str, Parameter]]:
        raise RuntimeError(
            f"{type(self).__name__} has no parameters before its first input: "
            "send a batch through the net first, for example by net.summary(input_shape)"
        )
