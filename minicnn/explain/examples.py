"""Examples of small whole numbers, whose sums can be done in one's head."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import nn
from minicnn.kernels.arrays import output_sizes

from . import loss, pool
from .conv.grids import check_size as check_convolution
from .conv.page import conv2d
from .linear import check_size as check_linear
from .linear import linear
from .numbers import Pair
from .receptive import receptive_field

DEFAULTS: dict[str, dict[str, Any]] = {
    "conv": {"size": (4, 5), "kernel": (3, 3), "stride": (1, 1), "padding": (1, 0),
             "dilation": (1, 1), "channels": 1, "out_channels": 1, "groups": 1, "batch": 1},
    "max-pool": {"size": (5, 6), "kernel": (3, 3), "stride": (2, 2), "padding": (0, 0),
                 "dilation": (1, 1), "channels": 1, "batch": 1},
    "avg-pool": {"size": (5, 6), "kernel": (2, 2), "stride": (2, 2), "padding": (0, 0),
                 "channels": 1, "batch": 1},
    "dense": {"channels": 4, "out_channels": 3, "batch": 2},
    "softmax": {"channels": 5, "batch": 2},
    "receptive-field": {"size": (7, 8), "kernel": (3, 3), "stride": (1, 1), "dilation": (1, 1),
                        "channels": 1, "out_channels": 1, "batch": 1},
}  # fmt: skip
OPTIONS = (
    "size",
    "kernel",
    "stride",
    "padding",
    "dilation",
    "channels",
    "out_channels",
    "groups",
    "batch",
)


@dataclass(frozen=True)
class Sizes:
    """The options of an example. Those that do not apply to its operation keep these values."""

    size: Pair = (1, 1)
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    channels: int = 1
    out_channels: int = 1
    groups: int = 1
    batch: int = 1

    @property
    def input(self) -> tuple[int, ...]:
        """The shape of the pictures: (N, C, H, W)."""
        return self.batch, self.channels, *self.size

    @property
    def output(self) -> Pair:
        """OH and OW; below 1 where the kernel does not fit."""
        return output_sizes(self.size, self.kernel, self.stride, self.padding, self.dilation)


def example(options: argparse.Namespace) -> Any:
    """The operation that ``--op`` names, explained on small whole numbers."""
    for name in ("layer", "image", "data_dir"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} needs --run DIR")
    sizes = dict(DEFAULTS[options.op])
    for name in OPTIONS:
        value = getattr(options, name)
        if value is not None and name not in sizes:
            raise ValueError(f"--{name.replace('_', '-')} does not apply to --op {options.op}")
        if value is not None:
            sizes[name] = value
    return MAKERS[options.op](np.random.default_rng(options.seed or 0), Sizes(**sizes))


def _convolution(rng: np.random.Generator, s: Sizes) -> Any:
    weight = (s.out_channels, max(1, s.channels // s.groups), *s.kernel)
    check_convolution(s.input, weight, s.padding, s.output)
    window = s.kernel, s.stride, s.padding, s.dilation
    layer = nn.Conv2d(s.channels, s.out_channels, *window, s.groups)
    layer.weight.data = distinct(rng, weight)
    layer.bias.data = signed(rng, (s.out_channels,))  # type: ignore[union-attr]
    dy = _signed_output(rng, s, s.out_channels)
    return conv2d(layer, rng.integers(1, 10, s.input), dy)


def _max_pool(rng: np.random.Generator, s: Sizes) -> Any:
    pool.check_size(s.input, s.kernel)
    picture = np.arange(s.size[0] * s.size[1]) % 99 + 1  # in up to 99 cells no two are equal
    planes = [rng.permutation(picture) for _ in range(s.batch * s.channels)]
    dy = _signed_output(rng, s, s.channels)
    layer = nn.MaxPool2d(s.kernel, s.stride, s.padding, s.dilation)
    return pool.max_pool2d(layer, _with_a_tie(np.stack(planes).reshape(s.input), s), dy)


def _with_a_tie(x: np.ndarray, s: Sizes) -> np.ndarray:
    """The pictures with two equal largest cells in the last window, where it has two cells."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = s.kernel, s.stride, s.padding, s.dilation
    top, left = ((o - 1) * t - p for o, t, p in zip(s.output, (sh, sw), (ph, pw), strict=True))
    rows, columns = (range(a, a + d * k, d) for a, d, k in ((top, dh, kh), (left, dw, kw)))
    h, w = x.shape[2:]
    cells = [(i, j) for i in rows for j in columns if 0 <= i < h and 0 <= j < w]
    if len(cells) > 1:
        first, second, *_ = sorted(cells, key=lambda cell: -x[(0, 0, *cell)])
        x[(0, 0, *second)] = x[(0, 0, *first)]
    return x


