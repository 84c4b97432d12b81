"""What a run explains, in the reader's language: English, Simplified Chinese or Japanese.

The texts lie in ``notices/``, a file a language, and are read when the first of them is shown.
Figures, errors and the help of commands are English everywhere.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "notices"
LANGUAGES = {"en": "en", "zh": "zh", "chinese": "zh", "ja": "ja", "japanese": "ja"}


def notice(key: str, stream: Any = None, **values: Any) -> str:
    """The notice ``key`` in the reader's language, with ``values`` in its places.

    In English where ``stream``, by default stdout, has an encoding that lacks the characters.
    """
    text = texts(reader())[key]
    if not _can_show(text, sys.stdout if stream is None else stream):
        text = texts("en")[key]
    return text.format(**values)


def reader() -> str:
    """The reader's language, "en", "zh" or "ja", found as gettext finds it.

    The first of LC_ALL, LC_MESSAGES and LANG that is set names a locale; in C and POSIX all is
    English. In the others LANGUAGE, a list such as "ja:en", comes first. Chinese is Simplified
    Chinese, in Taiwan and Hong Kong too. Where no variable is set (Windows, programs of macOS that
    no terminal started), it is the language of the system.
    """
    named = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    if named in ("C", "POSIX"):
        return "en"
    named = os.environ.get("LANGUAGE") or named or _of_the_system()
    return next(filter(None, map(_language_of, named.split(":"))), "en")


def _language_of(name: str) -> str | None:
    """ "zh" of zh_CN.UTF-8, zh-Hans or Chinese (Simplified)_China.936; None of other languages."""
    return LANGUAGES.get(re.split("[^a-z]", name.lower(), maxsplit=1)[0])


def _of_the_system() -> str:
    import locale

    return locale.getlocale()[0] or "" if sys.platform in ("win32", "darwin") else ""


@functools.cache
def texts(language: str) -> dict[str, str]:
    """All notices of a language. A translation lies next to a hash of the English text."""
    import tomllib  # here, for most runs show no notice

    read = tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8"))
    return read if language == "en" else {key: entry["text"] for key, entry in read.items()}


@functools.cache
def catalogue(folder: Path, language: str) -> dict[str, str]:
    """All sentences of ``<language>.toml`` in a folder, by key; those of a table as "table.key"."""
    import tomllib

    found: dict[str, str] = {}
    tables = tomllib.loads((folder / f"{language}.toml").read_text(encoding="utf-8"))
    for key, entry in tables.items():
        entries = entry.items() if isinstance(entry, dict) else [("", entry)]
        found |= {f"{key}.{name}".rstrip("."): text for name, text in entries}
    return found


def reader_of(stream: Any = None) -> str:
    """``reader()``; English where ``stream``, by default stdout, cannot show that language."""
    language, sample = reader(), {"en": "a", "zh": "的", "ja": "の"}
    return language if _can_show(sample[language], stream or sys.stdout) else "en"


def _can_show(text: str, stream: Any) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
