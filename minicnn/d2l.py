"""The helper names of *Dive into Deep Learning* on this engine, so that a reader types along.

    import minicnn as torch
    from minicnn import d2l, nn

    train_iter, test_iter = d2l.load_data_fashion_mnist(batch_size=256)
    d2l.train_ch6(net, train_iter, test_iter, num_epochs=10, lr=0.9, device=d2l.try_gpu())

Names, arguments and printed lines are those of the LeNet chapters (A. Zhang, Z. C. Lipton, M. Li,
A. J. Smola; https://d2l.ai); the code is ours. ``train_ch5`` belongs to the first edition,
``train_ch6`` to the second, ``train_ch3`` trains the net of dense layers that LeNet is compared
with. What differs from the book is said at each function.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn import data, nn, optim
from minicnn.d2l_names import complaint
from minicnn.data.catalogue import CATALOGUE
from minicnn.device import Device, device_of, to_device, try_gpu
from minicnn.files import write_whole
from minicnn.kernels.interrupts import held
from minicnn.nn.modes import in_evaluation_mode
from minicnn.plots import (
    GRID,
    INK,
    LOSS,
    TEST,
    TRAIN,
    LiveCurves,
    LiveFigure,
    in_notebook,
    own_style,
    png,
)
from minicnn.tensor import Tensor, no_grad
from minicnn.terminal import say
from minicnn.training import History, fit

__all__ = [
    "Accumulator",
    "Animator",
    "Timer",
    "accuracy",
    "evaluate_accuracy",
    "evaluate_accuracy_gpu",
    "get_fashion_mnist_labels",
    "init_weights",
    "load_data_fashion_mnist",
    "sgd",
    "show_images",
    "size",
    "train_ch3",
    "train_ch5",
    "train_ch6",
    "train_epoch_ch3",
    "try_gpu",
]

Batches = Iterable[tuple[Tensor, Tensor]]
Net = Callable[[Tensor], Tensor]

plt: Any  # Matplotlib's pyplot, loaded by the first ``d2l.plt``

if not TYPE_CHECKING:  # a type checker would take it for any name

    def __getattr__(name: str) -> Any:
        if name == "plt":
            with held():  # as for ``plots``
                from matplotlib import pyplot

            return pyplot
        raise AttributeError(complaint(name), name=name, obj=sys.modules[__name__])


SAMPLE_NOTICE = """\
NOTE: the whole Fashion-MNIST is not on this machine and could not be downloaded; these are the
      6,000 + 1,000 images of the sample inside the package. An epoch has a tenth of the updates,
      and the accuracy is NOT the published one.
      ({error})"""


# Data ---------------------------------------------------------------------------------------------


def load_data_fashion_mnist(
    batch_size: int,
    resize: int | tuple[int, int] | None = None,
    root: str | Path | None = None,
    *,
    dataset: str | None = None,
) -> tuple[data.DataLoader, data.DataLoader]:
    """Fashion-MNIST as batches: (train_iter, test_iter), the first in a new order each epoch.

    A batch is x, float32 (B, 1, H, W) in [0, 1], and y, int64 (B,).

    Args:
        batch_size: B.
        resize: H and W, or one number for both; 28 x 28 by default. Each batch is enlarged (or
            reduced) when it is drawn, so the big pictures never fill the memory.
        root: a folder with the files, as for ``data.load``.
        dataset: a name of ``data.load``. Without it Fashion-MNIST or, where that cannot be had, the
            sample inside the package, with a notice.

    Raises:
        ValueError: a batch size or a picture size below 1.
        DatasetError, DatasetNotFoundError: as ``data.load``.
    """
    train, test = _load(dataset, root)
    if resize is None:
        return data.DataLoader(train, batch_size, shuffle=True), data.DataLoader(test, batch_size)
    size = _height_and_width(resize)
    return _Resized(train, batch_size, True, size), _Resized(test, batch_size, False, size)


def _height_and_width(resize: Any) -> tuple[int, int]:
    """A whole number for both, or two; 64.0 and NumPy's numbers are whole numbers too."""
    numbers = np.asarray(resize)
    whole = numbers.dtype.kind in "iuf" and bool(
        (np.isfinite(numbers) & (np.trunc(numbers) == numbers)).all()
    )
    if numbers.shape not in ((), (2,)) or not whole or numbers.min() < 1:
        raise ValueError(f"resize is {resize!r}; wanted a number of at least 1, or two of them")
    height, width = np.broadcast_to(numbers, 2).tolist()
    return int(height), int(width)


