"""Draws docs/pictures/convolution.png: a convolution forward and backward, in the engine's numbers.

python docs/pictures/convolution.py
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minicnn import Tensor
from minicnn.kernels import reference
from minicnn.nn import functional as F

INK, FAINT, PAPER = "#22313f", "#c3ccd5", "#ffffff"
LIT = ["#9ecae1", "#fdd0a2", "#a1d99b", "#dadaeb"]  # a colour for each of the four windows
WINDOW = ((2, 2), (1, 1), (0, 0), (1, 1))  # kernel size, stride, padding, dilation

x = np.arange(1.0, 10).reshape(1, 1, 3, 3)
weight = np.array([[[[1.0, 2], [0, -1]]]])
dy = np.array([[[[1.0, 0], [2, -1]]]])


def grid(
    axes: Axes,
    at: tuple[float, float],
    cells: np.ndarray,
    title: str,
    colours: dict[tuple[int, int], str] | None = None,
) -> None:
    """A matrix with its upper left corner at ``at``, one unit a cell."""
    (left, top), (rows, cols) = at, cells.shape
    for (i, j), value in np.ndenumerate(cells):
        face = (colours or {}).get((i, j), PAPER)
        corner = (left + j, top - i - 1)
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=face, edgecolor=FAINT, linewidth=1.2))
        axes.text(
            left + j + 0.5,
            top - i - 0.5,
            f"{value:g}".replace("-", "−"),
            ha="center",
            va="center",
            color=INK,
            fontsize=12,
        )
    axes.text(left + cols / 2, top + 0.3, title, ha="center", va="bottom", color=INK, fontsize=11)
    size = f"{rows} × {cols}"
    axes.text(
        left + cols / 2, top - rows - 0.25, size, ha="center", va="top", color="#7b8894", fontsize=9
    )


def arrow(axes: Axes, start: float, end: float, y: float, text: str) -> None:
    style = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.3, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (end, y), (start, y), arrowprops=style)
    axes.text((start + end) / 2, y + 0.22, text, ha="center", va="bottom", color=INK, fontsize=10)


def draw() -> Figure:
    tx, tw = Tensor(x, requires_grad=True), Tensor(weight, requires_grad=True)
    y = F.conv2d(tx, tw)
    y.backward(dy)
    columns = reference.im2col(x, *WINDOW)[0]
    dcolumns = weight.reshape(1, 4).T @ dy.reshape(1, 4)
    window = {(i, j): LIT[0] for i in range(2) for j in range(2)}
    by_column = {(i, j): LIT[j] for i in range(4) for j in range(4)}
    by_output = {(0, j): LIT[j] for j in range(4)}
    square = {(j // 2, j % 2): LIT[j] for j in range(4)}
    middle = {(1, 1): "#fff2a8"}

    figure = Figure(figsize=(11.4, 6.3))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 25.6), ylim=(-0.9, 13.2), aspect="equal")
    axes.axis("off")

    axes.text(0.6, 12.45, "forward", color=INK, fontsize=14, weight="bold")
    grid(axes, (0.6, 10.9), x[0, 0], "picture x", window)
    arrow(axes, 4.0, 6.5, 9.4, "im2col")
    grid(axes, (12.6, 11.4), columns, "columns X: a window each", by_column)
    grid(axes, (7.1, 9.9), weight.reshape(1, 4), "kernel W, flat")
    axes.text(11.8, 9.4, "·", ha="center", va="center", color=INK, fontsize=22)
    axes.text(17.25, 9.4, "=", ha="center", va="center", color=INK, fontsize=16)
    grid(axes, (18.0, 9.9), y.numpy().reshape(1, 4), "W X", by_output)
    axes.text(22.55, 9.4, "=", ha="center", va="center", color=INK, fontsize=16)
    grid(axes, (23.1, 10.4), y.numpy()[0, 0], "output y", square)

    axes.text(0.6, 5.85, "backward", color=INK, fontsize=14, weight="bold")
    grid(axes, (0.6, 3.8), dy[0, 0], "gradient dy", square)
    arrow(axes, 3.0, 5.2, 2.8, "flat")
    grid(axes, (5.8, 4.8), weight.reshape(4, 1), "Wᵀ")
    axes.text(7.4, 2.8, "·", ha="center", va="center", color=INK, fontsize=22)
    grid(axes, (8.0, 3.3), dy.reshape(1, 4), "dy", by_output)
    axes.text(12.45, 2.8, "=", ha="center", va="center", color=INK, fontsize=16)
    grid(axes, (13.0, 4.8), dcolumns, "dX = Wᵀ dy", by_column)
    arrow(axes, 17.5, 20.3, 2.8, "col2im: add up")
    grid(axes, (21.0, 4.3), tx.grad.numpy()[0, 0], "dx", middle)
    terms = " + ".join(
        f"{dcolumns[3 - k, k]:g}".replace("-", "−")
        if dcolumns[3 - k, k] >= 0
        else f"(−{-dcolumns[3 - k, k]:g})"
        for k in range(4)
    )
    total = f"{tx.grad.numpy()[0, 0, 1, 1]:g}".replace("-", "−")
    axes.text(
        22.5,
        0.35,
        f"the middle pixel stands in\nall four windows:\n{terms} = {total}",
        ha="center",
        va="top",
        color=INK,
        fontsize=10,
    )
    dw = " ".join(f"{v:g}".replace("-", "−") for v in tw.grad.numpy().reshape(-1))
    axes.text(0.6, -0.35, f"and  dW = dy Xᵀ = ({dw})", color=INK, fontsize=11)
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=120, facecolor=PAPER)
