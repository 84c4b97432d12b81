"""``python -m minicnn.visualize``: pictures of a trained net.

activations-1.png, activations-2.png   what the first two layers make of chosen classes
filters.png                            the weights of the layers that see pictures
confusion.png                          which class is taken for which
mistakes.png                           the pictures that the net gets most wrong
gradients.png                          how much of the loss's gradient reaches each layer

Each picture is a function of numbers (``activations``, ``confusion``, ``most_wrong``...), which can
be had without it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from math import ceil, prod
from typing import Any, NamedTuple

import numpy as np

from minicnn import command, data, nn, plots
from minicnn.files import make_folder, write_whole
from minicnn.nn import functional as F
from minicnn.nn.modes import in_evaluation_mode
from minicnn.plots import GRID, INK, TEST, TRAIN
from minicnn.runs import load_run, load_test_set
from minicnn.tensor import no_grad
from minicnn.terminal import say

CHAPTER = ("Pullover", "Coat")  # the sweaters and coats of its exercise
BATCH = 250  # images at a time
EXAMPLES = 4  # pictures of each class whose activations are shown
MOST_MAPS = 16  # channels shown of a layer
RIGHT, WRONG, FAINT, PAPER = TEST, TRAIN, "#8a949e", "#f4f4f4"
AFTER = (nn.BatchNorm2d, nn.Sigmoid, nn.Tanh, nn.ReLU)  # what belongs to the layer before it


# Numbers ------------------------------------------------------------------------------------------


class Layer(NamedTuple):
    """A convolution or dense layer of a net; ``net[:end](x)`` are its activations.

    end: after the layer, its normalisation and its activation function.
    """

    name: str
    module: nn.Conv2d | nn.Linear
    end: int


def layers(net: nn.Sequential) -> list[Layer]:
    """The layers with weights, in order: "convolution 1", "convolution 2", "dense 1"..."""
    found: list[Layer] = []
    counts = {"convolution": 0, "dense": 0}
    for place, module in enumerate(net):
        if isinstance(module, nn.Conv2d | nn.Linear):
            kind = "convolution" if isinstance(module, nn.Conv2d) else "dense"
            counts[kind] += 1
            found.append(Layer(f"{kind} {counts[kind]}", module, place + 1))
        elif isinstance(module, AFTER) and found and found[-1].end == place:
            found[-1] = found[-1]._replace(end=place + 1)
    return found


def activations(net: nn.Sequential, layer: Layer, images: np.ndarray) -> np.ndarray:
    """What ``layer`` makes of ``images``, uint8 (N, H, W): (N, C, h, w), or (N, units)."""
    dataset = data.Dataset(images, np.zeros(len(images), np.int64), ("any",))
    part = net[: layer.end]
    with in_evaluation_mode(net), no_grad():
        return np.concatenate([part(x).numpy() for x, _ in data.DataLoader(dataset, BATCH)])


class Predictions(NamedTuple):
    """What a net says to a data set: probabilities (N, classes), losses (N,), labels (N,)."""

    probabilities: np.ndarray
    losses: np.ndarray
    labels: np.ndarray

    @property
    def classes(self) -> np.ndarray:
        """The most probable class of each picture, (N,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def accuracy(self) -> float:
        """The share of the pictures whose most probable class is theirs."""
        return float((self.classes == self.labels).mean())


def predict(net: nn.Sequential, dataset: data.Dataset) -> Predictions:
    """Class probabilities and cross-entropy losses of all pictures.

    Raises:
        ValueError: the net gives something else than numbers.
    """
    parts = []
    with in_evaluation_mode(net), no_grad(), np.errstate(all="ignore"):
        for x, y in data.DataLoader(dataset, BATCH):
            logits = net(x).to("float64")
            loss = F.cross_entropy(logits, y, reduction="none")
            parts.append((F.softmax(logits, 1).numpy(), loss.numpy()))
    probabilities, losses = (np.concatenate(part) for part in zip(*parts, strict=True))
    if not np.isfinite(probabilities).all():
        raise ValueError("the net's outputs are nan: it diverged when it was trained")
    return Predictions(probabilities, losses, dataset.labels)


def confusion(predictions: Predictions) -> np.ndarray:
    """How many pictures of class ``row`` were taken for class ``column``: (classes, classes)."""
    classes = predictions.probabilities.shape[1]
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (predictions.labels, predictions.classes), 1)
    return counts


