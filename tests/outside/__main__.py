"""Other people's tests of what minicnn offers, all of them, counted.

    python -m tests.outside [part ...] [--only NAME ...] [--list]

Parts: ``operations``, ``modules`` and ``optimizers`` compare with PyTorch on the samples and wrong
inputs of its own lists (OpInfo, ModuleInfo, OptimizerInfo); ``onnx`` reads ONNX's backend cases.

What is not supported, or differs on purpose, is listed with a reason (``differences.py``,
``onnx_differences.py``): a pattern, how many cases, and why. What differs without being listed
fails the command; so does a line of the list that no longer describes exactly as many cases as it
says, and a row of docs/conformance.md that is not the one printed.

Needs the extra 'parity'.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from .tally import Tally

PARTS = {
    "operations": "opinfo",
    "modules": "modules",
    "optimizers": "optimizers",
    "onnx": "onnx_cases",
}
PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
HEAD = "| source | kinds | cases | wrong inputs | passed | unsupported | failed |"


def room(part: str) -> Any:
    """The module of a part; imported when wanted, as PyTorch's lists take seconds."""
    return import_module(f"tests.outside.{PARTS[part]}")


def row(title: str, tally: Tally) -> str:
    """A line of the table."""
    return f"| {title} | {' | '.join(f'{count:,}' for count in tally.counts())} |"


def problems(part: str, tally: Tally, whole: bool) -> list[str]:
    """What fails the command: unlisted differences; of a whole part a stale list or page too."""
    found = list(tally.failures)
    if whole:
        found += tally.stale()
        line = row(room(part).TITLE, tally)
        if line not in PAGE.read_text("utf-8").splitlines():
            found.append(f"{PAGE.name} has another row for {part}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.outside", description="Other people's tests, counted."
    )
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}: all")
    parser.add_argument("--only", nargs="+", default=[], help="operations, layers, ... by name")
    parser.add_argument("--list", action="store_true", help="print what is listed too, and why")
    options = parser.parse_args(arguments)
    for part in set(options.parts) - PARTS.keys():
        parser.error(f"part is {part!r}; wanted one of {', '.join(PARTS)}")

    failed = 0
    print(HEAD, "|---|" + "---:|" * 6, sep="\n")
    for part in options.parts or PARTS:
        source = room(part)
        tally = Tally.of(source.found(options.only), source.DIFFERENCES)
        print(row(source.TITLE, tally), flush=True)
        for problem in problems(part, tally, whole=not options.only):
            failed += 1
            print(f"{part}: {problem}")
        for d, count in tally.listed.items() if options.list else ():
            print(f"{count:5} {d.pattern}: {d.reason}")
    print(f"{failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
