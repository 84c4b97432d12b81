"""How far a chapter ran: a line for each cell that was stopped, and the count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn.d2l.book.failures import Failure
from minicnn.d2l.book.running import Plan, Ran


def stopped(plan: Plan, number: int, failure: Failure) -> str:
    """ "cell 7, line 124: in train (cell 5, line 80): TypeError: ..."."""
    told = plan.place(number, failure.line)
    if failure.inside is not None:
        function, cell, line = failure.inside
        told += f": in {function} ({plan.place(cell, line)})"
    return f"{told}: {failure.sentence}"


def report(plan: Plan, ran: Sequence[Ran]) -> str:
    """What ran, and what stopped the others."""
    lines = [""]
    for one in ran:
        if one.failure is not None:
            because = one.failure.because
            after = f" (cell {because[-1]}, which was stopped, sets it)" if because else ""
            lines.append(stopped(plan, one.number, one.failure) + after)
    return "\n".join([*lines, count(ran)] if len(lines) > 1 else [count(ran)])


def count(ran: Sequence[Ran]) -> str:
    """ "5 of 9 cells ran; 2 were stopped, and 2 more by what these would have set"."""
    well = sum(one.failure is None for one in ran)
    after = sum(one.failure is not None and bool(one.failure.because) for one in ran)
    others = len(ran) - well - after
    told = f"{well} of {len(ran)} cells ran"
    if others or after:
        told += f"; {others} stopped"
    return told + (f", and {after} more by what a stopped one would have set" if after else "")


def as_json(plan: Plan, ran: Sequence[Ran]) -> dict[str, Any]:
    """The same as numbers and texts."""
    cells = []
    for one in ran:
        cell: dict[str, Any] = {"cell": one.number, "ran": one.failure is None}
        if plan.in_file:
            cell["line"] = plan.line(one.number, 1)
        cell["seconds"] = round(one.seconds, 3)
        if one.failure is not None:
            line = one.failure.line
            cell["error_line"] = None if line is None else plan.line(one.number, line)
            cell["error"] = one.failure.sentence
            cell["because_of"] = one.failure.because
        cells.append(cell)
    well = sum(one.failure is None for one in ran)
    return {**plan.about, "cells_run": well, "cells": len(ran), "each": cells}
