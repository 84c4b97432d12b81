"""``d2l.tensorflow``: the second edition's helpers, for its TensorFlow cells."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from minicnn.d2l.batches import get_fashion_mnist_labels
from minicnn.d2l.counting import Accumulator, Timer
from minicnn.d2l.facades import helpers
from minicnn.d2l.facades.helpers import (
    Animator,
    plot,
    set_axes,
    set_figsize,
    share,
    use_svg_display,
)
from minicnn.d2l.facades.keras import (
    devices,
    draws,
    functions,
    losses,
    making,
    optimizers,
    pictures,
    shaping,
)
from minicnn.d2l.facades.keras.arrays import PICTURES, Tensor
from minicnn.d2l.facades.keras.callbacks import Callback
from minicnn.d2l.facades.keras.gradients import GradientTape, Variable
from minicnn.d2l.facades.keras.layer import Layer
from minicnn.d2l.facades.keras.pipelines import Dataset, cardinality
from minicnn.tensor import Tensor as EngineTensor

# Data ---------------------------------------------------------------------------------------------


def load_data_fashion_mnist(batch_size: int, resize: int | None = None) -> tuple[Dataset, Dataset]:
    """Training and test batches: x float32 (B, H, W, 1) in [0, 1], y int32 (B,).

    As in the book the training set is cut into batches first, and these are shuffled: each batch
    has the same pictures in every epoch.
    """
    loaded = helpers.fashion_mnist(lambda x, y: (x, y), batch_size)
    train, test = (_batches(part.loader.dataset, batch_size, resize) for part in loaded)
    return train.shuffle(len(loaded[0].loader.dataset)), test


def _batches(dataset: Any, batch_size: int, resize: int | None) -> Dataset:
    def scaled(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        pixels = images.tensor.data.astype(np.float32)
        pixels /= 255
        x = Tensor(EngineTensor(pixels[:, None]), PICTURES)
        return (pictures.resize_with_pad(x, resize, resize) if resize else x), labels

    rows = Dataset.from_tensor_slices((dataset.images, dataset.labels.astype(np.int32)))
    return rows.batch(batch_size).map(scaled)


def load_array(data_arrays: tuple[Any, ...], batch_size: int, is_train: bool = True) -> Dataset:
    """Batches of arrays, shuffled for training."""
    rows = Dataset.from_tensor_slices(data_arrays)
    return (rows.shuffle(1000) if is_train else rows).batch(batch_size)


def synthetic_data(w: Any, b: Any, num_examples: int) -> tuple[Tensor, Tensor]:
    """X normal and y = X w + b + noise, (num_examples, 1)."""
    x = draws.normal((num_examples, w.shape[0]))
    y = functions.matmul(x, shaping.reshape(w, (-1, 1))) + b
    return x, shaping.reshape(y + draws.normal(y.shape, stddev=0.01), (-1, 1))


def data_iter(batch_size: int, features: Any, labels: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of tensors in a new order."""
    order = list(range(len(features)))
    random.shuffle(order)
    for i in range(0, len(order), batch_size):
        rows = making.constant(order[i : i + batch_size])
        yield shaping.gather(features, rows), shaping.gather(labels, rows)


# Measuring ----------------------------------------------------------------------------------------


def size(a: Any) -> Any:
    """The number of cells."""
    return functions.size(a).numpy()


def accuracy(y_hat: Any, y: Any) -> float:
    """How many predictions are correct (a count). y_hat: scores (N, classes), or classes (N,)."""
    if len(y_hat.shape) > 1 and y_hat.shape[1] > 1:
        y_hat = functions.argmax(y_hat, axis=1)
    correct = functions.cast(y_hat, y.dtype) == y
    return float(functions.reduce_sum(functions.cast(correct, y.dtype)))


def evaluate_accuracy(net: Any, data_iter: Iterable[Any]) -> float:
    """The share of the examples that ``net`` classifies correctly.

    Raises:
        ValueError: no examples.
    """
    metric = Accumulator(2)
    for x, y in data_iter:
        metric.add(accuracy(net(x), y), size(y))
    return share(metric[0], metric[1])


