"""minicnn.nn's summary: shapes, parameters and work, layer by layer."""

import numpy as np
import pytest

import minicnn
from minicnn import models, nn, no_grad
from minicnn.nn.summary import table
from tests.nn.blocks import Block, assert_same, images, lazy_net, values


def test_summary_of_lenet_shows_the_chapters_shapes(capsys: pytest.CaptureFixture[str]) -> None:
    models.lenet().summary((1, 1, 28, 28))

    # multiply-adds: 28·28·6·25, 10·10·16·6·25, 400·120, 120·84, 84·10
    assert capsys.readouterr().out == (
        "layer      output shape     parameters  multiply-adds\n"
        "-----------------------------------------------------\n"
        "Conv2d     (1, 6, 28, 28)          156        117,600\n"
        "Sigmoid    (1, 6, 28, 28)            0              0\n"
        "AvgPool2d  (1, 6, 14, 14)            0              0\n"
        "Conv2d     (1, 16, 10, 10)       2,416        240,000\n"
        "Sigmoid    (1, 16, 10, 10)           0              0\n"
        "AvgPool2d  (1, 16, 5, 5)             0              0\n"
        "Flatten    (1, 400)                  0              0\n"
        "Linear     (1, 120)             48,120         48,000\n"
        "Sigmoid    (1, 120)                  0              0\n"
        "Linear     (1, 84)              10,164         10,080\n"
        "Sigmoid    (1, 84)                   0              0\n"
        "Linear     (1, 10)                 850            840\n"
        "-----------------------------------------------------\n"
        "total                           61,706        416,520\n"
    )


def test_summary_of_the_first_editions_net() -> None:
    lines = table(models.build("lenet-max"), (1, 1, 28, 28)).splitlines()
    shapes = [line.split("(")[1].split(")")[0] for line in lines if "(" in line]

    assert [shape for i, shape in enumerate(shapes) if i in (0, 2, 3, 5, 6)] == [
        "1, 6, 24, 24",
        "1, 6, 12, 12",
        "1, 16, 8, 8",
        "1, 16, 4, 4",
        "1, 256",
    ]
    # 24·24·6·25 + 8·8·16·6·25 + 256·120 + 120·84 + 84·10
    assert lines[-1].split() == ["total", "44,426", "281,640"]


def test_summary_of_a_batch_multiplies_the_work_not_the_parameters() -> None:
    lines = table(models.lenet(), (3, 1, 28, 28)).splitlines()
    assert "(3, 16, 10, 10)" in lines[5]
    assert lines[-1].split() == ["total", "61,706", "1,249,560"]


def test_summary_counts_groups_and_rows() -> None:
    conv = nn.Conv2d(4, 6, (3, 2), groups=2)
    assert conv.multiply_adds((), conv(images(1, 4, 5, 5))) == (3 * 4) * 6 * (2 * 3 * 2)
    linear = nn.Linear(5, 3)
    assert linear.multiply_adds((), linear(images(2, 7, 5))) == 14 * 15


def test_summary_sizes_lazy_layers_and_lists_each_once() -> None:
    net = lazy_net()
    lines = table(net, (2, 1, 28, 28)).splitlines()

    assert [line.split()[0] for line in lines[2:-2]] == [
        "Conv2d",
        "Sigmoid",
        "AvgPool2d",
        "Flatten",
        "Linear",
    ]
    assert type(net[4]) is nn.Linear
    assert net[4].in_features == 1176


def test_summary_leaves_the_net_as_it_was() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(), nn.ReLU())
    net[2].eval()
    seen: list[nn.Module] = []
    net[3].register_forward_hook(lambda m, *_: seen.append(m))
    before, modes = values(net), [m.training for m in net.modules()]

    table(net, (2, 1, 6, 6))

    assert_same(values(net), before)
    assert [m.training for m in net.modules()] == modes
    assert [len(m._forward_hooks) for m in net.modules()] == [0, 0, 0, 0, 1]
    assert len(seen) == 1
    assert all(p.grad is None for p in net.parameters())


def test_summary_cleans_up_after_an_input_that_does_not_fit() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout())
    with pytest.raises(ValueError, match="channels"):
        net.summary((1, 3, 6, 6))
    assert all(m.training for m in net.modules())
    assert not any(m._forward_hooks for m in net.modules())


def test_summary_draws_no_random_numbers_and_follows_the_nets_dtype() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.Dropout()).to("float64")
    minicnn.manual_seed(1)
    expected = minicnn.rand(3).numpy()
    minicnn.manual_seed(1)
    table(net, (2, 3))
    np.testing.assert_array_equal(minicnn.rand(3).numpy(), expected)


def test_a_net_under_no_grad_records_nothing() -> None:
    net = Block()
    with no_grad():
        y = net(images(2, 2, 4, 4))
    assert not y.requires_grad


def test_summary_of_no_picture_at_all() -> None:
    assert "(0, 2)" in table(nn.Linear(3, 2), (0, 3))
    with pytest.raises(ValueError, match=r"^summary: a size of input_shape is -1; wanted an int"):
        table(nn.Linear(3, 2), (-1, 3))
