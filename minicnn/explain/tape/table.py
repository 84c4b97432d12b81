"""A tape as a table, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from .steps import Step, kept_text, number_text, shape_text


def table(steps: Sequence[Step], notes: Sequence[str]) -> str:
    """A line for each step, and below it one for each argument; ``notes`` at the end."""
    rows = [("", "operation", "shape", "kept for backward", "|gradient|")]
    for number, step in enumerate(steps):
        follows = step.inputs in ((number - 1,), ())  # of the line above: nothing to say
        origin = "" if follows else " of " + ", ".join(str(i) for i in step.inputs)
        kept = kept_text(step) if step.is_operation else ""
        gradient = number_text(step.gradient)
        rows.append((str(number), step.name + origin, shape_text(step), kept, gradient))
        rows += [
            ("", f"  {a.name}", shape_text(a), "", number_text(a.gradient)) for a in step.arguments
        ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *middle, last in rows:
        cells = [cell.ljust(width) for cell, width in zip(middle, widths[1:-1], strict=True)]
        lines.append("  ".join([first.rjust(widths[0]), *cells, last]).rstrip())
    return "\n".join([*lines, *notes])
