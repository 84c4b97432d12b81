"""Where numbers end: activations at their tails, infinite gradients, long sums, distant means."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, kernels, nn, optim
from minicnn.nn import functional as F

compiled = pytest.mark.usefixtures("compiled_kernels")
float_types = pytest.mark.parametrize("dtype", ["float32", "float64"])
TAIL = [7.5, 7.9, 8.0, 8.5, 9.0, 9.5, 20.0, 86.0, 88.0, 104.0, 710.0, 1e30, math.inf]
POINTS = np.array([*(-x for x in TAIL), 0.0, *TAIL, math.nan])
ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
every_activation = pytest.mark.parametrize("name", ACTIVATIONS)


def at_points(points: np.ndarray, *layers: nn.Module, dtype: str) -> Any:
    """Layers after a convolution of one pixel that gives ``points``, whatever the picture."""
    minicnn.manual_seed(1)
    conv = nn.Conv2d(1, len(points), 1)
    net: Any = nn.Sequential(conv, *layers).to(dtype)
    net[0].weight.data[:] = 0
    net[0].bias.data[:] = points
    return net


def bias_gradients(net: Any, x: Tensor, y: Tensor, gradient: float = 1.0) -> list[np.ndarray]:
    """Of the convolution's bias: the compiled step's, and eager's."""
    F.cross_entropy(net(x), y).backward(np.asarray(gradient, x.dtype))
    step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.0))
    step(x, y, gradient=gradient)
    return [step.gradients()["0.bias"].numpy(), net[0].bias.grad.numpy()]


# Activations --------------------------------------------------------------------------------------


@compiled
@float_types
@every_activation
def test_compiled_activations_end_where_eagers_do(name: str, dtype: str) -> None:
    net = at_points(POINTS, ACTIVATIONS[name](), nn.Flatten(), dtype=dtype)
    x = Tensor(np.ones((3, 1, 1, 1), dtype))
    ours, eager = minicnn.compile(net)(x).numpy(), net(x).numpy()
    np.testing.assert_allclose(ours, eager, rtol=5e-7, atol=1e-37)
    ends = np.abs(POINTS) >= {"float32": 88, "float64": 1e30}[dtype]
    np.testing.assert_array_equal(ours[:, ends], eager[:, ends])


@compiled
@float_types
@every_activation
@pytest.mark.parametrize("pooled", [False, True], ids=["alone", "with pooling"])
def test_compiled_slopes_are_flat_where_eagers_are(name: str, dtype: str, pooled: bool) -> None:
    points = POINTS[~np.isnan(POINTS) & ((name != "relu") | (np.abs(POINTS) < 1e3))]
    between = [nn.AvgPool2d(2)] if pooled else []
    head = nn.Linear(len(points) * (1 if pooled else 4), 3)
    layers = ACTIVATIONS[name](), *between, nn.Flatten(), head
    net = at_points(points, *layers, dtype=dtype)
    x, y = Tensor(np.ones((5, 1, 2, 2), dtype)), Tensor(np.arange(5) % 3)
    ours, eager = bias_gradients(net, x, y)
    np.testing.assert_allclose(ours, eager, rtol=1e-5, atol=1e-7)
    assert (ours[eager == 0] == 0).all()


def test_an_infinite_gradient_does_not_pass_a_flat_relu(kernel_set: str) -> None:
    x = Tensor(np.array([-1.0, 0.0, 2.0, math.inf, math.nan]), requires_grad=True)
    x.relu().backward(np.full(5, math.inf))
    assert x.grad is not None
    assert x.grad.numpy().tolist() == [0, 0, math.inf, math.inf, math.inf]  # as PyTorch's


def test_an_infinite_gradient_goes_to_the_largest_alone() -> None:
    x = Tensor(np.array([[3.0, 1.0], [2.0, 5.0]]), requires_grad=True)
    x.max(axis=1).backward(np.full(2, math.inf))
    assert x.grad is not None
    assert x.grad.numpy().tolist() == [[math.inf, 0], [0, math.inf]]


def test_of_several_nan_each_has_its_share_of_the_maximum() -> None:
    x = Tensor(np.array([math.nan, 1.0, math.nan]), requires_grad=True)
    x.max().backward()
    assert x.grad is not None
    assert x.grad.numpy().tolist() == [0.5, 0, 0.5]


@compiled
@float_types
@every_activation
@pytest.mark.parametrize("pooled", [False, True], ids=["alone", "with pooling"])
def test_compiled_infinite_gradients_go_as_eagers(name: str, dtype: str, pooled: bool) -> None:
    """The scores of class 0 are large, and their gradient infinite."""
    points = np.array([-0.2, 0.0, 0.5, 1.0, -0.1])
    between = [nn.MaxPool2d(2)] if pooled else []
    head = nn.Linear(len(points) * (1 if pooled else 4), 3)
    net = at_points(points, ACTIVATIONS[name](), *between, nn.Flatten(), head, dtype=dtype)
    huge = 1e30 if dtype == "float32" else 1e200
    net[-1].weight.data[0] = huge
    x, y = Tensor(np.ones((3, 1, 2, 2), dtype)), Tensor(np.array([1, 2, 1]))
    with np.errstate(all="ignore"):
        ours, eager = bias_gradients(net, x, y, gradient=huge)
    assert np.isinf(eager).any()
    np.testing.assert_array_equal(ours, eager)


# Sums ---------------------------------------------------------------------------------------------

ROWS = 300_000  # one after the other in float32, their sum is off by 1e-3
NUMBERS = np.random.default_rng(3).random((ROWS, 3), np.float32) + 0.1
EXACT = NUMBERS.sum(axis=0, dtype=np.float64)


