"""``python -m tests.mutants --room tape``: tries every mutant of a room, and says which survive.

The first run of a room records which test runs which line (``--fresh`` does it again); for each
mutant those that run its lines are taken, the quickest first, until one fails. A run that was
stopped goes on where it was. Who has written a test for the survivors tries them on it alone:

    python -m tests.mutants --room tape --again --tests tests/tensor/test_tape.py

What nobody can notice stands in ``equivalent.toml``, with the argument. CI tries a sample, another
one for each commit, on the tests that noticed the mutants of the same functions before
(``noticed.json``, which ``--write`` makes of the records), and on all tests those that they miss.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import tqdm

from . import compiled, cuda, trying
from .covering import Covering, Recorder
from .operators import Mutant
from .record import Noticed, Record, catalogue, equivalent
from .rooms import ROOMS, ROOT, TESTS, WHOLE, Room
from .trying import ENDED, PLAIN, Quick, apart, can_be_exchanged, checkout, imported

FOLDER = ROOT / ".mutants"  # not in git
SECONDS_COMPILING = 60  # of the processor's time for one test, its kernels included
CURE = (
    "cure: a test that fails with it, if there is none, and python -m tests.mutants --room {room} "
    "--file {file} --write; or why nobody can notice it, in tests/mutants/equivalent.toml"
)


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--room", choices=ROOMS, action="append", help="default: all of them")
    parser.add_argument("--file", action="append", metavar="FILE", help="of the rooms, these alone")
    parser.add_argument("--sample", type=int, metavar="N", help="try N mutants of each room")
    parser.add_argument(
        "--together", action="store_true", help="the sample is one of all the rooms together"
    )
    parser.add_argument("--seed", default="0", help="of the sample: a number, or a commit")
    parser.add_argument("--again", action="store_true", help="try those again that survived")
    parser.add_argument("--fresh", action="store_true", help="record again which tests run what")
    parser.add_argument("--report", action="store_true", help="try nothing; print what is known")
    parser.add_argument(
        "--noticed", action="store_true", help="run the tests that are in noticed.json first"
    )
    parser.add_argument(
        "--tests", nargs="+", metavar="TEST", help="run these files of tests, or tests"
    )
    parser.add_argument("--write", action="store_true", help="make noticed.json of the records")
    parser.add_argument(
        "--keep", type=Path, default=FOLDER, metavar="FOLDER", help="of the records"
    )
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="of tests for one mutant (default: 20)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Try mutants.

    Returns:
        The exit status: 1 where one survives that the catalogue does not have, or fewer were tried
        than were asked for.
    """
    chosen = options().parse_args(arguments)
    chosen.keep = chosen.keep.resolve()
    chosen.keep.mkdir(parents=True, exist_ok=True)
    status = 0
    drawn = draw(chosen)
    for name, mutants in drawn.items():
        record = Record(chosen.keep / f"{name}.jsonl")
        if not chosen.report:
            same = equivalent(mutants, catalogue())
            wanted = "alive" if chosen.again else ""
            todo = [m for m in mutants if record.verdict(m) == wanted and m.name not in same]
            if todo:
                try_all(name, todo, record, chosen)
            if chosen.noticed and (left := [m for m in todo if record.verdict(m) == "alive"]):
                # of a function that has changed since: what notices its new lines is not known
                all_tests = {"noticed": False, "tests": TESTS[ROOMS[name].tests]}
                try_all(name, left, record, argparse.Namespace(**vars(chosen) | all_tests))
        asked = 0 if chosen.report or chosen.again else asked_for(mutants, chosen)
        status |= tell(name, mutants, record, asked)
    if chosen.write:
        records = [(ROOMS[name], Record(chosen.keep / f"{name}.jsonl")) for name in WHOLE]
        Noticed.write((m, record) for room, record in records for m in room.mutants())
    return status


def draw(chosen: argparse.Namespace) -> dict[str, list[Mutant]]:
    """The mutants that are asked for, of each room."""
    names = chosen.room or [name for name in ROOMS if name != "whole"]  # which repeats others
    rooms = {name: ROOMS[name].mutants() for name in names}
    for name, mutants in rooms.items():
        mutants = [m for m in mutants if not chosen.file or m.file in chosen.file]
        rooms[name] = list(filter(Noticed().tests_of, mutants)) if chosen.noticed else mutants
    if chosen.together:
        every = [mutant for mutants in rooms.values() for mutant in mutants]
        wanted = set(sample(every, chosen.sample, chosen.seed))
        return {name: [m for m in mutants if m in wanted] for name, mutants in rooms.items()}
    return {name: sample(mutants, chosen.sample, chosen.seed) for name, mutants in rooms.items()}


def asked_for(mutants: list[Mutant], chosen: argparse.Namespace) -> int:
    """How many of a room have to be tried."""
    return len(mutants) if chosen.together else chosen.sample or max(1, len(mutants))


def sample(mutants: list[Mutant], count: int | None, seed: str) -> list[Mutant]:
    """``count`` of them, the same for the same seed, whatever others there are; all for None."""
    drawn = sorted(mutants, key=lambda m: hashlib.sha256(f"{seed} {m.name}".encode()).digest())
    return sorted(drawn[:count], key=lambda m: (m.file, m.start))


