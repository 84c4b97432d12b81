"""``python -m minicnn.compare``: what differs between training runs, and what came of it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from minicnn import command, models, plots
from minicnn.files import check_file, write_whole
from minicnn.terminal import say
from minicnn.train.run import read_measurements

EXAMPLES = {
    "runs/a runs/b": "a line a run: the settings that differ, and the results",
    "runs/* --out curves.png": "the curves of all runs in one picture too",
    "runs/a runs/b --json": "the same as JSON, with the settings that all runs share",
}
# Of config.json: what other settings say, what changes no number, what is a result.
NO_SETTINGS = (
    *("model_args", "options", "no_compile", "classes", "data_dir", "data_kind"),
    *("checkpoint_every", "tensorboard", "resumes", "epochs"),
)
FIGURES = {"epochs": "{}", "loss": "{:.3f}", "train_acc": "{:.3f}", "val_acc": "{:.3f}",
           "best_epoch": "{}", "test_acc": "{:.3f}", "seconds": "{:.1f}"}  # fmt: skip
LABEL = 90  # characters that fit below the curves
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
STYLES = ("-", (0, (5, 1)), (0, (1, 1)))  # of the lines, once the colours are used up


class Measured(NamedTuple):
    """A run as its folder tells it.

    Attributes:
        name: the folder, as it was typed.
        settings: what ``config.json`` says, the model's arguments with their defaults.
        planned: how many epochs it was to be trained for.
        epochs, curve: as in ``History``.
    """

    name: str
    settings: dict[str, Any]
    planned: int | None
    epochs: list[dict[str, Any]]
    curve: list[dict[str, Any]]


def read(folder: Path) -> Measured:
    """The run of a folder; one that was stopped too.

    Raises: what ``read_measurements`` raises.
    """
    config, epochs, curve = read_measurements(folder)
    said = config | config.get("options", {})
    settings = {name: value for name, value in said.items() if name not in NO_SETTINGS}
    if "options" in config:
        settings.setdefault("validation", None)  # without it there are more pictures to train on
    # as JSON has them: tuples are lists
    arguments = json.loads(json.dumps(models.defaults(config["model"])))
    settings |= arguments | config.get("model_args", {})
    return Measured(str(folder), settings, config.get("epochs"), epochs, curve)


def differing(runs: Sequence[Measured]) -> list[str]:
    """The names of the settings that are not the same in all runs that have them."""
    values: dict[str, list[Any]] = {}
    for run in runs:
        for name, value in run.settings.items():
            values.setdefault(name, []).append(value)
    return [name for name, found in values.items() if any(value != found[0] for value in found)]


def results(run: Measured) -> dict[str, Any]:
    """What came of it: the last epoch's figures, and the seconds of training in all epochs.

    ``best_epoch``: that of the best ``val_acc``, where the run has a validation set; the test set
    chooses nothing.
    """
    last = run.epochs[-1] if run.epochs else {}
    measured = [row for row in run.epochs if row.get("val_acc") is not None]
    best = max(measured, key=lambda row: row["val_acc"], default={})
    return {
        "epochs": len(run.epochs),
        "planned": run.planned,
        **{name: last.get(name) for name in ("loss", "train_acc", "val_acc")},
        "best_epoch": best.get("epoch"),
        "test_acc": last.get("test_acc"),
        "seconds": sum(row["seconds"] for row in run.epochs) if run.epochs else None,
    }


def parser() -> command.Parser:
    """The options of ``python -m minicnn.compare``."""
    about = "Compare training runs: settings that differ, results, curves."
    p = command.Parser("compare", about, EXAMPLES)
    p.usage = f"{p.prog} RUN [RUN ...] [options]"
    p.add("runs", "RUN", "folders of python -m minicnn.train", type=command.path, nargs="+")
    p.add("--out", "FILE", "draw the curves, as PNG", "no picture", type=command.path)
    p.add("--json", None, "print JSON; all else on stderr")
    return p


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return command.run(parser(), _compare, argv)


def _compare(options: argparse.Namespace) -> int:
    if options.out is not None:
        with command.naming(options, "out"):
            check_file(options.out)
    runs = [read(folder) for folder in options.runs]
    with command.talking(quiet=False, json=options.json) as stdout:
        say(json.dumps(as_json(runs), indent=2) if options.json else table(runs), stdout)
        if options.out is not None:
            with command.naming(options, "out"):
                write_whole(options.out, plots.png(draw(runs)))
            say(f"written to {options.out}")
    return 0


def as_json(runs: Sequence[Measured]) -> dict[str, Any]:
    """Each run with the settings that differ and its results; and the settings that are shared."""
    names = differing(runs)
    rows = [
        {
            "run": run.name,
            "settings": {name: run.settings.get(name) for name in names},
            "results": results(run),
        }
        for run in runs
    ]
    everything = {name: value for run in runs for name, value in run.settings.items()}
    shared = {name: value for name, value in everything.items() if name not in names}
    return {"runs": rows, "shared": shared}


# The table ----------------------------------------------------------------------------------------


def table(runs: Sequence[Measured]) -> str:
    """A line a run, in columns; what no run has is left out."""
    names = differing(runs)
    found = [results(run) for run in runs]
    figures = [n for n in FIGURES if any(result[n] is not None for result in found)]
    lines = [["run", *names, *(name.replace("_", " ") for name in figures)]]
    for run, result in zip(runs, found, strict=True):
        cells = [FIGURES[n].format(result[n]) if result[n] is not None else "" for n in figures]
        if result["planned"] != result["epochs"]:  # stopped, or still at it
            cells[0] += f" of {result['planned']}"
        lines.append([run.name, *(shown(run.settings.get(name)) for name in names), *cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = 1 + len(names)  # figures stand on the right of their columns
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def shown(value: Any) -> str:
    """A setting as it is typed: 6,16. Nothing for one that the run does not have."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


