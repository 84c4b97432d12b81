"""A tape as a picture, drawn in SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ..text import width_of
from ..words import Sentence, catalogue, in_language
from .places import MARGIN, ROW_GAP, Slot, lay_out, slots_of
from .steps import Step, kept_text, number_text, shape_text

FONT, LETTER, LINE = 12, 7.5, 19  # size and width of a letter, distance between lines
PADDING = 10


def draw(
    steps: Sequence[Step], notes: Sequence[str], style: str = "", language: str | None = None
) -> str:
    """The picture as SVG. All of it has the colour of the text around it, be that light or dark."""
    texts = [
        [(in_language(left, language), right) for left, right in _lines(step)] for step in steps
    ]
    notes = [in_language(note, language) for note in notes]
    letters = max(width_of(left) + width_of(right) + 3 for lines in texts for left, right in lines)
    width = letters * LETTER + 2 * PADDING
    sizes = [(width, len(lines) * LINE + 2 * PADDING - 5) for lines in texts]
    slots = slots_of(steps, sizes)
    width, height = lay_out(slots, max(map(width_of, notes)) * LETTER)
    shapes = [_line(slot, below) for slot in slots for below in slot.below]
    shapes += [
        _box(slot, steps[slot.step], texts[slot.step]) for slot in slots if slot.step is not None
    ]
    for note in notes:
        height += LINE
        shapes.append(_text(MARGIN, height, note, "start", 0.75))
    spoken = escape(in_language(_spoken(steps, notes), language))
    tag = catalogue(language or "en")["tag"]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" lang="{tag}" aria-label="{spoken}" '
        f'viewBox="0 0 {width:.0f} {height + MARGIN:.0f}" width="{width:.0f}" '
        f'style="max-width:100%;height:auto" font-size="{FONT}" fill="currentColor" '
        'font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace">'
        f"{style}\n" + "\n".join(shapes) + "\n</svg>"
    )


def _spoken(steps: Sequence[Step], notes: Sequence[str]) -> Sentence:
    """The picture in words, for a screen reader."""
    names = ", ".join(step.name for step in steps)
    return Sentence("tape.spoken", steps=names, notes="; ".join(notes))


def _lines(step: Step) -> list[tuple[str, str]]:
    """The lines of a box: a text at the left and one at the right."""
    lines: list[tuple[str, str]] = [(step.name, shape_text(step))]
    sign = "|dy|" if step.is_operation else f"|d{step.name}|"
    dy = "" if step.gradient is None else f"{sign} {number_text(step.gradient)}"
    if step.is_operation:
        lines.append((Sentence("tape.keeps", kept=kept_text(step)), dy))
    elif dy:
        lines.append(("", dy))
    for a in step.arguments:
        length = "" if a.gradient is None else f"|d{a.name}| {number_text(a.gradient)}"
        lines.append((Sentence("tape.argument", name=a.name, shape=shape_text(a)), length))
    return lines


def _box(slot: Slot, step: Step, lines: Sequence[tuple[str, str]]) -> str:
    left, right = slot.x - slot.width / 2 + PADDING, slot.x + slot.width / 2 - PADDING
    round_ = 6 if step.is_operation else slot.height / 2
    parts = [
        f'<rect x="{left - PADDING:.1f}" y="{slot.y:.1f}" width="{slot.width:.1f}" '
        f'height="{slot.height:.1f}" rx="{round_:.1f}" fill-opacity=".06" stroke="currentColor" '
        f'stroke-opacity=".45"/>'
    ]
    for i, (text, number) in enumerate(lines):
        y = slot.y + PADDING + FONT - 2 + i * LINE
        parts.append(_text(left, y, text, "start", 0.85 if i else 1, bold=i == 0))
        parts.append(_text(right, y, number, "end", 0.85 if i else 1))
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str, opacity: float, bold: bool = False) -> str:
    if not text:
        return ""
    weight = ' font-weight="700"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill-opacity="{opacity:g}"{weight}>'
        f"{escape(text)}</text>"
    )


def _line(above: Slot, below: Slot) -> str:
    """A line from the bottom of a slot to the top of another; into a box it is an arrow."""
    entries = sorted(below.above, key=lambda slot: slot.x)
    x = below.x + 24 * (entries.index(above) - (len(entries) - 1) / 2)
    top, start = below.y - ROW_GAP, above.y + above.height
    tip = below.y - (6 if below.step is not None else 0)
    middle = (top + below.y) / 2
    path = f"M{above.x:.1f} {start:.1f}V{top:.1f}C{above.x:.1f} {middle:.1f}"
    path += f" {x:.1f} {middle:.1f} {x:.1f} {tip:.1f}"
    if below.step is None:
        path += f"V{below.y + below.height:.1f}"
    line = f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity=".6"/>'
    if below.step is None:
        return line
    return f'{line}<path d="M{x - 4:.1f} {tip - 2:.1f}h8l-4 8z" fill-opacity=".7"/>'
