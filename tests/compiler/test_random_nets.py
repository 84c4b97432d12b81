"""minicnn.compile: a compiled step of a random net is eager's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn
from minicnn import Tensor, nn
from tests.compiler.nets import Shape, assert_close, batch, compiled, eager, result_of

pytestmark = pytest.mark.usefixtures("share_the_least_work")


@st.composite
def random_cases(draw: st.DrawFn) -> tuple[nn.Module, np.ndarray, np.ndarray]:
    """A net of random layers, pictures that fit, and labels."""
    minicnn.manual_seed(draw(st.integers(0, 1000)))
    shape = tuple(draw(st.integers(1, limit)) for limit in (3, 12, 12))
    images, now = draw(st.integers(1, 20)), shape
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(0, 5))):
        layer = draw(layers_for(now, with_norm=images > 1))
        now = layer(Tensor(np.zeros((2, *now), np.float32))).shape[1:]
        layers.append(layer)
    layers.append(nn.Flatten())
    width = int(np.prod(now))
    for _ in range(draw(st.integers(0, 2))):
        after = draw(st.integers(1, 20))
        layers += [nn.Linear(width, after, bias=draw(st.booleans())), draw(cell_by_cell())]
        width = after
    classes = draw(st.integers(2, 6))
    net = nn.Sequential(*layers, nn.Linear(width, classes)).to("float64")
    return net, *batch(images, shape=shape, classes=classes, seed=draw(st.integers(0, 1000)))


def cell_by_cell() -> st.SearchStrategy[nn.Module]:
    kinds: list[Callable[[], nn.Module]] = [
        nn.ReLU,
        nn.Sigmoid,
        nn.Tanh,
        lambda: nn.Dropout(0.3),
    ]
    return st.sampled_from(kinds).map(lambda kind: kind())


@st.composite
def layers_for(draw: st.DrawFn, shape: Shape, with_norm: bool) -> nn.Module:
    """A layer that can be applied to such pictures."""
    kind = draw(st.sampled_from(("conv", "max", "avg", "cells", "norm")))
    if kind == "norm" and with_norm and shape[1] * shape[2] > 1:
        return nn.BatchNorm2d(shape[0], affine=draw(st.booleans()))
    if kind in ("cells", "norm"):
        return draw(cell_by_cell())
    kernel = draw(pairs(1, 4))
    padding = draw(pairs(0, 3 if kind == "conv" else min(kernel) // 2))
    room = [n + 2 * p for n, p in zip(shape[1:], padding, strict=True)]
    kernel = tuple(min(k, n) for k, n in zip(kernel, room, strict=True))
    if kind != "conv":
        padding = tuple(min(p, k // 2) for p, k in zip(padding, kernel, strict=True))
    stride = draw(pairs(1, 4))
    if kind == "avg":
        options = {"ceil_mode": draw(st.booleans()), "count_include_pad": draw(st.booleans())}
        return nn.AvgPool2d(kernel, stride, padding, **options)
    dilation = tuple(
        draw(st.integers(1, max(1, min(3, (n - 1) // max(1, k - 1)))))
        for n, k in zip(shape[1:], kernel, strict=True)
    )
    if kind == "max":
        return nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=draw(st.booleans()))
    bias, channels = draw(st.booleans()), draw(st.integers(1, 7))
    return nn.Conv2d(shape[0], channels, kernel, stride, padding, dilation, bias=bias)


def pairs(least: int, most: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(st.integers(least, most), st.integers(least, most))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(random_cases())
def test_a_step_of_a_random_net_is_eagers(case: tuple[nn.Module, np.ndarray, np.ndarray]) -> None:
    net, x, y = case
    minicnn.manual_seed(11)
    _, logits, theirs = eager(net, x, y)
    minicnn.manual_seed(11)
    _, our_logits, ours = result_of(compiled(net), x, y)
    assert_close(our_logits, logits, 1e-9, "logits")
    for name, g in theirs.items():
        assert_close(ours[name], g, 1e-9, name, least=1e-4)
