"""The LeNet chapter's PyTorch program (Dive into Deep Learning, second edition, section 7.6).

Retold in our words. A reader who types it for PyTorch writes the same lines: only the imports and
the module of the helper functions differ.
"""

from __future__ import annotations

import pytest

import minicnn as torch
from minicnn import d2l, nn


def make_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2), nn.Sigmoid(),
        nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=5), nn.Sigmoid(),
        nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120), nn.Sigmoid(),
        nn.Linear(120, 84), nn.Sigmoid(),
        nn.Linear(84, 10),
    )  # fmt: skip


def init_weights(m: nn.Module) -> None:
    if type(m) == nn.Linear or type(m) == nn.Conv2d:  # noqa: E721 (as the chapter writes it)
        nn.init.xavier_uniform_(m.weight)


def test_the_shapes_layer_by_layer() -> None:
    net = make_net()
    X = torch.rand(1, 1, 28, 28)
    lines = []
    for layer in net:
        X = layer(X)
        lines.append((layer.__class__.__name__, X.shape))
    assert lines == [
        ("Conv2d", (1, 6, 28, 28)),
        ("Sigmoid", (1, 6, 28, 28)),
        ("AvgPool2d", (1, 6, 14, 14)),
        ("Conv2d", (1, 16, 10, 10)),
        ("Sigmoid", (1, 16, 10, 10)),
        ("AvgPool2d", (1, 16, 5, 5)),
        ("Flatten", (1, 400)),
        ("Linear", (1, 120)),
        ("Sigmoid", (1, 120)),
        ("Linear", (1, 84)),
        ("Sigmoid", (1, 84)),
        ("Linear", (1, 10)),
    ]


def train(
    net: nn.Sequential, batch_size: int, num_epochs: int, lr: float, device: str
) -> list[tuple[float, float, float]]:
    """The chapter's training loop; returns (loss, train accuracy, test accuracy) of each epoch."""
    train_iter, test_iter = d2l.load_data_fashion_mnist(batch_size, dataset="fashion-mnist-sample")
    net.apply(init_weights)
    net.to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    loss = nn.CrossEntropyLoss()
    epochs = []
    for _ in range(num_epochs):
        metric = d2l.Accumulator(3)
        net.train()
        for X, y in train_iter:
            optimizer.zero_grad()
            X, y = X.to(device), y.to(device)
            y_hat = net(X)
            l = loss(y_hat, y)  # noqa: E741 (as the chapter writes it)
            l.backward()
            optimizer.step()
            with torch.no_grad():
                metric.add(l * X.shape[0], (y_hat.argmax(1) == y).sum(), X.shape[0])
        train_l, train_acc = metric[0] / metric[2], metric[1] / metric[2]
        test_acc = d2l.evaluate_accuracy(net, test_iter, device)
        epochs.append((train_l, train_acc, test_acc))
    return epochs


def test_the_program_trains() -> None:
    torch.manual_seed(0)
    net = make_net()
    # 24 batches an epoch of the sample: 20 epochs are two of the whole set
    epochs = train(net, batch_size=256, num_epochs=20, lr=0.9, device=torch.try_gpu())
    (first_loss, _, _), (loss, train_acc, test_acc) = epochs[0], epochs[-1]
    assert first_loss == pytest.approx(2.35, abs=0.1)  # on the plateau
    assert loss < 1.4
    assert train_acc > 0.45
    assert test_acc > 0.4
