"""``python -m benchmarks.gpu_proof``: runs the parts, and writes the record."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks.gpu_proof import entry, parts
from benchmarks.gpu_proof.measures import WrongError
from benchmarks.gpu_proof.running import FAILED, LEFT_OUT, RESULT, Outcome, Part, run
from benchmarks.gpu_proof.sizes import SMALL, WHOLE, Sizes

LEAST = 3.0  # seconds that are left, for a part to begin at all


def parser() -> argparse.ArgumentParser:
    """The options. Mistakes are one line, without the usage."""
    about = "What a machine with a GPU has to show: a record of numbers, times and tests."
    p = argparse.ArgumentParser(
        "python -m benchmarks.gpu_proof", argparse.SUPPRESS, about, allow_abbrev=False
    )
    p.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("gpu-proof"),
        help="folder for the record (entry.md) and the parts' output (default: gpu-proof)",
    )
    p.add_argument(
        "--minutes",
        metavar="N",
        type=_minutes,
        default=10.0,
        help="what does not begin in this time is left out (default: 10)",
    )
    p.add_argument("--record", action="store_true", help="put the record into docs/gpu-runs.md")
    p.add_argument("--small", action="store_true", help="tiny sizes, to try this command itself")
    p.add_argument("--part", choices=parts.MEASURES, help=argparse.SUPPRESS)
    return p


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}; wanted a number above 0")
    return minutes


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit status: 0, 1 where a part failed, 2 for a user's mistake."""
    p = parser()
    options = p.parse_args(argv)
    sizes = SMALL if options.small else WHOLE
    if options.part is not None:
        return _measure(options.part, sizes)
    problem = _problem(options.record)
    if problem is not None:
        p.error(problem)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        p.error(f"--out {error.filename}: {error.strerror}")
    return _prove(options, parts.parts(sizes, options.out.resolve()))


def _problem(records: bool) -> str | None:
    """Why there is nothing to prove here."""
    from minicnn.device import describe, gpu_problem

    problem = gpu_problem()
    if problem is None and records and "stand-in" in describe("gpu"):
        return "--record: this is no GPU but a stand-in"
    return problem


def _measure(name: str, sizes: Sizes) -> int:
    """One function of ``parts.MEASURES``, in this process; its result is its last line."""
    status = 0
    try:
        result = parts.MEASURES[name](sizes)
    except WrongError as error:
        result, status = error.result, 1
    print(f"{RESULT}{json.dumps(result)}", flush=True)
    return status


# All parts ----------------------------------------------------------------------------------------


def _prove(options: argparse.Namespace, todo: list[Part]) -> int:
    began, date = time.time(), time.strftime("%Y-%m-%d")
    outcomes: list[Outcome] = []
    command = " ".join(["python -m benchmarks.gpu_proof", *(["--small"] if options.small else [])])
    try:
        for part in todo:
            left = 60 * options.minutes - (time.time() - began)
            outcomes.append(_outcome(part, outcomes, options.out, left))
            _tell(outcomes[-1])
            _write(entry.entry(outcomes, date, time.time() - began, command), options)
    except KeyboardInterrupt:
        print(f"interrupted after {len(outcomes)} of {len(todo)} parts", file=sys.stderr)
        return 130
    if options.record:
        entry.record((options.out / "entry.md").read_text())
    print(f"written to {options.out / 'entry.md'}")
    return int(any(outcome.status == FAILED for outcome in outcomes))


def _outcome(part: Part, before: list[Outcome], folder: Path, seconds: float) -> Outcome:
    """Of a part that is run, or that is left out."""
    missing = part.missing()
    if missing:
        return Outcome(part, LEFT_OUT, f"{', '.join(missing)} missing")
    if part.rival and any(o.result.get("rival") is False for o in before):
        return Outcome(part, LEFT_OUT, "PyTorch sees no GPU")
    if seconds < LEAST:
        return Outcome(part, LEFT_OUT, "no time left")
    outcome = run(part, folder, min(part.seconds, seconds))
    if outcome.stopped and seconds < part.seconds:  # no fault of its own
        return Outcome(part, LEFT_OUT, "no time left", outcome.seconds)
    return outcome


def _tell(outcome: Outcome) -> None:
    took = f"{outcome.seconds:4.0f} s" if outcome.status != LEFT_OUT else ""
    print(f"{outcome.part.name:34} {outcome.status:8} {took:6}  {outcome.said}", flush=True)


def _write(text: str, options: argparse.Namespace) -> None:
    """What there is so far: a machine may be taken away at any time."""
    from minicnn.files import write_whole

    write_whole(options.out / "entry.md", text)


if __name__ == "__main__":
    sys.exit(main())