def try_all(name: str, todo: list[Mutant], record: Record, chosen: argparse.Namespace) -> None:
    """Each in the way of the room."""
    room = ROOMS[name]
    if room.way == "CUDA" and not chosen.tests:
        apart(lambda: one_by_one(name, todo, record, cuda.noticed))
        record.read()
        return
    with checkout() as root:
        prepare(room)
        if room.way == "compiled":
            one_by_one(name, todo, record, compiled.Tried(root, chosen.tests).noticed)
        elif room.way == "CUDA":
            one_by_one(name, todo, record, lambda mutant: imported(root, mutant, chosen.tests))
        else:
            exchanging(name, root, todo, record, chosen)


def one_by_one(
    name: str, todo: list[Mutant], record: Record, noticed: Callable[[Mutant], str]
) -> int:
    """Keep for each what notices it; 0, as pytest's exit status."""
    for mutant in tqdm.tqdm(todo, desc=name):
        record.add(name, mutant, noticed(mutant))
    return 0


def exchanging(
    name: str, root: Path, todo: list[Mutant], record: Record, chosen: argparse.Namespace
) -> None:
    """What is in functions the quick way, all in one process; the others after that."""
    options = ROOMS[name].options
    if chosen.tests or chosen.noticed:
        tests_of = (lambda mutant: chosen.tests) if chosen.tests else Noticed().tests_of
    else:
        tests_of = by_lines(name, root, record, chosen)

    def noticed(mutant: Mutant, test: str) -> None:
        bar.update()
        record.add(name, mutant, test)

    quick = list(filter(can_be_exchanged, todo))
    with tqdm.tqdm(total=len(quick), desc=f"{name}, functions") as bar:
        plugin = Quick(root, ((m, tests_of(m)) for m in quick), noticed)
        paths = chosen.tests or TESTS[ROOMS[name].tests]
        paths = Noticed().files() if chosen.noticed else paths
        apart(lambda: pytest.main([*PLAIN, *options, *paths], plugins=[plugin]))

    record.read()
    slow = [m for m in todo if m not in quick]
    for mutant in tqdm.tqdm(slow, desc=f"{name}, files"):
        tests = tests_of(mutant)
        record.add(name, mutant, imported(root, mutant, tests, options) if tests else "")


def by_lines(
    name: str, root: Path, record: Record, chosen: argparse.Namespace
) -> Callable[[Mutant], list[str]]:
    """Chooses the tests that run the mutated lines; first those that noticed others there."""
    covering = covering_of(name, root, chosen)

    def tests_of(mutant: Mutant) -> list[str]:
        known = [test for test in record.killers(mutant) if test in covering.seconds]
        known.sort(key=lambda test: covering.seconds[test])
        return list(dict.fromkeys(known + covering.tests_of(mutant, chosen.seconds)))

    return tests_of


def prepare(room: Room) -> None:
    """Import what is slow and not ours, and set what tests read from the environment."""
    os.environ |= {"MINICNN_KERNELS": room.kernels, "OPENBLAS_NUM_THREADS": "1"}
    for package in ("numpy", "hypothesis", "torch"):
        with contextlib.suppress(ImportError):
            importlib.import_module(package)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)  # its threads would not be in a child
    if room.kernels == "cpu":
        os.environ["NUMBA_NUM_THREADS"] = "1"
        numba: Any = importlib.import_module("numba")
        numba.njit(lambda x: x)(0)  # what the first call sets up, the children have
    if room.way == "compiled":
        trying.SECONDS = SECONDS_COMPILING


def covering_of(name: str, root: Path, chosen: argparse.Namespace) -> Covering:
    """Which tests run which lines; recorded where that is not known, for all rooms they serve."""
    tests = ROOMS[name].tests
    path = chosen.keep / f"{tests}.covering.json"
    if chosen.fresh or not path.exists():
        files = [file for room in ROOMS.values() if room.tests == tests for file in room.files]
        print(f"{tests}: recording which tests run which lines", flush=True)

        def record() -> int:
            recorder = Recorder(root, files)
            paths = *ROOMS[name].options, *TESTS[tests]
            status = pytest.main([*PLAIN, *paths], plugins=[recorder])
            if status in ENDED:
                recorder.found().write(path)
            return status

        apart(record)
    return Covering.read(path)


def tell(name: str, mutants: list[Mutant], record: Record, asked: int = 0) -> int:
    """Print what is known of a room, and what to do about the mutants that survive.

    Returns:
        1 where one survives that the catalogue does not have, or fewer than ``asked`` were tried.
    """
    entries = catalogue()
    same = equivalent(mutants, entries)
    tried = [m for m in mutants if record.verdict(m) or m.name in same]
    killed = [m for m in tried if record.killed(m)]
    alive = [m for m in tried if not record.killed(m) and m.name not in same]
    for mutant in alive:
        room = next(room for room in ROOMS if mutant.file in ROOMS[room].paths())
        print(f"{mutant}\n  {CURE.format(room=room, file=mutant.file)}")
    print(
        f"{name}: {len(mutants)} mutants, {len(tried)} tried, {len(killed)} killed, "
        f"{len(tried) - len(killed) - len(alive)} equivalent, {len(alive)} alive"
    )
    if len(tried) < asked:
        print(f"{name}: {asked} were asked for, {len(tried)} tried")
    return int(bool(alive) or len(tried) < asked)


if __name__ == "__main__":
    sys.exit(main())
