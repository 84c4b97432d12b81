"""Pictures of reports: bars from zero, labelled where they stand."""

from __future__ import annotations

from typing import Any

from benchmarks.tables import Report, Row, by_question, number
from minicnn.plots import GRID, INK

FAINT = "#8a949e"
COLOURS = {
    "minicnn eager": "#86bbdc",
    "minicnn, cold": "#86bbdc",
    "minicnn": "#0072b2",
    "torch eager": "#d55e00",
    "torch channels_last": "#e69454",
    "torch compile": "#f1c19c",
    "torch bf16": "#cc79a7",
    "torch": "#d55e00",
    "ONNX Runtime": "#8c6bb1",
}
BAR, FRAME, WIDTH = 0.36, 0.95, 10.0  # inches: a bar, what is around the bars, the whole picture


def colour(side: str) -> str:
    """The colour of a side: the longest name that it begins with."""
    fitting = [name for name in COLOURS if side.startswith(name)]
    return COLOURS[max(fitting, key=len)] if fitting else FAINT


def figure(width: float, height: float, title: str) -> Any:
    """An empty picture with a title."""
    from matplotlib.figure import Figure

    empty = Figure(figsize=(width, height), layout="constrained")
    empty.get_layout_engine().set(h_pad=0.08, w_pad=0.08, hspace=0.04, wspace=0.03)
    empty.suptitle(title, fontsize=12, color=INK, x=0.01, ha="left", fontweight="bold")
    return empty


