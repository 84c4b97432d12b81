"""Losses, trainers and the book's helpers under mxnet. Figures of MXNet 1.9.1."""

from __future__ import annotations

import importlib
import re
from typing import Any

import numpy as np
import pytest

from minicnn.d2l.facades import helpers
from tests.d2l.few import SAMPLE
from tests.d2l.mxnet_here import mx, mx_np

__all__ = ["mx", "mx_np"]


# Losses -------------------------------------------------------------------------------------------

SCORES = [[1, 2, 3], [4, 1, 0.5]]


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
def test_cross_entropy_is_a_loss_for_each_example(dtype: str, mx: Any) -> None:
    nd, loss = mx.nd, mx.gluon.loss.SoftmaxCrossEntropyLoss()
    scores = nd.array(SCORES)
    scores.attach_grad()
    with mx.autograd.record():
        losses = loss(scores, nd.array([2, 0], dtype=dtype))
    np.testing.assert_allclose(losses.asnumpy(), [0.4076060, 0.0769459], rtol=3e-5)
    losses.backward()
    expected = [[0.090031, 0.244728, -0.334759], [-0.074060, 0.046100, 0.027961]]
    np.testing.assert_allclose(scores.grad.asnumpy(), expected, atol=4e-6)


def test_other_forms_of_cross_entropy(mx: Any) -> None:
    nd, gloss = mx.nd, mx.gluon.loss
    scores, y = nd.array(SCORES), nd.array([2, 0])
    plain = gloss.SoftmaxCrossEntropyLoss()(scores, y).asnumpy()
    one_hot = nd.one_hot(y, 3)
    for losses in (
        gloss.SoftmaxCrossEntropyLoss(sparse_label=False)(scores, one_hot),
        gloss.SoftmaxCrossEntropyLoss(from_logits=True)(nd.log_softmax(scores), y),
        gloss.SoftmaxCELoss()(scores, y.reshape((2, 1))),
        gloss.SoftmaxCrossEntropyLoss(weight=2)(scores, y) / 2,
        gloss.SoftmaxCrossEntropyLoss()(scores, y, nd.array([[3], [3]])) / 3,
    ):
        np.testing.assert_allclose(losses.asnumpy(), plain, rtol=1e-5)


def test_l2_loss_halves_and_averages(mx: Any) -> None:
    nd, loss = mx.nd, mx.gluon.loss.L2Loss()
    X = nd.array(SCORES)
    assert loss(X, X + nd.array([[2], [4]])).asnumpy().tolist() == [2, 8]
    assert loss(nd.array([1, 2, 3]), nd.array([[1], [2], [4]])).asnumpy().tolist() == [0, 0, 0.5]


# Trainers -----------------------------------------------------------------------------------------

# Optimiser, its settings, the learning rate from the third step on; weights and bias after four
# steps, from MXNet 1.9.1.
STEPS: list[tuple[str, dict[str, float], float | None, list[float]]] = [
    ("sgd", {}, None, [0.731992, 0.622459, -0.109533]),
    ("sgd", {"learning_rate": 0.1, "wd": 0.5}, None, [0.480475, 0.372369, -0.108106]),
    (
        "sgd",
        {"learning_rate": 0.1, "momentum": 0.9, "wd": 0.01},
        None,
        [0.965872, 1.041637, 0.075765],
    ),
    (
        "sgd",
        {"learning_rate": 0.1, "momentum": 0.9, "wd": 0.01},
        0.02,
        [-0.06225, -0.443766, -0.381516],
    ),
    ("sgd", {"learning_rate": 0.1, "clip_gradient": 0.5}, None, [0.8, 0.8, -0.2]),
    ("nag", {"learning_rate": 0.1, "momentum": 0.9}, 0.02, [1.258733, 1.449485, 0.190751]),
    ("adam", {}, None, [0.996, 0.996, -0.004]),
    ("adam", {"learning_rate": 0.05, "wd": 0.1}, None, [0.801467, 0.801495, -0.198397]),
    ("adam", {"learning_rate": 0.05, "epsilon": 0.5}, 0.01, [0.951354, 0.941279, -0.026486]),
    ("adadelta", {}, None, [0.959327, 0.959334, -0.040648]),
    ("adadelta", {"rho": 0.8, "epsilon": 0.01}, None, [0.425151, 0.431738, -0.550389]),
]


