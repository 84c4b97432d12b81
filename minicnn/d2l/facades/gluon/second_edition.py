"""d2l.mxnet: the second edition's helpers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as onp

from minicnn.d2l import get_fashion_mnist_labels
from minicnn.d2l.counting import Accumulator, Timer
from minicnn.d2l.facades import helpers

from . import autograd, data, init, losses, np
from .arrays import corr2d
from .context import Context, cpu, gpu, num_gpus
from .first_edition import sgd
from .np_arrays import ndarray
from .trainer import Trainer


def load_data_fashion_mnist(
    batch_size: int, resize: int | tuple[int, int] | None = None, root: str | Path | None = None
) -> tuple[helpers.Batches, helpers.Batches]:
    """Fashion-MNIST as batches: X, float32 (B, 1, H, W) in [0, 1]; y, int32 (B,).

    Args:
        resize: H and W, or one number for both; 28 x 28 by default.
        root: a folder with the files; by default found as ``minicnn.data.load`` finds them.
    """
    return helpers.fashion_mnist(
        lambda x, y: (ndarray(x), ndarray(y.to("int32"))), batch_size, resize, root
    )


def try_gpu(i: int = 0) -> Context:
    """GPU number ``i`` if there is one, otherwise the CPU."""
    return gpu(i) if num_gpus() > i else cpu()


def try_all_gpus() -> list[Context]:
    """The GPUs that can be used, or the CPU alone."""
    return [gpu(i) for i in range(num_gpus())] or [cpu()]


# Counting -----------------------------------------------------------------------------------------


def accuracy(y_hat: ndarray, y: ndarray) -> float:
    """How many predictions are right. y_hat: scores (N, classes), or the classes (N,); y: (N,)."""
    if y_hat.ndim > 1 and y_hat.shape[1] > 1:
        y_hat = y_hat.argmax(axis=1)
    return float((y_hat.astype(y.dtype) == y).sum())


def evaluate_accuracy(net: Any, data_iter: Any) -> float:
    """The share of examples that are predicted right."""
    return _evaluated(net, data_iter, None)


def evaluate_accuracy_gpu(net: Any, data_iter: Any, device: Context | None = None) -> float:
    """The share of examples that are predicted right, computed where the net is, or on device."""
    here = net.collect_params().list_ctx()[0] if device is None else device
    return _evaluated(net, data_iter, here)


def _evaluated(net: Any, data_iter: Any, device: Context | None) -> float:
    metric = Accumulator(2)
    for X, y in data_iter:
        if device is not None:
            X, y = X.as_in_ctx(device), y.as_in_ctx(device)
        metric.add(accuracy(net(X), y), y.size)
    return helpers.share(metric[0], metric[1])


def evaluate_loss(net: Any, data_iter: Any, loss: Callable[..., ndarray]) -> float:
    """The mean of the examples' losses."""
    metric = Accumulator(2)
    for X, y in data_iter:
        losses_of_batch = loss(net(X), y)
        metric.add(losses_of_batch.sum(), losses_of_batch.size)
    return helpers.share(metric[0], metric[1])


# Training -----------------------------------------------------------------------------------------


def train_epoch_ch3(net: Any, train_iter: Any, loss: Any, updater: Any) -> tuple[float, float]:
    """One pass over ``train_iter``; returns the means of loss and accuracy during training.

    ``updater``: a trainer, or a function of the batch's size that updates the parameters.
    """
    metric = Accumulator(3)
    step = updater.step if isinstance(updater, Trainer) else updater
    for X, y in train_iter:
        metric.add(*_train_batch(net, X, y, loss, step))
    return helpers.means(metric)


def _train_batch(net: Any, X: ndarray, y: ndarray, loss: Any, step: Any) -> tuple[Any, ...]:  # noqa: N803
    """Summed loss, correct predictions and size of a batch, after its step."""
    with autograd.record():
        y_hat = net(X)
        batch_losses = loss(y_hat, y)
    batch_losses.backward()
    step(len(X))
    return batch_losses.sum(), accuracy(y_hat, y), len(X)


def train_ch3(
    net: Any, train_iter: Any, test_iter: Any, loss: Any, num_epochs: int, updater: Any
) -> None:
    """Train any net; the animator draws loss and accuracies."""
    animator = helpers.training_curves(num_epochs, [0.3, 0.9])
    for epoch in range(1, num_epochs + 1):
        means = train_epoch_ch3(net, train_iter, loss, updater)
        animator.add(epoch, (*means, evaluate_accuracy(net, test_iter)))


