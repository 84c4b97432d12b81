"""The book's training functions: each does what its name promises there."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, d2l, data, models, nn, optim


def test_sgd_steps_by_the_mean_and_forgets_the_gradient() -> None:
    p = nn.Parameter(np.array([1.0, 2.0]))
    (p * Tensor(np.array([8.0, -4.0]))).sum().backward()
    d2l.sgd([p], lr=0.5, batch_size=4)
    np.testing.assert_allclose(p.numpy(), [1 - 0.5 * 8 / 4, 2 + 0.5 * 4 / 4])
    assert p.grad is None


def twins() -> tuple[nn.Sequential, nn.Sequential]:
    """Two small nets of the same weights."""
    pair = (models.mlp(hidden=(16,)), models.mlp(hidden=(16,)))
    pair[1].load_state_dict(pair[0].state_dict())
    return pair


def by_hand(
    net: nn.Module, loader: data.DataLoader, lr: float, divide_by: int | None = None
) -> tuple[float, float]:
    """An epoch written out: the means of loss and accuracy."""
    loss_sum = correct = count = 0.0
    for x, y in loader:
        logits = net(x)
        loss = nn.CrossEntropyLoss(reduction="sum")(logits, y)
        net.zero_grad()
        (loss / (divide_by or len(y))).backward()
        for p in net.parameters():
            assert p.grad is not None
            p.data -= lr * p.grad.data
        loss_sum, count = loss_sum + loss.item(), count + len(y)
        correct += float((logits.argmax(1) == y).sum())
    return loss_sum / count, correct / count


def assert_same_weights(a: nn.Module, b: nn.Module) -> None:
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-4, atol=1e-6)


def test_train_ch6_starts_from_xaviers_weights_and_prints_the_chapters_lines(
    few: data.Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    net, twin = twins()
    for p in net.parameters():
        p.data[...] = 5  # the weights are drawn again, the biases stay
    for p in twin.parameters():
        p.data[...] = 5
    train, test = data.DataLoader(few, 64), data.DataLoader(few[:100], 64)
    minicnn.manual_seed(3)
    history = minicnn.History()
    d2l.train_ch6(net, train, test, 2, 0.1, "cpu", history=history)
    minicnn.manual_seed(3)
    twin.apply(d2l.init_weights)
    state, bound = twin.state_dict(), np.sqrt(6 / (784 + 16))
    assert float(state["1.bias"].numpy().min()) == 5
    assert 0.9 * bound < np.abs(state["1.weight"].numpy()).max() <= bound
    by_hand(twin, train, 0.1)
    loss, acc = by_hand(twin, train, 0.1)
    assert_same_weights(net, twin)
    test_acc = minicnn.evaluate(twin, test)

    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == [
        "training on cpu",
        f"loss {loss:.3f}, train acc {acc:.3f}, test acc {test_acc:.3f}",
    ]
    speed = re.fullmatch(r"(\d+\.\d) examples/sec on cpu", printed[2])
    assert speed
    assert float(speed[1]) == pytest.approx(history.examples_per_sec, abs=0.051)
    assert len(printed) == 3
    assert len(history.epochs) == 2


def test_train_ch6_sizes_lazy_layers_and_gives_them_xaviers_weights(few: data.Dataset) -> None:
    net = nn.Sequential(
        nn.LazyConv2d(2, kernel_size=5), nn.Sigmoid(), nn.Flatten(), nn.LazyLinear(10)
    )
    loader = data.DataLoader(few, 150)
    d2l.train_ch6(net, loader, loader, 1, 0.0, "cpu")
    largest = np.abs(net.state_dict()["3.weight"].numpy()).max()
    assert type(net[3]) is nn.Linear
    assert largest <= np.sqrt(6 / (1152 + 10))
    assert largest > 2 / np.sqrt(1152)  # beyond PyTorch's default


def test_training_compiles_if_asked_to(few: data.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def eager(*arguments: Any, **options: Any) -> minicnn.History:
        asked.append(options.pop("compile"))
        return minicnn.fit(*arguments, **options)

    monkeypatch.setattr(d2l.training, "fit", eager)
    net, loader = models.mlp(hidden=(4,)), data.DataLoader(few, 150)
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    for compiled in (True, False):
        d2l.train_ch6(net, loader, loader, 1, 0.1, "cpu", compile=compiled)
        d2l.train_ch5(net, loader, loader, 150, optimizer, "cpu", 1, compile=compiled)
    assert asked == [True, True, False, False]


def test_train_ch5_divides_by_the_batch_size_and_prints_a_line_an_epoch(
    few: data.Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    net, twin = twins()
    train, test = data.DataLoader(few, 200), data.DataLoader(few[:100], 64)  # batches: 200, 100
    optimizer = optim.SGD(net.parameters(), lr=0.5)
    history = minicnn.History()
    d2l.train_ch5(net, train, test, 200, optimizer, "cpu", 2, history=history)
    expected = ["training on cpu"]
    for epoch in (1, 2):
        loss, acc = by_hand(twin, train, 0.5, divide_by=200)
        seconds = history.epochs[epoch - 1]["seconds"] + history.epochs[epoch - 1]["eval_seconds"]
        expected.append(
            f"epoch {epoch}, loss {loss:.4f}, train acc {acc:.3f}, "
            f"test acc {minicnn.evaluate(twin, test):.3f}, time {seconds:.1f} sec"
        )
    assert_same_weights(net, twin)
    assert capsys.readouterr().out.splitlines() == expected


def test_a_notebook_draws_the_curves_of_a_training(few: data.Dataset, shown: list[str]) -> None:
    loader = data.DataLoader(few, 150)
    net = models.mlp(hidden=(4,))
    d2l.train_ch6(net, loader, loader, 2, 0.1, "cpu")
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    d2l.train_ch5(net, loader, loader, 150, optimizer, "cpu", 1)
    assert shown == ["display", "update", "display"]


@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("plain", [False, True])
def test_train_ch3_takes_an_optimiser_or_a_function(
    few: data.Dataset, reduction: str, plain: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    net, twin = twins()
    train, test = data.DataLoader(few, 200), data.DataLoader(few[:100], 64)
    updater: Any = optim.SGD(net.parameters(), lr=0.5)
    if plain:

        def updater(batch_size: int) -> None:
            d2l.sgd(net.parameters(), 0.5, batch_size)

    curves = d2l.Animator()
    loss_of = nn.CrossEntropyLoss(reduction=reduction)
    d2l.train_ch3(net, train, test, loss_of, 2, updater, animator=curves)
    by_hand(twin, train, 0.5)
    loss, acc = by_hand(twin, train, 0.5)
    test_acc = minicnn.evaluate(twin, test)
    assert_same_weights(net, twin)
    assert capsys.readouterr().out.splitlines()[1] == (
        f"epoch 2, loss {loss:.4f}, train acc {acc:.3f}, test acc {test_acc:.3f}"
    )
    assert curves.X == [[1, 2]] * 3
    assert [y[-1] for y in curves.Y] == pytest.approx([loss, acc, test_acc], rel=1e-5)


def test_train_ch3_trains_a_function(few: data.Dataset) -> None:
    """Softmax regression written from scratch, as the book begins."""
    W, b = nn.Parameter(np.zeros((784, 10), np.float32)), nn.Parameter(np.zeros(10, np.float32))

    def net(x: Tensor) -> Tensor:
        return (x.reshape(-1, 784) @ W + b).softmax(1)

    def cross_entropy(y_hat: Tensor, y: Tensor) -> Tensor:
        return -y_hat[list(range(len(y_hat))), y].log()

    loader = data.DataLoader(few, 50)
    curves = d2l.Animator()
    d2l.train_ch3(
        net, loader, loader, cross_entropy, 5, lambda n: d2l.sgd([W, b], 0.1, n), animator=curves
    )
    assert curves.Y[0][-1] < 0.6 * curves.Y[0][0]
    assert curves.Y[2][-1] > 0.65


def test_an_epoch_needs_examples() -> None:
    with pytest.raises(ValueError, match="train_iter has no examples"):
        d2l.train_epoch_ch3(models.mlp(), [], nn.CrossEntropyLoss(), None)