@pytest.mark.parametrize(("name", "settings", "later", "expected"), STEPS)
def test_steps_are_mxnets(
    name: str, settings: dict[str, float], later: float | None, expected: list[float], mx: Any
) -> None:
    nd, layer = mx.nd, mx.gluon.nn.Dense(1, in_units=2)
    layer.initialize(mx.init.One())
    trainer = mx.gluon.Trainer(layer.collect_params(), name, settings)
    loss, X, y = mx.gluon.loss.L2Loss(), nd.array([[1, 2], [3, 4]]), nd.array([1, 2])
    for i in range(4):
        with mx.autograd.record():
            losses = loss(layer(X), y)
        losses.backward()
        if later is not None and i == 2:
            trainer.set_learning_rate(later)
            assert trainer.learning_rate == later
        trainer.step(2)
    found = [*layer.weight.data().asnumpy().ravel(), layer.bias.data().asscalar()]
    np.testing.assert_allclose(found, expected, atol=2.5e-6)


def test_the_sum_of_losses_is_divided_by_the_batch_size(mx: Any) -> None:
    layer = mx.gluon.nn.Dense(1, in_units=2, use_bias=False)
    layer.initialize(mx.init.Zero())
    trainer = mx.gluon.Trainer(layer.collect_params(), "sgd", {"learning_rate": 1})
    for size in (3, 12):
        with mx.autograd.record():
            out = layer(mx.nd.array([[1, 2], [3, 4], [5, 6]]))
        out.backward()
        trainer.step(size)
    np.testing.assert_allclose(layer.weight.data().asnumpy(), [[-3.75, -5]], rtol=1e-6)


def test_parameters_may_be_left_out(mx: Any) -> None:
    nn = mx.gluon.nn
    used, unused, fixed = (nn.Dense(1, in_units=1, use_bias=False) for _ in range(3))
    for layer in (used, unused, fixed):
        layer.initialize(mx.init.One())
    fixed.collect_params().setattr("grad_req", "null")
    trainer = mx.gluon.Trainer([used.weight, unused.weight, fixed.weight], "sgd")
    with mx.autograd.record():
        out = fixed(used(mx.nd.ones((2, 1))))
    out.backward()
    with pytest.raises(UserWarning, match="gradient of 'dense1_weight' since the last step"):
        trainer.step(1)
    trainer.step(1, ignore_stale_grad=True)
    weights = [layer.weight.data().asscalar() for layer in (used, unused, fixed)]
    np.testing.assert_allclose(weights, [0.98, 1, 1], rtol=1e-6)


# The books' helpers -------------------------------------------------------------------------------


