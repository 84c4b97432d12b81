"""Lazy layers: sized by their first input or a loaded state."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn
from tests.nn.blocks import assert_same, images, lazy_net, values


def test_lazy_layers_become_plain_ones_at_their_first_input() -> None:
    net = lazy_net()

    y = net(images(2, 3, 8, 8))

    assert y.shape == (2, 10)
    conv, linear = net[0], net[4]
    assert type(conv) is nn.Conv2d
    assert type(linear) is nn.Linear
    assert conv.in_channels == 3
    assert linear.in_features == 6 * 4 * 4
    assert "Lazy" not in repr(net)
    assert sum(p.size for p in net.parameters()) == 6 * 3 * 25 + 6 + 96 * 10 + 10
    y.sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_lazy_layers_draw_the_weights_of_plain_ones() -> None:
    lazy = nn.LazyConv2d(4, (3, 2), (2, 1), 1, 2, 2, bias=False)
    lazy(images(1, 6, 9, 9))
    minicnn.manual_seed(7)  # as the fixture did
    plain = nn.Conv2d(6, 4, (3, 2), (2, 1), 1, 2, 2, bias=False)

    assert_same(values(lazy), values(plain))
    assert repr(lazy) == repr(plain)


@pytest.mark.parametrize(
    "use",
    [
        lambda net: list(net.parameters()),
        lambda net: list(net.named_parameters()),
        lambda net: net.state_dict(),
        lambda net: net.zero_grad(),
        lambda net: minicnn.optim.SGD(net.parameters()),
        lambda net: net.load_state_dict({}, strict=False),
    ],
)
@pytest.mark.parametrize("layer", [nn.LazyLinear(2), nn.LazyConv2d(2, 3)])
def test_lazy_layers_have_no_parameters_before(
    use: Callable[[nn.Module], Any], layer: nn.Module
) -> None:
    with pytest.raises(RuntimeError, match=r"^Lazy\w+ has no parameters before its first input:"):
        use(nn.Sequential(nn.ReLU(), layer))


def test_lazy_layers_keep_mode_and_hooks_and_call_these_once() -> None:
    layer, seen = nn.LazyLinear(2), list[str]()
    layer.eval()
    handle = layer.register_forward_hook(lambda m, *_: seen.append(type(m).__name__))

    layer(images(3, 4))
    assert seen == ["Linear"]
    assert not layer.training
    handle.remove()
    layer(images(3, 4))
    assert seen == ["Linear"]


def test_lazy_layers_follow_the_dtype_of_their_input() -> None:
    net = lazy_net().to("float64")
    assert net(images(1, 1, 4, 4, dtype="float64")).dtype == np.float64
    assert {p.dtype for p in net.parameters()} == {np.dtype(np.float64)}
    with pytest.raises(TypeError, match="int64"):
        nn.LazyLinear(2)(Tensor(np.ones((2, 3), np.int64)))


def test_apply_reaches_lazy_layers_before_and_after() -> None:
    net, before, after = lazy_net(), list[str](), list[str]()
    net.apply(lambda m: before.append(type(m).__name__))
    net(images(1, 1, 4, 4))
    net.apply(lambda m: after.append(type(m).__name__))

    assert before[0] == "LazyConv2d"
    assert after[0] == "Conv2d"


def test_lazy_layers_take_their_sizes_from_a_loaded_state() -> None:
    trained, fresh = lazy_net(), lazy_net()
    x = images(2, 3, 8, 8)
    trained(x)

    fresh.load_state_dict(trained.state_dict())

    assert type(fresh[0]) is nn.Conv2d
    assert type(fresh[4]) is nn.Linear
    np.testing.assert_array_equal(fresh(x).numpy(), trained(x).numpy())


def test_lazy_convolution_in_groups_takes_its_size_from_a_loaded_state() -> None:
    plain, lazy = nn.Conv2d(6, 4, 3, groups=2), nn.LazyConv2d(4, 3, groups=2)
    lazy.load_state_dict(plain.state_dict())
    assert lazy.in_channels == 6


def test_lazy_layers_refuse_impossible_first_inputs_and_stay_lazy() -> None:
    conv, linear = nn.LazyConv2d(6, 3, groups=3), nn.LazyLinear(2)
    with pytest.raises(ValueError, match="groups is 3"):
        conv(images(1, 4, 5, 5))
    with pytest.raises(ValueError, match=r"input has shape \(\); wanted"):
        linear(Tensor(1.0))
    assert type(conv) is nn.LazyConv2d
    assert type(linear) is nn.LazyLinear
