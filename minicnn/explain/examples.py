"""Examples of small whole numbers, so that sums can be followed in the head."""

from __future__ import annotations

import argparse
from collections.abc import Callable
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

DEFAULTS: dict[str, dict[str, Any]] = {
    "conv": {"size": (4, 5), "kernel": (3, 3), "stride": (1, 1), "padding": (1, 0),
             "dilation": (1, 1), "channels": 1, "out_channels": 1, "batch": 1},
    "max-pool": {"size": (5, 6), "kernel": (3, 3), "stride": (2, 2), "padding": (0, 0),
                 "dilation": (1, 1), "channels": 1, "batch": 1},
    "avg-pool": {"size": (5, 6), "kernel": (2, 2), "stride": (2, 2), "padding": (0, 0),
                 "channels": 1, "batch": 1},
    "dense": {"channels": 4, "out_channels": 3, "batch": 2},
    "softmax": {"channels": 5, "batch": 2},
}  # fmt: skip
OPTIONS = ("size", "kernel", "stride", "padding", "dilation", "channels", "out_channels", "batch")


def example(options: argparse.Namespace) -> Any:
    """The operation on small whole numbers, so that sums can be followed in the head."""
    for name in ("layer", "image", "data_dir"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} needs --run DIR")
    sizes = dict(DEFAULTS[options.op])
    for name in OPTIONS:
        given = getattr(options, name)
        if given is not None and name not in sizes:
            raise ValueError(f"--{name.replace('_', '-')} does not apply to --op {options.op}")
        if given is not None:
            sizes[name] = given
    rng = np.random.default_rng(options.seed or 0)
    makers: dict[str, Callable[..., Any]] = {
        "conv": _convolution,
        "max-pool": _max_pool,
        "avg-pool": _avg_pool,
        "dense": _dense,
        "softmax": _softmax,
    }
    return makers[options.op](rng, **sizes)


def _convolution(
    rng: np.random.Generator,
    size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    channels: int,
    out_channels: int,
    batch: int,
) -> Any:
    shape, weight = (batch, channels, *size), (out_channels, channels, *kernel)
    output = output_sizes(size, kernel, stride, padding, dilation)
    check_convolution(shape, weight, padding, output)
    layer = nn.Conv2d(channels, out_channels, kernel, stride, padding, dilation)
    layer.weight.data = distinct(rng, weight)
    layer.bias.data = signed(rng, (out_channels,))  # type: ignore[union-attr]
    dy = signed(rng, (batch, out_channels, *output)) if min(output) > 0 else None
    return conv2d(layer, rng.integers(1, 10, shape), dy)


def _max_pool(
    rng: np.random.Generator,
    size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    channels: int,
    batch: int,
) -> Any:
    shape = (batch, channels, *size)
    pool.check_size(shape, kernel)
    picture = np.arange(size[0] * size[1]) % 99 + 1
    x = np.stack([rng.permutation(picture) for _ in range(batch * channels)]).reshape(shape)
    dy = _signed_like_output(rng, shape, (kernel, stride, padding, dilation))
    return pool.max_pool2d(nn.MaxPool2d(kernel, stride, padding, dilation), x, dy)


def _avg_pool(
    rng: np.random.Generator,
    size: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    channels: int,
    batch: int,
) -> Any:
    shape = (batch, channels, *size)
    pool.check_size(shape, kernel)
    dy = _signed_like_output(rng, shape, (kernel, stride, padding, (1, 1)))
    x = rng.integers(1, 10, shape)
    return pool.avg_pool2d(nn.AvgPool2d(kernel, stride, padding), x, dy)


def _signed_like_output(
    rng: np.random.Generator, shape: tuple[int, ...], window: tuple[Pair, Pair, Pair, Pair]
) -> np.ndarray | None:
    """A gradient from above, if there is an output."""
    output = output_sizes(shape[2:], *window)
    return signed(rng, (*shape[:2], *output)) if min(output) > 0 else None


def _dense(rng: np.random.Generator, channels: int, out_channels: int, batch: int) -> Any:
    check_linear(batch, channels, out_channels)
    layer = nn.Linear(channels, out_channels)
    layer.weight.data = signed(rng, (out_channels, channels))
    layer.bias.data = signed(rng, (out_channels,))  # type: ignore[union-attr]
    x, dy = rng.integers(1, 10, (batch, channels)), signed(rng, (batch, out_channels))
    return linear(layer, x, dy)


def _softmax(rng: np.random.Generator, channels: int, batch: int) -> Any:
    loss.check_size(batch, channels)
    logits = rng.integers(-2, 5, (batch, channels))
    return loss.cross_entropy(logits, rng.integers(0, channels, batch))


def signed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Whole numbers from -3 to 3, none of them 0."""
    return (rng.integers(1, 4, shape) * rng.choice([-1, 1], shape)).astype(np.float64)


def distinct(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Kernels of 1, -1, 2, -2... in any order: no two weights alike, so that a flip shows."""
    cells = np.arange(2, 2 + shape[-2] * shape[-1])
    weights = cells // 2 * np.where(cells % 2, -1.0, 1.0)
    planes = [rng.permutation(weights) for _ in range(shape[0] * shape[1])]
    return np.stack(planes).reshape(shape)
