"""``d2l.torch``: the second edition's helpers, for the PyTorch tab.

Names, arguments and printed lines are those of the book (A. Zhang, Z. C. Lipton, M. Li,
A. J. Smola; https://d2l.ai); the code is ours.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from minicnn.d2l import counting
from minicnn.d2l.batches import get_fashion_mnist_labels
from minicnn.d2l.counting import Accumulator, Timer
from minicnn.device import gpu_problem
from minicnn.nn.functional import conv2d
from minicnn.plots import pyplot
from minicnn.tensor import no_grad
from minicnn.terminal import say

from .. import helpers
from ..helpers import Animator, show_images
from ..modules import by_name
from . import functions, init, layers, losses
from .data import DataLoader, TensorDataset
from .kinds import PUBLIC, device
from .mistakes import call
from .module import Module
from .optimizers import SGD, Optimizer
from .tensor import Tensor, engine_tensor, wrap

Batch = tuple[Tensor, Tensor]


# Devices ------------------------------------------------------------------------------------------


def try_gpu(i: int = 0) -> device:
    """GPU number ``i`` if it can be used, otherwise the CPU."""
    return device("cpu") if gpu_problem(i) else device("cuda", i)


def count_gpus() -> int:
    """How many GPUs can be used."""
    number = 0
    while gpu_problem(number) is None:
        number += 1
    return number


def try_all_gpus() -> list[device]:
    """All GPUs that can be used; the CPU if there is none."""
    return [device("cuda", i) for i in range(count_gpus())] or [device("cpu")]


# Data ---------------------------------------------------------------------------------------------


def load_data_fashion_mnist(
    batch_size: int, resize: int | tuple[int, int] | None = None
) -> tuple[helpers.Batches, helpers.Batches]:
    """Fashion-MNIST as batches [X, y]: X float32 (B, 1, H, W) in [0, 1], y int64 (B,)."""
    return helpers.fashion_mnist(lambda x, y: [wrap(x), wrap(y)], batch_size, resize)


def get_dataloader_workers() -> int:
    """Processes that read the data: none, batches are cut in this one."""
    return 0


def load_array(data_arrays: Iterable[Tensor], batch_size: int, is_train: bool = True) -> DataLoader:
    """Batches of tensors, in a new order each epoch if ``is_train``."""
    return DataLoader(TensorDataset(*data_arrays), batch_size, shuffle=is_train)


def synthetic_data(w: Tensor, b: float, num_examples: int) -> Batch:
    """X, normal (N, len(w)), and y = X w + b with noise of deviation 0.01, (N, 1)."""
    X = functions.randn(num_examples, len(w))
    y = X @ w + b
    return X, (y + functions.randn(*y.shape) * 0.01).reshape(-1, 1)


# Counting -----------------------------------------------------------------------------------------


def size(a: Tensor) -> int:
    """The number of cells."""
    return a.numel()


def accuracy(y_hat: Tensor, y: Tensor) -> float:
    """How many predictions are correct: y_hat scores (N, classes) or classes (N,), y (N,)."""
    scores = engine_tensor("accuracy", "y_hat", y_hat)
    return call(counting.accuracy, scores, engine_tensor("accuracy", "y", y))


def evaluate_accuracy_gpu(net: Any, data_iter: Iterable[Any], device: Any = None) -> float:
    """The share of ``data_iter``'s examples that ``net`` classifies correctly.

    A module is left in evaluation mode, as in the book. ``device``: by default its parameters'.
    """
    if isinstance(net, Module):
        net.eval()
        device = device or next(iter(net.parameters())).device
    metric = Accumulator(2)
    with no_grad():
        for X, y in data_iter:
            X, y = X.to(device), y.to(device)
            metric.add(accuracy(net(X), y), y.numel())
    return helpers.share(metric[0], metric[1])


def evaluate_accuracy(net: Any, data_iter: Iterable[Any]) -> float:
    """The share of ``data_iter``'s examples that ``net``, a module or function, gets right."""
    if isinstance(net, Module):
        net.eval()
    metric = Accumulator(2)
    with no_grad():
        for X, y in data_iter:
            metric.add(accuracy(net(X), y), y.numel())
    return helpers.share(metric[0], metric[1])


def evaluate_loss(net: Any, data_iter: Iterable[Any], loss: Callable[..., Tensor]) -> float:
    """The mean loss of an example."""
    metric = Accumulator(2)
    for X, y in data_iter:
        y_hat = net(X)
        losses = loss(y_hat, y.reshape(y_hat.shape) if y_hat.numel() == y.numel() else y)
        metric.add(losses.sum(), losses.numel())
    return helpers.share(metric[0], metric[1])


# Training -----------------------------------------------------------------------------------------


def sgd(params: Iterable[Tensor], lr: float, batch_size: int) -> None:
    """p = p - lr dp / batch_size for every parameter; then the gradients are made 0."""
    params = list(params)
    if any(p.grad is None for p in params):
        raise RuntimeError(
            "sgd: a parameter has no gradient; call loss(...).sum().backward() first"
        )
    optimizer = SGD(params, lr / batch_size)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)


def init_cnn(module: Module) -> None:
    """For ``net.apply``: Xavier-uniform weights for dense and convolutional layers."""
    if type(module) in (layers.Linear, layers.Conv2d):
        init.FUNCTIONS["xavier_uniform_"](module.weight)


