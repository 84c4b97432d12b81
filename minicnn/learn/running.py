"""A learner's code, run in a process of its own with a time limit."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

CHILD = Path(__file__).with_name("child.py")
SECONDS = 10
GRACE = 5  # seconds for Python to start and end


class Outcome(NamedTuple):
    """What came of one case.

    Attributes:
        arrays: what was returned; empty where something went wrong.
        problem: the key of what went wrong, "" if nothing did; values: for its sentence.
    """

    arrays: Sequence[np.ndarray]
    problem: str = ""
    values: dict[str, Any] = {}  # noqa: RUF012

    @classmethod
    def of(cls, key: str, found: Any) -> Outcome:
        """That which ``child.outcome_of`` describes."""
        return cls(found) if key == "arrays" else cls([], key, found)


def run(
    file: Path,
    function: str,
    cases: Sequence[tuple[Any, ...]],
    outputs: int = 1,
    seconds: float = SECONDS,
    silent: bool = False,
) -> list[Outcome]:
    """Call ``function`` of ``file`` with each case's arguments, in another process.

    What the file prints is shown, unless ``silent``.

    Args:
        outputs: how many arrays the function returns.
        seconds: for all cases together.

    Returns:
        An outcome for each case. A file that cannot be run, or does not end, has the same for all.
    """
    with tempfile.TemporaryDirectory() as folder:
        job, results = Path(folder, "job"), Path(folder, "results")
        job.write_bytes(pickle.dumps((str(file), function, list(cases), outputs, seconds)))
        command = [sys.executable, "-P", "-W", "ignore", str(CHILD), str(job), str(results)]
        shown = subprocess.DEVNULL if silent else None
        # one thread for BLAS: the arrays are tiny, and its pool takes longer than all cases
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        try:
            status = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=shown,
                stderr=shown,
                env=environment,
                timeout=seconds + GRACE,
            ).returncode
        except subprocess.TimeoutExpired:
            status = 1
        if results.is_file():
            found = pickle.loads(results.read_bytes())
        else:
            found = _unfinished(results.with_suffix(".trace"), file, status, seconds)
    return [
        Outcome.of(*one) for one in ([found] * len(cases) if isinstance(found, tuple) else found)
    ]


def _unfinished(trace: Path, file: Path, status: int, seconds: float) -> tuple[str, dict[str, Any]]:
    """Why there are no results: out of time, with the line where it was; or Python itself ended."""
    text = trace.read_text() if trace.is_file() else ""
    if not text:
        return "ended", {"status": status}
    written = str(file).encode("ascii", "backslashreplace").decode()  # as faulthandler writes it
    line = re.search(rf'File "{re.escape(written)}", line (\d+)', text)
    return "endless", {"seconds": f"{seconds:g}", "line": line[1] if line else "?"}
