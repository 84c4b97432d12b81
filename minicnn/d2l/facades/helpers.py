"""The book's helpers that are the same under each framework: figures, batches, training.

A notebook shows a figure where it is drawn. A plain script leaves its figures as PNG files in the
present folder when it ends, and says where.
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.d2l import batches, curves, pictures
from minicnn.d2l.counting import Accumulator
from minicnn.files import write_whole
from minicnn.plots import in_notebook, png, pyplot
from minicnn.terminal import complain, first_line, say

FORMATS = ("-", "m--", "g-.", "r:")
"""The book's lines: solid, dashed, dash-dotted, dotted."""


# Figures ------------------------------------------------------------------------------------------


class Animator(curves.Animator):
    """Curves that grow point by point: see ``minicnn.d2l.Animator``."""

    def add(self, x: Any, y: Any) -> None:
        """Add a point to each curve."""
        super().add(x, y)
        leave(self)


def show_images(
    imgs: Any,
    num_rows: int,
    num_cols: int,
    titles: Sequence[str] | None = None,
    scale: float = 1.5,
) -> np.ndarray:
    """Pictures in a grid: see ``minicnn.d2l.show_images``. Returns the Matplotlib axes."""
    axes = pictures.show_images(imgs, num_rows, num_cols, titles, scale)
    leave(axes[0].figure)
    return axes


def use_svg_display() -> None:
    """Let a notebook show Matplotlib's own figures as drawings (SVG); elsewhere nothing to do."""
    if in_notebook():
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg")


def set_figsize(figsize: tuple[float, float] = (3.5, 2.5)) -> None:
    """The size, in inches, of the figures that ``plt`` makes from now on."""
    use_svg_display()
    pyplot().rcParams["figure.figsize"] = figsize


def set_axes(
    axes: Any,
    xlabel: str | None,
    ylabel: str | None,
    xlim: Sequence[float] | None,
    ylim: Sequence[float] | None,
    xscale: str,
    yscale: str,
    legend: Sequence[str] | None,
) -> None:
    """Labels, limits (None: as the points reach), scales and legend of Matplotlib's ``axes``."""
    axes.set(xlabel=xlabel, ylabel=ylabel, xscale=xscale, yscale=yscale)
    axes.set(xlim=xlim, ylim=ylim)
    if legend:
        axes.legend(legend)
    axes.grid()


def plot(
    X: Any,  # noqa: N803 (the book's name, as Y)
    Y: Any = None,  # noqa: N803
    xlabel: str | None = None,
    ylabel: str | None = None,
    legend: Sequence[str] | None = None,
    xlim: Sequence[float] | None = None,
    ylim: Sequence[float] | None = None,
    xscale: str = "linear",
    yscale: str = "linear",
    fmts: Sequence[str] = FORMATS,
    figsize: tuple[float, float] = (3.5, 2.5),
    axes: Any = None,
) -> None:
    """Curves: each of ``Y`` against that of ``X``, or against the one that all share.

    Args:
        X, Y: a curve (numbers, or an array of one axis) or a list of curves; without Y, those of X
            are drawn against 0, 1, 2...
        axes: Matplotlib's; by default the current ones.

    Raises:
        ValueError: as many X as Y are wanted, or one X.
    """
    set_figsize(figsize)
    axes = pyplot().gca() if axes is None else axes
    ys = _curves(X if Y is None else Y)
    xs = [np.arange(len(y)) for y in ys] if Y is None else _curves(X)
    xs = xs * len(ys) if len(xs) == 1 else xs
    if len(xs) != len(ys):
        raise ValueError(f"plot: X has {len(xs)} curves, Y has {len(ys)}; wanted as many, or one X")
    axes.cla()
    for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
        axes.plot(x, y, fmts[i % len(fmts)])
    set_axes(axes, xlabel, ylabel, xlim, ylim, xscale, yscale, legend)
    leave(axes.figure)


def _curves(values: Any) -> list[np.ndarray]:
    """One array a curve."""
    first = values if hasattr(values, "ndim") else next(iter(values), 0)
    is_one = np.ndim(first) == (1 if hasattr(values, "ndim") else 0)
    return [np.asarray(curve) for curve in ([values] if is_one else values)]


# The figures of a plain script --------------------------------------------------------------------

_left: list[tuple[Any, Path]] = []  # animators or figures, and where they will lie


def leave(figure: Any) -> None:
    """Keep a figure, or an animator, for the end of the program; a notebook has shown it."""
    if in_notebook() or any(figure is other for other, _ in _left):
        return
    if not _left:
        pyplot()  # now: at the end of a program it may be too late to load anything
        atexit.register(save_left)
    script = getattr(sys.modules["__main__"], "__file__", None) or "d2l"  # is gone at the end
    _left.append((figure, Path(f"{Path(script).stem}-figure-{len(_left) + 1}.png").absolute()))


