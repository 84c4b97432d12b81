"""What the explorer says: en.toml has the sentences, zh.toml and ja.toml have their translations.

A page carries all three. Words that the explorer was given, such as the name of a picture, stay as
they are.
"""

from __future__ import annotations

import functools
import html
import json
import re
import tomllib
from importlib.resources import files
from typing import Any, Self

from minicnn.formats import shown

LANGUAGES = ("en", "zh", "ja")
PLACE = re.compile(r"\{(\w+)(?::([^|}]*)\|([^}]*))?\}")  # {name}, {count:# cell|# cells}
SILENT = re.compile(r'data-say="([\w.]+)"(?: data-values="([^"]*)")?>')
UNLABELLED = re.compile(r'data-label="([\w.]+)"')


class Sentence(str):
    """A sentence of the catalogue: English as text, with what it takes to say it in any language.

    Attributes:
        key: its key, such as ``"conv.y"``.
        values: what stands in its places: numbers, names, other sentences.
    """

    key: str
    values: dict[str, Any]

    def __new__(cls, key: str, **values: Any) -> Self:
        sentence = super().__new__(cls, say("en", key, values))
        sentence.key, sentence.values = key, values
        return sentence

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:  # to be copied and pickled
        return (self.key,), self.values


@functools.cache
def catalogue(language: str) -> dict[str, str]:
    """All sentences of a language, by their keys; ``name`` and ``tag`` are the language's own.

    Raises:
        ValueError: no such language.
    """
    if language not in LANGUAGES:
        raise ValueError(
            f"explain: lang is {shown(language)}; wanted one of {', '.join(LANGUAGES)}"
        )
    text = files(__package__).joinpath(f"{language}.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    found = {name: tables.pop(name) for name in ("name", "tag")}
    for table, sentences in tables.items():
        found |= {f"{table}.{key}": sentence for key, sentence in sentences.items()}
    return found


def say(language: str, key: str, values: dict[str, Any]) -> str:
    """The sentence of this key, with ``values`` in its places."""

    def put(place: re.Match[str]) -> str:
        name, one, many = place.groups()
        value = in_language(values[name], language)
        return value if one is None else (one if value == "1" else many).replace("#", value)

    return PLACE.sub(put, catalogue(language)[key])


def in_language(text: Any, language: str | None) -> str:
    """A sentence in this language (None: in English); other texts and numbers as they are."""
    text = as_data(text)
    return say(language or "en", *text) if isinstance(text, list) else str(text)


def as_data(text: Any) -> Any:
    """A sentence as [key, values], which the scripts read; other texts and numbers as they are."""
    if isinstance(text, Sentence):
        return [text.key, {name: as_data(value) for name, value in text.values.items()}]
    return text


# On a page ----------------------------------------------------------------------------------------


def as_html(text: str, tag: str = "") -> str:
    """A text in an element of this tag; a sentence's element is empty, ``speak`` fills it."""
    if isinstance(text, Sentence):
        key, values = as_data(text)
        written = f' data-values="{html.escape(json.dumps(values))}"' if values else ""
        tag = tag or "span"
        return f'<{tag} data-say="{key}"{written}></{tag.split()[0]}>'
    escaped = html.escape(text)
    return f"<{tag}>{escaped}</{tag.split()[0]}>" if tag else escaped


def speak(page: str, language: str) -> str:
    """A page with its sentences written in: ``data-say`` as text, ``data-label`` as aria-label."""

    def written(place: re.Match[str]) -> str:
        values = json.loads(html.unescape(place[2] or "{}"))
        return place[0] + html.escape(say(language, place[1], values))

    def labelled(place: re.Match[str]) -> str:
        return f'{place[0]} aria-label="{html.escape(say(language, place[1], {}))}"'

    return UNLABELLED.sub(labelled, SILENT.sub(written, page))


def mentioned_in(page: str) -> dict[str, dict[str, str]]:
    """The sentences whose keys a page mentions, in each language."""
    used = [key for key in catalogue("en") if "." in key and key in page]
    return {one: {key: catalogue(one)[key] for key in used} for one in LANGUAGES}
