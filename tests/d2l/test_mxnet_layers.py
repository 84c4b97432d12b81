"""mxnet.gluon: names, shapes, initial weights and layers, as MXNet 1.9.1 had them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.d2l.mxnet_here import mx, mx_np

__all__ = ["mx", "mx_np"]


def lenet(mx: Any) -> Any:
    nn = mx.gluon.nn
    net = nn.Sequential()
    net.add(
        nn.Conv2D(channels=6, kernel_size=5, activation="sigmoid"),
        nn.MaxPool2D(pool_size=2, strides=2),
        nn.Conv2D(channels=16, kernel_size=5, activation="sigmoid"),
        nn.MaxPool2D(pool_size=2, strides=2),
        nn.Dense(120, activation="sigmoid"),
        nn.Dense(84, activation="sigmoid"),
        nn.Dense(10),
    )
    return net


def cells(array: Any) -> list[Any]:
    return np.round(array.asnumpy().ravel().astype(float), 5).tolist()


# Names and printed forms --------------------------------------------------------------------------

BEFORE = """\
Sequential(
  (0): Conv2D(None -> 6, kernel_size=(5, 5), stride=(1, 1), Activation(sigmoid))
  (1): MaxPool2D(size=(2, 2), stride=(2, 2), padding=(0, 0), ceil_mode=False, global_pool=False, \
pool_type=max, layout=NCHW)
  (2): Conv2D(None -> 16, kernel_size=(5, 5), stride=(1, 1), Activation(sigmoid))
  (3): MaxPool2D(size=(2, 2), stride=(2, 2), padding=(0, 0), ceil_mode=False, global_pool=False, \
pool_type=max, layout=NCHW)
  (4): Dense(None -> 120, Activation(sigmoid))
  (5): Dense(None -> 84, Activation(sigmoid))
  (6): Dense(None -> 10, linear)
)"""
AFTER = """\
sequential0_ (
  Parameter conv0_weight (shape=(6, 1, 5, 5), dtype=<class 'numpy.float32'>)
  Parameter conv0_bias (shape=(6,), dtype=<class 'numpy.float32'>)
  Parameter conv1_weight (shape=(16, 6, 5, 5), dtype=<class 'numpy.float32'>)
  Parameter conv1_bias (shape=(16,), dtype=<class 'numpy.float32'>)
  Parameter dense0_weight (shape=(120, 256), dtype=float32)
  Parameter dense0_bias (shape=(120,), dtype=float32)
  Parameter dense1_weight (shape=(84, 120), dtype=float32)
  Parameter dense1_bias (shape=(84,), dtype=float32)
  Parameter dense2_weight (shape=(10, 84), dtype=float32)
  Parameter dense2_bias (shape=(10,), dtype=float32)
)"""


def test_shapes_come_with_the_first_batch(mx: Any) -> None:
    net = lenet(mx)
    assert repr(net) == BEFORE
    assert [layer.name for layer in net] == [
        *("conv0", "pool0", "conv1", "pool1", "dense0", "dense1", "dense2")
    ]
    assert net[0].weight.shape == (6, 0, 5, 5)
    net.initialize()
    assert net(mx.nd.zeros((3, 1, 28, 28))).shape == (3, 10)
    assert repr(net.collect_params()) == AFTER
    assert "Conv2D(6 -> 16," in repr(net[1:3])
    assert len(net[1:3]) == 2
    assert net.collect_params().list_ctx() == [mx.cpu()]
    assert list(net.collect_params("dense1.*")) == ["dense1_weight", "dense1_bias"]


def test_each_kind_is_counted_in_the_process(mx: Any) -> None:
    nn = mx.gluon.nn
    lenet(mx)
    net = nn.HybridSequential()
    with net.name_scope():
        net.add(nn.Dense(3), nn.Dense(2), nn.Activation("relu"))
    net.add(nn.Dense(4))
    assert [net.name, *(block.name for block in net)] == [
        "hybridsequential0",
        "hybridsequential0_dense0",
        "hybridsequential0_dense1",
        "hybridsequential0_relu0",
        "dense3",
    ]
    assert nn.Dense(2, prefix="mine_").weight.name == "mine_weight"
    assert [type(b).__name__ for b in (nn.BatchNorm(), nn.Flatten())] == ["BatchNorm", "Flatten"]


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        (
            "Conv2D(6, (5, 3), 2, (2, 1), in_channels=3, use_bias=False, activation='relu')",
            "Conv2D(3 -> 6, kernel_size=(5, 3), stride=(2, 2), padding=(2, 1), bias=False, "
            "Activation(relu))",
        ),
        (
            "Conv2D(6, 5, dilation=2, groups=2)",
            "Conv2D(None -> 6, kernel_size=(5, 5), stride=(1, 1), dilation=(2, 2), groups=2)",
        ),
        (
            "AvgPool2D((2, 3), padding=(1, 2), strides=(2, 3))",
            "AvgPool2D(size=(2, 3), stride=(2, 3), padding=(1, 2), ceil_mode=False, "
            "global_pool=False, pool_type=avg, layout=NCHW)",
        ),
        (
            "GlobalAvgPool2D()",
            "GlobalAvgPool2D(size=(1, 1), stride=(1, 1), padding=(0, 0), ceil_mode=True, "
            "global_pool=True, pool_type=avg, layout=NCHW)",
        ),
        ("Dropout(0.5)", "Dropout(p = 0.5, axes=())"),
        (
            "BatchNorm()",
            "BatchNorm(axis=1, eps=1e-05, momentum=0.9, fix_gamma=False, use_global_stats=False, "
            "in_channels=None)",
        ),
        ("Dense(3, in_units=4, activation='tanh')", "Dense(4 -> 3, Activation(tanh))"),
        ("Activation('relu')", "Activation(relu)"),
        ("Flatten()", "Flatten"),
        ("Sequential()", "Sequential(\n\n)"),
    ],
)
def test_layers_print_as_in_mxnet(code: str, printed: str, mx: Any) -> None:
    assert repr(eval(code, vars(mx.gluon.nn))) == printed


def test_losses_print_as_in_mxnet(mx: Any) -> None:
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    assert (repr(loss), loss.name) == (
        "SoftmaxCrossEntropyLoss(batch_axis=0, w=None)",
        "softmaxcrossentropyloss0",
    )


# Initial weights ----------------------------------------------------------------------------------


def widest(parameter: Any) -> float:
    return float(np.abs(parameter.data().asnumpy()).max())


def test_weights_begin_within_007_and_biases_with_0(mx: Any) -> None:
    net = lenet(mx)
    net.initialize()
    net(mx.nd.zeros((2, 1, 28, 28)))
    assert 0.0699 < widest(net[4].weight) < 0.07
    assert widest(net[0].bias) == widest(net[6].bias) == 0


def test_a_second_initialize_warns_and_leaves_the_weights(mx: Any) -> None:
    layer = mx.gluon.nn.Dense(3, in_units=400)
    layer.initialize()
    before = layer.weight.data().asnumpy()
    with pytest.warns(UserWarning, match=r"already initialized.*write initialize\(force_reinit=T"):
        layer.initialize(mx.init.One())
    np.testing.assert_array_equal(layer.weight.data().asnumpy(), before)
    layer.initialize(mx.init.One(), force_reinit=True)
    assert cells(layer.weight.data())[:2] == [1, 1]
    assert widest(layer.bias) == 0  # its own initialiser, zeros


def test_xavier_averages_the_fans(mx: Any) -> None:
    net, init = lenet(mx), mx.init
    net.initialize(init.Xavier())
    net(mx.nd.zeros((2, 1, 28, 28)))
    dense, bound = net[4].weight, math.sqrt(3 / ((256 + 120) / 2))  # 0.12632; MXNet drew 0.12631
    assert 0.999 * bound < widest(dense) <= bound
    assert widest(net[2].weight) <= math.sqrt(3 / ((6 * 25 + 16 * 25) / 2))
    net.initialize(init.Xavier("gaussian", "in", 2.24), force_reinit=True)
    assert dense.data().asnumpy().std() == pytest.approx(math.sqrt(2.24 / 256), rel=0.02)
    net.initialize(init.MSRAPrelu(), force_reinit=True)  # 0.10029 in MXNet
    assert dense.data().asnumpy().std() == pytest.approx(math.sqrt(2 / 1.0625 / 188), rel=0.02)
    net.initialize(init.Normal(), force_reinit=True)
    assert dense.data().asnumpy().std() == pytest.approx(0.01, rel=0.02)
    grouped = mx.gluon.nn.Conv2D(40, 3, groups=2, in_channels=20)
    grouped.initialize(init.Xavier())
    assert grouped.weight.shape == (40, 10, 3, 3)
    bound = math.sqrt(3 / ((10 * 9 + 40 * 9) / 2))
    assert 0.99 * bound < widest(grouped.weight) <= bound


def test_a_layers_own_initialisers_come_first(mx: Any) -> None:
    init, Dense = mx.init, mx.gluon.nn.Dense
    layer = Dense(2, weight_initializer=init.Constant(2), bias_initializer="ones", in_units=3)
    layer.initialize(init.Xavier())
    assert cells(layer.weight.data()) == [2] * 6
    assert cells(layer.bias.data()) == [1, 1]


def test_an_initialiser_of_ones_own(mx: Any) -> None:
    seen = []

    class Own(mx.init.Initializer):  # type: ignore[misc]
        def _init_weight(self, name: str, data: Any) -> None:
            seen.append((name, data.shape, mx.autograd.is_recording()))
            data[:] = mx.nd.random.uniform(-10, 10, shape=data.shape)
            data *= data.abs() >= 5

    layer = mx.gluon.nn.Dense(30)
    layer.initialize(Own())
    with mx.autograd.record():
        layer(mx.nd.ones((2, 4)))
    weights = np.abs(layer.weight.data().asnumpy())
    assert seen == [("dense0_weight", (30, 4), False)]
    assert set(np.unique(weights // 5)) == {0, 1}
    assert weights[weights < 5].max() == 0


# What layers compute ------------------------------------------------------------------------------


def test_dense_flattens_unless_told_otherwise(mx: Any) -> None:
    X = mx.nd.arange(24).reshape((2, 3, 4))
    dense, last = mx.gluon.nn.Dense(5), mx.gluon.nn.Dense(5, flatten=False)
    for layer in (dense, last):
        layer.initialize(mx.init.One())
    assert cells(dense(X)) == [66] * 5 + [210] * 5
    assert dense.weight.shape == (5, 12)
    assert last(X).shape == (2, 3, 5)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("MaxPool2D(3)", [10]),
        ("MaxPool2D(3, padding=1, strides=2)", [5, 7, 13, 15]),
        ("MaxPool2D((2, 3), padding=(1, 2), strides=(2, 3))", [0, 3, 8, 11, 12, 15]),
        ("MaxPool2D(3, padding=2)", [0, 3, 12, 15]),
        ("MaxPool2D(3, strides=2, ceil_mode=True)", [10, 11, 14, 15]),
        ("AvgPool2D(3, padding=1, strides=2)", [1.11111, 2.66667, 5.66667, 10]),
        ("AvgPool2D(3, padding=1, strides=2, count_include_pad=False)", [2.5, 4, 8.5, 10]),
        ("AvgPool2D(3, strides=2, ceil_mode=True)", [5, 6.5, 11, 12.5]),
        (
            "AvgPool2D(3, strides=2, padding=1, ceil_mode=True)",
            [1.11111, 2.66667, 1.66667, 5.66667, 10, 5.5, 4.16667, 7, 3.75],
        ),
        ("GlobalAvgPool2D()", [7.5]),
        ("GlobalMaxPool2D()", [15]),
    ],
)
def test_pooling(code: str, expected: list[float], mx: Any) -> None:
    layer = eval(code, vars(mx.gluon.nn))
    X = mx.nd.arange(16).reshape((1, 1, 4, 4))
    assert cells(layer(X)) == expected


def test_batch_norm_moves_in_backward_by_the_biased_variance(mx: Any) -> None:
    layer, X = mx.gluon.nn.BatchNorm(), mx.nd.array([[1, 2], [3, 5], [4, 4]])
    layer.initialize()
    np.testing.assert_allclose(layer(X).asnumpy(), X.asnumpy() * 0.999995, rtol=1e-6)
    with mx.autograd.record():
        y = layer(X)
    assert cells(y) == [-1.3363, -1.3363, 0.26726, 1.06904, 1.06904, 0.26726]
    assert cells(layer.running_mean.data()) == [0, 0]
    y.backward()
    assert cells(layer.running_mean.data()) == [0.26667, 0.36667]
    assert cells(layer.running_var.data()) == [1.05556, 1.05556]
    assert list(layer.collect_params()) == [
        f"batchnorm0_{name}" for name in ("gamma", "beta", "running_mean", "running_var")
    ]


def test_dropout_drops_inside_record_alone(mx: Any) -> None:
    layer, X = mx.gluon.nn.Dropout(0.25), mx.nd.ones((40, 50))
    assert layer(X).asnumpy().min() == 1
    with mx.autograd.record():
        y = layer(X).asnumpy()
        with mx.autograd.predict_mode():
            assert layer(X).asnumpy().min() == 1
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.04)


# Blocks of one's own, parameters ------------------------------------------------------------------


def test_a_block_of_ones_own(mx: Any) -> None:
    nd, nn = mx.nd, mx.gluon.nn

    class Corr(mx.gluon.nn.Block):  # type: ignore[misc]
        def __init__(self, kernel_size: Any, **options: Any):
            super().__init__(**options)
            self.weight = self.params.get("weight", shape=kernel_size)
            self.bias = self.params.get("bias", shape=(1,))
            self.dense = nn.Dense(1)

        def forward(self, x: Any) -> Any:
            return self.dense(nd.dot(x, self.weight.data()) + self.bias.data())

    net = Corr((3, 2))
    net.initialize()
    with mx.autograd.record():
        loss = net(nd.ones((4, 3))).sum()
    loss.backward()
    assert list(net.collect_params()) == [
        *("corr0_weight", "corr0_bias", "dense0_weight", "dense0_bias")
    ]
    assert repr(net) == "Corr(\n  (dense): Dense(2 -> 1, linear)\n)"
    assert 0 < widest(net.bias) < 0.07  # uniform: its name alone makes it no zero
    np.testing.assert_allclose(
        net.weight.grad().asnumpy(), np.tile(4 * net.dense.weight.data().asnumpy(), (3, 1))
    )


def test_two_layers_share_parameters(mx: Any) -> None:
    nn = mx.gluon.nn
    net, shared = nn.Sequential(), nn.Dense(3, in_units=3)
    net.add(shared, nn.Dense(3, in_units=3, params=shared.params))
    net.initialize(mx.init.One())
    net[1].weight.data()[:] = 2
    assert net[0].weight is net[1].weight
    assert list(net.collect_params()) == ["dense0_weight", "dense0_bias"]
    with mx.autograd.record():
        loss = net(mx.nd.ones((1, 3))).sum()
    loss.backward()
    np.testing.assert_allclose(net[0].weight.grad().asnumpy(), np.full((3, 3), 12))


def test_a_hybrid_block_of_the_older_way(mx: Any) -> None:
    class Net(mx.gluon.nn.HybridBlock):  # type: ignore[misc]
        def __init__(self, **options: Any):
            super().__init__(**options)
            self.hidden = mx.gluon.nn.Dense(4)

        def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803
            return F.relu(self.hidden(x)) * F.ones((1,))

    net = Net()
    net.initialize()
    net.hybridize()
    assert net(mx.nd.ones((2, 3))).shape == (2, 4)


def test_weights_are_written_in_place(mx: Any) -> None:
    layer = mx.gluon.nn.Conv2D(1, kernel_size=(1, 2), in_channels=1)
    layer.initialize(mx.init.One())
    layer.weight.data()[:] -= 0.25 * mx.nd.ones((1, 1, 1, 2))
    layer.bias.data()[0] = 3
    assert cells(layer(mx.nd.ones((1, 1, 1, 4)))) == [4.5, 4.5, 4.5]
    layer.weight.set_data(mx.nd.zeros((1, 1, 1, 2)))
    assert cells(layer(mx.nd.ones((1, 1, 1, 2)))) == [3]
    with pytest.raises(ValueError, match=r"conv0_weight has shape \(1, 1, 1, 2\)"):
        layer.weight.set_data(mx.nd.zeros((1, 1, 2, 2)))


def test_parameters_are_saved_by_their_places(mx: Any, tmp_path: Path) -> None:
    X = mx.nd.random.uniform(shape=(2, 1, 28, 28))
    net, other = lenet(mx), lenet(mx)
    net.initialize(mx.init.Xavier())
    expected = net(X).asnumpy()
    net.save_parameters(tmp_path / "net.params")
    other.load_parameters(tmp_path / "net.params", ctx=mx.cpu())
    np.testing.assert_array_equal(other(X).asnumpy(), expected)


def test_after_set_np_nets_take_and_give_np_arrays(mx_np: Any) -> None:
    layer = mx_np.gluon.nn.Dense(3)
    layer.initialize()
    assert repr(layer.weight) == "Parameter dense0_weight (shape=(3, -1), dtype=float32)"
    y = layer(mx_np.np.ones((2, 4)))
    assert {type(a).__name__ for a in (y, layer.weight.data(), layer.bias.grad())} == {"ndarray"}
    with pytest.raises(TypeError, match=r"input is NDArray; wanted .*: np\.array\(x\)"):
        layer(mx_np.nd.ones((2, 4)))
    mx_np.npx.reset_np()
    with pytest.raises(TypeError, match=r"call npx\.set_np\(\) first"):
        layer(mx_np.np.ones((2, 4)))