def tidy(axes: Any) -> None:
    """No frame, quiet ticks."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(length=0, colors=INK, labelsize=9)
    axes.set_axisbelow(True)


def bars(report: Report) -> Any:
    """A panel for each case of each question: a bar a side, from zero; less is better."""
    panels: dict[tuple[str, str], list[Row]] = {}
    for row in report.rows:
        panels.setdefault((row.question, row.case), []).append(row)
    several = len(by_question(report.rows)) > 1
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    most = max(sum(row.side != "floor" for row in rows) for rows in panels.values())
    title = f"{report.rows[0].question}: less is better"
    if several:
        title = "Less is better"
    picture = figure(WIDTH, 0.4 + lines * (FRAME + BAR * most), title)
    grid = picture.subplots(lines, columns, squeeze=False)
    for axes, ((question, case), rows) in zip(grid.flat, panels.items(), strict=False):
        name = ", ".join(part for part in (question if several else "", case) if part)
        draw_bars(axes, rows, name, report.reference)
        axes.set_ylim(most - 0.5, -0.5)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    return picture


def draw_bars(axes: Any, rows: list[Row], title: str, reference: str) -> None:
    """Medians as bars, min to max as a line on each; the floor as a line through all."""
    drawn = [row for row in rows if row.side != "floor"]
    compared = next((row.median for row in rows if row.side == reference), None)
    for i, row in enumerate(drawn):
        low, high = min(row.runs), max(row.runs)
        axes.barh(i, row.median, height=0.66, color=colour(row.side))
        axes.plot([low, high], [i, i], color=INK, linewidth=1.1, marker="|", markersize=5)
        times = "" if compared is None or row.side == reference else ratio(row.median / compared)
        text = f"{number(row.median)} {row.unit}{times}"
        label(axes, text, (max(high, row.median), i), (6, 0), va="center")
    for row in rows:
        if row.side == "floor":
            draw_floor(axes, row.median)
    axes.set_yticks(range(len(drawn)), [row.side for row in drawn])
    axes.set_xlim(0, 1.5 * max(max(row.runs) for row in drawn))
    room = 20 if len(drawn) < len(rows) else 6  # points, for the floor's name
    axes.set_title(title, loc="left", fontsize=10, color=INK, pad=room)
    axes.set_xlabel(rows[0].unit, loc="right", fontsize=9, color=FAINT)
    tidy(axes)


def ratio(times: float) -> str:
    return f"   × {number(times)}"


def draw_floor(axes: Any, at: float) -> None:
    """A dashed line at the floor, with its name above."""
    axes.axvline(at, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    text, places = "floor: all FLOPs at sgemm's peak", ("data", "axes fraction")
    label(axes, text, (at, 1), (0, 2), xycoords=places, va="bottom", fontsize=8, color=FAINT)


def label(axes: Any, text: str, place: Any, away: tuple[int, int], **style: Any) -> None:
    """A text that lies ``away`` points from a place."""
    style = {"fontsize": 9, "color": INK, **style}
    axes.annotate(text, place, away, textcoords="offset points", **style)


def lines(
    axes: Any, rows: list[Row], values: list[int], xlabel: str, title: str, unit: str
) -> None:
    """A line a side over ``values`` (one a case), named at its end; from zero upwards."""
    for side in dict.fromkeys(row.side for row in rows):
        heights = [row.median for row in rows if row.side == side]
        axes.plot(values, heights, "o-", color=colour(side), linewidth=2, markersize=5)
        for value, row in zip(values, (row for row in rows if row.side == side), strict=True):
            axes.plot([value, value], [min(row.runs), max(row.runs)], color=INK, linewidth=1)
            label(axes, number(row.median), (value, row.median), (0, 7), ha="center", fontsize=8)
        end, style = (values[-1], heights[-1]), {"color": colour(side), "fontweight": "bold"}
        label(axes, side, end, (12, 0), va="center", **style)
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xticks(values, [f"{value:,}" for value in values])
    axes.set_xlim(values[0] / 1.3, values[-1] * 1.3)
    axes.set_ylim(0, 1.12 * max(max(row.runs) for row in rows))
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel(xlabel, fontsize=9, color=INK)
    axes.set_ylabel(unit, fontsize=9, color=INK)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    tidy(axes)


def versus(axes: Any, rows: list[Row], cases: list[str], title: str, other: str) -> None:
    """A line of dots a case: the other's median over each minicnn side's, on a log axis."""
    theirs = {row.case: row.median for row in rows if row.side == other}
    ratios: dict[str, dict[str, float | None]] = {}
    for row in rows:
        if row.side != other and row.case in theirs:
            ratios.setdefault(row.side, {})[row.case] = theirs[row.case] / row.median
    dots(axes, ratios, cases, title)


def dots(
    axes: Any,
    ratios: dict[str, dict[str, float | None]],
    cases: list[str],
    title: str,
    base: int = 10,
) -> None:
    """A line of dots a case: the ratio of each side that has one, on a log axis to ``base``."""
    for side, of_side in ratios.items():
        for line, case in enumerate(cases):
            if times := of_side.get(case):
                axes.plot(times, line, "o", color=colour(side), markersize=6.5, clip_on=False)
    axes.set_xscale("log", base=base)
    axes.minorticks_off()
    axes.axvline(1, color=INK, linewidth=1)
    axes.set_yticks(range(len(cases)), cases)
    axes.set_ylim(len(cases) - 0.5, -0.5)
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} ×")
    axes.grid(color=GRID, linewidth=0.8)
    tidy(axes)


def crossing_lines(
    axes: Any, ratios: dict[str, dict[int, float]], main: str, xlabel: str, title: str
) -> None:
    """A line a side over its values, ``main`` on top; both axes are logarithmic, 1 is a rule."""
    for side, of_side in ratios.items():
        style = {"color": colour(side), "linewidth": 1.3, "markersize": 3}
        if side == main:
            style = {"color": INK, "linewidth": 2.4, "markersize": 5}
        axes.plot(list(of_side), list(of_side.values()), "o-", label=side, **style)
    values = list(ratios[main])
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.minorticks_off()
    axes.set_xticks(values, [f"{value:,}" for value in values])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} ×")
    axes.axhline(1, color=INK, linewidth=1)
    axes.axhspan(1e-9, 1, color=GRID, alpha=0.45, linewidth=0, zorder=0)
    inside = {"xycoords": ("axes fraction", "data"), "fontsize": 8, "color": FAINT}
    label(axes, "minicnn is faster", (0, 1), (4, 4), **inside)
    label(axes, "PyTorch is faster", (0, 1), (4, -4), va="top", **inside)
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.set_xlabel(xlabel, fontsize=9, color=INK)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    tidy(axes)


def ring(axes: Any, at: float, text: str) -> None:
    """Marks where a line passes 1; the text stands below a line that falls."""
    axes.plot(at, 1, "o", markersize=10, markerfacecolor="none", color=INK, markeredgewidth=1.5)
    label(axes, text, (at, 1), (-7, -7), ha="right", va="top", fontweight="bold")


def legend_of_lines(axes: Any) -> None:
    """What the lines of a panel mean, below the picture."""
    axes.figure.legend(
        *axes.get_legend_handles_labels(),
        **{"loc": "outside lower center", "ncols": 3, "frameon": False},
        **{"fontsize": 9, "labelcolor": INK},
    )


def legend(axes: Any, sides: list[str], place: str = "upper right") -> None:
    """What the dots' colours mean, above the first panel or at another place of the picture."""
    for side in sides:
        axes.plot([], [], "o", color=colour(side), label=side)
    axes.figure.legend(loc=place, ncols=len(sides), frameon=False, fontsize=9, labelcolor=INK)
