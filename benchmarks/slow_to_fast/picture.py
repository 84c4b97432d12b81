"""The picture of a race: how long an image takes, on a log axis."""

from __future__ import annotations

from typing import Any

from benchmarks import figures
from benchmarks.tables import number
from minicnn.plots import GRID, INK

from .layer import Layer
from .race import Found, Race


def picture(races: dict[str, tuple[Layer, Race]]) -> Any:
    """A line of panels for each operation, a panel for each direction, a bar for each version."""
    most = max(len(of_op) for _, of_op in races.values())
    title = "From slow to fast: microseconds an image, each line ten times the one before"
    whole = figures.figure(4 * most, 0.4 + 2.9 * len(races), title)
    grid = whole.subplots(len(races), most, squeeze=False)
    for line, (op, (_, of_op)) in zip(grid, races.items(), strict=True):
        for axes, (direction, found) in zip(line, of_op.items(), strict=False):
            draw(axes, f"{op}, {direction}", [version for version in found if version.median])
        for axes in line[len(of_op) :]:
            axes.remove()
    return whole


def draw(axes: Any, title: str, timed: list[Found]) -> None:
    """Bars on a log axis: microseconds, and how many times as fast as the first."""
    medians = [version.median or 0 for version in timed]
    axes.barh(range(len(timed)), medians, height=0.66, color=figures.COLOURS["minicnn"])
    for i, median in enumerate(medians):
        times = figures.ratio(medians[0] / median) if i else ""
        figures.label(axes, f"{number(median)}{times}", (median, i), (5, 0), va="center")
    axes.set_xscale("log")
    axes.set_xlim(min(medians) / 5, max(medians) * 50)
    axes.minorticks_off()
    axes.set_ylim(len(timed) - 0.5, -0.5)
    axes.set_yticks(range(len(timed)), [version.version for version in timed])
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    figures.tidy(axes)
    axes.tick_params(labelbottom=False)