def evaluate_loss(net: Any, data_iter: Iterable[Any], loss: Callable[..., Any]) -> float:
    """The mean of ``loss(net(X), y)``'s cells.

    Raises:
        ValueError: no examples.
    """
    metric = Accumulator(2)
    for x, y in data_iter:
        found = loss(net(x), y)
        metric.add(functions.reduce_sum(found), size(found))
    return share(metric[0], metric[1])


# Training from scratch ----------------------------------------------------------------------------


def linreg(X: Any, w: Any, b: Any) -> Tensor:  # noqa: N803 (the book's name)
    """X w + b."""
    return functions.matmul(X, w) + b


def squared_loss(y_hat: Any, y: Any) -> Tensor:
    """Half the square of the distance, for each cell."""
    return (y_hat - shaping.reshape(y, y_hat.shape)) ** 2 / 2


def sgd(params: Iterable[Variable], grads: Iterable[Tensor], lr: float, batch_size: int) -> None:
    """p = p - lr g / batch_size, where g is the gradient of a summed loss."""
    for param, grad in zip(params, grads, strict=True):
        param.assign_sub(lr * grad / batch_size)


class Updater:
    """``sgd`` with its parameters and learning rate."""

    def __init__(self, params: Any, lr: float):
        self.params, self.lr = params, lr

    def __call__(self, batch_size: int, grads: Any) -> None:
        sgd(self.params, grads, self.lr, batch_size)


def train_epoch_ch3(
    net: Any, train_iter: Iterable[Any], loss: Any, updater: Any
) -> tuple[float, float]:
    """One pass over ``train_iter``; returns the means of loss and accuracy during training.

    Raises:
        ValueError: no examples.
    """
    metric = Accumulator(3)
    is_keras = isinstance(loss, losses.Loss)
    for x, y in train_iter:
        with GradientTape() as tape:
            y_hat = net(x)
            found = loss(y, y_hat) if is_keras else loss(y_hat, y)
        if isinstance(updater, optimizers.Optimizer):
            params = net.trainable_variables
            updater.apply_gradients(zip(tape.gradient(found, params), params, strict=True))
        else:
            updater(x.shape[0], tape.gradient(found, updater.params))
        count = float(functions.size(y))
        total = found * count if is_keras else functions.reduce_sum(found)
        metric.add(total, accuracy(y_hat, y), count)
    return helpers.means(metric)


def train_ch3(
    net: Any,
    train_iter: Iterable[Any],
    test_iter: Iterable[Any],
    loss: Any,
    num_epochs: int,
    updater: Any,
) -> None:
    """Train any net; curves of loss and accuracies.

    Raises:
        AssertionError: as in the book: a loss of 0.5 or more, an accuracy of 0.7 or less.
        ValueError: no epochs, or no examples.
    """
    helpers.check_epochs("train_ch3", num_epochs)
    animator = helpers.training_curves(num_epochs, [0.3, 0.9])
    for epoch in range(num_epochs):
        train_metrics = train_epoch_ch3(net, train_iter, loss, updater)
        test_acc = evaluate_accuracy(net, test_iter)
        animator.add(epoch + 1, (*train_metrics, test_acc))
    train_loss, train_acc = train_metrics
    assert train_loss < 0.5, train_loss
    assert 0.7 < train_acc <= 1, train_acc
    assert 0.7 < test_acc <= 1, test_acc


def predict_ch3(net: Any, test_iter: Iterable[Any], n: int = 6) -> None:
    """The first ``n`` pictures with their true and predicted classes."""
    x, y = next(iter(test_iter))
    titles = helpers.titles(y[:n], functions.argmax(net(x), axis=1)[:n])
    show_images(shaping.reshape(x[:n], (n, *x.shape[1:3])), 1, n, titles)


def show_images(
    imgs: Any, num_rows: int, num_cols: int, titles: Any = None, scale: float = 1.5
) -> np.ndarray:
    """Pictures in a grid, (N, H, W) or (N, H, W, C)."""
    return helpers.show_images([np.asarray(img) for img in imgs], num_rows, num_cols, titles, scale)


# LeNet's training ---------------------------------------------------------------------------------


