"""What was found, one line of JSON a mutant; and the catalogue of those that nobody can notice."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from .operators import Mutant

CATALOGUE = Path(__file__).with_name("equivalent.toml")
NOTICED = Path(__file__).with_name("noticed.json")
Name = tuple[str, str, str, str, int]


class Record:
    """A file to which each result is added as it comes; who begins again goes on after the last.

    Args:
        path: of the file, which need not exist.
    """

    def __init__(self, path: Path):
        self.path = path
        self.results: dict[Name, dict[str, Any]] = {}
        self.read()

    def read(self) -> None:
        """Learn what the file holds; the last line about a mutant counts."""
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                self._keep(json.loads(line))

    def _keep(self, result: dict[str, Any]) -> None:
        self.results[tuple(result["mutant"])] = result

    def add(self, room: str, mutant: Mutant, test: str) -> None:
        """Keep which test noticed a mutant; empty for none."""
        result = {
            "room": room,
            "mutant": mutant.name,
            "operator": mutant.operator,
            "verdict": "killed" if test else "alive",
            "test": test,
        }
        self._keep(result)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result, ensure_ascii=False) + "\n")

    def verdict(self, mutant: Mutant) -> str:
        """``killed``, ``alive``, or empty where the mutant was not tried."""
        found: str = self.results.get(mutant.name, {}).get("verdict", "")
        return found

    def killed(self, mutant: Mutant) -> bool:
        """Whether a test noticed it."""
        return self.verdict(mutant) == "killed"

    def killers(self, mutant: Mutant) -> list[str]:
        """The tests that noticed other mutants of the same function, the most successful first."""
        same = (r["test"] for n, r in self.results.items() if n[:2] == mutant.name[:2])
        return [test for test, _ in Counter(test for test in same if "::" in test).most_common()]


class Noticed:
    """The tests that noticed the mutants of each function: all that a sample has to run.

    The file has every test once, and for each file and function the numbers of its tests.
    """

    def __init__(self, path: Path = NOTICED):
        known = json.loads(path.read_text(encoding="utf-8"))
        self.tests: list[str] = known["tests"]
        self.functions: dict[str, dict[str, list[int]]] = known["functions"]

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Those of the mutant's function, the most successful first."""
        numbers = self.functions.get(mutant.file, {}).get(mutant.function, [])
        return [self.tests[number] for number in numbers]

    def files(self) -> list[str]:
        """Where the tests stand."""
        return sorted({test.partition("::")[0] for test in self.tests})

    @staticmethod
    def write(found: Iterable[tuple[Mutant, Record]], path: Path = NOTICED) -> None:
        """Keep those that the records have for these mutants; else those that were known."""
        known = Noticed(path)
        functions: dict[str, dict[str, list[str]]] = {}
        for mutant, record in found:
            tests_of = record.killers(mutant) or known.tests_of(mutant)
            functions.setdefault(mutant.file, {})[mutant.function] = tests_of
        tests = sorted({test for those in functions.values() for t in those.values() for test in t})
        number = {test: i for i, test in enumerate(tests)}
        numbers = {
            file: {function: [number[test] for test in found] for function, found in those.items()}
            for file, those in functions.items()
        }
        text = json.dumps({"tests": tests, "functions": numbers}, indent=0, ensure_ascii=False)
        path.write_text(re.sub(r",\n(?=\d)", ", ", text) + "\n", encoding="utf-8")


class Entry(NamedTuple):
    """A mutant that computes the same, and why.

    Attributes:
        file: where it is.
        function: in which function; empty at the top level.
        before: the lines as they stand, as one line.
        after: as they are mutated.
        why: the argument that no test can notice it.
    """

    file: str
    function: str
    before: str
    after: str
    why: str


def catalogue(path: Path = CATALOGUE) -> list[Entry]:
    """All entries.

    Raises:
        TypeError: an entry lacks a word, or has one that is not known.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", [])
    return [Entry(**table) for table in tables]


def equivalent(mutants: Iterable[Mutant], entries: list[Entry]) -> set[Name]:
    """The names of those mutants that the catalogue has."""
    known = {entry[:4] for entry in entries}
    return {mutant.name for mutant in mutants if mutant.name[:4] in known}


def stale(mutants: Iterable[Mutant], entries: list[Entry]) -> list[Entry]:
    """The entries that are about no mutant of these files any more."""
    mutants = list(mutants)
    names, files = {mutant.name[:4] for mutant in mutants}, {mutant.file for mutant in mutants}
    return [entry for entry in entries if entry.file in files and entry[:4] not in names]