def _load(name: str | None, root: str | Path | None) -> tuple[data.Dataset, data.Dataset]:
    """The data set of this name; without one the sample stands in for Fashion-MNIST."""
    if name is not None:
        return data.load(name, root)
    try:
        return data.load("fashion-mnist", root)
    except data.DatasetNotFoundError as error:
        say(SAMPLE_NOTICE.format(error=error))
    return data.load("fashion-mnist-sample")


class _Resized(data.DataLoader):
    """Batches of pictures in another size: x is (B, C, H, W) with ``size`` = (H, W)."""

    def __init__(
        self, dataset: data.Dataset, batch_size: int, shuffle: bool, size: tuple[int, int]
    ):
        super().__init__(dataset, batch_size, shuffle)
        self.rows = resampling_matrix(self.images.shape[-2], size[0])
        self.columns = resampling_matrix(self.images.shape[-1], size[1])

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in super().__iter__():
            device = device_of(x.data)
            rows, columns = to_device(self.rows, device), to_device(self.columns, device)
            yield Tensor(rows @ x.data @ columns.T), y


def resampling_matrix(old: int, new: int) -> np.ndarray:
    """R with R @ x: ``old`` cells in a row resampled to ``new`` cells, linearly; (new, old).

    New cell i lies at (i + 1/2) old / new among the old cells' centres j + 1/2 and takes each with
    a weight that falls linearly to 0 over one cell or, where pictures shrink, over old / new cells.
    Those weights are Pillow's (``Image.BILINEAR``), which the book's PyTorch code resizes with.
    """
    scale = old / new
    centres = (np.arange(new) + 0.5) * scale
    distance = np.abs(np.arange(old) + 0.5 - centres[:, None])
    weights = np.maximum(0, 1 - distance / max(1.0, scale))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def get_fashion_mnist_labels(labels: Iterable[Any]) -> list[str]:
    """The names of classes 0..9 as the book writes them: t-shirt, trouser, ... ankle boot.

    Raises:
        ValueError: a number that is none of a class.
    """
    classes = CATALOGUE["fashion-mnist"].classes
    numbers = [int(label) for label in labels]
    if any(not 0 <= number < len(classes) for number in numbers):
        raise ValueError(f"labels are {min(numbers)}..{max(numbers)}; wanted 0..{len(classes) - 1}")
    return [classes[number].lower().removesuffix("/top") for number in numbers]


@own_style()
def show_images(
    imgs: Any,
    num_rows: int,
    num_cols: int,
    titles: Sequence[str] | None = None,
    scale: float = 1.5,
) -> np.ndarray:
    """Pictures in a grid, row by row; a notebook shows them.

    Args:
        imgs: (N, H, W) or (N, C, H, W), grey or in colours, or a list of pictures; N at most
            num_rows * num_cols.
        titles: a line above each.
        scale: inches a picture.

    Returns:
        The Matplotlib axes, one a place; ``axes[0].figure.savefig(path)`` keeps the picture.

    Raises:
        ValueError: more pictures than places, or another number of titles than of pictures.
    """
    from matplotlib.figure import Figure

    pictures = [_picture(img) for img in imgs]
    if len(pictures) > num_rows * num_cols:
        raise ValueError(
            f"show_images: imgs has {len(pictures)} pictures; wanted at most the "
            f"{num_rows} x {num_cols} places"
        )
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(
            f"show_images: titles has {len(titles)} lines; wanted {len(pictures)}, one a picture"
        )
    figure = Figure(figsize=(num_cols * scale, num_rows * scale), layout="constrained")
    axes = figure.subplots(num_rows, num_cols, squeeze=False).ravel()
    for place in axes:
        place.set_axis_off()
    for place, picture in zip(axes, pictures, strict=False):
        place.imshow(picture, cmap="gray")
    for place, title in zip(axes, titles or (), strict=False):
        place.set_title(title, fontsize="small")
    if in_notebook():
        LiveFigure().show(figure)
    return axes


