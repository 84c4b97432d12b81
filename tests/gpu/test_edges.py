"""Where numbers end, on a GPU: infinite gradients and long sums, as in tests/ops/test_edges.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn, optim
from minicnn.device import to_device
from minicnn.nn import functional as F

pytestmark = pytest.mark.usefixtures("cupy")


def gradients(net: Any, x: np.ndarray, y: np.ndarray, gradient: float, **loss: Any) -> Any:
    """Of all parameters, by name, from a compiled step on the GPU."""
    optimizer = optim.SGD(net.to("gpu").parameters(), 0.0)
    step = minicnn.compile(net, nn.CrossEntropyLoss(**loss), optimizer)
    step(Tensor(to_device(x, "gpu")), Tensor(to_device(y, "gpu")), gradient=gradient)
    return {name: g.numpy() for name, g in step.gradients().items()}


def relu_net() -> Any:
    minicnn.manual_seed(1)
    layers = nn.Conv2d(1, 4, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3)
    net: Any = nn.Sequential(*layers, nn.Linear(4, 3))
    net[0].weight.data[:] = 0
    net[0].bias.data[:] = [-1, 0, 2, 1]
    net[-1].weight.data[0] = 1e30
    return net


def test_an_infinite_gradient_goes_where_eagers_does() -> None:
    """Not through a ReLU that is flat; and times a dropout's 0 it is NaN, as in PyTorch."""
    x, y = np.ones((3, 1, 2, 2), np.float32), np.array([1, 2, 1])
    net, same = relu_net(), relu_net()
    with np.errstate(all="ignore"):
        minicnn.manual_seed(2)
        F.cross_entropy(net(Tensor(x)), Tensor(y)).backward(np.float32(1e30))
        eager = {name: p.grad.numpy() for name, p in net.named_parameters()}
        minicnn.manual_seed(2)
        ours = gradients(same, x, y, 1e30)
    assert np.isinf(eager["0.bias"]).any()
    assert np.isnan(eager["0.bias"]).any()
    for name, gradient in eager.items():
        np.testing.assert_allclose(ours[name], gradient, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("layers", ["dense", "conv", "norm"])
def test_long_sums_lose_little(layers: str) -> None:
    """Sums over 30,000 images, or about 1,000 cells a thread, in float32."""

    def net() -> Any:
        minicnn.manual_seed(1)
        if layers == "dense":
            return nn.Sequential(nn.Linear(2, 3))
        first = nn.Conv2d(2, 2, 1) if layers == "conv" else nn.BatchNorm2d(2, momentum=1.0)
        return nn.Sequential(first, nn.AvgPool2d(250), nn.Flatten(), nn.Linear(2, 3))

    n, picture = (30_000, ()) if layers == "dense" else (4, (250, 250))
    x = np.random.default_rng(0).random((n, 2, *picture), np.float32)
    y = np.zeros(n, np.int64)
    exact, rounded = net().to("float64"), net()
    F.cross_entropy(exact(Tensor(x.astype(np.float64))), Tensor(y), reduction="sum").backward()
    ours = gradients(rounded, x, y, 1.0, reduction="sum")
    for name, p in exact.named_parameters():
        wanted = p.grad.numpy()
        np.testing.assert_allclose(
            ours[name],
            wanted,
            rtol=3e-6,
            atol=0 if abs(wanted).max() > 1e-3 else 1e-5,
            err_msg=name,
        )
    ours_state = rounded.state_dict()
    for name, buffer in exact.state_dict().items():
        np.testing.assert_allclose(ours_state[name].numpy(), buffer.numpy(), rtol=1e-6)


def test_an_index_written_to_before_backward_changes_nothing() -> None:
    """An array on the device, too; numbers and slices next to it stay as they are."""
    w = Tensor(np.ones((3, 4), np.float32), requires_grad=True, device="gpu")
    key = to_device(np.array([0, 1]), "gpu")
    y = w[key, 1:3]
    key[0] = 2
    y.sum().backward()
    assert w.grad is not None
    assert w.grad.numpy().tolist() == [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
