"""Layers that change the shape alone."""

from __future__ import annotations

from minicnn.nn import arguments
from minicnn.nn.module import Module
from minicnn.tensor import Tensor


class Flatten(Module):
    """The axes from ``start_dim`` to ``end_dim`` made one: (N, C, H, W) -> (N, C·H·W)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        return arguments.as_input("Flatten", input).flatten(self.start_dim, self.end_dim)