def _picture(img: Any) -> np.ndarray:
    """(H, W) of (H, W) or (1, H, W); colours (H, W, 3) of (3, H, W) or (H, W, 3)."""
    array = img.numpy() if isinstance(img, Tensor) else np.asarray(img)
    if array.ndim == 3 and len(array) in (3, 4):
        array = np.moveaxis(array, 0, 2)
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4)):
        return array
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[2]):
        return array[0] if len(array) == 1 else array[:, :, 0]
    raise ValueError(
        f"show_images: imgs has a picture of shape {array.shape}; wanted (H, W) or (C, H, W)"
    )


# Counting and timing ------------------------------------------------------------------------------


class Accumulator:
    """``n`` sums that grow together. ``data`` lists them; ``accumulator[i]`` is one."""

    def __init__(self, n: int):
        self.data = [0.0] * n

    def add(self, *amounts: Any) -> None:
        """Add an amount (a number, or a tensor of one cell) to each sum.

        Raises:
            ValueError: another number of amounts than of sums.
        """
        if len(amounts) != len(self.data):
            raise ValueError(f"add: received {len(amounts)} amounts; wanted {len(self.data)}")
        self.data = [a + float(b) for a, b in zip(self.data, amounts, strict=True)]

    def reset(self) -> None:
        """Begin again at 0."""
        self.data = [0.0] * len(self.data)

    def __getitem__(self, i: int) -> float:
        return self.data[i]


class Timer:
    """A stopwatch, running from the start. ``times`` lists the seconds of every stop."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.start()

    def start(self) -> None:
        """Start again."""
        self.started = time.perf_counter()

    def stop(self) -> float:
        """Note the seconds since the start, and return them."""
        self.times.append(time.perf_counter() - self.started)
        return self.times[-1]

    def avg(self) -> float:
        """The mean of the times."""
        return self.sum() / len(self.times)

    def sum(self) -> float:
        """The sum of the times."""
        return sum(self.times)

    def cumsum(self) -> list[float]:
        """The sums of the first time, the first two, and so on."""
        return np.cumsum(self.times).tolist()


def size(a: Any) -> int:
    """The number of cells of a tensor, an array or nested lists."""
    return int(np.size(a))


def accuracy(y_hat: Any, y: Any) -> float:
    """How many predictions are right (a count, as in the second edition).

    y_hat: scores (N, classes), of which the largest is the prediction, or the predicted classes
    (N,); y: (N,).
    """
    if len(y_hat.shape) > 1 and y_hat.shape[1] > 1:
        y_hat = y_hat.argmax(1)
    return float((y_hat == y).sum())


def evaluate_accuracy(net: Any, data_iter: Any, device: Device | None = None) -> float:
    """The share of ``data_iter``'s examples that ``net`` classifies correctly.

    Without recording; a module computes in evaluation mode and gets its mode back.

    Args:
        net, data_iter: a module or function, and batches (x, y); in either order, as the two
            editions differ.
        device: where to compute; by default where the net's parameters are.

    Raises:
        ValueError: no examples.
    """
    if not callable(net):
        net, data_iter = data_iter, net
    device = _device_of(net) if device is None else device
    metric = Accumulator(2)
    with _evaluating(net), no_grad():
        for X, y in data_iter:
            if device is not None:
                X, y = X.to(device), y.to(device)
            metric.add(accuracy(net(X), y), len(y))
    if metric[1] == 0:
        raise ValueError("evaluate_accuracy: data_iter has no examples")
    return metric[0] / metric[1]


evaluate_accuracy_gpu = evaluate_accuracy


def _device_of(net: Any) -> Device | None:
    """Where a module's parameters are; None for a function."""
    parameters = net.parameters() if isinstance(net, nn.Module) else ()
    return next((p.device for p in parameters), None)


