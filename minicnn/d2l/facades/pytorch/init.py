"""``torch.nn.init``: the engine's initialisers; each fills a tensor in place and returns it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from minicnn.nn import init

from .mistakes import call, refuse
from .tensor import Tensor, engine_tensor


def _filling(name: str) -> Callable[..., Tensor]:
    """The engine's initialiser of this name, for PyTorch's tensors."""
    fill = getattr(init, name)

    @functools.wraps(fill)
    def function(tensor: Tensor, *arguments: Any, generator: None = None, **options: Any) -> Tensor:
        refuse(name, generator=(generator, None))
        call(fill, engine_tensor(name, "tensor", tensor), *arguments, **options)
        return tensor

    return function


NAMES = (
    "uniform_", "normal_", "constant_", "zeros_", "ones_", "xavier_uniform_", "xavier_normal_",
    "kaiming_uniform_", "kaiming_normal_",
)  # fmt: skip

FUNCTIONS: dict[str, Any] = {name: _filling(name) for name in NAMES} | {
    "calculate_gain": init.calculate_gain
}