def save_left() -> None:
    """Write each figure that was kept as ``<script>-figure-<number>.png``, and say so."""
    atexit.unregister(save_left)
    for figure, path in _left:
        try:
            write_whole(path, png(figure.figure() if isinstance(figure, Animator) else figure))
            say(f"figure saved: {path}")
        except Exception as error:  # a full disk, a font: the program's own work is done
            complain(f"figure not saved: {path}: {first_line(error)}")
    _left.clear()


# Fashion-MNIST ------------------------------------------------------------------------------------

dataset: str | None = None  # Fashion-MNIST; the sample where it cannot be had, and in tests


class Batches:
    """The engine's batches, turned into a framework's: ``len()`` of them, in a new order each time.

    Args:
        loader: gives (x, y), tensors.
        convert: makes of x and y what the framework's loader yields.
    """

    def __init__(self, loader: Any, convert: Callable[[Any, Any], Any]):
        self.loader, self.convert = loader, convert

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        return (self.convert(x, y) for x, y in self.loader)


def fashion_mnist(
    convert: Callable[[Any, Any], Any],
    batch_size: int,
    resize: int | tuple[int, int] | None = None,
    root: str | Path | None = None,
) -> tuple[Batches, Batches]:
    """Training and test batches of Fashion-MNIST: see ``minicnn.d2l.load_data_fashion_mnist``.

    ``convert`` receives x, a float32 tensor (B, 1, H, W) in [0, 1], and y, an int64 one (B,).
    """
    train, test = batches.load_data_fashion_mnist(batch_size, resize, root, dataset=dataset)
    return Batches(train, convert), Batches(test, convert)


# Training -----------------------------------------------------------------------------------------


def share(part: float, examples: float) -> float:
    """``part`` for each example.

    Raises:
        ValueError: no examples.
    """
    if not examples:
        raise ValueError("data_iter has no examples")
    return part / examples


def means(metric: Accumulator) -> tuple[float, float]:
    """Loss and accuracy of the sums of losses, of correct predictions, of examples."""
    return share(metric[0], metric[2]), share(metric[1], metric[2])


def check_epochs(function: str, num_epochs: int) -> None:
    """Refuse to train for no epochs (ValueError)."""
    if num_epochs < 1:
        raise ValueError(f"{function}: num_epochs is {num_epochs}; wanted at least 1")


def training_curves(num_epochs: int, ylim: Sequence[float] | None = None) -> Animator:
    """The animator of a training."""
    names = ["train loss", "train acc", "test acc"]
    return Animator("epoch", xlim=[1, num_epochs], ylim=ylim, legend=names)


def draws_after(batch: int, count: int) -> bool:
    """Whether ``train_ch6`` draws after batch 1, 2... of ``count``: five times, and at the end."""
    return batch % max(count // 5, 1) == 0 or batch == count


def say_result(metrics: Sequence[float], examples_per_sec: float, device: Any) -> None:
    """``train_ch6``'s last lines: loss, train and test accuracy, and the speed."""
    say("loss {:.3f}, train acc {:.3f}, test acc {:.3f}".format(*metrics))
    say(f"{examples_per_sec:.1f} examples/sec on {device}")


def titles(true: Iterable[Any], predicted: Iterable[Any]) -> list[str]:
    """What ``predict_ch3`` writes above each picture: its class, and the predicted one."""
    names = map(batches.get_fashion_mnist_labels, (true, predicted))
    return [f"{a}\n{b}" for a, b in zip(*names, strict=True)]


def linreg(X: Any, w: Any, b: Any) -> Any:  # noqa: N803 (the book's name)
    """X w + b."""
    return X @ w + b


def squared_loss(y_hat: Any, y: Any) -> Any:
    """(y_hat - y)² / 2, cell by cell."""
    return (y_hat - y.reshape(y_hat.shape)) ** 2 / 2


_SITE = (
    "Classifier DataModule FashionMNIST HyperParameters Module ProgressBoard Trainer add_to_class"
)


def of_other_editions(net: str) -> dict[str, str]:
    """For helpers that the second edition does not have, what its readers write; ``net``: a net."""
    site = (
        f"today's site has it; of the second edition's write {net} and train it with d2l.train_ch6"
    )
    return dict.fromkeys(_SITE.split(), site) | {
        "train_ch5": "it is the first edition's; write d2l.train_ch6"
    }
