"""The cells of the PyTorch tab's LeNet, run by the real torch or by ours: prints the losses.

    python -m tests.d2l.torch_tab real|ours WEIGHTS STEPS

Before the real one comes ours is installed and uninstalled; afterwards it is refused. A few lines
stand in for the real ``d2l``, which cannot be installed next to it.
"""

from __future__ import annotations

import importlib
import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import d2l as ours
from minicnn import data

CELLS = """
from d2l import torch as d2l
import torch
from torch import nn

net = nn.Sequential(
    nn.Conv2d(1, 6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2),
    nn.Conv2d(6, 16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2),
    nn.Flatten(), nn.Linear(16 * 5 * 5, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(),
    nn.Linear(84, 10))

X = torch.rand(size=(1, 1, 28, 28), dtype=torch.float32)
for layer in net:
    X = layer(X)
    shapes.append(f"{layer.__class__.__name__} {X.shape}")

def share_correct(net, batches, device=None):
    if isinstance(net, nn.Module):
        net.eval()
        device = device or next(iter(net.parameters())).device
    counts = d2l.Accumulator(2)
    with torch.no_grad():
        for X, y in batches:
            X, y = X.to(device), y.to(device)
            counts.add(d2l.accuracy(net(X), y), d2l.size(y))
    return counts[0] / counts[1]

def train(net, batches, lr, device):
    def fill(m):
        if type(m) == nn.Linear or type(m) == nn.Conv2d:
            nn.init.xavier_uniform_(m.weight)
            known(m)
    net.apply(fill)
    net.to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    loss = nn.CrossEntropyLoss()
    net.train()
    for X, y in batches:
        optimizer.zero_grad()
        X, y = X.to(device), y.to(device)
        y_hat = net(X)
        l = loss(y_hat, y)
        l.backward()
        optimizer.step()
        with torch.no_grad():
            losses.append(float(l * X.shape[0]) / len(y))
        correct.append(d2l.accuracy(y_hat, y))

train(net, batches, 0.9, d2l.try_gpu())
print(shares := [share_correct(net, batches[:3]), str(device_of(net))])
"""


class Accumulator:
    """As d2l's."""

    def __init__(self, n: int):
        self.data = [0.0] * n

    def add(self, *amounts: Any) -> None:
        self.data = [a + float(b) for a, b in zip(self.data, amounts, strict=True)]

    def __getitem__(self, i: int) -> float:
        return self.data[i]


def stand_in() -> None:
    """A d2l for the real torch."""
    import torch

    torch.set_num_threads(1)
    book: Any = types.ModuleType("d2l.torch")
    book.Accumulator, book.size = Accumulator, torch.numel
    book.try_gpu = lambda: torch.device("cpu")
    book.accuracy = lambda y_hat, y: float((y_hat.argmax(1) == y).sum())
    package: Any = types.ModuleType("d2l")
    package.torch = book
    sys.modules |= {"d2l": package, "d2l.torch": book}


def run(mode: str, weights: Path, steps: int) -> None:
    """Print a line of JSON: the shapes, the losses, the correct predictions, the end."""
    ours.install("pytorch")
    refusal = ""
    if mode == "real":
        facade = importlib.import_module("torch")
        ours.uninstall()
        stand_in()
        try:
            ours.install("pytorch")
        except RuntimeError as error:
            refusal = str(error)
        assert str(facade.ones(2) + 1) == "tensor([2., 2.])"  # what was imported goes on
    import torch

    train, _ = data.load("fashion-mnist-sample")
    x = (train.images[: 16 * steps, None] / 255).astype(np.float32)
    both = torch.from_numpy(x), torch.from_numpy(train.labels[: 16 * steps])
    arrays = iter(np.load(weights).values())

    def known(layer: Any) -> None:
        for parameter in layer.parameters():
            parameter.data.copy_(torch.from_numpy(next(arrays)))

    names: dict[str, Any] = {
        "shapes": [], "losses": [], "correct": [], "known": known,
        "batches": [[t[i : i + 16] for t in both] for i in range(0, 16 * steps, 16)],
        "device_of": lambda net: next(net.parameters()).device,
    }  # fmt: skip
    exec(CELLS, names)
    is_ours = hasattr(torch.nn.Linear(1, 1).weight, "tensor")
    kept = {name: names[name] for name in ("shapes", "losses", "correct", "shares")}
    print(json.dumps(kept | {"is_ours": is_ours, "refusal": refusal}))


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
