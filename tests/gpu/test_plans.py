"""Plans of compiled steps on a GPU: what they say of their launches, and how these are cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn, optim
from minicnn.compiler.gpu import chain, norm, products
from minicnn.device import to_device
from tests.gpu.general import general_form

pytestmark = pytest.mark.usefixtures("cupy")


def step_of(net: nn.Module, x: np.ndarray) -> Any:
    """A step that was called with x, of which the plan is asked."""
    net(Tensor(x[:2]))
    step = minicnn.compile(
        net.to("gpu"), nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.1)
    )
    with general_form():
        step(Tensor(to_device(x, "gpu")), Tensor(to_device(np.zeros(len(x), int), "gpu")))
    return step


def pictures(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def dense_net(first: int = 12) -> nn.Sequential:
    return nn.Sequential(nn.Linear(first, 20), nn.Tanh(), nn.Linear(20, 7))


@pytest.mark.parametrize("learns", [True, False])
def test_a_dense_gradient_that_is_waited_for_takes_along_what_there_is(
    learns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "WEIGHTS_READ", 0)  # each layer has launches of its own
    net = dense_net()
    for p in list(net.parameters())[2:]:
        p.requires_grad = learns
    lines = {line.name: line for line in step_of(net, pictures(4, 12)).plan.lines}
    assert ("dense dinput, dweight, dbias" in lines) == learns
    assert ("dense dinput" in lines) == (not learns)
    # x, dy, dweight and dbias of the first layer, each cell once
    assert lines["dense dweight, dbias"].bytes == 4 * (4 * 12 + 4 * 20 + 20 * 12 + 20)


def test_the_column_of_a_bias_is_one_more_in_the_tiles_that_are_split(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chain, "WEIGHTS_READ", 0)
    monkeypatch.setattr(products, "ENOUGH", 4)
    monkeypatch.setattr(products, "LONG", 1)
    # two rows of tiles; the bias of 16 cells begins a second column, of which none is split
    for cells, tiles, splits in ((15, 2, 2), (16, 4, 1)):
        lines = step_of(nn.Sequential(nn.Linear(cells, 20)), pictures(4, cells)).plan.lines
        (grid,) = (line.grid for line in lines if line.name == "dense dweight, dbias")
        assert grid == (tiles * splits,)


def test_an_activation_is_applied_by_the_convolution_before_it() -> None:
    layers = nn.Conv2d(2, 3, 2), nn.Tanh(), nn.Flatten(), nn.LazyLinear(5)
    lines = step_of(nn.Sequential(*layers), pictures(4, 2, 5, 5)).plan.lines
    assert not [line.name for line in lines if line.kernel == "activate"]


def test_a_pooling_says_the_shapes_of_an_image() -> None:
    layers = nn.Conv2d(2, 3, 2), nn.Tanh(), nn.MaxPool2d(3, stride=2), nn.Flatten()
    lines = step_of(nn.Sequential(*layers, nn.LazyLinear(5)), pictures(4, 2, 9, 9)).plan.lines
    (what,) = (line.what for line in lines if line.name == "max pool dinput")
    assert what == "3x3x3 -> 3x8x8"


def test_a_thread_has_four_cells_of_what_goes_cell_by_cell() -> None:
    lines = step_of(nn.Sequential(nn.Tanh(), nn.Linear(256, 2)), pictures(16, 256)).plan.lines
    (grid,) = (line.grid for line in lines if line.kernel == "activate")
    assert grid == (16 * 256 // (4 * 256),)


@pytest.mark.parametrize(("images", "splits"), [(8, 8), (40, 32)])  # one for each lane, at most
def test_a_channel_is_split_among_as_many_blocks_as_keep_a_gpu_busy(
    images: int, splits: int
) -> None:
    channels, cells = 3, norm.CELLS
    layers = nn.BatchNorm2d(channels), nn.Flatten(), nn.LazyLinear(2)
    lines = step_of(nn.Sequential(*layers), pictures(images, channels, cells, 1)).plan.lines
    (grid,) = (line.grid for line in lines if line.kernel == "norm_forward")
    assert grid == (channels * splits,)


def test_parameters_that_are_other_arrays_at_the_same_place_are_the_plans() -> None:
    net = dense_net()
    step = step_of(net, pictures(4, 12))
    engine, p = step._engine_of_last_call(), next(net.parameters())
    p.data = p.data[:]
    assert engine.is_current()
    p.data = p.data.copy()
    assert not engine.is_current()
