"""How much of the loss's gradient reaches each layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import plots
from minicnn.checks import check_text, texts
from minicnn.plots import GRID, INK, as_written

from ..numbers import check_table
from .board import empty_axes, empty_figure


def draw_gradients(norms: np.ndarray, names: Sequence[str], title: str) -> Any:
    """A line for each layer: a dot for each batch, on a logarithmic scale, and their median."""
    check_table("norms", norms)
    names = texts("names", names)
    check_text("title", title)
    if norms.shape[1] != len(names):
        raise ValueError(f"norms has shape {norms.shape}; there are {len(names)} names")
    below = (
        f"the length of the gradient of a layer's weights and biases: a dot for each of "
        f"{len(norms)} batches, and the median"
    )
    figure = empty_figure(8.4, 1.7 + 0.55 * len(names), f"{title}: gradients by layer", below)
    axes = empty_axes(figure, 1.55, 1.0, 6.0, 0.55 * len(names))
    for row, values in enumerate(norms.T):
        seen = values[values > 0]
        spread = 0.14 * np.sin(2.4 * np.arange(len(seen)))  # so that dots do not hide each other
        axes.plot(seen, row + spread, "o", color=plots.LOSS, alpha=0.3, markersize=4.5, mew=0)
        median = float(np.median(values))
        if median > 0:
            axes.plot([median] * 2, [row - 0.3, row + 0.3], color=INK, linewidth=2)
        style = {"va": "center", "color": INK, "size": 10}
        axes.text(1.02, row, f"{median:.3g}", transform=axes.get_yaxis_transform(), **style)
    axes.set(xscale="log", ylim=(len(names) - 0.5, -0.5), yticks=range(len(names)))
    _plain_decimals(axes.xaxis, norms[norms > 0])
    axes.set_yticklabels([*map(as_written, names)], fontsize=10)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    return figure


def _plain_decimals(axis: Any, values: np.ndarray) -> None:
    """Ticks of a logarithmic axis: 0.01, 0.02, 0.05, 0.1..., or 0.01, 0.1... on a long one."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

    long = values.size > 0 and values.max() > 1000 * values.min()
    axis.set_major_locator(LogLocator(subs=(1.0,) if long else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FormatStrFormatter("%g"))
    axis.set_minor_locator(NullLocator())
