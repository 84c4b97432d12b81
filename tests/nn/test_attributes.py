"""nn.Module: parameters, buffers and modules register by assignment."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn import Tensor, nn
from tests.nn.blocks import Block, images


def test_parameters_buffers_and_modules_register_by_assignment() -> None:
    block = Block()

    assert [name for name, _ in block.named_parameters()] == [
        "scale",
        "conv.weight",
        "conv.bias",
        "norm.weight",
        "norm.bias",
        "head.1.0.weight",
        "head.1.0.bias",
    ]
    assert [name for name, _ in block.named_modules()] == [
        "",
        "conv",
        "norm",
        "head",
        "head.0",
        "head.1",
        "head.1.0",
        "head.1.1",
    ]
    assert list(block.children()) == [block.conv, block.norm, block.head]
    assert list(block.parameters()) == [p for _, p in block.named_parameters()]
    assert next(iter(block.modules())) is block
    assert all(p.requires_grad for p in block.parameters())


def test_a_plain_tensor_is_no_part_of_the_state() -> None:
    module = nn.Module()
    module.constant = Tensor([1.0])
    module.number = 3
    assert module.state_dict() == {}


def test_a_replacement_takes_the_place_of_the_original() -> None:
    block = Block()
    names = list(block.state_dict())

    block.conv = nn.Conv2d(2, 3, 3)
    block.scale = nn.Parameter([2.0])
    block.offset = Tensor([3.0])

    assert list(block.state_dict()) == names
    assert block.state_dict()["scale"].item() == 2
    assert block.state_dict()["offset"].item() == 3


def test_a_replacement_of_another_kind_leaves_no_trace() -> None:
    block: Any = Block()

    block.norm = None
    block.conv = nn.Parameter([1.0])
    block.offset = nn.Parameter([2.0])

    assert [name for name, _ in block.named_parameters()] == [
        "scale",
        "conv",
        "offset",
        "head.1.0.weight",
        "head.1.0.bias",
    ]
    assert [name for name, _ in block.named_modules()][:2] == ["", "head"]


def test_what_is_deleted_is_gone() -> None:
    block = Block()

    del block.conv, block.norm, block.scale, block.offset

    assert list(block.state_dict()) == ["head.1.0.weight", "head.1.0.bias"]
    assert [name for name, _ in block.named_modules()][1] == "head"
    assert not hasattr(block, "conv")
    with pytest.raises(AttributeError, match="conv"):
        del block.conv


def test_only_tensors_are_buffers() -> None:
    with pytest.raises(TypeError, match=r"^register_buffer: mean is a ndarray; wanted a Tensor$"):
        nn.Module().register_buffer("mean", np.zeros(3))  # type: ignore[arg-type]


def test_a_buffer_is_saved_and_moved_but_not_learnt() -> None:
    module: Any = nn.Module()
    module.register_buffer("mean", Tensor([1.0, 2.0]))

    module.to("float64")

    assert list(module.parameters()) == []
    assert module.mean.dtype == np.float64
    assert module.state_dict()["mean"].dtype == np.float64


@pytest.mark.parametrize("part", [nn.ReLU, lambda: nn.Parameter([1.0])])
def test_forgetting_super_init_is_named(part: Callable[[], Any]) -> None:
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            self.part = part()

    with pytest.raises(
        AttributeError, match=r"^Forgetful: call super\(\).__init__\(\) before assigning part$"
    ):
        Forgetful()


def test_shared_parts_are_listed_once_and_saved_under_each_name() -> None:
    layer, activation = nn.Linear(3, 3), nn.ReLU()
    net = nn.Sequential(layer, activation, layer, activation)
    tied = nn.Linear(3, 3)
    tied.weight = layer.weight
    net.append(tied)

    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "4.bias"]
    assert [name for name, _ in net.named_modules()] == ["", "0", "1", "4"]
    assert list(net.children()) == [layer, activation, tied]
    assert list(net.state_dict()) == [
        f"{i}.{name}" for i in (0, 2, 4) for name in ("weight", "bias")
    ]
    assert len(list(net)) == len(net) == 5


def test_gradients_of_a_shared_layer_add_up() -> None:
    layer = nn.Linear(2, 2, bias=False)
    x = images(3, 2, dtype="float64")
    layer.to("float64")

    nn.Sequential(layer, layer)(x).sum().backward()

    assert layer.weight.grad is not None
    shared = layer.weight.grad.numpy()
    first, second = copy.deepcopy(layer), copy.deepcopy(layer)
    first.zero_grad()
    second.zero_grad()
    second(first(x)).sum().backward()
    assert first.weight.grad is not None
    assert second.weight.grad is not None
    np.testing.assert_allclose(shared, first.weight.grad.numpy() + second.weight.grad.numpy())


def test_a_module_without_forward_says_so() -> None:
    with pytest.raises(NotImplementedError, match=r"^Silent has no forward\(\)$"):
        type("Silent", (nn.Module,), {})()(1)
