"""What is said of a slip: en.toml has the sentences, zh.toml and ja.toml their translations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minicnn.language import catalogue

FOLDER = Path(__file__).parent


def said(key: str, language: str = "en", **values: Any) -> str:
    """The sentence of a slip or a resemblance; ``values`` stand in its places."""
    if "axes" in values:
        values["axes"] = _axes(values["axes"], language)
    return catalogue(FOLDER, language)[key].format(**values)


def _axes(axes: tuple[int, ...], language: str) -> str:
    """ "axis 2", "axes 2 and 3", "axes 0, 2 and 3" in English; elsewhere the numbers."""
    *others, last = map(str, axes)
    if language != "en":
        return "、".join([*others, last])
    return f"axes {', '.join(others)} and {last}" if others else f"axis {last}"