# The picture --------------------------------------------------------------------------------------


def labels(runs: Sequence[Measured]) -> list[str]:
    """What distinguishes each run: the settings that differ, or its name where these do not, or
    where they are more than a line."""
    names = differing(runs)
    found = [
        ", ".join(f"{n} {shown(run.settings[n])}" for n in names if run.settings.get(n) is not None)
        for run in runs
    ]
    if max(map(len, found)) > LABEL:
        return [run.name for run in runs]
    alike = len(set(found)) < len(found) or not names
    return [f"{run.name}: {text}" if alike and text else text or run.name
            for run, text in zip(runs, found, strict=True)]  # fmt: skip


@plots.own_style()
def draw(runs: Sequence[Measured]) -> Any:
    """A matplotlib figure: the loss, and the accuracies, of all runs against the epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 4 + 0.2 * len(runs)), layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, (run, label) in enumerate(zip(runs, labels(runs), strict=True)):
        style: Any = {
            "color": COLOURS[i % len(COLOURS)],
            "linestyle": STYLES[i // len(COLOURS) % len(STYLES)],
        }
        name = plots.as_written(label)
        left.plot(*_points(run.curve, "loss"), label=name, linewidth=1.8, **style)
        right.plot(
            *_points(run.curve, "test_acc"), linewidth=1.8, marker="o", markersize=3, **style
        )
        right.plot(*_points(run.curve, "train_acc"), linewidth=0.8, alpha=0.6, **style)
    left.set(title="train loss", ylim=(0, None))
    right.set(title="test accuracy (thin: training)", ylim=(0, 1))
    plots.finish_axes(left, right, [point for run in runs for point in run.curve])
    figure.legend(loc="outside lower center", frameon=False, fontsize=9)
    return figure


def _points(curve: Sequence[dict[str, Any]], key: str) -> tuple[list[float], list[float]]:
    """The epochs at which something was measured, and its values."""
    found = [(point["epoch"], point[key]) for point in curve if point.get(key) is not None]
    return [x for x, _ in found], [y for _, y in found]


if __name__ == "__main__":
    command.process(main)
