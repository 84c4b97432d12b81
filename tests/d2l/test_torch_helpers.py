"""``d2l.torch``: the second edition's helpers, on the CPU and on a GPU."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minicnn.d2l.facades import helpers
from minicnn.d2l.facades.modules import as_tree
from minicnn.d2l.facades.pytorch import modules
from minicnn.device import gpu_problem
from tests.d2l.few import SAMPLE
from tests.gpu.pretend import standin_for_cupy

tree = as_tree(modules())
torch, d2l = tree["torch"], tree["d2l.torch"]
nn = torch.nn


@pytest.fixture(autouse=True)
def _the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "dataset", SAMPLE)


@pytest.fixture
def a_gpu() -> Iterator[None]:
    gpu_problem.cache_clear()
    with standin_for_cupy():
        yield
    gpu_problem.cache_clear()


def lenet() -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 3, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2, stride=2),
        nn.Flatten(), nn.LazyLinear(10),
    )  # fmt: skip


def batches(count: int = 3) -> list[Any]:
    loaded, _ = d2l.load_data_fashion_mnist(70, resize=12)
    return [batch for batch, _ in zip(loaded, range(count), strict=False)]


def test_batches_are_lists_of_tensors() -> None:
    train, test = d2l.load_data_fashion_mnist(batch_size=256, resize=(9, 11))
    assert (len(train), len(test)) == (24, 4)
    X, y = next(iter(test))
    assert type(next(iter(test))) is list
    assert (X.shape, X.dtype, y.shape, y.dtype) == (
        (256, 1, 9, 11), torch.float32, (256,), torch.int64,
    )  # fmt: skip
    assert 0 <= X.min() < X.max() <= 1
    assert d2l.get_fashion_mnist_labels(y[:2]) == ["ankle boot", "pullover"]


@pytest.mark.parametrize("where", ["cpu", "cuda:0"])
def test_train_ch6_prints_the_books_lines(
    where: str, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    if where != "cpu":
        request.getfixturevalue("a_gpu")
    net, train = lenet(), batches()
    net(train[0][0])
    d2l.train_ch6(net, train, train[:1], num_epochs=2, lr=0.5, device=d2l.try_gpu())
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == f"training on {where}"
    assert re.fullmatch(r"loss \d\.\d{3}, train acc [01]\.\d{3}, test acc [01]\.\d{3}", second)
    assert re.fullmatch(rf"[\d.]+ examples/sec on {where}", third)
    assert not net.training
    ((animator, _),) = helpers._left
    assert animator.Y[0][-1] < animator.Y[0][0]
    assert animator.X[0] == pytest.approx([1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2])
    assert animator.X[2] == [1, 2]
    assert animator.legend == ["train loss", "train acc", "test acc"]


def test_a_gpu_computes_the_same(a_gpu: None) -> None:
    devices = d2l.try_all_gpus()
    assert [str(device) for device in devices] == ["cuda:0", "cuda:1"]
    assert str(d2l.try_gpu(7)) == "cpu"
    assert torch.cuda.is_available()
    assert torch.cuda.device_count() == 2
    (X, y), net = batches(1)[0], lenet()
    expected = net(X)
    net.to(devices[0])
    with pytest.raises(RuntimeError, match=r"on cpu and cuda:0; move one with \.to\('cpu'\)"):
        net(X)
    scores = net(X.cuda())
    np.testing.assert_allclose(
        scores.cpu().detach().numpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-5
    )
    assert scores.is_cuda
    assert repr(scores[0, :2]).endswith("device='cuda:0', grad_fn=<SliceBackward0>)")
    assert repr(net[0].weight.device) == "device(type='cuda', index=0)"
    assert next(net.parameters()).device == torch.device("cuda:0") != torch.device("cuda")
    assert torch.zeros(2, device="cuda").type() == "torch.cuda.FloatTensor"
    assert d2l.evaluate_accuracy_gpu(net, [(X, y)]) == d2l.accuracy(scores.cpu(), y) / 70
    with pytest.raises(TypeError, match=r"is on cuda:0; write tensor\.cpu\(\)\.numpy\(\)"):
        scores.detach().numpy()


def test_softmax_regression_from_scratch_and_with_layers() -> None:
    data = batches(4)
    torch.manual_seed(3)
    W = torch.normal(0, 0.01, size=(144, 10), requires_grad=True)
    b = torch.zeros(10, requires_grad=True)

    def softmax(X: Any) -> Any:  # noqa: N803
        X_exp = torch.exp(X)
        return X_exp / X_exp.sum(1, keepdim=True)

    def net(X: Any) -> Any:  # noqa: N803
        return softmax(torch.matmul(X.reshape((-1, W.shape[0])), W) + b)

    def cross_entropy(y_hat: Any, y: Any) -> Any:
        return -torch.log(y_hat[range(len(y_hat)), y])

    def updater(batch_size: int) -> None:
        d2l.sgd([W, b], 0.3, batch_size)

    first = d2l.train_epoch_ch3(net, data, cross_entropy, updater)
    assert W.grad.norm() == 0
    for _ in range(4):
        last = d2l.train_epoch_ch3(net, data, cross_entropy, updater)
    assert last[0] < first[0]
    assert last[1] > first[1]
    layers = nn.Sequential(nn.Flatten(), nn.Linear(144, 10))
    loss = nn.CrossEntropyLoss(reduction="none")
    trainer = torch.optim.SGD(layers.parameters(), lr=0.3)
    d2l.train_ch3(layers, data, data[:1], loss, 3, trainer)
    ((animator, _),) = helpers._left
    assert animator.X == [[1, 2, 3]] * 3
    assert animator.Y[0][2] < animator.Y[0][0]
    assert d2l.evaluate_accuracy(layers, data) > 0.3
    with pytest.raises(ValueError, match="data_iter has no examples"):
        d2l.evaluate_accuracy(layers, [])


def test_linear_regression() -> None:
    true_w, true_b = torch.tensor([2, -3.4]), 4.2
    torch.manual_seed(1)
    features, labels = d2l.synthetic_data(true_w, true_b, 200)
    assert labels.shape == (200, 1)
    data = d2l.load_array((features, labels), 10)
    net, loss = nn.Sequential(nn.Linear(2, 1)), nn.MSELoss()
    net[0].weight.data.normal_(0, 0.01)
    net[0].bias.data.fill_(0)
    trainer = torch.optim.SGD(net.parameters(), lr=0.06)
    before = d2l.evaluate_loss(net, data, d2l.squared_loss)
    for _ in range(3):
        for X, y in data:
            mean = loss(net(X), y)
            trainer.zero_grad()
            mean.backward()
            trainer.step()
    assert d2l.evaluate_loss(net, data, d2l.squared_loss) < 0.01 < before
    np.testing.assert_allclose(net[0].weight.data.numpy(), [[2, -3.4]], atol=0.1)
    prediction = d2l.linreg(features, true_w.reshape(2, 1), true_b)
    assert d2l.squared_loss(prediction, labels.reshape(-1)).mean() < 0.001


def test_cross_correlation_and_names_of_all_tabs() -> None:
    X, K = torch.arange(9.0).reshape(3, 3), torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    assert d2l.corr2d(X, K).tolist() == [[19, 25], [37, 43]]
    K.requires_grad_(True)
    d2l.corr2d(X, K).sum().backward()
    assert K.grad.tolist() == [[8, 12], [20, 24]]
    with pytest.raises(ValueError, match=r"corr2d: X has shape \(9,\)"):
        d2l.corr2d(X.reshape(-1), K)
    assert d2l.reduce_sum(X, axis=0).tolist() == [9, 12, 15]
    assert d2l.numpy(K).tolist() == [[0, 1], [2, 3]]
    assert d2l.size(X) == 9
    assert d2l.astype(d2l.argmax(X, axis=1), d2l.float32).tolist() == [2, 2, 2]
    assert d2l.transpose(d2l.concat([X, X]))[0].tolist() == [0, 3, 6, 0, 3, 6]
    net = nn.Sequential(nn.Linear(5, 40), nn.Linear(40, 5, bias=False))
    net.apply(d2l.init_cnn)
    assert 0.3 < net[0].weight.abs().max().item() <= (6 / 45) ** 0.5
    assert d2l.get_dataloader_workers() == 0


def test_pictures_have_their_titles(shown: list[str]) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(144, 10))
    d2l.predict_ch3(net, batches(1), n=2)
    X, y = batches(1)[0]
    axes = d2l.show_images(X[:3].reshape(3, 12, 12), 1, 3, d2l.get_fashion_mnist_labels(y[:3]))
    assert [place.get_title() for place in axes] == d2l.get_fashion_mnist_labels(y[:3])
    np.testing.assert_array_equal(axes[1].images[0].get_array(), X[1, 0].numpy())
    d2l.Animator(xlabel="epoch").add(1, [torch.tensor(0.5), None])
    assert shown == ["display"] * 3
