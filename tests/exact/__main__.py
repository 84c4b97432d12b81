"""Every way to compute against loops, on whole numbers: how many cases, how many differ in a bit.

    python -m tests.exact                  on the CPU
    python -m tests.exact --cuda           CUDA C too, in the emulator
    python -m tests.exact --literal 300    compiled steps of CUDA C with sizes as literals: 300 nets

The exit status is 1 where one differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from tqdm import tqdm

from tests.exact import ways, winograd
from tests.exact.nets import exact, exact_at_points
from tests.exact.operations import FRACTIONS, KINDS, operation
from tests.exact.ways import Setting, Way, differing

WHAT = "Compute in every way, on whole numbers: how many results differ from the loops' in a bit."
CHUNK = 50  # cases that are kept, and computed in every way
SHARES = [  # how a batch is cut: dtype, threads that share it, tiles in a group
    ("float64", 2, 1),
    ("float32", 2, 2),
    ("float64", 3, 3),
    ("float32", 4, 1),
    ("float64", 5, 8),
]
SHARED = {
    f"compiled, {threads} threads, groups of {group}": Way(
        ways.compiled, Setting(dtype, threads=threads, group=group)
    )
    for dtype, threads, group in SHARES
}


class Part(NamedTuple):
    """Cases of one kind, and the ways to compute them."""

    name: str
    case: Callable[[int], Any]
    ways: dict[str, Way]


def parts(cuda: bool) -> list[Part]:
    """All but those with sizes as literals."""
    of_operations = ways.OPERATIONS | (ways.OPERATIONS_ON_GPU if cuda else {})
    of_nets = ways.NETS | SHARED | (ways.ON_GPU if cuda else {})
    return [
        *(Part(kind, partial(operation, kind), of_operations) for kind in KINDS),
        Part(FRACTIONS, partial(operation, FRACTIONS), winograd.WAYS),
        Part("net at points", exact_at_points, ways.AT_POINTS),
        Part("net", exact, of_nets),
    ]


def counted(part: Part, cases: int) -> tuple[int, list[str]]:
    """How many results were looked at, and which were not the loops'."""
    computed, wrong = 0, []
    turns = [(first, name) for first in range(0, cases, CHUNK) for name in part.ways]
    for first, name in tqdm(turns, part.name, leave=False):
        numbers = range(first, min(first + CHUNK, cases))
        seen, differ = differing(part.ways[name], [part.case(number) for number in numbers])
        computed += seen
        wrong += [f"{name}: {case}" for case in differ]
    return computed, wrong


def main(arguments: list[str] | None = None) -> int:
    """Count, and print a line for each kind of case."""
    parser = argparse.ArgumentParser("python -m tests.exact", description=WHAT)
    parser.add_argument("--cases", type=int, default=300, help="of each kind (300)")
    parser.add_argument("--cuda", action="store_true", help="CUDA C too, in the emulator")
    parser.add_argument("--literal", type=int, metavar="N", help="N nets with sizes as literals")
    options = parser.parse_args(arguments)
    todo = [(part, options.cases) for part in parts(options.cuda)]
    if options.literal:
        todo = [(Part("net, sizes as literals", exact, ways.LITERAL), options.literal)]
    print(f"{'':26}{'cases':>8}{'ways':>8}{'computed':>10}{'differ':>8}")
    sums, all_wrong = [0, 0, 0, 0], []
    for part, cases in todo:
        computed, wrong = counted(part, cases)
        row = cases, len(part.ways), computed, len(wrong)
        sums = [a + b for a, b in zip(sums, row, strict=True)]
        all_wrong += wrong
        print(f"{part.name:26}" + "{:>8,}{:>8}{:>10,}{:>8}".format(*row))
    print(f"{'':26}" + "{:>8,}{:>8}{:>10,}{:>8}".format(*sums))
    print(*all_wrong, sep="\n", end="")
    return bool(all_wrong)


if __name__ == "__main__":
    sys.exit(main())
