"""Which tests run which lines, and how long each takes: recorded once for a room."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import coverage
import pytest

from .operators import Mutant

LONGEST = 6.0  # seconds of a test that is run for mutants, measured while lines are recorded


class Covering(NamedTuple):
    """What a run of a room's tests has shown.

    Attributes:
        seconds: of each test that passed.
        lines: for a file and a line of it (as text: the record is JSON) the tests that run it.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[str, list[str]]]

    def tests_of(self, mutant: Mutant, most: float) -> list[str]:
        """The tests that run the mutated lines, the quickest first, of ``most`` seconds together.

        What is run when the file is imported may matter to every test that uses the file.
        """
        lines = self.lines.get(mutant.file, {})
        first, last = mutant.lines
        wanted = range(first, last + 1) if mutant.inside else range(10**6)
        found = {test for line, tests in lines.items() if int(line) in wanted for test in tests}
        chosen: list[str] = []
        left = most
        for test in sorted(found & self.seconds.keys(), key=lambda test: self.seconds[test]):
            left -= self.seconds[test]
            if left < 0 and chosen:
                break
            chosen.append(test)
        return chosen

    @classmethod
    def read(cls, path: Path) -> Covering:
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self._asdict()), encoding="utf-8")


class Recorder:
    """A plugin of pytest: what ran during each test.

    Args:
        root: the checkout.
        files: patterns of the files of which the lines are wanted.
    """

    def __init__(self, root: Path, files: Sequence[str]):
        self.root = root
        wanted = [str(root / pattern) for pattern in files]
        self.coverage: Any = coverage.Coverage(data_file=None, include=wanted, messages=False)
        self.coverage.start()
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.coverage.switch_context(item.nodeid)
        began = time.process_time()
        yield
        self.seconds[item.nodeid] = round(time.process_time() - began, 4)
        self.coverage.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:  # or skipped: it cannot notice anything
            self.failed.add(report.nodeid)

    def found(self) -> Covering:
        """What was recorded, without the tests that do not pass, or take long."""
        self.coverage.stop()
        data = self.coverage.get_data()
        lines = {
            Path(file).resolve().relative_to(self.root).as_posix(): {
                str(line): sorted({*filter(None, tests)} - self.failed)
                for line, tests in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        }
        quick = {test for test, seconds in self.seconds.items() if seconds < LONGEST}
        passed = {test: self.seconds[test] for test in quick - self.failed}
        return Covering(passed, lines)
