"""What ``python -m minicnn.sweep`` does with its options and the runs that they ask for."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import minicnn
from minicnn import command, plots
from minicnn.command import in_a_line
from minicnn.data.chosen import choose
from minicnn.files import alone_in, write_whole
from minicnn.sweep.cluster import check_address, check_installed, client_of
from minicnn.sweep.outcome import FAILED, FINISHED, OPEN, Outcome, outcome
from minicnn.sweep.plan import Run, axes_of, digest, options_of, parsed
from minicnn.sweep.plot import axes_to_draw, draw
from minicnn.sweep.progress import Progress
from minicnn.sweep.record import MAY_DIFFER, Record
from minicnn.sweep.running import Runs
from minicnn.sweep.table import Outcomes, Rows, table
from minicnn.terminal import complain, say
from minicnn.train.report import count


class Crew(NamedTuple):
    """How many processes of this machine do the runs, and on how many threads each.

    ``workers`` is None with a scheduler, which has its own.
    """

    workers: int | None
    threads: int


def sweep(options: argparse.Namespace, runs: Sequence[Run]) -> int:
    """Do the runs; the exit status."""
    check_installed()
    if options.scheduler is not None:
        with command.naming(options, "scheduler"):
            check_address(options.scheduler)
    with command.talking(options.quiet, options.json) as stdout:
        runs = _with_data(runs, options.scheduler)
        folder = (options.out or _usual_folder(runs, options.shared)).resolve()
        with command.naming(options, "out"):
            record = Record(folder, runs)
        crew = _crew(options, len(runs), record.threads)
        record.threads = crew.threads
        with alone_in(folder):
            outcomes = {run.name: _outcome(folder / run.name) for run in runs}
            record.write(outcomes)
            try:
                status = _do(options, record, outcomes, crew)
            finally:
                record.write(outcomes)
            if status != 130:
                _show(record, outcomes)
        if options.json:
            say(json.dumps(record.content(outcomes), indent=2), stdout)
        elif options.quiet:
            say(folder, stdout)
        return status


def _outcome(folder: Path) -> Outcome:
    """What the folder of a run says; one that cannot be read FAILED, and is left alone."""
    try:
        return outcome(folder)
    except (ValueError, OSError) as error:
        complain(f"{folder.name} is left alone: {in_a_line(error)}")
        return Outcome(FAILED, {}, in_a_line(error))


def _with_data(runs: Sequence[Run], scheduler: str | None) -> list[Run]:
    """The runs, each with a named data set: all workers then train on the same one.

    Where none was named, it is the one that train would choose; on other machines Fashion-MNIST.
    """
    if all({"dataset", "data_dir"} & run.options.keys() for run in runs):
        return [*runs]
    name = "fashion-mnist" if scheduler else choose(None, None).name
    return [
        run
        if {"dataset", "data_dir"} & run.options.keys()
        else run._replace(options={**run.options, "dataset": name})
        for run in runs
    ]


def _usual_folder(runs: Sequence[Run], shared: Sequence[str]) -> Path:
    """Made of the axes' names, not of their values: one value more is the same sweep still.

    What changes no number does not count; a folder of one's own pictures does.
    """
    axes, all_runs = sorted(axes_of(runs)), options_of(parsed(shared))
    is_own = "dataset" not in {*axes, *all_runs}
    counts = ["data_dir"] if is_own else []
    kept = [(n, v) for n, v in all_runs.items() if n in counts or n not in MAY_DIFFER]
    made_of = json.dumps([axes, sorted(kept)])
    return Path("runs", f"sweep-{digest(made_of)}")


def _crew(options: argparse.Namespace, runs: int, threads_before: int | None) -> Crew:
    """Workers times threads are the cores; a sweep that goes on keeps its threads.

    Raises:
        ValueError: --workers with --scheduler.
    """
    if options.scheduler is not None:
        if options.workers is not None:
            raise ValueError("--workers does not go with --scheduler, which has its own")
        return Crew(None, options.threads or threads_before or 1)
    cores, threads = minicnn.get_num_threads(), options.threads or threads_before
    workers = options.workers or (max(1, cores // threads) if threads else min(cores, runs))
    return Crew(workers, threads or max(1, cores // workers))


# The runs -----------------------------------------------------------------------------------------


def _do(
    options: argparse.Namespace, record: Record, outcomes: dict[str, Outcome], crew: Crew
) -> int:
    """Do the runs that are open, and put down what came of them; the exit status."""
    todo = [run for run in record.runs if outcomes[run.name].status == OPEN]
    say(_headline(record, _finished(outcomes), todo, crew, options.scheduler))
    if not todo:
        return _status(outcomes)
    progress = Progress(record.folder, todo, options.quiet)
    try:
        with client_of(options.scheduler, min(crew.workers or 1, len(todo))) as client:
            _take_in(client, record, todo, outcomes, progress)
    except KeyboardInterrupt:
        complain(
            f"interrupted after {_finished(outcomes)} of {count(len(record.runs), 'run')}; what "
            f"was done so far is in {record.folder}, and the same command goes on:\n"
            f"python -m minicnn.sweep {shlex.join(options.typed)}"
        )
        return 130
    finally:
        progress.bar.close()
    return _status(outcomes)


def _finished(outcomes: Outcomes) -> int:
    return sum(found.status == FINISHED for found in outcomes.values())


def _status(outcomes: Outcomes) -> int:
    """0 if all runs are finished."""
    return int(_finished(outcomes) < len(outcomes))


def _headline(
    record: Record, before: int, todo: Sequence[Run], crew: Crew, scheduler: str | None
) -> str:
    """24 runs, 6 of them done before; 2 workers with 1 thread each."""
    done = f", {before} of them done before" if before else ""
    workers = count(min(crew.workers or 1, len(todo)), "worker")
    where = workers if scheduler is None else f"workers of {scheduler}"
    return (
        f"{count(len(record.runs), 'run')}{done}; {where} with {count(crew.threads, 'thread')} each"
        f"\nin {record.folder}"
    )


def _take_in(
    client: Any,
    record: Record,
    todo: Sequence[Run],
    outcomes: dict[str, Outcome],
    progress: Progress,
) -> None:
    """Hand the runs out, and print a line as each ends; a Ctrl-C stops them."""
    rows = Rows(record.runs)

    def note(line: str) -> None:
        with progress.aside():
            complain(line)

    runs = Runs(client, (record.folder, record.token), note, progress.look)
    with progress.aside():
        say(rows.head())
    threads = {"threads": record.threads}
    try:
        runs.greet()
        runs.begin([run._replace(options=run.options | threads) for run in todo])
        for number, (run, found) in enumerate(runs.ended(), len(record.runs) - len(todo) + 1):
            outcomes[run.name] = found
            progress.end(run)
            with progress.aside():
                say(rows.row(number, run, found, progress.left()))
    except KeyboardInterrupt:
        runs.stop()
        raise


def _show(record: Record, outcomes: dict[str, Outcome]) -> None:
    """Print the table, draw the pictures."""
    runs, folder = record.runs, record.folder
    say(f"\n{table(runs, outcomes)}")
    drawn = []
    if _finished(outcomes):
        for axis in axes_to_draw(runs):
            write_whole(folder / f"{axis}.png", plots.png(draw(axis, runs, outcomes)))
            drawn.append(f"{axis}.png")
    say(f"\nwritten to {folder}: {', '.join(['sweep.json', *drawn])}, a folder for each run")