class TrainCallback(Callback):
    """Draws the curves after each epoch, and prints the last one's figures and the speed."""

    def __init__(
        self, net: Any, train_iter: Any, test_iter: Any, num_epochs: int, device_name: str
    ):
        super().__init__()
        self.timer = Timer()
        self.animator = helpers.training_curves(num_epochs)
        self.net, self.train_iter, self.test_iter = net, train_iter, test_iter
        self.num_epochs, self.device_name = num_epochs, device_name

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.timer.start()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.timer.stop()
        tested = self.net.evaluate(self.test_iter, verbose=0, return_dict=True)
        metrics = (logs["loss"], logs["accuracy"], tested["accuracy"])
        self.animator.add(epoch + 1, metrics)
        if epoch == self.num_epochs - 1:
            first = next(iter(self.train_iter))[0]
            count = first.shape[0] * int(cardinality(self.train_iter))
            helpers.say_result(metrics, count / self.timer.avg(), self.device_name)


def train_ch6(
    net_fn: Callable[[], Any],
    train_iter: Any,
    test_iter: Any,
    num_epochs: int,
    lr: float,
    device: devices.device,
) -> Any:
    """Make a net on ``device`` and train it: SGD, cross-entropy; returns the net.

    Args:
        net_fn: makes the net, a function without arguments.

    Raises:
        TypeError: a net instead of the function that makes it; a device's name instead of a device.
        ValueError: no epochs.
    """
    if not isinstance(device, devices.device):
        raise TypeError(f"train_ch6: device is {device!r}; wanted d2l.try_gpu()")
    if isinstance(net_fn, Layer):
        raise TypeError(
            "train_ch6: net_fn is a net; wanted the function that makes it: write train_ch6(net, "
            "...), without the parentheses of net()"
        )
    helpers.check_epochs("train_ch6", num_epochs)
    name = device._device_name
    with devices.OneDeviceStrategy(name).scope():
        net = net_fn()
        net.compile(
            optimizer=optimizers.SGD(learning_rate=lr),
            loss=losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
    callback = TrainCallback(net, train_iter, test_iter, num_epochs, name)
    net.fit(train_iter, epochs=num_epochs, verbose=0, callbacks=[callback])
    return net


def try_gpu(i: int = 0) -> devices.device:
    """The device of GPU ``i`` if there is one, otherwise of the CPU."""
    found = len(devices.list_physical_devices("GPU"))
    return devices.device(f"/GPU:{i}" if found > i else "/CPU:0")


def try_all_gpus() -> list[devices.device]:
    """The devices of all GPUs, or the CPU's."""
    found = len(devices.list_physical_devices("GPU"))
    return [devices.device(f"/GPU:{i}") for i in range(found)] or [devices.device("/CPU:0")]


def corr2d(X: Any, K: Any) -> Variable:  # noqa: N803 (the book's names)
    """Two-dimensional cross-correlation, window by window."""
    h, w = K.shape
    y = np.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1), np.float32)
    result = Variable(y)
    for i, j in np.ndindex(*y.shape):
        result[i, j].assign(functions.reduce_sum(X[i : i + h, j : j + w] * K))
    return result


def numpy(x: Any) -> Any:
    """``x.numpy()``."""
    return x.numpy()


SAME = (
    "abs", "argmax", "concat", "cos", "cosh", "exp", "eye", "linspace", "matmul", "meshgrid",
    "ones", "reduce_mean", "reduce_sum", "reshape", "sin", "sinh", "stack", "tanh", "transpose",
    "zeros", "zeros_like",
)  # fmt: skip
"""What the book's helpers call as TensorFlow does."""

OWN: tuple[Any, ...] = (
    Accumulator, Animator, Timer, TrainCallback, Updater, accuracy, corr2d, data_iter,
    evaluate_accuracy, evaluate_loss, get_fashion_mnist_labels, linreg, load_array,
    load_data_fashion_mnist, numpy, plot, predict_ch3, set_axes, set_figsize, sgd, show_images,
    size, squared_loss, synthetic_data, train_ch3, train_ch6, train_epoch_ch3, try_all_gpus,
    try_gpu, use_svg_display,
)  # fmt: skip
