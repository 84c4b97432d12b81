"""What a page says about a cell: a note.

A note has lines of tokens, each a text or a reference [grid, key] to a cell: the page lights that
cell up and writes its number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .words import as_data

Note = dict[str, Any]
Reference = list[str]  # [grid, key]
Token = str | Reference
Notes = dict[str, dict[str, Note]]  # by grid and key


def key(*index: Any) -> str:
    """An index as text, as in ``data-index``: "0,1,2"."""
    return ",".join(str(int(k)) for k in index)


def ref(grid: str, *index: Any) -> Reference:
    """A reference to a cell."""
    return [grid, key(*index)]


def note(*tokens: Token, words: str = "", **more: Any) -> Note:
    """A note of one line of tokens.

    words: a sentence below it. more: ``lit`` and ``linked``, further cells to mark, and ``tail``,
    a sentence after the cell's number.
    """
    lines = [{"label": "", "tokens": list(tokens)}] if tokens else []
    return {"lines": lines, "words": words, **more}


def joined(parts: Sequence[Sequence[Token]], between: str = " + ") -> list[Token]:
    """Lists of tokens as one list, with ``between`` them: a + b + c."""
    tokens: list[Token] = []
    for k, part in enumerate(parts):
        tokens += [*[between] * (k > 0), *part]
    return tokens


def every(shape: tuple[int, ...], rule: Callable[..., Note]) -> dict[str, Note]:
    """The notes of all cells of a grid; ``rule`` makes the note of the cell at an index."""
    return {key(*at): rule(*at) for at in np.ndindex(shape)}


def notes_as_data(notes: Notes) -> Notes:
    """The notes as the page's scripts read them: their sentences as [key, values]."""
    return {
        grid: {at: {name: as_data(part) for name, part in one.items()} for at, one in found.items()}
        for grid, found in notes.items()
    }
