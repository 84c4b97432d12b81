"""Dense layers of awkward sizes in compiled steps on a GPU: in one launch, and as products."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn, optim
from minicnn.compiler.gpu import chain, linear, products
from minicnn.device import to_device
from minicnn.train.loop import EagerStep
from tests.gpu.general import general_form
from tests.gpu.nets import assert_close

ACTIVATIONS = nn.Sigmoid, nn.Tanh, nn.ReLU
WIDTHS = {  # what each layer reads; the last is the number of classes
    "one of everything": (1, 1, 3),
    "one between": (5, 1, 2),
    "odd": (37, 33, 7, 5),
    "a multiple of four and one more": (64, 17, 16, 1, 9),
    "more classes than a warp has threads": (12, 70),
    "more cells than a block has threads": (301, 4, 257, 3),
    "wide rows of more than 1,024 cells": (1028, 3),
}


@pytest.fixture(autouse=True)
def in_general_form(cupy: Any) -> Iterator[None]:
    """One compilation serves all: their sizes are data."""
    with general_form():
        yield


def trained(widths: tuple[int, ...], n: int, device: str, make: Callable[..., Any]) -> list[Any]:
    """Losses, logits and parameters after three steps, of which the last has fewer images."""
    minicnn.manual_seed(2)
    layers: list[nn.Module] = []
    for k, (before, after) in enumerate(pairwise(widths)):
        layers += [nn.Linear(before, after, bias=k != 1), ACTIVATIONS[k % 3](), nn.Dropout(0.2)]
    net = nn.Sequential(*layers[:-1]).to("float64").to(device)
    step = make(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.1, momentum=0.5))
    rng, results = np.random.default_rng(n), []
    for images in (n, n, max(1, n - 2)):
        batch = rng.standard_normal((images, widths[0])), rng.integers(0, widths[-1], images)
        results += [t.numpy().copy() for t in step(*(Tensor(to_device(a, device)) for a in batch))]
    return [*results, *(p.numpy() for p in net.parameters())]


def in_splits(most: int) -> Callable[..., int]:
    """Sums of several terms are split, however short they are."""
    return lambda rows, columns, length: max(1, min(most, length // 4))


@pytest.mark.parametrize("images", [1, 2, 67])
@pytest.mark.parametrize("widths", WIDTHS.values(), ids=WIDTHS)
def test_layers_in_one_launch(widths: tuple[int, ...], images: int) -> None:
    assert_close(
        trained(widths, images, "gpu", minicnn.compile), trained(widths, images, "cpu", EagerStep)
    )


@pytest.mark.parametrize("splits", [1, 4])
@pytest.mark.parametrize("tile", [16, 32, 64])
@pytest.mark.parametrize("widths", WIDTHS.values(), ids=WIDTHS)
def test_layers_as_products(
    widths: tuple[int, ...], tile: int, splits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "WEIGHTS_READ", 0)
    monkeypatch.setattr(linear, "splits_of", in_splits(splits))
    monkeypatch.setattr(products, "tile_of", lambda of: tile)
    assert_close(trained(widths, 67, "gpu", minicnn.compile), trained(widths, 67, "cpu", EagerStep))


@pytest.mark.parametrize("as_products", [False, True])
def test_two_runs_have_the_same_bits(
    as_products: bool, cupy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the order in which threads and blocks run."""
    if as_products:
        monkeypatch.setattr(chain, "WEIGHTS_READ", 0)
        monkeypatch.setattr(linear, "splits_of", in_splits(4))
    runs = []
    for order in (0, 1, 3):
        cupy.set_thread_order(order)
        runs.append(trained(WIDTHS["odd"], 67, "gpu", minicnn.compile))
    for run in runs[1:]:
        for a, b in zip(run, runs[0], strict=True):
            np.testing.assert_array_equal(a, b)


def test_large_layers_are_products_and_small_ones_one_launch() -> None:
    def kernels(*widths: int) -> list[str]:
        net = nn.Sequential(*(nn.Linear(*pair) for pair in pairwise(widths))).to("gpu")
        step: Any = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.1))
        batch = np.ones((3, widths[0]), np.float32), np.zeros(3, np.int64)
        step(*(Tensor(to_device(a, "gpu")) for a in batch))
        return [launch.kernel for launch in step.plan.launches[1:]]  # the first loads the batch

    assert kernels(20, 30, 5) == ["dense_chain_loss", "dense_16", "update_sgd"]
    # 1,600 cells of two images have no room with those of the layer after them
    assert kernels(1600, 40, 5) == ["dense_16", "dense_sum", "dense_chain_loss", "dense_16",
                                    "update_sgd"]  # fmt: skip
