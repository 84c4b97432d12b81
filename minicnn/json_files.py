"""JSON that comes from a file, and so from anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from minicnn.formats import in_short


def parsed(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is no JSON, or nested deeper than Python follows; in a short line.
    """
    try:
        return json.loads(text.decode() if isinstance(text, bytes) else text)
    except RecursionError:
        raise ValueError("brackets within brackets, deeper than can be read") from None
    except ValueError as error:
        raise ValueError(in_short(error)) from None


def read(path: Path) -> Any:
    """The value in a file, which is UTF-8.

    Raises:
        ValueError: as ``parsed``.
        OSError: it cannot be read.
    """
    return parsed(path.read_bytes())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file that has one a line.

    Raises:
        ValueError: a line is none.
        OSError: it cannot be read.
    """
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        row = parsed(line)
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is no JSON object")
        rows.append(row)
    return rows
