"""nn.Sequential: a list of modules that is a module."""

from typing import Any

import numpy as np
import pytest

from minicnn import nn
from minicnn.nn import functional as F
from tests.nn.blocks import images


def test_sequential_iterates_indexes_and_slices() -> None:
    layers = [nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)]
    net = nn.Sequential(*layers)

    assert list(net) == layers
    assert len(net) == 3
    assert net[0] is layers[0]
    assert net[-1] is layers[2]
    for part in (net[1:], net[-2:]):
        assert isinstance(part, nn.Sequential)
        assert list(part) == layers[1:]
        assert list(part.state_dict()) == ["1.weight", "1.bias"]
    with pytest.raises(IndexError):
        net[3]


def test_sequential_applies_its_modules_in_order() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Tanh(), nn.Linear(3, 4)), nn.ReLU())
    x = images(5, 2)

    y = net(x)
    for layer in net:
        x = layer(x)

    np.testing.assert_array_equal(y.numpy(), x.numpy())
    assert nn.Sequential()(x) is x


def test_append_adds_at_the_end() -> None:
    net = nn.Sequential(nn.ReLU()).append(nn.Linear(1, 1))
    assert list(net.state_dict()) == ["1.weight", "1.bias"]


@pytest.mark.parametrize("wrong", [1, None, [nn.ReLU()], nn.ReLU, F.relu])
def test_sequential_refuses_what_is_no_module(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"^Sequential: wanted modules, received \w+$"):
        nn.Sequential(nn.ReLU(), wrong)


def test_a_parameter_of_a_sequential_is_not_replaced_by_a_number() -> None:
    net: Any = nn.Sequential(nn.ReLU())
    net.scale = nn.Parameter(np.ones(3))
    with pytest.raises(TypeError, match=r"^Sequential: scale is a parameter; wanted a Parameter"):
        net.scale = 3.0
