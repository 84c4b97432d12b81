"""Draws docs/pictures/tiles.png: the tile's layout, and the block of a product held in registers.

python docs/pictures/tiles.py
"""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

INK, FAINT, QUIET = "#22313f", "#c3ccd5", "#7b8894"
BLUE, ORANGE, GREEN = "#9ecae1", "#fdd0a2", "#a1d99b"


def cells(
    axes: Axes,
    left: float,
    top: float,
    rows: int,
    cols: int,
    size: tuple[float, float],
    colour: str,
) -> None:
    """rows x cols rectangles with their upper left corner at (left, top)."""
    width, height = size
    for i in range(rows):
        for j in range(cols):
            corner = (left + j * width, top - (i + 1) * height)
            axes.add_patch(
                Rectangle(corner, width, height, facecolor=colour, edgecolor="white", linewidth=1)
            )


def frame(axes: Axes, left: float, top: float, width: float, height: float) -> None:
    axes.add_patch(
        Rectangle((left, top - height), width, height, fill=False, edgecolor=INK, linewidth=1.4)
    )


def text(axes: Axes, x: float, y: float, words: str, **style: object) -> None:
    axes.text(x, y, words, **{"color": INK, "fontsize": 10.5, "va": "center", **style})


def layout(axes: Axes) -> None:
    """How a picture's cells lie in memory: the images innermost."""
    text(axes, 0, 11.4, "A tile: 16 images, the image innermost", fontsize=13, weight="bold")
    for k in range(4):
        cells(axes, 0.25 * k, 10.2 - 0.25 * k, 5, 5, (0.5, 0.5), BLUE if k == 3 else "#dce9f3")
    text(axes, 0, 6.45, "16 pictures of a channel", color=QUIET, fontsize=9.5)
    axes.annotate(
        "", (4.9, 8.7), (3.6, 8.7), arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.3}
    )
    for pixel, colour in enumerate((BLUE, ORANGE, GREEN)):
        left = 5.2 + pixel * 4.3
        cells(axes, left, 9.1, 1, 16, (0.26, 0.8), colour)
        text(axes, left + 2.08, 9.45, f"pixel (0, {pixel})", ha="center", fontsize=9.5)
    text(axes, 5.2, 7.9, "image 0 … 15", fontsize=9, color=QUIET)
    text(axes, 18.25, 8.7, "…", fontsize=14)
    words = (
        "16 floats are one register of AVX-512, two of AVX2: whatever the kernel, stride or\n"
        "picture, every loop over images is one instruction."
    )
    text(axes, 5.2, 7.1, words, fontsize=9.5)


def block(axes: Axes) -> None:
    """4 rows x 64 cells of y, from one tap after the other."""
    text(
        axes,
        0,
        5.1,
        "The product: 4 rows × 64 cells of y stay in registers",
        fontsize=13,
        weight="bold",
    )
    text(axes, 0.85, 4.2, "w[row, tap]", ha="center", fontsize=9.5)
    cells(axes, 0, 3.9, 4, 5, (0.34, 0.62), "#eef2f5")
    cells(axes, 0.68, 3.9, 4, 1, (0.34, 0.62), ORANGE)
    text(axes, 2.3, 2.65, "×", fontsize=15, ha="center")
    text(
        axes, 5.5, 4.2, "x[tap]: a run of the input line, where it lies", ha="center", fontsize=9.5
    )
    for tap in range(5):
        colour = BLUE if tap == 2 else "#eef2f5"
        cells(axes, 3.0 + 0.26 * tap, 3.9 - 0.5 * tap, 1, 16, (0.26, 0.4), colour)
    text(
        axes,
        2.95,
        1.15,
        "tap j begins j columns further on:\nthe rows of im2col, never copied",
        fontsize=9,
        color=QUIET,
        va="top",
    )
    text(axes, 8.75, 2.65, "=", fontsize=15, ha="center")
    text(
        axes,
        13.4,
        4.2,
        "y[row], 64 cells = 4 output columns × 16 images",
        ha="center",
        fontsize=9.5,
    )
    for group in range(4):
        cells(axes, 9.3 + 2.13 * group, 3.9, 4, 8, (0.26, 0.62), GREEN)
        frame(axes, 9.3 + 2.13 * group, 3.9, 2.08, 2.48)
    text(
        axes,
        9.3,
        0.72,
        "a tap: 4 loads of x, 4 weights, 16 fused multiply-adds;\n"
        "y is stored once, after the last tap",
        fontsize=9,
        color=QUIET,
    )


def draw() -> Figure:
    figure = Figure(figsize=(11.4, 7.0))
    axes = figure.add_axes((0.02, 0.01, 0.96, 0.98))
    axes.set(xlim=(-0.2, 19), ylim=(0, 11.9))
    axes.axis("off")
    layout(axes)
    block(axes)
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=150)
