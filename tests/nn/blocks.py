"""A module of several parts, and comparisons, for the tests of ``minicnn.nn``."""

import numpy as np

from minicnn import Tensor, nn


class Block(nn.Module):
    """A bit of everything: parameters, a buffer, layers, layers inside layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
        self.norm = nn.BatchNorm2d(3)
        self.scale = nn.Parameter([1.0])
        self.register_buffer("offset", Tensor([0.5]))
        self.head = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(12, 4), nn.ReLU()))

    offset: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.conv(x)) * self.scale + self.offset)


def values(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}


def assert_same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def images(*shape: int, dtype: str = "float32") -> Tensor:
    return Tensor(np.random.default_rng(0).standard_normal(shape).astype(dtype))


def lazy_net() -> nn.Sequential:
    return nn.Sequential(
        nn.LazyConv2d(6, 5, padding=2, groups=1),
        nn.Sigmoid(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(10),
    )
