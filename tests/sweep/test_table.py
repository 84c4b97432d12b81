"""Tables, sweep.json and pictures, of outcomes that are made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minicnn.sweep.outcome import FAILED, FINISHED, OPEN, Outcome
from minicnn.sweep.plan import Run, plan
from minicnn.sweep.plot import axes_to_draw, draw
from minicnn.sweep.progress import Progress, duration
from minicnn.sweep.table import Rows, groups, spread, table

GRID: dict[str, list[Any]] = {"lr": ["0.1", "0.5"], "activation": ["relu", "tanh"], "seed": [0, 1]}


def finished(run: Run, accuracy: float, validated: bool = False) -> Outcome:
    figures = {"loss": 2 * accuracy, "train_acc": accuracy, "test_acc": accuracy / 2}
    val = {"val_acc": accuracy / 4 if validated else None}
    return Outcome(FINISHED, {"epochs": 2, "planned": 2, "seconds": 12.34, **figures, **val})


@pytest.fixture
def runs() -> list[Run]:
    return plan(GRID)


@pytest.fixture
def outcomes(runs: list[Run]) -> dict[str, Outcome]:
    """Of eight runs: the first six are finished, one failed, one is open."""
    found = {run.name: finished(run, 0.1 * (i + 1)) for i, run in enumerate(runs[:6])}
    return {**found, runs[6].name: Outcome(FAILED, {}, "no disk"), runs[7].name: Outcome(OPEN)}


def test_the_table_has_mean_and_spread_over_the_seeds(
    runs: list[Run], outcomes: dict[str, Outcome]
) -> None:
    assert table(runs, outcomes).splitlines() == [
        "lr   activation    runs           loss      train acc       test acc",
        "0.1  relu             2  0.300 ± 0.141  0.150 ± 0.071  0.075 ± 0.035",
        "0.1  tanh             2  0.700 ± 0.141  0.350 ± 0.071  0.175 ± 0.035",
        "0.5  relu             2  1.100 ± 0.141  0.550 ± 0.071  0.275 ± 0.035",
        "0.5  tanh        0 of 2",
    ]
    assert spread([0.5]) is None
    alone = table(runs[:1], outcomes).splitlines()
    assert alone[1].split() == ["1", "0.200", "0.100", "0.050"]


def test_rows_stand_below_each_other_and_a_failure_says_why(
    runs: list[Run], outcomes: dict[str, Outcome]
) -> None:
    rows = Rows(runs)
    lines = [rows.head()]
    lines += [rows.row(i, run, outcomes[run.name], "3 min") for i, run in enumerate(runs[5:7], 6)]
    assert lines == [
        "run  lr   activation  seed       loss  train acc   test acc  seconds  left",
        "6/8  0.5  relu        1         1.200      0.600      0.300     12.3  3 min",
        "7/8  0.5  tanh        0     failed: no disk",
    ]


def test_a_run_without_a_validation_set_has_an_empty_cell_among_those_with_one() -> None:
    runs = plan({"validation": ["500"]}) + plan({"lr": ["0.1"]})
    rows = Rows(runs)
    lines = [rows.row(i, run, finished(run, 0.4, i == 1), "") for i, run in enumerate(runs, 1)]
    assert [line.split()[-5:] for line in lines] == [
        ["0.800", "0.400", "0.100", "0.200", "12.3"],
        ["0.1", "0.800", "0.400", "0.200", "12.3"],
    ]
    assert len({len(line) for line in lines}) == 1


def test_settings_that_only_some_runs_have_are_a_column() -> None:
    runs = plan({"seed": [0]}, rows=[{"lr": 0.1, "momentum": 0.9}, {"lr": 0.5}])
    assert [group.settings for group in groups(runs, {})] == [
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.5},
    ]
    assert Rows(runs).names == ["lr", "momentum"]


def test_pictures_have_a_line_for_the_other_settings_through_the_means(
    runs: list[Run], outcomes: dict[str, Outcome]
) -> None:
    assert axes_to_draw(runs) == ["lr", "activation"]
    (axes,) = draw("lr", runs, outcomes).axes
    assert axes.get_legend_handles_labels()[1] == ["activation relu", "activation tanh"]
    dots, line = axes.lines[:2]
    assert list(line.get_xdata()) == [0.1, 0.5]
    assert list(line.get_ydata()) == pytest.approx([0.075, 0.275])
    assert sorted(dots.get_ydata()) == pytest.approx([0.05, 0.1, 0.25, 0.3])
    (axes,) = draw("activation", runs, outcomes).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["relu", "tanh"]


def test_pictures_show_the_accuracy_to_choose_by_and_wide_axes_are_logarithmic() -> None:
    runs = plan({"lr": ["0.01", "0.1", "1"]}, shared=["--validation=500"])
    outcomes = {run.name: finished(run, 0.4, validated=True) for run in runs}
    (axes,) = draw("lr", runs, outcomes).axes
    assert axes.get_ylabel() == "validation accuracy"
    assert axes.get_xscale() == "log"
    assert list(axes.lines[0].get_ydata()) == pytest.approx([0.1] * 3)
    assert "val acc" in table(runs, outcomes)
    assert "val acc" in Rows(runs).head()


def test_progress_counts_parts_of_runs(tmp_path: Path, runs: list[Run]) -> None:
    shown = Progress(tmp_path, runs, quiet=True)
    assert shown.left() == ""
    folder = tmp_path / runs[0].name
    folder.mkdir()
    (folder / "config.json").write_text(
        json.dumps({"model": "lenet", "model_args": {}, "epochs": 4})
    )
    (folder / "metrics.jsonl").write_text("{}\n" * 3)
    assert shown.done() == 0.75
    shown.start -= 3
    assert shown.left() == "29 s"
    shown.end(runs[1])
    assert shown.done() == 1.75
    assert [duration(s) for s in (7.4, 130, 7300)] == ["7 s", "2 min", "2 h 2 min"]