def train_epoch_ch3(
    net: Any, train_iter: Iterable[Any], loss: Callable[..., Tensor], updater: Any
) -> tuple[float, float]:
    """One pass over ``train_iter``; returns the means of loss and accuracy during training.

    Args:
        loss: of (y_hat, y), a loss for each example: ``nn.CrossEntropyLoss(reduction="none")``.
        updater: an optimizer, or a function of the batch's size that updates the parameters.
    """
    if isinstance(net, Module):
        net.train()
    metric = Accumulator(3)
    for X, y in train_iter:
        y_hat = net(X)
        losses = loss(y_hat, y)
        if isinstance(updater, Optimizer):
            updater.zero_grad()
            losses.mean().backward()
            updater.step()
        else:
            losses.sum().backward()
            updater(X.shape[0])
        metric.add(losses.sum(), accuracy(y_hat, y), y.numel())
    return helpers.means(metric)


def train_ch3(
    net: Any,
    train_iter: Iterable[Any],
    test_iter: Iterable[Any],
    loss: Callable[..., Tensor],
    num_epochs: int,
    updater: Any,
) -> None:
    """Train any net; the animator draws loss and accuracies.

    The book's raises an AssertionError where the last loss is not below 0.5 or an accuracy not
    above 0.7; this one does not.
    """
    animator = helpers.training_curves(num_epochs, [0.3, 0.9])
    for epoch in range(num_epochs):
        measured = train_epoch_ch3(net, train_iter, loss, updater)
        animator.add(epoch + 1, (*measured, evaluate_accuracy(net, test_iter)))


def train_ch6(
    net: Module,
    train_iter: Any,
    test_iter: Any,
    num_epochs: int,
    lr: float,
    device: Any,
) -> None:
    """Train a net by SGD from Xavier weights; prints the last epoch's figures and the speed."""
    helpers.check_epochs("train_ch6", num_epochs)
    net.apply(init_cnn)
    say(f"training on {device}")
    net.to(device)
    optimizer, loss = SGD(net.parameters(), lr=lr), losses.CrossEntropyLoss()
    animator, timer, count = helpers.training_curves(num_epochs), Timer(), len(train_iter)
    for epoch in range(num_epochs):
        metric = Accumulator(3)
        net.train()
        for i, (X, y) in enumerate(train_iter, start=1):
            with _timed(timer):
                X, y = X.to(device), y.to(device)
                metric.add(*_step(net, X, y, loss, optimizer))
            if helpers.draws_after(i, count):
                animator.add(epoch + i / count, (*helpers.means(metric), None))
        test_acc = evaluate_accuracy_gpu(net, test_iter)
        animator.add(epoch + 1, (None, None, test_acc))
    speed = metric[2] * num_epochs / timer.sum()
    helpers.say_result((*helpers.means(metric), test_acc), speed, device)


def _step(
    net: Module, x: Tensor, y: Tensor, loss: Module, optimizer: Optimizer
) -> tuple[float, float, int]:
    """A step down the gradient; returns the batch's summed loss, correct predictions and size."""
    optimizer.zero_grad()
    y_hat = net(x)
    mean = loss(y_hat, y)
    mean.backward()
    optimizer.step()
    return mean.item() * len(x), accuracy(y_hat, y), len(x)


@contextlib.contextmanager
def _timed(timer: Timer) -> Iterator[None]:
    timer.start()
    yield
    timer.stop()


def predict_ch3(net: Any, test_iter: Iterable[Any], n: int = 6) -> None:
    """Show ``n`` pictures of the first batch; above each its class and the predicted one."""
    X, y = next(iter(test_iter))
    titles = helpers.titles(y[:n], net(X[:n]).argmax(1))
    show_images(X[:n].reshape(-1, *X.shape[-2:]), 1, n, titles=titles)


def corr2d(X: Tensor, K: Tensor) -> Tensor:  # noqa: N803
    """The cross-correlation of a picture (H, W) and a kernel (KH, KW)."""
    x, k = engine_tensor("corr2d", "X", X), engine_tensor("corr2d", "K", K)
    if x.ndim != 2 or k.ndim != 2:
        raise ValueError(f"corr2d: X has shape {x.shape}, K {k.shape}; wanted (H, W) and (KH, KW)")
    return wrap(call(conv2d, x[None, None], k[None, None])[0, 0])


# The names of the module --------------------------------------------------------------------------

_METHODS = {
    "argmax": "argmax", "reduce_sum": "sum", "reduce_mean": "mean", "reshape": "reshape",
    "to": "to", "transpose": "t", "astype": "type", "abs": "abs", "exp": "exp", "log": "log",
    "matmul": "matmul", "tanh": "tanh",
}  # fmt: skip


def numpy(x: Tensor) -> Any:
    """The numbers as a NumPy array."""
    return x.detach().numpy()


_OF_TORCH = (
    "arange", "concat", "eye", "linspace", "normal", "ones", "rand", "randn", "stack", "tensor",
    "zeros", "zeros_like",
)  # fmt: skip
_OWN = (
    Accumulator, Animator, Timer, accuracy, corr2d, evaluate_accuracy, evaluate_accuracy_gpu,
    evaluate_loss, get_dataloader_workers, get_fashion_mnist_labels, helpers.plot,
    helpers.set_axes, helpers.set_figsize, helpers.use_svg_display, helpers.linreg,
    helpers.squared_loss, init_cnn, load_array,
    load_data_fashion_mnist, numpy, predict_ch3, sgd, show_images, size,
    synthetic_data, train_ch3, train_ch6, train_epoch_ch3, try_all_gpus, try_gpu,
)  # fmt: skip
NAMES: dict[str, Any] = by_name(_OWN)
NAMES |= {name: functions.method(method) for name, method in _METHODS.items()}
NAMES |= {name: functions.FUNCTIONS[name] for name in _OF_TORCH}
NAMES |= {name: PUBLIC[name] for name in ("float32", "int32")}
LATER = {"plt": pyplot}
INSTEAD = helpers.of_other_editions("an nn.Module")
