"""A tape as a table, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from ..text import padded, width_of
from ..words import Sentence, in_language
from .steps import Step, kept_text, number_text, shape_text


def table(steps: Sequence[Step], notes: Sequence[str], language: str | None = None) -> str:
    """A line for each step, and below it one for each argument; ``notes`` at the end."""
    heads = "tape.operation", "tape.shape", "tape.kept", "tape.gradient"
    rows: list[tuple[str, ...]] = [("", *map(Sentence, heads))]
    for number, step in enumerate(steps):
        follows = step.inputs in ((number - 1,), ())  # of the line above: nothing to say
        origin = ", ".join(map(str, step.inputs))
        name = step.name if follows else Sentence("tape.of", name=step.name, steps=origin)
        kept = kept_text(step) if step.is_operation else ""
        gradient = number_text(step.gradient)
        rows.append((str(number), name, shape_text(step), kept, gradient))
        rows += [
            ("", f"  {a.name}", shape_text(a), "", number_text(a.gradient)) for a in step.arguments
        ]
    said = [[in_language(cell, language) for cell in row] for row in rows]
    widths = [max(map(width_of, column)) for column in zip(*said, strict=True)]
    lines = []
    for first, *middle, last in said:
        cells = [padded(cell, width) for cell, width in zip(middle, widths[1:-1], strict=True)]
        lines.append("  ".join([first.rjust(widths[0]), *cells, last]).rstrip())
    return "\n".join([*lines, *(in_language(note, language) for note in notes)])
