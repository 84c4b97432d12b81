"""Training curves, as pictures."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

INK, GRID = "#333333", "#e3e3e3"
LOSS, TRAIN, TEST = "#0072b2", "#d55e00", "#009e73"  # colours of Okabe and Ito's palette


def curves(curve: Sequence[dict[str, Any]], title: str = "") -> Any:
    """A matplotlib figure of the loss and the accuracies against the epoch.

    ``curve``: the points of ``History.curve``.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8.4, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    tested = [point for point in curve if point.get("test_acc") is not None]
    lines = (
        (left, "loss", curve, "train loss", LOSS),
        (right, "train_acc", curve, "train accuracy", TRAIN),
        (right, "test_acc", tested, "test accuracy", TEST),
    )
    for axes, key, points, label, colour in lines:
        if points:
            x, y = [p["epoch"] for p in points], [p[key] for p in points]
            style = "o-" if key == "test_acc" and len(points) <= 20 else "-"
            axes.plot(x, y, style, color=colour, label=label, linewidth=1.8, markersize=4)
    left.set(title="train loss", ylim=(0, None))
    right.set(title="accuracy", ylim=(0, 1))
    if curve:
        right.legend(frameon=False, loc="lower right")
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.set_xlim(0, max((point["epoch"] for point in curve), default=1))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color=GRID, linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(INK)
    if title:
        figure.suptitle(title, fontsize=11, color=INK)
    return figure


def png(figure: Any) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=144)
    return buffer.getvalue()


class LiveFigure:
    """Shows a figure in a notebook, and each later one in its place."""

    def __init__(self) -> None:
        self.handle: Any = None

    def __call__(self, figure: Any) -> None:
        from IPython.display import Image, display

        picture = Image(png(figure), retina=True)
        if self.handle is None:
            self.handle = display(picture, display_id=True)
        else:
            self.handle.update(picture)


class LiveCurves(LiveFigure):
    """Draws the curves anew after each epoch."""

    def __call__(self, history: Any) -> None:
        super().__call__(curves(history.curve))


def in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel, which can show pictures."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return type(shell).__name__ == "ZMQInteractiveShell"
