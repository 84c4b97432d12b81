"""``sweep.json``: what was asked for, and what came of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minicnn import json_files
from minicnn.files import make_folder, write_whole
from minicnn.formats import in_short, shortened
from minicnn.sweep.outcome import OPEN, Outcome
from minicnn.sweep.plan import Run, axes_of
from minicnn.sweep.table import Outcomes, groups, mean, spread
from minicnn.sweep.work import RECORD, versions

# options that may be others when a sweep is started again: they change no number of a run
MAY_DIFFER = ("checkpoint_every", "tensorboard", "data_dir")


class Record:
    """The file ``sweep.json`` of a sweep's folder.

    Attributes:
        asked: the options of each run that this folder was ever asked for, by its name.
        threads: of each run; None in a new folder.
        token: made at random once, by which a worker knows that it sees this folder.
    """

    def __init__(self, folder: Path, runs: Sequence[Run]):
        """Make the folder, if it is not there.

        Raises:
            OSError: it cannot be made, or written.
            ValueError: it is another sweep's: one of the runs has other options there.
        """
        make_folder(folder)
        self.folder, self.runs = folder, runs
        self.asked, self.threads, self.token = self._read()
        for run in runs:
            _check_same(folder / RECORD, self.asked.get(run.name, run.options), run)
        self.asked |= {run.name: run.options for run in runs}

    def _read(self) -> tuple[dict[str, Any], int | None, str]:
        file, new = self.folder / RECORD, secrets.token_hex(8)
        try:
            then = json_files.read(file)
            asked, threads, token = then["asked"], then["threads"], then.get("token", new)
            _check(asked, threads, token)
            return asked, threads, token
        except FileNotFoundError:
            return {}, None, new
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{file} is not a sweep's: {in_short(error)}") from None

    def content(self, outcomes: Outcomes) -> dict[str, Any]:
        """What the file has: settings, outcomes, and means over the seeds."""
        return {
            "axes": axes_of(self.runs),
            "threads": self.threads,
            "token": self.token,
            "versions": versions(),
            "groups": [
                {
                    "settings": group.settings,
                    "runs": group.runs,
                    "failed": group.failed,
                    **{
                        name: {"mean": mean(values), "spread": spread(values)}
                        for name, values in group.figures.items()
                    },
                }
                for group in groups(self.runs, outcomes)
            ],
            "runs": [_as_json(run, outcomes.get(run.name, Outcome(OPEN))) for run in self.runs],
            "asked": self.asked,
        }

    def write(self, outcomes: Outcomes) -> None:
        """Bring the file up to date."""
        text = json.dumps(self.content(outcomes), indent=2)
        write_whole(self.folder / RECORD, f"{text}\n")


def _as_json(run: Run, outcome: Outcome) -> dict[str, Any]:
    return {
        "run": run.name,
        "settings": run.settings,
        "status": outcome.status,
        **({"error": outcome.message} if outcome.message else {}),
        "results": dict(outcome.results),
    }


def _check(asked: Any, threads: Any, token: Any) -> None:
    """Refuse what no sweep has written."""
    if not isinstance(asked, dict) or not all(isinstance(o, dict) for o in asked.values()):
        raise ValueError("asked has no options of runs, by their names")
    if threads is not None and (type(threads) is not int or threads < 1):
        raise ValueError("threads is no number of threads")
    if not isinstance(token, str):
        raise ValueError("token is no text")


def _check_same(file: Path, then: Mapping[str, Any], run: Run) -> None:
    names = [name for name in {**then, **run.options} if name not in MAY_DIFFER]
    for name in names:
        was, now = then.get(name, "the usual one"), run.options.get(name, "the usual one")
        if was != now:
            raise ValueError(
                f"{file}: {run.name} was asked for there with {shortened(f'{name} {was}')}, now "
                f"{now}; wanted another folder"
            )