@pytest.fixture
def first(mx: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(helpers, "dataset", SAMPLE)
    return importlib.import_module("d2lzh")


@pytest.fixture
def second(mx_np: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(helpers, "dataset", SAMPLE)
    return importlib.import_module("d2l.mxnet")


def small_net(mx: Any) -> Any:
    nn = mx.gluon.nn
    net = nn.Sequential()
    net.add(nn.Conv2D(3, 5, strides=2, activation="relu"), nn.MaxPool2D(), nn.Dense(10))
    return net


def test_batches(first: Any, second: Any) -> None:
    train, test = first.load_data_fashion_mnist(batch_size=256, resize=20)
    X, y = next(iter(test))
    assert (X.shape, X.dtype, type(X).__name__) == ((256, 1, 20, 20), np.float32, "NDArray")
    assert (y.shape, y.dtype, len(train), len(test)) == ((256,), np.int32, 24, 4)
    assert 0.99 < X.max().asscalar() <= 1
    X, y = next(iter(second.load_data_fashion_mnist(100)[0]))
    assert (X.shape, str(X.dtype), type(X).__name__) == ((100, 1, 28, 28), "float32", "ndarray")
    assert str(y.dtype) == "int32"
    assert second.get_fashion_mnist_labels(y[:0]) == []


def test_the_first_edition_trains(first: Any, mx: Any, capsys: pytest.CaptureFixture[str]) -> None:
    net = small_net(mx)
    net.initialize(mx.init.Xavier())
    train, test = first.load_data_fashion_mnist(250)
    trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.3})
    first.train_ch5(net, train, test, 250, trainer, first.try_gpu(), 2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "training on cpu(0)"
    line = r"epoch (\d), loss (\d\.\d{4}), train acc (0\.\d{3}), test acc (0\.\d{3}), time .* sec"
    found = [re.fullmatch(line, text) for text in lines[1:]]
    assert [m and m[1] for m in found] == ["1", "2"]
    assert found[1] is not None
    assert float(found[1][4]) > 0.6
    accuracy = first.evaluate_accuracy(test, net, mx.cpu())
    assert f"{accuracy:.3f}" == found[1][4]
    batches, loss = [next(iter(train))], mx.gluon.loss.SoftmaxCrossEntropyLoss()
    first.train_ch3(net, batches, test, loss, 1, 250, None, None, trainer)
    assert re.fullmatch(
        r"epoch 1, loss .{6}, train acc .{5}, test acc .{5}\n", capsys.readouterr().out
    )


def test_the_second_edition_trains(
    second: Any, mx_np: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    net = small_net(mx_np)
    train, test = second.load_data_fashion_mnist(250)
    second.train_ch6(net, train, test, 2, 0.3, second.try_gpu())
    first, last = capsys.readouterr().out.splitlines()
    found = re.fullmatch(r"loss (\d\.\d{3}), train acc (0\.\d{3}), test acc (0\.\d{3})", first)
    assert re.fullmatch(r"\d+\.\d examples/sec on cpu\(0\)", last)
    assert found is not None
    assert float(found[3]) > 0.6
    accuracy = second.evaluate_accuracy_gpu(net, test)
    assert f"{accuracy:.3f}" == found[3]
    assert second.evaluate_accuracy(net, test) == accuracy
    animator, _ = helpers._left.pop()
    assert [len(points) for points in animator.Y] == [12, 12, 2]
    assert animator.X[0][:3] == pytest.approx([4 / 24, 8 / 24, 12 / 24])


def test_nothing_to_count(first: Any, second: Any, mx: Any) -> None:
    nothing = "data_iter has no examples"
    with pytest.raises(ValueError, match=nothing):
        first.evaluate_accuracy([], None)
    with pytest.raises(ValueError, match=nothing):
        second.evaluate_accuracy(None, [])
    with pytest.raises(ValueError, match=nothing):
        second.evaluate_loss(None, [], None)
    with pytest.raises(ValueError, match=nothing):
        second.train_epoch_ch3(None, [], None, None)
    with pytest.raises(ValueError, match=nothing):
        first.train_ch5(None, [], [], 4, None, mx.cpu(), 1)
    with pytest.raises(ValueError, match="num_epochs is 0; wanted at least 1"):
        second.train_ch6(None, [], [], 0, 0.9, mx.cpu())


def test_the_same_names_in_every_tab(second: Any) -> None:
    X = second.tensor([[1.0, 2], [3, 4]])
    assert second.reduce_sum(X, axis=0).tolist() == [4, 6]
    assert second.argmax(X, axis=1).tolist() == [1, 1]
    assert second.astype(X, second.int32).tolist() == [[1, 2], [3, 4]]
    assert second.concat((X, X), 1).shape == (2, 4)
    assert second.size(X) == 4
    assert second.matmul(X, second.transpose(X)).tolist() == [[5, 11], [11, 25]]
    assert second.numpy(second.reshape(second.arange(4), (2, 2))).shape == (2, 2)
    assert second.normal(0, 1, (3, 2)).shape == (3, 2)
    assert second.accuracy(X, second.tensor([1, 0], dtype="int32")) == 1


def test_correlation_by_loops(first: Any, second: Any, mx: Any) -> None:
    cells = [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    for d2l, array in ((first, mx.nd.array), (second, mx.np.array)):
        Y = d2l.corr2d(array(cells), array([[0, 1], [2, 3]]))
        assert Y.asnumpy().tolist() == [[19, 25], [37, 43]]


def test_a_linear_regression_from_scratch(second: Any, mx_np: Any) -> None:
    w = second.tensor([2, -3.4])
    X, y = second.synthetic_data(w, 4.2, 200)
    a, b = second.zeros((2, 1)), second.zeros(1)
    for p in (a, b):
        p.attach_grad()
    for _ in range(40):
        with mx_np.autograd.record():
            loss = second.squared_loss(second.linreg(X, a, b), y)
        loss.backward()
        second.sgd([a, b], 0.3, 200)
    np.testing.assert_allclose(a.reshape(-1).asnumpy(), [2, -3.4], atol=0.02)
    assert float(b) == pytest.approx(4.2, abs=0.02)
