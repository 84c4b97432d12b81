"""What came of a run, as its folder tells."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from minicnn import compare
from minicnn.train import config as config_file
from minicnn.train.run import STATE

FINISHED, FAILED, OPEN = "finished", "failed", "open"


class Outcome(NamedTuple):
    """What came of a run.

    Attributes:
        status: FINISHED; FAILED; OPEN, if it has not begun or not ended.
        results: as ``compare.results`` has them; of a run that has not begun none.
        message: why it failed.
    """

    status: str
    results: Mapping[str, Any] = {}
    message: str = ""


def outcome(folder: Path) -> Outcome:
    """What the folder of a run says: FINISHED or OPEN.

    Raises: what ``compare.read`` raises.
    """
    if not is_begun(folder):
        return Outcome(OPEN)
    results = compare.results(compare.read(folder))
    # the curves come last: without them the process may have ended just before
    is_whole = results["epochs"] == results["planned"] and (folder / "curves.png").exists()
    return Outcome(FINISHED if is_whole else OPEN, results)


def is_begun(folder: Path) -> bool:
    """Whether the folder has a run that can go on."""
    return (folder / "config.json").exists() and (folder / STATE).exists()


def progress(folder: Path) -> float:
    """The share of a run's epochs that are over."""
    try:
        planned = config_file.read(folder / "config.json")["epochs"]
        return len((folder / "metrics.jsonl").read_bytes().splitlines()) / planned
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):  # not begun, or damaged
        return 0.0
