"""From the same weights and batches, minicnn and PyTorch stay together for 200 steps.

From the start, and from a state past the sigmoid plateau: on the plateau alone the comparison is
nearly blind (all gradients but the last bias's are tiny there).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, data, models, nn, optim

STATES = Path(__file__).parents[1] / "states"
STEPS, BATCH, LR = 200, 64, 0.9

# Float32 rounding moves the ties and near-ties of max pooling, and the runs part there: PyTorch's
# own float32 and float64 losses part by 4e-5.
LOSS_TOLERANCE = {
    ("lenet", "float64"): 1e-12,
    ("lenet-max", "float64"): 1e-12,
    ("lenet", "float32"): 1e-5,
    ("lenet-max", "float32"): 5e-4,
}


def batches(dtype: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """STEPS batches of the embedded sample."""
    train, _ = data.load("fashion-mnist-sample")
    loader = data.DataLoader(train, BATCH, shuffle=True, seed=1)
    count = 0
    while True:
        for x, y in loader:
            if count == STEPS:
                return
            count += 1
            yield x.numpy().astype(dtype), y.numpy()


def twin_of(torch: Any, net: nn.Sequential) -> Any:
    """The same net in PyTorch, with the same weights."""

    def layer(module: Any) -> Any:
        match module:
            case nn.Conv2d():
                channels = module.in_channels, module.out_channels
                return torch.nn.Conv2d(*channels, module.kernel_size, padding=module.padding)
            case nn.Linear():
                return torch.nn.Linear(module.in_features, module.out_features)
            case nn.AvgPool2d() | nn.MaxPool2d():
                return getattr(torch.nn, type(module).__name__)(module.kernel_size, module.stride)
            case _:
                return getattr(torch.nn, type(module).__name__)()

    twin = torch.nn.Sequential(*(layer(module) for module in net))
    twin = twin.to(getattr(torch, str(next(net.parameters()).dtype)))
    state = {name: torch.tensor(tensor.numpy()) for name, tensor in net.state_dict().items()}
    twin.load_state_dict(state)
    return twin


def movements(net: nn.Sequential, first: dict[str, np.ndarray]) -> list[float]:
    """How far the furthest cell of each tensor has moved."""
    return [float(abs(t.numpy() - first[name]).max()) for name, t in net.state_dict().items()]


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("start", ["beginning", "past the plateau"])
@pytest.mark.parametrize("model", ["lenet", "lenet-max"])
def test_200_steps_agree_with_pytorch(model: str, start: str, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    minicnn.manual_seed(3)
    net = models.build(model)
    if start == "past the plateau":
        net.load_state_dict(minicnn.load(STATES / f"{model}.safetensors"))
    net.to(dtype)
    twin = twin_of(torch, net)
    loss_of, twin_loss_of = nn.CrossEntropyLoss(), torch.nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=LR)
    twin_optimizer = torch.optim.SGD(twin.parameters(), lr=LR)

    first = {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}
    losses, twin_losses = [], []
    for x, y in batches(dtype):
        loss = loss_of(net(Tensor(x)), Tensor(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

        twin_loss = twin_loss_of(twin(torch.tensor(x)), torch.tensor(y))
        twin_optimizer.zero_grad()
        twin_loss.backward()
        twin_optimizer.step()
        twin_losses.append(twin_loss.item())

    assert len(losses) == STEPS
    np.testing.assert_allclose(losses, twin_losses, rtol=LOSS_TOLERANCE[model, dtype])
    if dtype == "float64":
        for name, tensor in net.state_dict().items():
            expected = twin.state_dict()[name].numpy()
            np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-10, atol=1e-10)
    if start == "past the plateau":
        assert np.mean(losses[:20]) < 1.5, "the stored state is not past the plateau"
        assert all(movement > 0.01 for movement in movements(net, first)), "a tensor stood still"
