"""What the course says: en.toml has the sentences, zh.toml and ja.toml their translations."""

from __future__ import annotations

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


def of_slip(key: str, language: str, values: Mapping[str, Any]) -> str:
    """What follows the two numbers: the slip, the resemblance, or that there is none."""
    if key.startswith("none"):
        return said(key, language, **values)
    if key.startswith("like."):
        return _alike(key.removeprefix("like."), language, dict(values))
    if key == "slip_times":
        slip = said_of_slip(values["slip"], language)
        return said("slip_times", language, slip=slip, factor=values["factor"])
    return said("slip", language, slip=_sentence(key, language))


def _sentence(key: str, language: str) -> str:
    """The slip's sentence; a name that is not in the catalogue as it is."""
    try:
        return said_of_slip(key, language)
    except KeyError:
        return key


def _alike(key: str, language: str, values: dict[str, Any]) -> str:
    factor = values.pop("factor")
    if key == "zero":
        return said("slip", language, slip=said_of_slip(key, language))
    parts = [said_of_slip(key, language, **values)] if key else []
    parts += [said_of_slip("times", language, factor=factor)] if factor else []
    return said("like", language, what=said_of_slip("and", language).join(parts))
