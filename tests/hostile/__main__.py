"""Damage files and have every reader read them: ``python -m tests.hostile --files 5000``."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from tests.hostile.readers import READERS
from tests.hostile.trying import BROKEN, MISREAD, REFUSED, RIGHT, SAME, content_of, tried

KINDS = (REFUSED, SAME, RIGHT, MISREAD, BROKEN)
PIECE = 500  # files that a process does before it says what came of them


def main() -> int:
    """Try the readers; status 1 where one broke, or read something wrong."""
    p = argparse.ArgumentParser("python -m tests.hostile", description=__doc__)
    p.add_argument("--files", type=int, default=1000, help="for each reader (default: 1000)")
    p.add_argument("--seed", type=int, default=0, help="of the damage (default: 0)")
    p.add_argument("--reader", action="append", choices=list(READERS), help="default: all")
    p.add_argument("--processes", type=int, default=2, help="at once (default: 2)")
    p.add_argument("--write", type=int, metavar="N", help="write the N-th file to stdout, no more")
    options = p.parse_args()
    names = options.reader or list(READERS)
    if options.write is not None:
        sys.stdout.buffer.write(content_of(names[0], options.write, options.seed))
        return 0
    start, counts = time.monotonic(), {name: Counter[str]() for name in names}
    pieces = [
        (name, range(first, min(first + PIECE, options.files)))
        for name in names
        for first in range(0, options.files, PIECE)
    ]
    # a process for each piece: one that crashes takes no other with it
    for name, numbers, (found, faults) in results(pieces, options.seed, options.processes):
        counts[name] += found
        for fault in faults:
            print(fault, flush=True)
        if not found:
            counts[name][BROKEN] += len(numbers)
    print(f"\n{'reader':36}{'tried':>8}" + "".join(f"{kind:>12}" for kind in KINDS))
    for name, found in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        cells = "".join(f"{found[kind]:12,}" for kind in KINDS)
        print(f"{name:36}{sum(found.values()):8,}{cells}")
    print(f"seed {options.seed}, {time.monotonic() - start:.0f} s")
    return int(any(found[kind] for found in counts.values() for kind in (MISREAD, BROKEN)))


def results(pieces, seed, processes):  # type: ignore[no-untyped-def]
    """What came of each piece, as they end."""
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        waiting = {pool.submit(tried, name, numbers, seed): (name, numbers)
                   for name, numbers in pieces}  # fmt: skip
        for done in as_completed(waiting):
            name, numbers = waiting[done]
            try:
                yield name, numbers, done.result()
            except BrokenProcessPool:
                yield name, numbers, (Counter(), [f"{name}, {numbers}: the process ended"])


if __name__ == "__main__":
    sys.exit(main())