def most_confused(counts: np.ndarray) -> tuple[int, int]:
    """The two classes that are most often taken for each other."""
    both = np.triu(counts + counts.T, 1)
    first, second = np.unravel_index(both.argmax(), both.shape)
    return int(first), int(second)


def most_wrong(predictions: Predictions, count: int) -> np.ndarray:
    """The ``count`` misclassified pictures of the largest loss, the largest first."""
    (wrong,) = np.nonzero(predictions.classes != predictions.labels)
    return wrong[np.argsort(-predictions.losses[wrong], kind="stable")][:count]


def gradient_norms(net: nn.Sequential, dataset: data.Dataset) -> np.ndarray:
    """The length of the gradient of each layer's weights and biases: (batches, layers).

    The loss is the mean over a batch of at most 250 pictures, the net in evaluation mode.
    """
    rows = []
    modules = [layer.module for layer in layers(net)]
    with in_evaluation_mode(net):
        for x, y in data.DataLoader(dataset, BATCH):
            net.zero_grad()
            F.cross_entropy(net(x), y).backward()
            rows.append([_length(module) for module in modules])
    net.zero_grad()
    return np.array(rows)


def _length(module: nn.Module) -> float:
    gradients = [p.grad.numpy() for p in module.parameters() if p.grad is not None]
    return float(np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients)))


# Pictures -----------------------------------------------------------------------------------------


def _figure(width: float, height: float, title: str, below: str = "") -> Any:
    """An empty picture in inches: a title, and a line that says how to read it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    figure.text(0.3 / width, 1 - 0.2 / height, title, color=INK, fontsize=13, va="top",
                fontweight="bold")  # fmt: skip
    figure.text(0.3 / width, 1 - 0.52 / height, below, color=FAINT, fontsize=9.5, va="top")
    return figure


def _axes(figure: Any, left: float, top: float, width: float, height: float) -> Any:
    """Axes without a frame; the place in inches from the picture's upper left corner."""
    whole, high = figure.get_size_inches()
    place = (left / whole, 1 - (top + height) / high, width / whole, height / high)
    axes = figure.add_axes(place)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=INK, labelsize=9)
    return axes


def _board(figure: Any, top: float, left: float, rows: float, columns: float, size: float) -> Any:
    """Axes for tiles of one unit, ``size`` inches large; row 0 is at the top."""
    axes = _axes(figure, left, top, columns * size, rows * size)
    axes.set(xlim=(0, columns), ylim=(rows, 0), xticks=[], yticks=[])
    return axes


def _tile(axes: Any, picture: np.ndarray, column: float, row: float, **style: Any) -> None:
    """A picture (h, w) in the unit square at (column, row)."""
    gap = 0.04
    extent = (column + gap, column + 1 - gap, row + 1 - gap, row + gap)
    axes.imshow(picture, extent=extent, aspect="auto", interpolation="nearest", **style)


def draw_activations(
    net: nn.Sequential, layer: Layer, test: data.Dataset, chosen: Sequence[int], title: str
) -> Any:
    """A row for some pictures of each class and for the mean of all; a column for each channel."""
    groups = [test.images[test.labels == k] for k in chosen]
    maps = [_with_mean(activations(net, layer, images)) for images in groups]
    pictures = [_with_mean(images.astype(np.float32)) for images in groups]
    everything = np.concatenate(maps)
    shown = min(MOST_MAPS, everything.shape[1]) if everything.ndim == 4 else 9
    lowest, highest = _ranges(everything)

    size = min(0.95, 9.6 / shown)
    rows, apart = EXAMPLES + 1, 0.35  # of a group, and between groups
    width, top = 1.75 + (shown + 1.4) * size, 1.35
    total = len(chosen) * (rows + apart) - apart
    figure = _figure(
        max(width, 7.2), top + total * size + 0.3, f"{title}: {layer.name}, activations",
        _activations_say(everything, shown),
    )  # fmt: skip
    board = _board(figure, top, 1.5, total, shown + 1.4, size)
    for group, k in enumerate(chosen):
        first = group * (rows + apart)
        for row in range(len(maps[group])):
            _tile(board, pictures[group][row], 0, first + row, cmap="gray", vmin=0, vmax=255)
            _row_of_maps(board, maps[group][row], first + row, shown, lowest, highest)
        last = first + len(maps[group]) - 0.5
        _label(board, -0.15, first + 0.5, test.classes[k], ha="right", weight="bold", size=11)
        _label(board, -0.15, last, f"mean of {len(groups[group]):,}", ha="right", color=FAINT)
    _heads(board, everything, shown, lowest, highest)
    return figure


