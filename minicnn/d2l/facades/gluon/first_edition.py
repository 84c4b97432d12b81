"""d2lzh: the first edition's helpers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.d2l import get_fashion_mnist_labels
from minicnn.d2l.facades import helpers
from minicnn.random import default_generator
from minicnn.terminal import say

from . import autograd, losses, nd
from .arrays import Array, corr2d
from .context import Context, MXNetError, cpu, gpu
from .nd_arrays import NDArray


def load_data_fashion_mnist(
    batch_size: int, resize: int | None = None, root: str | Path | None = None
) -> tuple[helpers.Batches, helpers.Batches]:
    """Fashion-MNIST as batches: X, float32 (B, 1, H, W) in [0, 1]; y, int32 (B,).

    Args:
        resize: H and W; 28 x 28 by default.
        root: a folder with the files; by default found as ``minicnn.data.load`` finds them.
    """
    return helpers.fashion_mnist(
        lambda x, y: (NDArray(x), NDArray(y.to("int32"))), batch_size, resize, root
    )


def try_gpu() -> Context:
    """The first GPU if there is one, otherwise the CPU."""
    try:
        nd.zeros((1,), ctx=gpu())
    except MXNetError:
        return cpu()
    return gpu()


def try_all_gpus() -> list[Context]:
    """The GPUs that can be used, or the CPU alone."""
    from .context import num_gpus

    return [gpu(i) for i in range(num_gpus())] or [cpu()]


def evaluate_accuracy(data_iter: Iterable[Any], net: Any, ctx: Any = None) -> float:
    """The share of examples whose largest score is that of their class.

    ``ctx``: where to compute; by default the CPU.

    Raises:
        ValueError: no examples.
    """
    ctx = cpu() if ctx is None else ctx[0] if isinstance(ctx, list) else ctx
    correct, examples = 0.0, 0
    for X, y in data_iter:
        correct += _correct(net(X.as_in_context(ctx)), y.as_in_context(ctx))
        examples += y.size
    return helpers.share(correct, examples)


def _correct(y_hat: NDArray, y: NDArray) -> float:
    return float((y_hat.argmax(axis=1) == y.astype("float32")).sum().asscalar())


def train_ch3(
    net: Any,
    train_iter: Any,
    test_iter: Any,
    loss: Any,
    num_epochs: int,
    batch_size: int,
    params: Sequence[NDArray] | None = None,
    lr: float | None = None,
    trainer: Any = None,
) -> None:
    """Train any net, by a trainer or by ``sgd`` of ``params``; prints a line an epoch."""

    def step() -> None:
        if trainer is not None:
            trainer.step(batch_size)
        elif params is not None and lr is not None:
            sgd(params, lr, batch_size)
        else:
            raise TypeError("train_ch3: wanted a trainer, or params and lr")

    for epoch in range(1, num_epochs + 1):
        means = _train_epoch(net, train_iter, loss, step, cpu())
        test = evaluate_accuracy(test_iter, net)
        say(f"epoch {epoch}, loss {means[0]:.4f}, train acc {means[1]:.3f}, test acc {test:.3f}")


def train_ch5(
    net: Any,
    train_iter: Any,
    test_iter: Any,
    batch_size: int,
    trainer: Any,
    ctx: Context,
    num_epochs: int,
) -> None:
    """Train a convolutional net from the weights that it has; prints a line an epoch.

    Gradients are divided by ``batch_size``, also those of a smaller last batch.
    """
    say(f"training on {ctx}")
    loss = losses.SoftmaxCrossEntropyLoss()
    for epoch in range(1, num_epochs + 1):
        start = time.time()
        means = _train_epoch(net, train_iter, loss, lambda: trainer.step(batch_size), ctx)
        test = evaluate_accuracy(test_iter, net, ctx)
        say(
            f"epoch {epoch}, loss {means[0]:.4f}, train acc {means[1]:.3f}, test acc {test:.3f}, "
            f"time {time.time() - start:.1f} sec"
        )


def _train_epoch(
    net: Any, train_iter: Any, loss: Any, step: Any, ctx: Context
) -> tuple[float, float]:
    """Loss and accuracy, means over an epoch during training."""
    total, correct, examples = 0.0, 0.0, 0
    for X, y in train_iter:
        X, y = X.as_in_context(ctx), y.as_in_context(ctx)
        with autograd.record():
            y_hat = net(X)
            batch_loss = loss(y_hat, y).sum()
        batch_loss.backward()
        step()
        total += float(batch_loss.asscalar())
        correct += _correct(y_hat, y)
        examples += y.size
    return helpers.share(total, examples), helpers.share(correct, examples)


def sgd(params: Iterable[Array], lr: float, batch_size: int) -> None:
    """p = p - lr dp / batch_size for every variable p, dp the gradient of a summed loss."""
    for param in params:
        param[:] = param - lr * param.grad / batch_size  # type: ignore[operator]


def data_iter(
    batch_size: int, features: NDArray, labels: NDArray
) -> Iterator[tuple[NDArray, NDArray]]:
    """Batches of features and labels, in a new order."""
    order = default_generator().permutation(len(features))
    for start in range(0, len(features), batch_size):
        rows = order[start : start + batch_size]
        yield features[rows], labels[rows]


def linreg(X: NDArray, w: NDArray, b: NDArray) -> NDArray:  # noqa: N803
    """X w + b."""
    return nd.dot(X, w) + b


# Figures ------------------------------------------------------------------------------------------


def show_fashion_mnist(images: Any, labels: Sequence[str]) -> None:
    """Pictures in a row, a label above each."""
    pictures = [_cells(image).reshape(28, 28) for image in images]
    helpers.show_images(pictures, 1, len(pictures), list(labels))


def show_images(imgs: Any, num_rows: int, num_cols: int, scale: float = 2) -> np.ndarray:
    """Pictures in a grid; returns the axes, (num_rows, num_cols)."""
    pictures = [_cells(img) for img in imgs]
    axes = helpers.show_images(pictures, num_rows, num_cols, scale=scale)
    return np.asarray(axes).reshape(num_rows, num_cols)


def _cells(image: Any) -> np.ndarray:
    return image.asnumpy() if isinstance(image, Array) else np.asarray(image)


def semilogy(
    x_vals: Any,
    y_vals: Any,
    x_label: str,
    y_label: str,
    x2_vals: Any = None,
    y2_vals: Any = None,
    legend: Sequence[str] | None = None,
    figsize: tuple[float, float] = (3.5, 2.5),
) -> None:
    """One curve or two, with a logarithmic y axis."""
    xs, ys = [x_vals], [y_vals]
    if x2_vals is not None and y2_vals is not None:
        xs, ys = [x_vals, x2_vals], [y_vals, y2_vals]
    styles = ("-", ":")
    helpers.plot(xs, ys, x_label, y_label, legend, yscale="log", fmts=styles, figsize=figsize)


FUNCTIONS = (
    load_data_fashion_mnist, try_gpu, try_all_gpus, evaluate_accuracy, train_ch3, train_ch5, sgd,
    corr2d, data_iter, linreg, helpers.squared_loss, show_fashion_mnist, show_images, semilogy,
    get_fashion_mnist_labels, helpers.set_figsize, helpers.use_svg_display,
)  # fmt: skip
NAMES: dict[str, Any] = {f.__name__: f for f in FUNCTIONS}
INSTEAD = {
    "train_ch6": "it belongs to the second edition: from d2l import mxnet as d2l; here train_ch5",
    "Accumulator": "it belongs to the second edition: from d2l import mxnet as d2l",
    "Animator": "it belongs to the second edition: from d2l import mxnet as d2l",
    "Timer": "it belongs to the second edition: from d2l import mxnet as d2l",
    "Residual": "write a subclass of nn.Block",
}
