"""Predictions as text: a table, JSON, or CSV."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Callable, Sequence

from minicnn.predict.classifier import Prediction
from minicnn.visualize.draw.mistakes import percent

WIDE = 96  # columns of a line of text


def as_table(found: Sequence[Prediction], classes: Sequence[str]) -> list[str]:
    """The three most probable classes of each picture, what was done to it, and what is odd."""
    wide = max(len(prediction.source) for prediction in found)
    column = max(len(name) for name in classes) + 10
    lines = []
    for prediction in found:
        cells = [f"{name}  {percent(p)}" for name, p in prediction.top(3)]
        row = "".join(cell.ljust(column) for cell in cells)
        lines.append(f"{prediction.source:{wide}}  {row}".rstrip())
        lines += _indented("; ".join(prediction.facts))
        for warning in prediction.warnings:
            lines += _indented(f"! {warning}")
    return lines


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, WIDE, initial_indent="    ", subsequent_indent="      ")


def as_json(found: Sequence[Prediction], classes: Sequence[str]) -> list[str]:
    """An object a picture."""
    return [json.dumps(prediction.as_dict(), ensure_ascii=False) for prediction in found]


def as_csv(found: Sequence[Prediction], classes: Sequence[str]) -> list[str]:
    """A row a picture, with the probability of each class in a column of its own."""
    rows: list[list[object]] = [
        ["picture", "class", "label", "distance", "threshold", "facts", "warnings", *classes]
    ]
    rows += [
        [
            prediction.source,
            prediction.class_name,
            prediction.label,
            prediction.distance,
            prediction.threshold,
            "; ".join(prediction.facts),
            "; ".join(prediction.warnings),
            *(f"{p:.6f}" for p in prediction.probabilities),
        ]
        for prediction in found
    ]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().removesuffix("\n").split("\n")


REPORTS: dict[str, Callable[[Sequence[Prediction], Sequence[str]], list[str]]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
}
