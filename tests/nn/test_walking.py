"""nn.Module: apply, modes, moving, hooks, the repr, copies."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn import Tensor, nn
from minicnn.nn.module import RemovableHandle
from tests.nn.blocks import Block, assert_same, images, values


def test_apply_goes_from_the_inside_out_and_returns_the_module() -> None:
    block, order = Block(), list[nn.Module]()

    returned = block.apply(order.append)

    assert returned is block
    assert [type(m).__name__ for m in order] == [
        "Conv2d",
        "BatchNorm2d",
        "Flatten",
        "Linear",
        "ReLU",
        "Sequential",
        "Sequential",
        "Block",
    ]


def test_train_and_eval_reach_every_module() -> None:
    block = Block()

    assert all(m.training for m in block.modules())
    assert block.eval() is block
    assert not any(m.training for m in block.modules())
    assert block.train() is block
    assert all(m.training for m in block.modules())
    block.head.eval()
    assert [m.training for m in block.modules()] == [True] * 3 + [False] * 5


def test_to_converts_floating_point_numbers_in_place() -> None:
    block = Block()
    block(images(2, 2, 4, 4)).sum().backward()
    parameters = list(block.parameters())

    assert block.to("float64") is block

    assert all(a is b for a, b in zip(block.parameters(), parameters, strict=True))
    for name, tensor in block.state_dict().items():
        tracked = name.endswith("num_batches_tracked")
        assert tensor.dtype == (np.int64 if tracked else np.float64), name
    for p in parameters:
        assert p.grad is not None
        assert p.grad.dtype == np.float64
    assert block(images(2, 2, 4, 4, dtype="float64")).dtype == np.float64


def test_to_cpu_changes_nothing() -> None:
    block = Block()
    arrays = [p.data for p in block.parameters()]

    block.to("cpu")

    assert all(p.data is array for p, array in zip(block.parameters(), arrays, strict=True))


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_a_net_cannot_be_made_of_integers(dtype: str) -> None:
    net = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=rf"^to: a net in {dtype}; wanted float32 or float64$"):
        net.to(dtype)
    assert net.weight.dtype == np.float32


def test_zero_grad_forgets_all_gradients() -> None:
    block = Block()
    block(images(2, 2, 4, 4)).sum().backward()
    assert all(p.grad is not None for p in block.parameters())

    block.zero_grad()

    assert all(p.grad is None for p in block.parameters())


def test_forward_hooks_see_inputs_and_output_until_removed() -> None:
    layer, seen = nn.ReLU(), list[tuple[Any, ...]]()
    x = Tensor([-1.0, 1.0])

    handle = layer.register_forward_hook(lambda *received: seen.append(received))
    y = layer(x)
    handle.remove()
    layer(x)

    assert isinstance(handle, RemovableHandle)
    assert len(seen) == 1
    module, inputs, output = seen[0]
    assert module is layer
    assert inputs == (x,)
    assert output is y


def test_a_hook_may_remove_itself() -> None:
    layer, seen = nn.ReLU(), list[str]()
    handles: list[RemovableHandle] = []

    def first(*_: Any) -> None:
        seen.append("first")
        handles[0].remove()

    handles.append(layer.register_forward_hook(first))
    layer.register_forward_hook(lambda *_: seen.append("second"))
    layer(Tensor([1.0]))
    layer(Tensor([1.0]))

    assert seen == ["first", "second", "second"]


def test_repr_shows_the_tree_of_layers() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.Sequential(nn.BatchNorm2d(6), nn.MaxPool2d(2), nn.AvgPool2d((2, 3), stride=1)),
        nn.Conv2d(4, 6, (1, 2), (2, 1), "valid", 2, 2, bias=False),
        nn.Dropout(0.25),
        nn.Linear(3, 4, bias=False),
        nn.LazyConv2d(3, 5),
        nn.LazyLinear(4),
        nn.Flatten(),
    )
    assert repr(net) == "\n".join(
        [
            "Sequential(",
            "  (0): Conv2d(1, 6, kernel_size=(5, 5), padding=2)",
            "  (1): Sequential(",
            "    (0): BatchNorm2d(6, eps=1e-05, momentum=0.1)",
            "    (1): MaxPool2d(2, stride=2, padding=0)",
            "    (2): AvgPool2d((2, 3), stride=1, padding=0)",
            "  )",
            "  (2): Conv2d(4, 6, kernel_size=(1, 2), stride=(2, 1), padding='valid', dilation=2, "
            "groups=2, bias=False)",
            "  (3): Dropout(p=0.25)",
            "  (4): Linear(3, 4, bias=False)",
            "  (5): LazyConv2d(3, kernel_size=(5, 5))",
            "  (6): LazyLinear(4)",
            "  (7): Flatten()",
            ")",
        ]
    )
    assert repr(nn.Sequential()) == "Sequential()"


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copied_net_computes_the_same_and_shares_nothing(copied: Callable[[Any], Any]) -> None:
    net = Block()
    x = images(2, 2, 4, 4)
    net(x)

    twin = copied(net)
    assert_same(values(twin), values(net))
    assert twin.conv.weight is dict(twin.named_parameters())["conv.weight"]
    np.testing.assert_array_equal(twin.eval()(x).numpy(), net.eval()(x).numpy())
    twin.conv.weight.data += 1
    twin.norm.running_mean.data += 1

    assert not np.array_equal(twin.conv.weight.numpy(), net.conv.weight.numpy())
    assert not np.array_equal(values(twin)["norm.running_mean"], values(net)["norm.running_mean"])


def test_a_copied_lazy_net_is_still_lazy() -> None:
    net = nn.Sequential(nn.LazyLinear(3))
    twin = pickle.loads(pickle.dumps(copy.deepcopy(net)))
    assert twin(images(2, 5)).shape == (2, 3)
    assert type(net[0]) is nn.LazyLinear
