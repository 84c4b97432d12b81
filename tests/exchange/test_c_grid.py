"""C files of many nets: sizes, strides, frames, groups and layers drawn at random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn import nn
from minicnn.exchange import c
from minicnn.exchange.c import int8
from minicnn.tensor import Tensor, no_grad
from tests.exchange.compiling import called, needs_a_compiler, self_test
from tests.exchange.nets import computed, draw, settled
from tests.exchange.test_c import agree, some_pictures

Random = np.random.Generator


def pair(rng: Random, low: int, high: int) -> tuple[int, int]:
    a, b = rng.integers(low, high + 1, 2)
    return int(a), int(b)


def a_conv(rng: Random, channels: int) -> nn.Module:
    groups = int(rng.choice([g for g in (1, 2, 3) if channels % g == 0]))
    out = groups * int(rng.integers(1, 4))
    same = rng.random() < 0.2
    stride: Any = 1 if same else pair(rng, 1, 3)
    padding: Any = "same" if same else pair(rng, 0, 3)
    kernel, dilation, bias = pair(rng, 1, 4), pair(rng, 1, 2), bool(rng.random() < 0.7)
    return nn.Conv2d(channels, out, kernel, stride, padding, dilation, groups, bias)


def a_pool(rng: Random, channels: int) -> nn.Module:
    kernel, stride = pair(rng, 1, 4), pair(rng, 1, 3)
    padding = (int(rng.integers(0, kernel[0] // 2 + 1)), int(rng.integers(0, kernel[1] // 2 + 1)))
    ceil = bool(rng.random() < 0.5)
    if rng.random() < 0.5:
        return nn.MaxPool2d(kernel, stride, padding, pair(rng, 1, 2), ceil)
    counts = bool(rng.random() < 0.5)
    divisor = int(rng.integers(1, 9)) if rng.random() < 0.3 else None
    return nn.AvgPool2d(kernel, stride, padding, ceil, counts, divisor)


def a_norm(rng: Random, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, affine=bool(rng.random() < 0.7))


def a_frame(rng: Random, channels: int) -> nn.Module:
    return nn.ZeroPad2d([int(width) for width in rng.integers(-1, 4, 4)])


def an_activation(rng: Random, channels: int) -> nn.Module:
    kinds: list[Any] = [nn.ReLU, nn.Sigmoid, nn.Tanh, nn.Dropout, nn.Identity]
    return kinds[int(rng.integers(len(kinds)))]()


MAKERS = (a_conv, a_conv, a_pool, a_norm, a_frame, an_activation, an_activation)


def a_net(rng: Random, shape: tuple[int, ...]) -> nn.Sequential:
    """Up to six layers on pictures; often a softmax, or dense layers, after them."""
    layers: list[nn.Module] = [nn.Sequential(a_conv(rng, shape[0]))]
    for _ in range(int(rng.integers(0, 6))):
        channels = _output_shape(layers, shape)[0]
        layer = MAKERS[int(rng.integers(len(MAKERS)))](rng, channels)
        if _fits([*layers, layer], shape):
            layers.append(layer)
    if rng.random() < 0.3:  # on the last axis of each row of a picture
        layers.append(nn.Linear(_output_shape(layers, shape)[-1], 3))
    if rng.random() < 0.6:
        layers.append(nn.Flatten())
        layers += [nn.Linear(_output_shape(layers, shape)[0], 5), an_activation(rng, 0)]
    if rng.random() < 0.4:
        axis = int(rng.integers(1, 1 + len(_output_shape(layers, shape))))
        layers.append((nn.Softmax if rng.random() < 0.5 else nn.LogSoftmax)(axis))
    return settled(nn.Sequential(*layers))


def _output_shape(layers: list[nn.Module], shape: tuple[int, ...]) -> tuple[int, ...]:
    with no_grad():
        return nn.Sequential(*layers).eval()(Tensor(np.zeros((1, *shape), np.float32))).shape[1:]


def _fits(layers: list[nn.Module], shape: tuple[int, ...]) -> bool:
    try:
        return min(_output_shape(layers, shape)) > 0
    except ValueError:  # a kernel that is larger than the picture
        return False


@needs_a_compiler
@pytest.mark.long
@pytest.mark.parametrize("seed", range(60))
def test_a_random_net(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 5)), int(rng.integers(6, 15)), int(rng.integers(6, 15)))
    net = a_net(rng, shape)
    x = draw((5, *shape))
    wanted = computed(net, x).reshape(5, -1)
    path = tmp_path / "net.c"
    c.export(net, path, image_shape=shape)
    agree(called(path, x, wanted.shape[1]), wanted)
    assert self_test(path).returncode == 0

    train, test = some_pictures(50, shape), some_pictures(5, shape)
    c.export(net, path, image_shape=shape, int8_from=(train, test))
    steps = int8.quantised(c._steps(net, shape, None), c._pixels(train))
    pixels = c._pixels(test)
    path = path.rename(tmp_path / "int8.c")  # a library is loaded once for each name
    agree(called(path, pixels, wanted.shape[1]), int8.compute(steps, pixels), 1e-6)
    assert self_test(path).returncode == 0
