"""A picture for each axis: the accuracy of all runs against its values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from minicnn import plots
from minicnn.compare import COLOURS, shown
from minicnn.sweep.outcome import FINISHED
from minicnn.sweep.plan import Run
from minicnn.sweep.table import Outcomes, mean, varied

Point = tuple[Any, float]  # the axis' value, the accuracy
Ticks = dict[float, str]  # what is written where
FEW = 8  # values that have each its tick
TENFOLD = 10  # from so large a range on, an axis is logarithmic


def axes_to_draw(runs: Sequence[Run]) -> list[str]:
    """Those with several values, but not the seed."""
    return [name for name in varied(runs) if name != "seed"]


@plots.own_style()
def draw(axis: str, runs: Sequence[Run], outcomes: Outcomes) -> Any:
    """A matplotlib figure: a dot a run, a line through the means of those with the same settings.

    The accuracy is the one to choose by: on the validation set, if the runs have one.
    """
    from matplotlib.figure import Figure

    ended = [run for run in runs if run.name in outcomes]
    ended = [run for run in ended if outcomes[run.name].status == FINISHED]
    has = [outcomes[run.name].results["val_acc"] is not None for run in ended]
    figure_name = "val_acc" if has and all(has) else "test_acc"
    place, ticks = _places([run.settings.get(axis) for run in runs])
    names = [name for name in varied(runs) if name not in (axis, "seed")]
    lines: dict[str, list[Point]] = {}
    for run in ended:
        point = (place(run.settings.get(axis)), outcomes[run.name].results[figure_name])
        lines.setdefault(_settings(run, names), []).append(point)
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    _draw_lines(axes, lines)
    _finish(axes, axis, ticks)
    axes.set_ylabel({"val_acc": "validation accuracy", "test_acc": "test accuracy"}[figure_name])
    if len(axes.get_legend_handles_labels()[1]) > 1:
        figure.legend(loc="outside lower center", frameon=False, fontsize=9, ncols=2)
    return figure


def _settings(run: Run, names: Sequence[str]) -> str:
    """The run's settings on the axes of these names: a line's name."""
    settings = ", ".join(f"{name} {shown(run.settings.get(name))}" for name in names)
    return plots.as_written(settings)


def _draw_lines(axes: Any, lines: dict[str, list[Point]]) -> None:
    """Each in a colour; if there are too many, or they have one value each, all in one."""
    apart = len(lines) <= len(COLOURS) and any(len({x for x, _ in p}) > 1 for p in lines.values())
    if not apart:
        lines = {"": [point for points in lines.values() for point in points]}
    for colour, (name, points) in zip(COLOURS, lines.items(), strict=False):
        axes.plot(*zip(*points, strict=True), "o", color=colour, markersize=4, alpha=0.45)
        x = sorted({x for x, _ in points})
        means = [mean([y for at, y in points if at == value]) for value in x]
        if len(x) < len(points) or (apart and len(x) <= FEW):  # no zigzag through draws
            axes.plot(x, means, "-", color=colour, linewidth=1.8, label=name)


def _places(values: Sequence[Any]) -> tuple[Any, Ticks]:
    """Where each value stands, and what is written where; numbers stand where they are."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        few = len(set(values)) <= FEW
        return lambda value: value, {value: shown(value) for value in values if few}
    names = [*dict.fromkeys(json.dumps(value) for value in values)]
    texts: Ticks = {
        i: plots.as_written(shown(json.loads(name))) or "usual" for i, name in enumerate(names)
    }
    return lambda value: names.index(json.dumps(value)), texts


def _finish(axes: Any, name: str, ticks: Ticks) -> None:
    axes.set_xlabel(name)
    low, high = axes.dataLim.intervalx
    if 0 < low * TENFOLD <= high:
        axes.set_xscale("log")
    axes.margins(x=0.1)
    if ticks:
        axes.set_xticks([*ticks], [*ticks.values()])
        axes.xaxis.set_minor_locator(_no_ticks())
    axes.grid(color=plots.GRID, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(plots.INK)


def _no_ticks() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()