def _with_mean(all_of_a_class: np.ndarray) -> np.ndarray:
    """The first few, and after them the mean of all."""
    return np.concatenate([all_of_a_class[:EXAMPLES], all_of_a_class.mean(0, keepdims=True)])


def _ranges(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest number of each channel; of all units for (N, units)."""
    if maps.ndim == 2:
        return maps.min().reshape(1), maps.max().reshape(1)
    return maps.min(axis=(0, 2, 3)), maps.max(axis=(0, 2, 3))


def _activations_say(maps: np.ndarray, shown: int) -> str:
    if maps.ndim == 2:
        return f"{maps.shape[1]} units side by side, from dark to light on the scale above them"
    count = maps.shape[1]
    some = f"the first {shown} of {count}" if shown < count else f"{count}"
    return f"{some} channels, each on the scale above it, from dark to light"


def _row_of_maps(
    board: Any, maps: np.ndarray, row: float, shown: int, lowest: np.ndarray, highest: np.ndarray
) -> None:
    """The activations of one picture, (C, h, w) as tiles or (units,) as a strip."""
    if maps.ndim == 1:
        extent = (1.4, shown + 1.4, row + 0.96, row + 0.04)
        board.imshow(maps[None], extent=extent, aspect="auto", interpolation="nearest",
                     cmap="magma", vmin=lowest[0], vmax=highest[0])  # fmt: skip
        return
    for c in range(shown):
        _tile(board, maps[c], c + 1.4, row, cmap="magma", vmin=lowest[c], vmax=highest[c])


def _heads(
    board: Any, maps: np.ndarray, shown: int, lowest: np.ndarray, highest: np.ndarray
) -> None:
    """Above each column its number and its range."""
    _label(board, 0.5, -0.08, "picture", va="bottom")
    ranges = [f"{_short(low)} – {_short(high)}" for low, high in zip(lowest, highest, strict=True)]
    if maps.ndim == 2:
        _label(board, 1.4 + shown / 2, -0.08, ranges[0], va="bottom")
        return
    for c in range(shown):
        words = f"{c + 1}\n{ranges[c]}"
        _label(board, c + 1.9, -0.08, words, va="bottom", size=9 if shown <= 8 else 6.5)


def _label(axes: Any, x: float, y: float, words: str, **style: Any) -> None:
    style = {"ha": "center", "va": "center", "color": INK, "size": 9, **style}
    axes.text(x, y, words, clip_on=False, **style)


def _short(number: float) -> str:
    return f"{number:.2f}".replace("-", "−") if abs(number) < 100 else f"{number:.0f}"


def filters(layer: Layer, pixels: int) -> np.ndarray | None:
    """The weights that can be seen: (C, O, KH, KW), None for a dense layer that sees no picture."""
    weight = layer.module.weight.numpy()
    if weight.ndim == 4:
        return weight.swapaxes(0, 1)
    side = round(pixels**0.5)
    return weight.reshape(1, -1, side, side) if weight.shape[1] == pixels == side**2 else None


def draw_filters(net: nn.Sequential, pixels: int, title: str) -> Any:
    """The kernels of the first two layers: a column for each, a row for each input channel."""
    seen = [(layer, filters(layer, pixels)) for layer in layers(net)[:2]]
    panels = [(layer, _grid(found)) for layer, found in seen if found is not None]
    sizes = [min(0.85, 9.6 / grid.shape[1]) for _, grid in panels]
    heights = [0.8 + len(grid) * size for (_, grid), size in zip(panels, sizes, strict=True)]
    widest = max(g.shape[1] * size for (_, g), size in zip(panels, sizes, strict=True))
    figure = _figure(
        max(7.2, 2 + widest), 0.75 + sum(heights), f"{title}: filters",
        "kernels from left to right, the channels that they see from top to bottom"
        if isinstance(panels[0][0].module, nn.Conv2d) else "from left to right, line by line",
    )  # fmt: skip
    top = 0.95
    for (layer, grid), size, height in zip(panels, sizes, heights, strict=True):
        _draw_kernels(figure, layer, grid, top, size)
        top += height
    return figure


def _grid(kernels: np.ndarray) -> np.ndarray:
    """(C, O, h, w) as rows and columns of tiles: no more than can be seen, one channel wrapped."""
    c, o, *picture = kernels.shape
    columns = min(o, MOST_MAPS)
    if c > 1:
        return kernels[:MOST_MAPS, :columns]
    rows = min(4, o // columns)
    return kernels[0, : rows * columns].reshape(rows, columns, *picture)


def _draw_kernels(figure: Any, layer: Layer, grid: np.ndarray, top: float, size: float) -> None:
    rows, columns = grid.shape[:2]
    most = float(np.abs(grid).max()) or 1.0
    words = f"{layer.name}: {_tiles_say(layer.module.weight.shape, rows, columns)}"
    board = _board(figure, top + 0.3, 0.45, rows, columns, size)
    board.set_facecolor(GRID)
    _label(board, 0.04, -0.17 / size, words, ha="left", size=10.5)
    style = {"cmap": "RdBu_r", "vmin": -most, "vmax": most}
    for row, column in np.ndindex(rows, columns):
        _tile(board, grid[row, column], column, row, **style)
    scale = _axes(figure, 0.6 + columns * size, top + 0.32, 0.13, max(rows * size, 0.8) - 0.04)
    bar = figure.colorbar(board.images[0], cax=scale, ticks=[-most, 0, most])
    bar.outline.set_visible(False)
    scale.set_yticklabels([_short(-most), "0", _short(most)])
    scale.tick_params(length=0, colors=INK, labelsize=8.5)


def _tiles_say(shape: tuple[int, ...], rows: int, columns: int) -> str:
    """How many kernels (O, C, KH, KW) or units (O, K) there are, and how many of them are shown."""
    if len(shape) == 2:
        return f"{rows * columns} of {shape[0]} units, a weight for each pixel"
    shown = rows * columns < shape[0] * shape[1]
    some = f", {rows} × {columns} tiles of them" if shown else ""
    return f"{shape[0]} kernels of {' × '.join(map(str, shape[1:]))}{some}"


def draw_confusion(counts: np.ndarray, classes: Sequence[str], title: str) -> Any:
    """A row for each class: what its pictures were taken for, and the share that was right."""
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    figure = _figure(
        8.6, 8.2, f"{title}: {len(classes)} classes, accuracy {counts.trace() / counts.sum():.3f}",
        "rows: what it is; columns: what the net takes it for; right: the share of each class "
        "that is right",
    )  # fmt: skip
    size = 6.2 / len(classes)
    board = _board(figure, 1.75, 1.35, len(classes), len(classes), size)
    for row, column in np.ndindex(counts.shape):
        colour = RIGHT if row == column else WRONG
        depth = float(np.sqrt(shares[row, column])) * 0.92
        _tile(board, np.ones((1, 1)), column, row, cmap=_shade(colour, depth))
        words = f"{counts[row, column]:,}" if counts[row, column] else "·"
        ink = "white" if depth > 0.78 else INK if counts[row, column] else FAINT
        weight = "bold" if row == column else "normal"
        _label(board, column + 0.5, row + 0.52, words, color=ink, size=10, weight=weight)
    longest = max(map(len, classes))
    for k, name in enumerate(classes):
        _label(board, -0.15, k + 0.5, name, ha="right", size=10)
        slant = {"rotation": 35, "ha": "left"} if longest > 2 else {}
        _label(board, k + (0.35 if slant else 0.5), -0.12, name, va="bottom", size=10, **slant)
        _label(board, len(classes) + 0.15, k + 0.5, f"{shares[k, k]:.2f}", ha="left", size=10,
               weight="bold", color=RIGHT)  # fmt: skip
    return figure


def _shade(colour: str, depth: float) -> Any:
    """A colour map of one colour: between paper (0) and ``colour`` (1)."""
    from matplotlib.colors import ListedColormap, to_rgb

    paper, full = np.array(to_rgb(PAPER)), np.array(to_rgb(colour))
    return ListedColormap([paper + depth * (full - paper)])


def draw_mistakes(
    predictions: Predictions, test: data.Dataset, picked: np.ndarray, title: str
) -> Any:
    """The pictures ``picked``, and what the net holds them for."""
    across, wide, high, top = 4, 3.35, 1.72, 1.0
    wrong = int((predictions.classes != predictions.labels).sum())
    rows = max(1, ceil(len(picked) / across))
    figure = _figure(
        0.5 + across * wide, top + rows * high, f"{title}: the pictures that it gets most wrong",
        f"the {len(picked)} of largest loss among {wrong:,} mistakes; green: what it is; "
        "orange: what the net takes it for",
    )  # fmt: skip
    for place, i in enumerate(picked):
        left, upper = 0.3 + place % across * wide, top + place // across * high
        board = _board(figure, upper + 0.24, left, 1, 1, 1.2)
        _tile(board, test.images[i], 0, 0, cmap="gray", vmin=0, vmax=255)
        words = f"number {i}, loss {predictions.losses[i]:.2f}"
        _label(board, 0.04, -0.1, words, ha="left", color=FAINT, size=8.5)
        bars = _axes(figure, left + 2.05, upper + 0.24, 0.75, 1.2)
        _draw_bars(bars, predictions.probabilities[i], int(predictions.labels[i]), test.classes)
    return figure


def _draw_bars(axes: Any, p: np.ndarray, label: int, classes: Sequence[str]) -> None:
    """The three most probable classes, and the right one below them if it is not one of them."""
    first = [int(k) for k in np.argsort(-p, kind="stable")[:3]]
    rows = [*first, label] if label not in first else first
    colours = [RIGHT if k == label else WRONG if k == first[0] else GRID for k in rows]
    axes.barh(range(len(rows)), p[rows], 0.62, color=colours)
    axes.set(xlim=(0, 1), ylim=(3.5, -0.5), xticks=[], yticks=range(len(rows)))
    names = axes.set_yticklabels([classes[k] for k in rows], fontsize=8.5)
    for row, (k, name, colour) in enumerate(zip(rows, names, colours, strict=True)):
        if colour != GRID:
            name.set(color=colour, weight="bold")
        _label(axes, p[k] + 0.05, row, _percent(p[k]), ha="left", size=8)


def _percent(p: float) -> str:
    """As much of a probability as is seen: 97 %, 0.4 %, < 0.1 %."""
    if p < 0.001:
        return "< 0.1 %"
    return f"{100 * p:.1f} %" if p < 0.01 or 0.99 < p < 1 else f"{100 * p:.0f} %"


def draw_gradients(norms: np.ndarray, names: Sequence[str], title: str) -> Any:
    """A line for each layer: a dot for each batch, on a logarithmic scale, and their median."""
    figure = _figure(
        8.4, 1.7 + 0.55 * len(names), f"{title}: gradients by layer",
        f"the length of the gradient of a layer's weights and biases: a dot for each of "
        f"{len(norms)} batches, and the median",
    )  # fmt: skip
    axes = _axes(figure, 1.55, 1.0, 6.0, 0.55 * len(names))
    for row, values in enumerate(norms.T):
        seen = values[values > 0]
        spread = 0.14 * np.sin(2.4 * np.arange(len(seen)))  # so that dots do not hide each other
        axes.plot(seen, row + spread, "o", color=plots.LOSS, alpha=0.3, markersize=4.5, mew=0)
        median = float(np.median(values))
        if median > 0:
            axes.plot([median] * 2, [row - 0.3, row + 0.3], color=INK, linewidth=2)
        axes.text(1.02, row, f"{median:.3g}", transform=axes.get_yaxis_transform(), va="center",
                  color=INK, size=10)  # fmt: skip
    axes.set(xscale="log", ylim=(len(names) - 0.5, -0.5), yticks=range(len(names)))
    _plain_decimals(axes.xaxis, norms[norms > 0])
    axes.set_yticklabels(names, fontsize=10)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    return figure


def _plain_decimals(axis: Any, values: np.ndarray) -> None:
    """A logarithmic axis with ticks at 0.01, 0.02, 0.05, 0.1...; at 0.01, 0.1... if it is long."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

    long = values.size > 0 and values.max() > 1000 * values.min()
    axis.set_major_locator(LogLocator(subs=(1.0,) if long else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FormatStrFormatter("%g"))
    axis.set_minor_locator(NullLocator())


# The command --------------------------------------------------------------------------------------


def parser() -> command.Parser:
    """The options of ``python -m minicnn.visualize``."""
    p = command.Parser("visualize", "Draw what a trained net does: pictures (PNG) of its inside.")
    p.add("--run", "DIR", "the folder of a training run", type=command.path, required=True)
    p.add(
        "--out", "DIR", "where the pictures go; by default into the run's folder", type=command.path
    )
    p.add(
        "--classes",
        "A,B",
        "whose activations are shown, by name or number; by default Pullover,Coat, or the two "
        "classes that the net confuses most",
    )
    p.add("--mistakes", "N", "12 by default", type=command.at_least(1), default=12)
    p.add("--data-dir", "DIR", "look for the data set's files here only", type=command.path)
    return p


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return command.run(parser(), _visualize, argv)


def _visualize(options: argparse.Namespace) -> int:
    net, config = load_run(options.run)
    assert isinstance(net, nn.Sequential)  # as all of minicnn.models
    test = load_test_set(config, options.data_dir)
    chosen = _chosen(options.classes, test.classes)
    out = options.out or options.run
    make_folder(out)
    predictions = predict(net, test)
    title = f"{config['model']} on {config['dataset']}"
    say(f"{title}: {len(test):,} test pictures, accuracy {predictions.accuracy:.3f}")
    with plots.own_style():
        for name, figure in _pictures(net, test, predictions, chosen, options.mistakes, title):
            write_whole(out / name, plots.png(figure))
            say(f"written {out / name}")
    return 0


def _pictures(
    net: nn.Sequential,
    test: data.Dataset,
    predictions: Predictions,
    chosen: Sequence[int],
    mistakes: int,
    title: str,
) -> Iterator[tuple[str, Any]]:
    """Each file's name, and its figure."""
    counts, found = confusion(predictions), layers(net)
    for number, layer in enumerate(found[:2], start=1):
        picture = draw_activations(net, layer, test, chosen or most_confused(counts), title)
        yield f"activations-{number}.png", picture
    yield "filters.png", draw_filters(net, prod(test.images.shape[1:]), title)
    yield "confusion.png", draw_confusion(counts, test.classes, title)
    picked = most_wrong(predictions, mistakes)
    yield "mistakes.png", draw_mistakes(predictions, test, picked, title)
    names = [layer.name for layer in found]
    yield "gradients.png", draw_gradients(gradient_norms(net, test), names, title)


def _chosen(wanted: str | None, classes: Sequence[str]) -> tuple[int, ...]:
    """The numbers of the classes named; of the chapter's by default, none where it has none."""
    if wanted is None:
        return tuple(classes.index(name) for name in CHAPTER if name in classes)
    numbers = {name.casefold(): k for k, name in enumerate(classes)}
    numbers |= {str(k): k for k in range(len(classes))}
    names = [part.strip() for part in wanted.split(",")]
    for name in names:
        if name.casefold() not in numbers:
            raise ValueError(f"--classes: {name!r}; wanted some of {', '.join(classes)}")
    return tuple(dict.fromkeys(numbers[name.casefold()] for name in names))


if __name__ == "__main__":
    command.process(main)