def _avg_pool(rng: np.random.Generator, s: Sizes) -> Any:
    pool.check_size(s.input, s.kernel)
    dy = _signed_output(rng, s, s.channels)
    x = rng.integers(1, 10, s.input)
    return pool.avg_pool2d(nn.AvgPool2d(s.kernel, s.stride, s.padding), x, dy)


def _dense(rng: np.random.Generator, s: Sizes) -> Any:
    check_linear(s.batch, s.channels, s.out_channels)
    layer = nn.Linear(s.channels, s.out_channels)
    layer.weight.data = signed(rng, (s.out_channels, s.channels))
    layer.bias.data = signed(rng, (s.out_channels,))  # type: ignore[union-attr]
    x = rng.integers(1, 10, (s.batch, s.channels))
    return linear(layer, x, signed(rng, (s.batch, s.out_channels)))


def _softmax(rng: np.random.Generator, s: Sizes) -> Any:
    loss.check_size(s.batch, s.channels)
    logits = rng.integers(-2, 5, (s.batch, s.channels))
    return loss.cross_entropy(logits, rng.integers(0, s.channels, s.batch))


def _receptive_field(rng: np.random.Generator, s: Sizes) -> Any:
    """Two convolutions of these sizes; their numbers are small, for products add up twice."""
    layers, size, channels = [], s.input[1:], s.channels
    for _ in range(2):
        weight = (s.out_channels, channels, *s.kernel)
        output = output_sizes(size[1:], s.kernel, s.stride, (0, 0), s.dilation)
        check_convolution((s.batch, *size), weight, (0, 0), output)
        layer = nn.Conv2d(channels, s.out_channels, s.kernel, s.stride, 0, s.dilation)
        layer.weight.data = distinct(rng, weight)
        layer.bias.data = signed(rng, (s.out_channels,))  # type: ignore[union-attr]
        layers.append(layer)
        size, channels = (s.out_channels, *output), s.out_channels
    dy = signed(rng, (s.batch, *size)) if min(size) > 0 else None
    first, second = layers
    return receptive_field(first, second, rng.integers(1, 10, s.input), dy)


MAKERS: dict[str, Callable[[np.random.Generator, Sizes], Any]] = {
    "conv": _convolution,
    "max-pool": _max_pool,
    "avg-pool": _avg_pool,
    "dense": _dense,
    "softmax": _softmax,
    "receptive-field": _receptive_field,
}


# Numbers ------------------------------------------------------------------------------------------


def _signed_output(rng: np.random.Generator, s: Sizes, channels: int) -> np.ndarray | None:
    """A dy for the output; None if there is no output, which the layer then refuses by name."""
    return signed(rng, (s.batch, channels, *s.output)) if min(s.output) > 0 else None


def signed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Whole numbers from -3 to 3, none of them 0."""
    return (rng.integers(1, 4, shape) * rng.choice([-1, 1], shape)).astype(np.float64)


def distinct(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Kernels of 1, -1, 2, -2... in any order: no two weights alike, so that a flip shows."""
    cells = np.arange(2, 2 + shape[-2] * shape[-1])
    weights = cells // 2 * np.where(cells % 2, -1.0, 1.0)
    planes = [rng.permutation(weights) for _ in range(shape[0] * shape[1])]
    return np.stack(planes).reshape(shape)