def test_sums_over_leading_axes_are_those_of_float64(kernel_set: str) -> None:
    x = Tensor(NUMBERS)
    sums = {
        "sum": x.sum(axis=0),
        "sum of several": x.reshape(60, -1, 3, 1).sum(axis=(0, 1, 3)),
        "sum of the middle": x.reshape(1, ROWS, 3).sum(axis=1),
        "mean": x.mean(axis=0) * ROWS,
        "keepdims": x.sum(axis=0, keepdims=True),
        "all": x.sum() * (EXACT / EXACT.sum()).astype(np.float32),
    }
    for name, total in sums.items():
        assert total.dtype == np.float32, name
        # of all cells NumPy adds pairs in float32; two roundings more come from what it is times
        rtol = 4e-7 if name == "all" else 2e-7
        np.testing.assert_allclose(total.numpy().reshape(-1), EXACT, rtol=rtol, err_msg=name)


@pytest.mark.parametrize("name", ["linear", "add", "multiply", "column"])
def test_what_was_broadcast_gets_the_sum_of_float64(name: str, kernel_set: str) -> None:
    b = Tensor(np.ones((1, 3) if name == "column" else 3, np.float32), requires_grad=True)
    zeros = Tensor(np.zeros((ROWS, 3), np.float32))
    if name == "linear":
        y = F.linear(zeros[:, :1], Tensor(np.ones((3, 1), np.float32)), b)
    else:
        y = (zeros + 1) * b if name == "multiply" else zeros - b
    y.backward(NUMBERS)
    assert b.grad is not None
    np.testing.assert_allclose(abs(b.grad.numpy()).reshape(-1), EXACT, rtol=2e-7)


def test_batch_norm_of_many_images_has_the_statistics_of_float64(kernel_set: str) -> None:
    mean, var = Tensor(np.zeros(3, np.float32)), Tensor(np.ones(3, np.float32))
    F.batch_norm(Tensor(NUMBERS), mean, var, training=True, momentum=1.0)
    wide = NUMBERS.astype(np.float64)
    np.testing.assert_allclose(mean.numpy(), wide.mean(axis=0), rtol=2e-7)
    np.testing.assert_allclose(var.numpy(), wide.var(axis=0, ddof=1), rtol=1e-6)


def test_sums_are_numpys(kernel_set: str, rng: np.random.Generator) -> None:
    """Any axes, layout and dtype; ``kernels.sum_over`` against NumPy's sum."""
    loops = kernels.host_kernels()
    x = rng.integers(-9, 9, (3, 4, 1, 5))
    for dtype in (np.float32, np.float64, np.int64):
        for array in (
            x.astype(dtype),
            x.astype(dtype).T,
            x.astype(dtype)[:, ::2],
            x[:0].astype(dtype),
        ):
            for axis in (None, (), 0, 1, -1, (0, 1), (0, 2), (1, 3), (3, 0), (0, 1, 2, 3)):
                for keepdims in (False, True):
                    ours = loops.sum_over(array, axis, keepdims)
                    wanted = array.sum(axis=axis, keepdims=keepdims)
                    assert ours.dtype == wanted.dtype
                    np.testing.assert_array_equal(ours, wanted)


@compiled
def test_compiled_gradients_of_many_images_are_those_of_float64() -> None:
    images = 200_000
    net: Any = nn.Sequential(nn.Linear(1, 3), nn.Linear(3, 2))
    x = np.random.default_rng(0).random((images, 1), np.float32)
    y = np.zeros(images, np.int64)
    loss = nn.CrossEntropyLoss(reduction="sum")
    step = minicnn.compile(net, loss, optim.SGD(net.parameters(), 0.0))
    step(Tensor(x), Tensor(y))
    ours = {name: gradient.numpy().copy() for name, gradient in step.gradients().items()}
    loss(net.to("float64")(Tensor(x.astype(np.float64))), Tensor(y)).backward()
    for name, p in net.named_parameters():
        np.testing.assert_allclose(ours[name], p.grad.numpy(), rtol=2e-6, err_msg=name)


# Distant means ------------------------------------------------------------------------------------


@compiled
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("mean", [0.0, 1e6, -1e8])
def test_a_compiled_variance_far_from_0_is_eagers(mean: float, threads: int) -> None:
    def net() -> Any:
        minicnn.manual_seed(1)
        layers = nn.BatchNorm2d(2, momentum=1.0), nn.Flatten(), nn.Linear(30, 3)
        return nn.Sequential(*layers).to("float64")

    minicnn.set_num_threads(threads)
    x = np.random.default_rng(0).standard_normal((40, 2, 3, 5)) + mean
    y = np.arange(40) % 3
    ours, theirs = net(), net()
    _, logits = minicnn.compile(ours, nn.CrossEntropyLoss(), optim.SGD(ours.parameters(), 0.1))(
        Tensor(x), Tensor(y)
    )
    expected = theirs(Tensor(x))
    np.testing.assert_allclose(logits.numpy(), expected.numpy(), rtol=0, atol=1e-6)
    for kind in ("running_mean", "running_var"):
        ours_, wanted = (getattr(n[0], kind).numpy() for n in (ours, theirs))
        np.testing.assert_allclose(
            ours_, wanted, rtol=1e-12 * max(1, abs(mean) / 1e3), err_msg=kind
        )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rows", [2, 5000])
@pytest.mark.parametrize("value", [3e38, math.inf])
def test_a_sum_that_overflows_is_an_infinity_without_a_word(rows: int, value: float) -> None:
    x = Tensor(np.full((rows, 2), value, np.float32))
    assert x.sum(axis=0).numpy().tolist() == [math.inf, math.inf]
