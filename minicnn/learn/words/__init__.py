"""What the course says: en.toml has the sentences, zh.toml and ja.toml their translations."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minicnn.language import catalogue
from minicnn.slips.words import said as said_of_slip

FOLDER = Path(__file__).parent
LANGUAGES = ("en", "zh", "ja")


def said(key: str, language: str = "en", **values: Any) -> str:
    """The sentence of this key, with ``values`` in its places."""
    return catalogue(FOLDER, language)[key].format(**values)


def typed_for(folder: Path) -> str:
    """What follows a command that is about this folder; nothing for the current one."""
    return "" if folder == Path() else f" --in {shlex.quote(str(folder))}"


def of_slip(
    kind: str, slip: str, language: str, values: Mapping[str, Any], own: bool = False
) -> str:
    """What follows the two numbers: the slip, the resemblance, or that there is none.

    Args:
        kind, slip, values, own: those of a ``Diagnosis``.
    """
    if kind.startswith("none"):
        return said(kind, language, **values)
    if kind == "like":
        return _alike(slip, language, dict(values))
    sentence = slip if own else said_of_slip(slip, language)
    return said(kind, language, slip=sentence, **values)


def _alike(slip: str, language: str, values: dict[str, Any]) -> str:
    factor = values.pop("factor")
    if slip == "zero":
        return said("slip", language, slip=said_of_slip(slip, language))
    parts = [said_of_slip(slip, language, **values)] if slip != "times" else []
    parts += [said_of_slip("times", language, factor=factor)] if factor else []
    return said("like", language, what=said_of_slip("and", language).join(parts))