def _evaluating(net: Any) -> Any:
    return in_evaluation_mode(net) if isinstance(net, nn.Module) else contextlib.nullcontext()


# Curves -------------------------------------------------------------------------------------------


class Animator:
    """Curves that grow point by point. A notebook draws them again at each point.

    Elsewhere they are collected: ``print(animator)`` gives a table, ``animator.save(path)`` a
    picture, ``animator.X`` and ``animator.Y`` hold the points, a list for each curve.

    Args:
        xlabel, ylabel: what the axes show.
        legend: the names of the curves.
        xlim, ylim: (from, to); by default what the points need.
        xscale, yscale: ``"linear"`` or ``"log"``.
        fmts: Matplotlib's format of each curve; by default solid lines in our colours.
        figsize: (width, height) in inches.
    """

    def __init__(
        self,
        xlabel: str | None = None,
        ylabel: str | None = None,
        legend: Sequence[str] | None = None,
        xlim: Sequence[float] | None = None,
        ylim: Sequence[float] | None = None,
        xscale: str = "linear",
        yscale: str = "linear",
        fmts: Sequence[str] | None = None,
        *,
        figsize: tuple[float, float] = (4.2, 3.0),
    ):
        self.labels = {"xlabel": xlabel or "", "ylabel": ylabel or ""}
        self.scales = {"xscale": xscale, "yscale": yscale}
        self.limits = {"xlim": xlim, "ylim": ylim}
        self.legend, self.fmts, self.figsize = list(legend or ()), fmts, figsize
        self.X: list[list[float]] = []
        self.Y: list[list[float]] = []
        self._live = LiveFigure()

    def add(self, x: Any, y: Any) -> None:
        """Add a point to each curve: ``y`` a number, or a list with one a curve (None: no point).

        ``x``: a number for all curves, or a list as long as ``y``.

        Raises:
            ValueError: lists of different lengths.
        """
        ys = list(y) if _is_list(y) else [y]
        xs = list(x) if _is_list(x) else [x] * len(ys)
        if len(xs) != len(ys):
            raise ValueError(f"add: x has {len(xs)} numbers; wanted {len(ys)}, one for each y")
        while len(self.Y) < len(ys):
            self.X.append([])
            self.Y.append([])
        for i, (a, b) in enumerate(zip(xs, ys, strict=True)):
            if a is not None and b is not None:
                self.X[i].append(float(a))
                self.Y[i].append(float(b))
        if in_notebook():
            self._live(self.figure)

    @own_style()
    def figure(self) -> Any:
        """The curves as a Matplotlib figure."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=self.figsize, layout="constrained")
        axes = figure.subplots()
        for i, (x, y) in enumerate(zip(self.X, self.Y, strict=True)):
            style = [self.fmts[i % len(self.fmts)]] if self.fmts else []
            look: Any = {} if self.fmts else {"color": (LOSS, TRAIN, TEST, INK)[i % 4]}
            marker = "o" if len(x) == 1 else None  # a line through one point is invisible
            axes.plot(x, y, *style, label=self._name(i), linewidth=1.8, marker=marker, **look)
        axes.set(**self.labels, **self.scales)
        axes.set(**{name: limits for name, limits in self.limits.items() if limits is not None})
        axes.grid(color=GRID, linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        if self.legend and self.Y:
            axes.legend(frameon=False)
        return figure

    def save(self, path: str | Path) -> None:
        """Write the curves as a PNG file."""
        write_whole(path, png(self.figure()))

    def __str__(self) -> str:
        points = [dict(zip(x, y, strict=True)) for x, y in zip(self.X, self.Y, strict=True)]
        names = [self._name(i) for i in range(len(points))]
        widths = [max(len(name), 8) for name in names]
        rows = [[self.labels["xlabel"] or "x", *names]]
        for x in sorted({x for curve in points for x in curve}):
            cells = [f"{curve[x]:.4g}" if x in curve else "" for curve in points]
            rows.append([f"{x:.6g}", *cells])
        first = max(len(row[0]) for row in rows)
        return "\n".join(
            "  ".join(
                cell.rjust(width) for cell, width in zip(row, [first, *widths], strict=True)
            ).rstrip()
            for row in rows
        )

    def _name(self, i: int) -> str:
        return self.legend[i] if i < len(self.legend) else f"curve {i + 1}"


def _is_list(value: Any) -> bool:
    return hasattr(value, "__len__") and getattr(value, "ndim", 1) > 0


# Training -----------------------------------------------------------------------------------------


def sgd(params: Iterable[Tensor], lr: float, batch_size: int) -> None:
    """p = p - lr dp / batch_size for every p, whose gradient is then forgotten.

    For the gradient of a *summed* loss. ``optim.SGD`` takes that of a mean.
    """
    optimizer = optim.SGD(params, lr / batch_size)
    optimizer.step()
    optimizer.zero_grad()


def init_weights(m: nn.Module) -> None:
    """For ``net.apply``: Xavier-uniform weights, as LeNet begins in the second edition."""
    if isinstance(m, nn.Linear | nn.Conv2d):
        nn.init.xavier_uniform_(m.weight)


def train_ch6(
    net: nn.Module,
    train_iter: data.DataLoader,
    test_iter: data.DataLoader,
    num_epochs: int,
    lr: float,
    device: Device | None = None,
    *,
    compile: bool = False,
    history: History | None = None,
) -> None:
    """Train LeNet as the second edition does: Xavier weights, plain SGD, cross-entropy.

    Prints the device, then loss, train accuracy (means over the last epoch as it was trained) and
    test accuracy, then the speed. The speed counts batching, steps and counting what was right,
    not evaluation; the book's leaves out batching too. A notebook draws the curves.

    Args:
        net: its biases stay as they are (PyTorch's are random, too); lazy layers take their sizes
            from the first batch.
        train_iter, test_iter: batches, as ``load_data_fashion_mnist`` gives them.
        device: the GPU if there is one, by default.
        compile: as in ``minicnn.fit``: several times as fast.
        history: where to keep the measurements; ``plots.curves(history.curve)`` draws them.

    Raises:
        DivergedError, ValueError, CompileError: as ``minicnn.fit``.
    """
    device = try_gpu() if device is None else device
    _size_lazy_layers(net, train_iter)
    net.apply(init_weights)
    say(f"training on {device}")
    net.to(device)
    history = fit(
        net,
        train_iter,
        test_iter,
        optimizer=optim.SGD(net.parameters(), lr),
        epochs=num_epochs,
        after_epoch=_curves(),
        history=history,
        quiet=True,
        compile=compile,
    )
    last = history.epochs[-1]
    say(
        f"loss {last['loss']:.3f}, train acc {last['train_acc']:.3f}, "
        f"test acc {last['test_acc']:.3f}\n"
        f"{history.examples_per_sec:.1f} examples/sec on {device}"
    )


def train_ch5(
    net: nn.Module,
    train_iter: data.DataLoader,
    test_iter: data.DataLoader,
    batch_size: int,
    optimizer: optim.Optimizer,
    device: Device | None = None,
    num_epochs: int = 5,
    *,
    compile: bool = False,
    history: History | None = None,
) -> None:
    """Train LeNet as the first edition does, from the weights that ``net`` has.

    Prints the device and a line an epoch: loss and train accuracy (means over the epoch as it was
    trained), test accuracy, and the seconds of everything, evaluation too.

    Args:
        batch_size: what the gradient of a batch's summed loss is divided by, so that a smaller last
            batch counts less: the trainer's rule in the first edition.
        optimizer: of the net's parameters.
        device, compile, history: as in ``train_ch6``.

    Raises:
        DivergedError, ValueError, CompileError: as ``minicnn.fit``.
    """
    device = try_gpu() if device is None else device
    net.to(device)
    say(f"training on {device}")
    fit(
        net,
        train_iter,
        test_iter,
        optimizer=optimizer,
        epochs=num_epochs,
        divide_by=batch_size,
        after_epoch=[_print_epoch, *_curves()],
        history=history,
        quiet=True,
        compile=compile,
    )


def _print_epoch(history: History) -> None:
    """The first edition's line for the last epoch."""
    epoch = history.epochs[-1]
    seconds = epoch["seconds"] + epoch["eval_seconds"]
    say(
        f"epoch {epoch['epoch']}, loss {epoch['loss']:.4f}, train acc {epoch['train_acc']:.3f}, "
        f"test acc {epoch['test_acc']:.3f}, time {seconds:.1f} sec",
    )


def _curves() -> list[Callable[[History], None]]:
    return [LiveCurves()] if in_notebook() else []


def _size_lazy_layers(net: nn.Module, batches: Batches) -> None:
    """Send a batch through a net that has lazy layers."""
    if any(isinstance(m, nn.LazyConv2d | nn.LazyLinear) for m in net.modules()):
        X, _ = next(iter(batches))
        with in_evaluation_mode(net), no_grad():
            net(X)


def train_epoch_ch3(
    net: Any, train_iter: Batches, loss: Callable[[Tensor, Tensor], Tensor], updater: Any
) -> tuple[float, float]:
    """One pass over ``train_iter``; returns the means of loss and accuracy as it was trained.

    Args:
        net: a module or a function.
        loss: of (y_hat, y): a loss for each example (``reduction='none'``), or their mean.
        updater: an ``optim.SGD``, or a function that is given the batch's size, updates the
            parameters by the gradient of the summed loss and forgets it: see ``sgd``.

    Raises:
        ValueError: no examples.
    """
    if isinstance(net, nn.Module):
        net.train()
    metric = Accumulator(3)
    for X, y in train_iter:
        y_hat = net(X)
        losses = loss(y_hat, y)
        total = losses.sum() if losses.ndim else losses * len(y)
        if isinstance(updater, optim.Optimizer):
            updater.zero_grad()
            (total / len(y)).backward()
            updater.step()
        else:
            total.backward()
            updater(len(y))
        metric.add(total, accuracy(y_hat, y), len(y))
    if metric[2] == 0:
        raise ValueError("train_epoch_ch3: train_iter has no examples")
    return metric[0] / metric[2], metric[1] / metric[2]


def train_ch3(
    net: Any,
    train_iter: Batches,
    test_iter: Batches,
    loss: Callable[[Tensor, Tensor], Tensor],
    num_epochs: int,
    updater: Any,
    *,
    animator: Animator | None = None,
) -> None:
    """Train any net; prints a line an epoch, and a notebook draws the curves.

    Args: those of ``train_epoch_ch3`` and ``evaluate_accuracy``.
        animator: where to collect the curves.
    """
    animator = animator or Animator("epoch", legend=["train loss", "train acc", "test acc"])
    for epoch in range(1, num_epochs + 1):
        train_loss, train_acc = train_epoch_ch3(net, train_iter, loss, updater)
        test_acc = evaluate_accuracy(net, test_iter)
        animator.add(epoch, (train_loss, train_acc, test_acc))
        say(
            f"epoch {epoch}, loss {train_loss:.4f}, train acc {train_acc:.3f}, "
            f"test acc {test_acc:.3f}",
        )
