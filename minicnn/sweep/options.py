"""The options of ``python -m minicnn.sweep``; what it does with them stands in ``job``."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minicnn import command
from minicnn.sweep.axes import draws_of, grid_of, rows_of, typed_axes
from minicnn.sweep.job import sweep
from minicnn.sweep.plan import NO_AXES, Run, parsed, plan, usual

EXAMPLES = {
    "--grid lr=0.1,0.5 activation=sigmoid,relu --seeds 3": "12 runs, on all cores",
    "--grid 'channels=[6,16],[8,20]' batch-norm=on,off": "lists in brackets; switches",
    "--config sweep.toml --epochs 3 --out runs/mine": "axes from a file (docs/scale.md)",
    "--config sweep.toml --scheduler tcp://10.0.0.1:8786": "on a Dask cluster that is running",
}
ABOUT = """\
Train many times, with other settings each: on all cores, or on a Dask cluster.

Each run is a run of minicnn.train, in a folder named by its settings. All other
options are those of minicnn.train, and hold for every run: --epochs 3. The same
command again does what is left to do. Workers on other machines need to see the
sweep's folder under the same path, and to have the data."""
TABLES: dict[str, Any] = {"grid": {}, "list": [], "random": {}}  # of a file


class Parser(command.Parser):
    """Options that it does not know itself are train's; they stand in ``shared``, as typed."""

    tables = TABLES

    def parse(self, argv: list[str] | None) -> argparse.Namespace:
        """See ``command.Parser``."""
        argv = sys.argv[1:] if argv is None else argv
        options = self.parse_args(argv)
        if options.config is not None:
            options = self.parse_args([*self.arguments_in(options.config), *argv])
        options.tables, options.typed = self.tables, argv
        return options

    def parse_args(self, args: Any = None, namespace: Any = None) -> argparse.Namespace:  # type: ignore[override]
        """The options, and those of train; a mistake in either is an error."""
        options, options.shared = self.parse_known_args(args, namespace)
        for name in (text.partition("=")[0] for text in options.shared):
            if name.startswith("-") and not self._is_trains(name):
                self.error(self._no_option(name))
        try:
            parsed(options.shared)
        except ValueError as error:
            self.error(f"argument {error}")
        return options

    def arguments_in(self, file: Path, option: str = "--config") -> list[str]:
        """The options of a TOML file, as they would be typed; its tables are kept."""
        self._source = f"{option} {file}: "
        try:
            found = command.read_config(file)
        except (ValueError, OSError) as error:
            self.error(command.in_a_line(error))
        self.tables = {name: found.pop(name, none) for name, none in TABLES.items()}
        arguments = command.arguments_of(found)
        self.parse_args(arguments)
        self._source = ""
        return arguments

    def _is_trains(self, name: str) -> bool:
        return name.removeprefix("--").replace("-", "_") in {*usual()} - {*NO_AXES}

    def _no_option(self, name: str) -> str:
        trains = (command.typed(axis) for axis in usual() if axis not in NO_AXES)
        known = [*self._option_string_actions, *trains]
        near = difflib.get_close_matches(name, known, 1)
        return f"{name} is no option; {f'did you mean {near[0]}?' if near else 'see --help'}"


def parser() -> Parser:
    """The options of ``python -m minicnn.sweep``."""
    p = Parser("sweep", ABOUT, EXAMPLES)
    natural, positive = command.at_least(0), command.at_least(1)
    p.usage = f"{p.prog} [options] [options of minicnn.train]"
    p.add(
        "--grid",
        "NAME=V,V",
        "options of minicnn.train, with the values that they take; every combination is a run",
        "none",
        nargs="+",
        action="extend",
    )
    p.add("--seeds", "N", "of each combination as many runs, with seeds from 0", "1", type=positive)
    p.add(
        "--config",
        "FILE",
        "options from a TOML file, with tables [grid], [[list]] and [random]; what is typed wins",
        "none",
        type=command.path,
    )
    p.add("--draws", "N", "of the axes under [random]", type=positive, default=10)
    p.add("--draw-seed", "N", "of these draws", type=natural, default=0)
    p.add(
        "--out",
        "DIR",
        "the folder of all runs; workers need to see it, too",
        "runs/sweep-<made of the axes' names and what all runs share>",
        type=command.path,
    )
    p.group("where it runs")
    p.add(
        "--workers", "N", "processes; each does a run at a time", "cores / threads", type=positive
    )
    p.add("--threads", "N", "of each run", "cores / workers; with --scheduler 1", type=positive)
    p.add("--scheduler", "ADDRESS", "a running Dask scheduler", "workers on this machine")
    p.group("printing")
    p.add("--json", None, "print sweep.json at the end; all else on stderr")
    p.add("--quiet", None, "print errors, and at the end the sweep's folder, nothing else")
    return p


def runs_of(options: argparse.Namespace) -> list[Run]:
    """The runs that the options ask for.

    Raises:
        ValueError: with the axis and what is wrong with it.
    """
    tables, shared = options.tables, list[str](options.shared)
    rows = rows_of(tables["list"])
    draws = draws_of(tables["random"], options.draws, options.draw_seed)
    with command.naming(options, "grid"):
        typed = typed_axes(options.grid or [])
    grid = grid_of(tables["grid"]) | typed
    if not any("seed" in axes for axes in (grid, *rows, *draws)):
        first = parsed(shared).seed  # --seed of train
        grid["seed"] = [*range(first, first + (options.seeds or 1))]
    elif options.seeds is not None:
        raise ValueError("--seeds: seed is an axis already; wanted one of the two")
    return plan(grid, rows, draws, shared)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    given = None if argv is None else [*argv]
    return command.run(parser(), lambda options: sweep(options, runs_of(options)), given)
