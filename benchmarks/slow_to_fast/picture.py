"""The picture of a race: how long an image takes, on a log axis."""

from __future__ import annotations

from typing import Any

from benchmarks import figures
from benchmarks.tables import number
from minicnn.plots import GRID, INK

from .layer import Layer
from .race import Found, Race


def picture(races: dict[str, tuple[Layer, Race]]) -> Any:
    """A panel for each direction: a bar for each version that was timed."""
    panels = [
        (f"{op}, {direction}", found)
        for op, (_, of_op) in races.items()
        for direction, found in of_op.items()
    ]
    lines = -(-len(panels) // 2)
    title = "From slow to fast: microseconds an image, each line ten times the one before"
    whole = figures.figure(figures.WIDTH, 0.5 + 2.9 * lines, title)
    grid = whole.subplots(lines, min(2, len(panels)), squeeze=False)
    for axes, (name, found) in zip(grid.flat, panels, strict=False):
        draw(axes, name, found)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    return whole


def draw(axes: Any, title: str, found: list[Found]) -> None:
    """Bars from a tenth of the fastest on, with microseconds and how many times as fast."""
    timed = [version for version in found if version.median]
    medians = [version.median or 0 for version in timed]
    axes.barh(range(len(timed)), medians, height=0.66, color=figures.COLOURS["minicnn"])
    for i, median in enumerate(medians):
        times = f"   × {number(medians[0] / median)}" if i else ""
        place = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(f"{number(median)}{times}", (median, i), fontsize=9, color=INK, **place)
    axes.set_xscale("log")
    axes.set_xlim(min(medians) / 10, max(medians) * 30)
    axes.set_ylim(len(timed) - 0.5, -0.5)
    axes.set_yticks(range(len(timed)), [version.version for version in timed])
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.minorticks_off()
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    figures.tidy(axes)
