"""The tables of a sweep: a line a run as they end; at the end mean and spread over the seeds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from minicnn.compare import shown
from minicnn.sweep.outcome import FINISHED, Outcome
from minicnn.sweep.plan import Run, axes_of

FIGURES = {"loss": "loss", "train_acc": "train acc", "val_acc": "val acc", "test_acc": "test acc"}
Outcomes = Mapping[str, Outcome]  # by the runs' names


class Group(NamedTuple):
    """Runs that differ in nothing but their seeds.

    Attributes:
        settings: those of all of them.
        runs: how many of them are finished.
        failed: and how many failed, or did not end.
        figures: for each of FIGURES that the runs have the finished ones' values.
    """

    settings: dict[str, Any]
    runs: int
    failed: int
    figures: dict[str, list[float]]


def mean(values: Sequence[float]) -> float | None:
    """Their mean; None of none."""
    return statistics.fmean(values) if values else None


def spread(values: Sequence[float]) -> float | None:
    """Their standard deviation, of a sample (over n - 1); None of fewer than two."""
    return statistics.stdev(values) if len(values) > 1 else None


def groups(runs: Sequence[Run], outcomes: Outcomes) -> list[Group]:
    """The runs by their settings but for the seed, in their order."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(json.dumps(_but_seed(run.settings)), []).append(run)
    return [_group(members, outcomes) for members in found.values()]


def _group(runs: Sequence[Run], outcomes: Outcomes) -> Group:
    ended = [outcomes[run.name].results for run in runs if _is_finished(run, outcomes)]
    figures = {
        name: [results[name] for results in ended]
        for name in FIGURES
        if all(results.get(name) is not None for results in ended)
    }
    return Group(_but_seed(runs[0].settings), len(ended), len(runs) - len(ended), figures)


def _is_finished(run: Run, outcomes: Outcomes) -> bool:
    return run.name in outcomes and outcomes[run.name].status == FINISHED


def _but_seed(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "seed"}


# As text ------------------------------------------------------------------------------------------


def varied(runs: Sequence[Run]) -> list[str]:
    """The axes that not all runs have the same value of."""
    axes = axes_of(runs)
    return [
        name
        for name, values in axes.items()
        if len(values) > 1 or any(name not in run.settings for run in runs)
    ]


class Rows:
    """A line a run, in columns that are wide enough for all the runs."""

    def __init__(self, runs: Sequence[Run]):
        self.names = varied(runs)
        validated = any(run.options.get("validation") for run in runs)
        self.figures = [name for name in FIGURES if validated or name != "val_acc"]
        self.count = f"{len(runs)}"
        cells = [self.names, *([shown(run.settings.get(n)) for n in self.names] for run in runs)]
        self.widths = [max(map(len, column)) for column in zip(*cells, strict=True)]

    def head(self) -> str:
        """The columns' names."""
        figures = "  ".join(f"{FIGURES[name]:>9}" for name in self.figures)
        return f"{self._left('run', self.names)}  {figures}  seconds  left"

    def row(self, number: int, run: Run, outcome: Outcome, left: str) -> str:
        """What came of a run, the ``number``th that ended; ``left``: the time for the others."""
        settings = [shown(run.settings.get(name)) for name in self.names]
        start = self._left(f"{number}/{self.count}", settings)
        if outcome.status != FINISHED:
            return f"{start}  {outcome.status}: {outcome.message}"
        results = outcome.results
        figures = "  ".join(f"{_number(results[name]):>9}" for name in self.figures)
        return f"{start}  {figures}  {results['seconds']:7.1f}  {left}".rstrip()

    def _left(self, first: str, settings: Sequence[str]) -> str:
        cells = [text.ljust(width) for text, width in zip(settings, self.widths, strict=True)]
        return "  ".join([first.ljust(2 * len(self.count) + 1), *cells])


def table(runs: Sequence[Run], outcomes: Outcomes) -> str:
    """A line for the runs that differ in their seeds alone: mean ± standard deviation."""
    found = groups(runs, outcomes)
    names = [name for name in varied(runs) if name != "seed"]
    figures = [name for name in FIGURES if any(group.figures.get(name) for group in found)]
    lines = [[*names, "runs", *(FIGURES[name] for name in figures)]]
    for group in found:
        count = f"{group.runs}" + (f" of {group.runs + group.failed}" if group.failed else "")
        cells = [_cell(group.figures.get(name, [])) for name in figures]
        lines.append([*(shown(group.settings.get(name)) for name in names), count, *cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < len(names) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _number(value: float | None) -> str:
    """0.754; nothing for a figure that the run does not have."""
    return "" if value is None else f"{value:.3f}"


def _cell(values: Sequence[float]) -> str:
    """0.754 ± 0.012; without the spread of a single one."""
    if not values:
        return ""
    deviation = spread(values)
    return f"{mean(values):.3f}" + ("" if deviation is None else f" ± {deviation:.3f}")
