"""A small net, compiled and eager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minicnn
from minicnn import Tensor, nn

PICTURE = (2, 8, 6)


def batch(images: int, shape: tuple[int, ...] = PICTURE) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng((1, images))
    return rng.standard_normal((images, *shape)).astype(np.float32), rng.integers(0, 5, images)


def plain_net() -> nn.Sequential:
    minicnn.manual_seed(2)
    return nn.Sequential(nn.Flatten(), nn.Linear(96, 5))


def assert_as_eager(predict: Any, net: nn.Module, images: int = 7) -> None:
    """The net is in evaluation mode: to set it now would tell the predictor to look again."""
    x, _ = batch(images)
    np.testing.assert_allclose(predict(x).numpy(), net(Tensor(x)).numpy(), rtol=1e-4, atol=1e-5)


class Net(nn.Module):
    """Two convolutions, and the ``forward`` that a test passes."""

    def __init__(self, forward: Callable[[Any, Tensor], Tensor], **attributes: Any):
        super().__init__()
        minicnn.manual_seed(5)
        self.first, self.second = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, (1, 3))
        self.function = forward
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)
