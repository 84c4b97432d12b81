"""minicnn.compile: what it refuses, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn
from minicnn.nn import functional as F
from tests.compiler.nets import (
    NETS,
    PICTURE,
    Padded,
    assert_same,
    batch,
    build,
    compiled,
    eager,
    result_of,
    sgd,
)

pytestmark = pytest.mark.usefixtures("share_the_least_work")


class Forward(nn.Module):
    """``forward`` is a function of the layer and x."""

    def __init__(self, function: Callable[[nn.Module, Tensor], Tensor]):
        super().__init__()
        self.function, self.layer = function, nn.Conv2d(3, 3, (3, 5), padding="same")

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.layer, x)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (nn.Conv2d(3, 6, 3, groups=3), "groups"),
        (Padded(1, 2, 0, 3, value=1.0), "Pad with other than zeros"),
        (Padded(1, -2), "Pad with other than zeros"),
        (Padded(0, 0, 1, 0, 2, 1), "Pad with other than zeros"),
        (nn.Flatten(start_dim=2), "Reshape"),
        (Forward(lambda layer, x: layer(x).exp()), "Exp cannot be compiled"),
        (Forward(lambda layer, x: layer(x).softmax(1)), "Softmax cannot be compiled"),
        (Forward(lambda layer, x: layer(x) * 2), "Mul(tiply)? cannot be compiled"),
        (Forward(lambda layer, x: x * layer(x)), "joins two computed tensors"),
        (Forward(lambda layer, x: F.batch_norm(layer(x), None, None, training=True)), "BatchNorm"),
        (Forward(lambda layer, x: Tensor(np.ones((len(x), 4)))), "does not depend on its input"),
        (nn.Sequential(), "no operation"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nets_that_are_no_graph_of_known_operations(net: nn.Module, message: str) -> None:
    predict = minicnn.compile(net)
    with pytest.raises(minicnn.CompileError, match=message):
        predict(batch(5, "float32")[0])


class Unused(nn.Module):
    """``forward`` calls a layer in some way, and goes on without its result."""

    def __init__(self, layer: nn.Module, call: Callable[[nn.Module, Tensor], Tensor]):
        super().__init__()
        self.layer, self.call, self.head = layer, call, nn.Linear(264, 5)

    def forward(self, x: Tensor) -> Tensor:
        self.call(self.layer, x)
        return self.head(x.reshape(len(x), -1))


CALLS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "the layer": lambda layer, x: layer(x),
    "its forward": lambda layer, x: layer.forward(x),
    "on what is not on the tape": lambda layer, x: layer(x.detach()),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["Dropout", "BatchNorm2d"])
def test_what_acts_though_its_result_is_not_used_is_refused_in_training(
    kind: str, call: str
) -> None:
    layer = nn.Dropout(0.5) if kind == "Dropout" else nn.BatchNorm2d(3)
    net, (x, y) = Unused(layer, CALLS[call]).to("float64"), batch(5)
    with pytest.raises(minicnn.CompileError, match=f"does not depend on that of a {kind}, which"):
        compiled(net)(x, y)
    logits = minicnn.compile(net)(x)  # in evaluation mode it does nothing
    np.testing.assert_allclose(logits.numpy(), net.eval()(Tensor(x)).numpy(), rtol=1e-10)


def test_a_norm_that_is_used_and_once_more_not_used_is_refused() -> None:
    layers = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
    net = nn.Sequential(*layers, Unused(layers[1], CALLS["the layer"]))
    with pytest.raises(minicnn.CompileError, match="BatchNorm2d, which moves its statistics"):
        compiled(net.to("float64"))(*batch(5))


def test_what_does_nothing_may_stay_unused() -> None:
    for layer in (nn.Dropout(0.0), nn.BatchNorm2d(3, track_running_stats=False), nn.ReLU()):
        net, (x, y) = Unused(layer, CALLS["the layer"]).to("float64"), batch(5)
        assert_same(result_of(compiled(net), x, y), eager(net, x, y), 1e-11)


def test_rows_that_are_no_longer_pictures_are_refused() -> None:
    weight = Tensor(np.ones((2, 4), np.float32))
    net = Forward(lambda layer, x: F.linear(x.reshape(-1, 4), weight))
    with pytest.raises(minicnn.CompileError, match="Reshape"):
        minicnn.compile(net)(batch(5, "float32")[0])


def test_picture_logits_are_refused() -> None:
    step = compiled(build(lambda: nn.Conv2d(3, 5, 3), "float64"))
    with pytest.raises(minicnn.CompileError, match=r"gives \(5, 9, 6\) an image"):
        step(*batch(5))


def squared_error(x: Tensor, y: Tensor) -> Tensor:
    return ((x - y) ** 2).mean()


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (nn.CrossEntropyLoss(reduction="none"), "'none'"),
        (squared_error, "squared_error, a function"),
    ],
)
def test_losses_that_are_refused(loss: Any, message: str) -> None:
    net = build(NETS["dense-only"], "float32")
    with pytest.raises(minicnn.CompileError, match=message):
        minicnn.compile(net, loss, sgd(net))


def test_float_targets_are_refused() -> None:
    step = compiled(build(NETS["dense-only"], "float64"))
    with pytest.raises(TypeError, match=r"integers: minicnn\.Tensor\(y\)\.to\('int64'\)$"):
        step(batch(5)[0], np.ones((5, 5)) / 5)


def test_loss_and_optimizer_come_together() -> None:
    net = build(NETS["dense-only"], "float32")
    with pytest.raises(TypeError, match="loss and optimizer together"):
        minicnn.compile(net, nn.CrossEntropyLoss())  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="loss and optimizer together"):
        minicnn.compile(net, optimizer=sgd(net))  # type: ignore[call-overload]


@pytest.mark.parametrize("dtype", ["float64", "int64", "bool"])
def test_pictures_of_another_dtype_are_refused(dtype: str) -> None:
    predict = minicnn.compile(build(NETS["dense-only"], "float32"))
    with pytest.raises(TypeError, match=f"x is {dtype}; wanted uint8 or the net's float32"):
        predict(np.ones((2, *PICTURE), dtype))


def test_there_is_no_plan_before_the_first_call() -> None:
    step = compiled(build(NETS["dense-only"], "float32"))
    with pytest.raises(RuntimeError, match="after the first call"):
        print(step.plan)
    with pytest.raises(RuntimeError, match="after the first call"):
        step.gradients()
