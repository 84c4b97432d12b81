"""Draws docs/pictures/architecture-lenet.png and -lenet-max.png from the nets themselves.

python docs/pictures/architecture.py
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from minicnn import data, models, nn, randn

INK, FAINT, SOFT = "#22313f", "#8fa3b5", "#7b8894"
MAPS, POOLED, DENSE = "#9ecae1", "#a1d99b", "#fdd0a2"
PIXEL = 0.1  # the side of a map's pixel
DEPTH = 0.8  # from a layer's first map to its last
UNIT = 0.022  # of a dense layer's height


class Stage:
    """What one layer puts out: maps (C, H, W) or numbers (n,), and the words below."""

    def __init__(self, shape: tuple[int, ...], colour: str, words: list[str]):
        self.shape, self.colour, self.words = shape, colour, words

    @property
    def width(self) -> float:
        if len(self.shape) == 1:
            return 0.28
        return self.shape[2] * PIXEL + self.depth

    @property
    def depth(self) -> float:
        return DEPTH if self.shape[0] > 1 else 0.0


def stages(net: nn.Sequential) -> list[Stage]:
    """The picture and what every layer with a size of its own makes of it."""
    x = randn(1, 1, 28, 28)
    found = [Stage(x.shape[1:], "none", ["picture"])]
    for layer in net:
        x = layer(x)
        if isinstance(layer, nn.Conv2d):
            kernel, padding = layer.weight.shape[2], layer.padding
            size = f"{kernel} × {kernel}" + (f", padding {padding}" if padding else "")
            found.append(Stage(x.shape[1:], MAPS, ["convolution", size]))
        elif isinstance(layer, nn.AvgPool2d | nn.MaxPool2d):
            kind = "average" if isinstance(layer, nn.AvgPool2d) else "max"
            found.append(Stage(x.shape[1:], POOLED, [f"{kind} pooling", "2 × 2, stride 2"]))
        elif isinstance(layer, nn.Linear):
            found.append(Stage(x.shape[1:], DENSE, ["dense"]))
        elif type(layer).__name__ in ("Sigmoid", "ReLU", "Tanh"):
            found[-1].words.append(type(layer).__name__.lower())
    return found


def draw_stage(axes: Axes, stage: Stage, left: float) -> None:
    """Maps one behind the other, or a bar, centred on height 0; words below."""
    if len(stage.shape) == 1:
        height = stage.shape[0] * UNIT
        box = Rectangle((left, -height / 2), stage.width, height)
        box.set(facecolor=stage.colour, edgecolor=INK, linewidth=1)
        axes.add_patch(box)
        top, title = height / 2, f"{stage.shape[0]}"
    else:
        channels, rows, columns = stage.shape
        width, height, bottom = columns * PIXEL, rows * PIXEL, -(rows * PIXEL + stage.depth) / 2
        for k in reversed(range(channels)):
            back = stage.depth * k / max(1, channels - 1)
            box = Rectangle((left + back, bottom + back), width, height)
            box.set(facecolor=stage.colour, edgecolor=INK, linewidth=0.8)
            axes.add_patch(box)
        if channels == 1:
            extent = (left, left + width, bottom, bottom + height)
            axes.imshow(picture(), cmap="gray_r", extent=extent, zorder=0)
        top, title = bottom + height + stage.depth, f"{channels} × {rows} × {columns}"
    middle = left + stage.width / 2
    axes.text(middle, top + 0.16, title, ha="center", color=INK, fontsize=10, weight="bold")
    words = "\n".join(stage.words)
    axes.text(middle, -2.2, words, ha="center", va="top", color=SOFT, fontsize=9, linespacing=1.4)


def picture() -> np.ndarray:
    """An ankle boot."""
    sample, _ = data.load("fashion-mnist-sample")
    return sample.images[np.flatnonzero(sample.labels == 9)[0]]


def draw(net: nn.Sequential, title: str) -> Figure:
    """The layers from left to right."""
    of_net = stages(net)
    gap = 0.95
    width = sum(stage.width + gap for stage in of_net) + 0.4
    figure = Figure(figsize=(0.78 * width, 0.78 * 6.1))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(-3.1, 3.0), aspect="equal")
    axes.axis("off")
    axes.text(0.35, 2.65, title, color=INK, fontsize=12, weight="bold", va="center")
    left = 0.6
    for k, stage in enumerate(of_net):
        draw_stage(axes, stage, left)
        if k + 1 < len(of_net):
            start, end = left + stage.width + 0.14, left + stage.width + gap - 0.14
            head = [(end, 0), (end - 0.14, 0.08), (end - 0.14, -0.08)]
            axes.plot([start, end - 0.14], [0, 0], color=FAINT, linewidth=1.4)
            axes.add_patch(Polygon(head, facecolor=FAINT))
        left += stage.width + gap
    return figure


TITLES = {
    "lenet": "lenet, the second edition's",
    "lenet-max": "lenet-max, the first edition's",
}

if __name__ == "__main__":
    for name, title in TITLES.items():
        path = Path(__file__).parent / f"architecture-{name}.png"
        net = models.build(name)
        parameters = sum(p.size for p in net.parameters())
        draw(net, f"{title}: {parameters:,} parameters").savefig(path, dpi=120)
