"""Runs a learner's function in a process of its own: ``python child.py JOB RESULTS``.

JOB is a pickle: the file, the function's name, the cases, how many outputs it has, the seconds that
it has. RESULTS will hold, for each case, the arrays or what went wrong. This file is run by its
path and knows NumPy alone.
"""

from __future__ import annotations

import copy
import faulthandler
import importlib.util
import pickle
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Outcome = tuple[str, Any]  # ("arrays", [...]), or the key of what went wrong, and its values
Caught = type[BaseException] | tuple[type[BaseException], ...]
ERRORS = (Exception, SystemExit)  # of somebody's code; Ctrl-C is one only in a process of its own


def main(job: Path, results: Path) -> None:
    """Run all cases, as long as the file itself can be run."""
    file, function, cases, outputs, seconds = pickle.loads(job.read_bytes())
    trace = results.with_suffix(".trace")
    with trace.open("w") as stream:
        # a thread of its own, in C: it comes in time whatever Python does
        faulthandler.dump_traceback_later(seconds, exit=True, file=stream)
        found: Outcome | list[Outcome]
        fn = load(Path(file), function, BaseException)
        if callable(fn):
            found = [outcome_of(fn, file, case, outputs, BaseException) for case in cases]
        else:
            found = fn
        faulthandler.cancel_dump_traceback_later()
    half = results.with_suffix(".half")  # this process may be ended while it writes
    half.write_bytes(pickle.dumps(found))
    half.replace(results)


def load(file: Path, name: str, caught: Caught = ERRORS) -> Callable[..., Any] | Outcome:
    """The function, or what is wrong with its file. What lies next to the file can be imported."""
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    try:
        spec.loader.exec_module(module)
    except caught as error:
        return raised(error, str(file))
    fn = getattr(module, name, None)
    return fn if callable(fn) else ("no_function", {"name": name})


def outcome_of(
    fn: Callable[..., Any], file: str, case: Sequence[Any], outputs: int, caught: Caught = ERRORS
) -> Outcome:
    """What the function returns for a case, as arrays, or what went wrong."""
    arguments = copy.deepcopy(case)
    try:
        returned = fn(*arguments)
        pairs = enumerate(zip(arguments, case, strict=True))
        changed = [k for k, pair in pairs if not _equal(*pair)]
        # in here: what is returned may be too large to be an array of numbers
        return ("changed", {"number": changed[0]}) if changed else arrays_of(returned, outputs)
    except NotImplementedError:
        return "not_begun", {}
    except caught as error:
        return raised(error, file)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(b, np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    return bool(a == b)


def arrays_of(returned: Any, outputs: int) -> Outcome:
    """What was returned as arrays of floating-point numbers."""
    if returned is None:
        return "nothing", {}
    parts = [returned] if outputs == 1 else returned
    if outputs > 1 and (not isinstance(returned, tuple | list) or len(returned) != outputs):
        many = isinstance(returned, tuple | list)
        return "count", {"got": str(len(returned)) if many else type(returned).__name__}
    arrays = []
    for part in parts:
        is_number = isinstance(part, int | float | np.ndarray | np.generic)
        kind = np.asarray(part).dtype.kind if is_number else ""
        if kind not in ("f", "i", "u"):
            of = f" ({part.dtype})" if isinstance(part, np.ndarray) else ""
            return "type", {"got": f"{type(part).__name__}{of}"}
        arrays.append(np.array(part, np.float64))
    return "arrays", arrays


def raised(error: BaseException, file: str) -> Outcome:
    """An error, with the last line of the learner's own file that led to it."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    line = frames[-1].lineno if frames else getattr(error, "lineno", None)
    told = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    what = f"{type(error).__name__}: {told}" if told else type(error).__name__
    return "raised", {"line": line or "?", "error": what[:300]}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
