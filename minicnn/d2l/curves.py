"""Curves that grow point by point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minicnn.checks import check_number, check_sequence, check_text, texts
from minicnn.files import write_whole
from minicnn.formats import shown
from minicnn.plots import GRID, INK, LOSS, TEST, TRAIN, LiveFigure, in_notebook, own_style, png


class Animator:
    """Curves that grow point by point. A notebook redraws them at each point.

    Elsewhere ``print(animator)`` gives a table and ``animator.save(path)`` a picture.
    ``animator.X`` and ``animator.Y`` hold the points, a list for each curve.

    Args:
        xlabel, ylabel: what the axes show.
        legend: the names of the curves.
        xlim, ylim: (from, to); by default as far as the points reach.
        xscale, yscale: ``"linear"`` or ``"log"``.
        fmts: Matplotlib's format of each curve; by default solid lines in our colours.
        figsize: (width, height) in inches.

    Raises:
        TypeError, ValueError: an argument of another kind.
    """

    def __init__(
        self,
        xlabel: str | None = None,
        ylabel: str | None = None,
        legend: Sequence[str] | None = None,
        xlim: Sequence[float] | None = None,
        ylim: Sequence[float] | None = None,
        xscale: str = "linear",
        yscale: str = "linear",
        fmts: Sequence[str] | None = None,
        *,
        figsize: tuple[float, float] = (4.2, 3.0),
    ):
        for name, text in (("xlabel", xlabel), ("ylabel", ylabel)):
            check_text(f"Animator: {name}", "" if text is None else text)
        check_text("Animator: xscale", xscale)
        check_text("Animator: yscale", yscale)
        _check_pair("xlim", xlim)
        _check_pair("ylim", ylim)
        _check_pair("figsize", figsize, least=0.1)
        self.labels = {"xlabel": xlabel or "", "ylabel": ylabel or ""}
        self.scales = {"xscale": xscale, "yscale": yscale}
        self.limits = {"xlim": xlim, "ylim": ylim}
        self.legend = list(texts("Animator: legend", () if legend is None else legend))
        self.fmts = None if fmts is None else texts("Animator: fmts", fmts)
        self.figsize = figsize
        self.X: list[list[float]] = []
        self.Y: list[list[float]] = []
        self._live = LiveFigure()

    def add(self, x: Any, y: Any) -> None:
        """Add a point to each curve: ``y`` a number, or a list of one for each (None: no point).

        ``x``: a number for all curves, or a list as long as ``y``.

        Raises:
            ValueError: lists of different lengths.
        """
        ys = list(y) if _is_list(y) else [y]
        xs = list(x) if _is_list(x) else [x] * len(ys)
        if len(xs) != len(ys):
            raise ValueError(f"add: x has {len(xs)} numbers; wanted {len(ys)}, one for each y")
        while len(self.Y) < len(ys):
            self.X.append([])
            self.Y.append([])
        for i, (a, b) in enumerate(zip(xs, ys, strict=True)):
            if a is not None and b is not None:
                self.X[i].append(float(a))
                self.Y[i].append(float(b))
        if in_notebook():
            self._live(self.figure)

    @own_style()
    def figure(self) -> Any:
        """The curves as a Matplotlib figure."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=self.figsize, layout="constrained")
        axes = figure.subplots()
        for i, (x, y) in enumerate(zip(self.X, self.Y, strict=True)):
            style = [self.fmts[i % len(self.fmts)]] if self.fmts else []
            look: Any = {} if self.fmts else {"color": (LOSS, TRAIN, TEST, INK)[i % 4]}
            marker = "o" if len(x) == 1 else None  # a line through one point is invisible
            axes.plot(x, y, *style, label=self._name(i), linewidth=1.8, marker=marker, **look)
        axes.set(**self.labels, **self.scales)
        for name, limits in self.limits.items():
            if limits is not None and limits[0] != limits[1]:  # the book's [1, num_epochs], with 1
                axes.set(**{name: limits})
        axes.grid(color=GRID, linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        if self.legend and self.Y:
            axes.legend(frameon=False)
        return figure

    def save(self, path: str | Path) -> None:
        """Write the curves as a PNG file."""
        write_whole(path, png(self.figure()))

    def __str__(self) -> str:
        points = [dict(zip(x, y, strict=True)) for x, y in zip(self.X, self.Y, strict=True)]
        names = [self._name(i) for i in range(len(points))]
        widths = [max(len(name), 8) for name in names]
        rows = [[self.labels["xlabel"] or "x", *names]]
        for x in sorted({x for curve in points for x in curve}):
            cells = [f"{curve[x]:.4g}" if x in curve else "" for curve in points]
            rows.append([f"{x:.6g}", *cells])
        first = max(len(row[0]) for row in rows)
        return "\n".join(
            "  ".join(
                cell.rjust(width) for cell, width in zip(row, [first, *widths], strict=True)
            ).rstrip()
            for row in rows
        )

    def _name(self, i: int) -> str:
        return self.legend[i] if i < len(self.legend) else f"curve {i + 1}"


def _check_pair(name: str, pair: Any, least: float = -math.inf) -> None:
    """Refuse what is neither None nor two finite numbers of at least ``least``."""
    if pair is None:
        return
    check_sequence(f"Animator: {name}", pair, "two numbers")
    if len(pair) != 2:
        raise ValueError(f"Animator: {name} is {shown(pair)}; wanted two numbers")
    for number in pair:
        if number is not None or name == "figsize":  # Matplotlib finds a limit that is None
            check_number(f"Animator: a number of {name}", number, at_least=least)


def _is_list(value: Any) -> bool:
    return hasattr(value, "__len__") and getattr(value, "ndim", 1) > 0