def train_ch6(
    net: Any, train_iter: Any, test_iter: Any, num_epochs: int, lr: float, device: Context
) -> None:
    """Train a convolutional net from new Xavier weights, by SGD; draws and prints as the book.

    Raises:
        ValueError: no epochs, or no examples.
    """
    helpers.check_epochs("train_ch6", num_epochs)
    net.initialize(force_reinit=True, ctx=device, init=init.Xavier())
    loss = losses.SoftmaxCrossEntropyLoss()
    trainer = Trainer(net.collect_params(), "sgd", {"learning_rate": lr})
    animator, timer, count = helpers.training_curves(num_epochs), Timer(), len(train_iter)
    for epoch in range(num_epochs):
        metric = Accumulator(3)
        for i, (X, y) in enumerate(train_iter, start=1):
            timer.start()
            X, y = X.as_in_ctx(device), y.as_in_ctx(device)
            metric.add(*_train_batch(net, X, y, loss, trainer.step))
            timer.stop()
            if helpers.draws_after(i, count):
                animator.add(epoch + i / count, (*helpers.means(metric), None))
        test_acc = evaluate_accuracy_gpu(net, test_iter)
        animator.add(epoch + 1, (None, None, test_acc))
    speed = metric[2] * num_epochs / timer.sum()
    helpers.say_result((*helpers.means(metric), test_acc), speed, device)


def predict_ch3(net: Any, test_iter: Any, n: int = 6) -> None:
    """The first ``n`` pictures, above each its label and the net's."""
    X, y = next(iter(test_iter))
    titles = helpers.titles(y[:n], net(X)[:n].argmax(axis=1))
    show_images(X[:n].reshape(n, 28, 28), 1, n, titles)


# The earlier chapters -----------------------------------------------------------------------------


def synthetic_data(w: ndarray, b: float, num_examples: int) -> tuple[ndarray, ndarray]:
    """X normal, (num_examples, len(w)), and y = X w + b with noise of 0.01, (num_examples, 1)."""
    X = np.normal(0, 1, (num_examples, len(w)))
    y = X @ w + b
    return X, (y + np.normal(0, 0.01, y.shape)).reshape(-1, 1)


def load_array(data_arrays: Any, batch_size: int, is_train: bool = True) -> data.DataLoader:
    """Batches of arrays of one length, in a new order each time if ``is_train``."""
    return data.DataLoader(data.ArrayDataset(*data_arrays), batch_size, shuffle=is_train)


def get_dataloader_workers() -> int:
    """0: this process cuts the batches."""
    return 0


def show_images(
    imgs: Any,
    num_rows: int,
    num_cols: int,
    titles: Sequence[str] | None = None,
    scale: float = 1.5,
) -> Any:
    """Pictures in a grid, row by row; returns the Matplotlib axes."""
    pictures = [img.asnumpy() if isinstance(img, ndarray) else onp.asarray(img) for img in imgs]
    return helpers.show_images(pictures, num_rows, num_cols, titles, scale)


def _method(name: str) -> Callable[..., Any]:
    """``d2l.argmax(X, axis=1)`` for ``X.argmax(axis=1)``."""

    def function(x: Any, *arguments: Any, **options: Any) -> Any:
        return getattr(x, name)(*arguments, **options)

    function.__name__ = name
    return function


# The functions that the book's chapters share between frameworks: alias and name here.
SAME: dict[str, Any] = {
    **{
        name: np.NAMES[name]
        for name in (
            "ones", "zeros", "arange", "meshgrid", "sin", "sinh", "cos", "cosh", "tanh", "linspace",
            "exp", "log", "int32", "float32", "stack", "abs", "eye", "zeros_like",
        )
    },
    "tensor": np.array,
    "normal": np.normal,
    "rand": np.rand,
    "randn": np.randn,
    "matmul": np.dot,
    "concat": np.concatenate,
    "numpy": _method("asnumpy"),
    "reshape": _method("reshape"),
    "to": _method("as_in_context"),
    "reduce_sum": _method("sum"),
    "reduce_mean": _method("mean"),
    "argmax": _method("argmax"),
    "astype": _method("astype"),
    "size": lambda a: a.size,
    "transpose": lambda a: a.T,
}  # fmt: skip
FUNCTIONS = (
    load_data_fashion_mnist, try_gpu, try_all_gpus, accuracy, evaluate_accuracy,
    evaluate_accuracy_gpu, evaluate_loss, sgd, train_epoch_ch3, train_ch3, train_ch6, predict_ch3,
    corr2d, helpers.linreg, helpers.squared_loss, synthetic_data, load_array,
    get_dataloader_workers, show_images,
    get_fashion_mnist_labels,
    Accumulator, Timer, helpers.Animator, helpers.plot, helpers.set_axes, helpers.set_figsize,
    helpers.use_svg_display,
)  # fmt: skip
NAMES = {**SAME, **{f.__name__: f for f in FUNCTIONS}}
INSTEAD = {
    "train_ch5": "it belongs to the first edition: import d2lzh as d2l; here it is train_ch6",
    "Module": "it belongs to a later edition; write an nn.Block",
    "Trainer": "it belongs to a later edition; write gluon.Trainer and a loop, or d2l.train_ch6",
}
