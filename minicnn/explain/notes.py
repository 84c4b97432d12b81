"""For every cell a note, written in Python: what the cell is made of.

A note says what a cell is made of: lines of tokens, each a text or the reference [grid, key] of a
cell, which the page writes as that cell's number and lights up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Reference = list[str]  # [grid, key]
Token = str | Reference
Notes = dict[str, dict[str, dict[str, Any]]]  # by grid and key


def key(*index: Any) -> str:
    """An index as ``data-index`` has it."""
    return ",".join(str(int(k)) for k in index)


def ref(grid: str, *index: Any) -> Reference:
    """A cell, in a note."""
    return [grid, key(*index)]


def note(*tokens: Token, words: str = "", **more: Any) -> dict[str, Any]:
    """A note of one line; ``more``: lit, linked, tail."""
    lines = [{"label": "", "tokens": list(tokens)}] if tokens else []
    return {"lines": lines, "words": words, **more}


def joined(parts: Sequence[Sequence[Token]], between: str = " + ") -> list[Token]:
    """a + b + c of lists of tokens."""
    tokens: list[Token] = []
    for k, part in enumerate(parts):
        tokens += [*[between] * (k > 0), *part]
    return tokens
