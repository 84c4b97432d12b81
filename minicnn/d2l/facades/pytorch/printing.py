"""How a tensor prints: PyTorch's form, four digits, long axes shortened.

As torch 2.13 prints with its default options (``torch.set_printoptions``): the form was compared
with the real one's, see tests/d2l/test_torch_printing.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .kinds import device, dtype

DIGITS, LINE, SHORTENED_ABOVE, EDGE = 4, 80, 1000, 3


def text_of(array: np.ndarray, place: str, past: str) -> str:
    """What ``repr`` gives for a tensor of these cells.

    Args:
        place: the engine's name of its device.
        past: ``grad_fn=<...>``, ``requires_grad=True`` or nothing.
    """
    notes = [] if place == "cpu" else [f"device='{device.of(place)}'"]
    if array.size == 0 and array.ndim != 1:
        notes.append(f"size={array.shape}")
    usual = [np.float32] if array.size == 0 else [np.float32, np.int64, np.bool_]
    if array.dtype not in usual:
        notes.append(f"dtype={dtype.of(array.dtype)!r}")
    start = "tensor("
    text = start + ("[]" if array.size == 0 else _cells(array, len(start)))
    return _with_notes(text, [*notes, *filter(None, [past])], len(start)) + ")"


def _with_notes(text: str, notes: list[str], indent: int) -> str:
    """The notes after the numbers; one that does not fit into the line begins the next."""
    used = len(text) - text.rfind("\n") + 1
    for note in notes:
        if used + len(note) + 2 > LINE:
            text, used = f"{text},\n{' ' * indent}{note}", indent + len(note)
        else:
            text, used = f"{text}, {note}", used + len(note) + 2
    return text


def _cells(array: np.ndarray, indent: int) -> str:
    """The numbers in their brackets."""
    shortened = array.size > SHORTENED_ABOVE
    write, width = _form(_edges(array) if shortened else array)

    def block(part: Any, indent: int) -> str:
        if part.ndim == 0:
            return write(part.item())
        rows = _picked(part, shortened)
        if part.ndim == 1:
            words = [" ..." if row is None else write(row.item()) for row in rows]
            a_line = max(1, (LINE - indent) // (width + 2))
            lines = [", ".join(words[i : i + a_line]) for i in range(0, len(words), a_line)]
            return "[" + f",\n{' ' * (indent + 1)}".join(lines) + "]"
        parts = ["..." if row is None else block(row, indent + 1) for row in rows]
        return "[" + ("," + "\n" * (part.ndim - 1) + " " * (indent + 1)).join(parts) + "]"

    return block(array, indent)


def _picked(part: Any, shortened: bool) -> list[Any]:
    """The rows to print; of a long axis the first and the last, None between them."""
    if not shortened or len(part) <= 2 * EDGE:
        return [*part]
    return [*part[:EDGE], None, *part[-EDGE:]]


def _edges(array: np.ndarray) -> np.ndarray:
    """The cells that are printed of a shortened array."""
    for axis, length in enumerate(array.shape):
        if length > 2 * EDGE:
            ends = np.r_[0:EDGE, length - EDGE : length]
            array = array.take(ends, axis)
    return array


def _form(array: np.ndarray) -> tuple[Callable[[Any], str], int]:
    """How each cell is written, and its width: as many columns as the widest one takes."""
    if array.dtype.kind != "f":
        width = max(len(str(value)) for value in array.ravel().tolist())
        return (lambda value: str(value).rjust(width)), width
    values = array[np.isfinite(array) & (array != 0)].astype(np.float64)
    smallest, largest = (abs(values).min(), abs(values).max()) if values.size else (1.0, 1.0)
    whole = bool((values == np.ceil(values)).all())
    if largest > 1000 * smallest or largest > 1e8 or (not whole and smallest < 1e-4):
        written = f".{DIGITS}e"
    else:
        written = ".0f" if whole else f".{DIGITS}f"
    point = "." if written == ".0f" else ""
    width = max([len(format(value, written) + point) for value in values.tolist()], default=1)

    def write(value: float) -> str:
        end = point if math.isfinite(value) else ""
        return (format(value, written) + end).rjust(width)

    return write, width
