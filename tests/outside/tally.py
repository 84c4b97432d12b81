"""What came of other people's cases: passed, unsupported as listed, failed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Difference(NamedTuple):
    """A kind of case in which minicnn differs on purpose, or which it does not support.

    Attributes:
        pattern: a regular expression for the case and what differs, as a line.
        cases: how many it describes.
        reason: why it is so.
    """

    pattern: str
    cases: int
    reason: str


class Found(NamedTuple):
    """What came of one case.

    Attributes:
        group: the operation, layer, optimiser or operator.
        line: the case and what differs; None where nothing does.
        is_wrong: whether the case is a wrong input, which has to be refused.
    """

    group: str
    line: str | None
    is_wrong: bool = False


@dataclass
class Tally:
    """The counts of one source of cases."""

    differences: Sequence[Difference]
    groups: Counter[str] = field(default_factory=Counter)
    wrong_inputs: int = 0
    listed: Counter[Difference] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, found: Iterable[Found], differences: Sequence[Difference]) -> Tally:
        """Count all that was found."""
        tally = cls(differences)
        for case in found:
            tally.add(case)
        return tally

    def add(self, case: Found) -> None:
        """Count a case; what differs is looked up in the list, whose first fitting line counts."""
        self.groups[case.group] += 1
        self.wrong_inputs += case.is_wrong
        if case.line is None:
            return
        fitting = (d for d in self.differences if re.search(d.pattern, case.line))
        listed = next(fitting, None)
        if listed is None:
            self.failures.append(case.line)
        else:
            self.listed[listed] += 1

    def counts(self) -> tuple[int, ...]:
        """Groups, cases, those of them that are wrong inputs; passed, unsupported, failed."""
        cases, listed, failed = self.groups.total(), self.listed.total(), len(self.failures)
        passed = cases - listed - failed
        return len(self.groups), cases, self.wrong_inputs, passed, listed, failed

    def stale(self) -> Iterator[str]:
        """The lines of the list that describe another number of cases than they say."""
        for d in self.differences:
            if self.listed[d] != d.cases:
                yield f"{d.pattern!r} describes {self.listed[d]} cases; listed are {d.cases}"
