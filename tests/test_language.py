"""minicnn.language: notices in the reader's language, and their translations."""

from __future__ import annotations

import hashlib
import io
import string
import sys
import tomllib
import unicodedata

import pytest

from minicnn import language

VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
WIDEST, WIDEST_REMARK = 78, 35  # columns; a remark stands after an epoch's figures
REMARKS = (
    *("unchanged", "on_plateau", "on_plateau_as_expected", "still_on_plateau"),
    "no_better_than_guessing",
)


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """None of the variables that name a language is set, on a system that has none of its own."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    return monkeypatch


# Whose language -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ("", "en"),
        ("LANG=ja_JP.UTF-8", "ja"),
        ("LANG=zh_CN.GB18030", "zh"),
        ("LANG=zh_TW.UTF-8", "zh"),
        ("LANG=zh-Hans", "zh"),
        ("LANG=fr_FR.UTF-8", "en"),
        ("LANG=zha_CN.UTF-8", "en"),  # Zhuang
        ("LANG=C", "en"),
        ("LC_MESSAGES=ja_JP LANG=zh_CN.UTF-8", "ja"),
        ("LC_ALL=zh_CN.UTF-8 LC_MESSAGES=ja_JP", "zh"),
        ("LC_ALL= LC_MESSAGES= LANG=ja", "ja"),
        ("LANGUAGE=ja LC_ALL=zh_CN.UTF-8", "ja"),
        ("LANGUAGE=ja", "ja"),
        ("LANGUAGE=fr:zh_CN:ja LANG=fr_FR.UTF-8", "zh"),
        ("LANGUAGE=en_GB:ja LANG=ja_JP.UTF-8", "en"),
        ("LANGUAGE=fr LANG=ja_JP.UTF-8", "en"),
        ("LANGUAGE=ja LC_ALL=C LANG=ja_JP.UTF-8", "en"),
        ("LANGUAGE=ja LANG=POSIX", "en"),
        ("LANGUAGE=ja LANG=C.UTF-8", "ja"),
    ],
)
def test_the_language_is_found_as_gettext_finds_it(
    variables: str, wanted: str, no_variables: pytest.MonkeyPatch
) -> None:
    for variable in variables.split():
        no_variables.setenv(*variable.split("="))
    assert language.reader() == wanted


@pytest.mark.parametrize(
    ("platform", "system", "wanted"),
    [
        ("win32", "Japanese_Japan", "ja"),
        ("win32", "Chinese (Simplified)_China", "zh"),
        ("darwin", "ja_JP", "ja"),
        ("darwin", None, "en"),
        ("linux", "ja_JP", "en"),
    ],
)
def test_without_variables_windows_and_macos_are_asked(
    platform: str, system: str | None, wanted: str, no_variables: pytest.MonkeyPatch
) -> None:
    no_variables.setattr(sys, "platform", platform)
    no_variables.setattr("locale.getlocale", lambda: (system, None))
    assert language.reader() == wanted


# What it says -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reader", "encoding", "begins"),
    [
        ("ja", "utf-8", "注意：このマシンには"),
        ("ja", "euc-jp", "注意：このマシンには"),
        ("zh", "gbk", "注意：这台机器上"),
        ("zh", "shift-jis", "NOTE: the whole"),
        ("ja", "latin-1", "NOTE: the whole"),
        ("ja", "ascii", "NOTE: the whole"),
        ("ja", "no such encoding", "NOTE: the whole"),
        ("en", "ascii", "NOTE: the whole"),
        ("ja", None, "注意：このマシンには"),
    ],
)
def test_a_terminal_that_lacks_the_characters_shows_english(
    reader: str, encoding: str | None, begins: str, no_variables: pytest.MonkeyPatch
) -> None:
    class Stream:
        pass

    stream = Stream()
    stream.encoding = encoding  # type: ignore[attr-defined]
    no_variables.setenv("LANG", reader)
    said = language.notice("sample", stream, error="no {network}, 网 \udc80")
    assert said.startswith(begins)
    assert "(no {network}, 网 \udc80)" in said


def test_the_stream_is_stdout_unless_another_is_named(no_variables: pytest.MonkeyPatch) -> None:
    no_variables.setenv("LANG", "ja_JP")
    no_variables.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert language.notice("on_plateau") == "on the plateau"
    assert language.notice("on_plateau", io.StringIO()).startswith("プラトー")
    no_variables.setattr(sys, "stdout", None)
    assert language.notice("on_plateau").startswith("プラトー")


# The translations ---------------------------------------------------------------------------------


def places(text: str) -> list[str]:
    """The names of the values that stand in a text."""
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)


def columns(line: str) -> int:
    """The width of a line on a terminal."""
    return sum(2 if unicodedata.east_asian_width(char) in "WFA" else 1 for char in line)


@pytest.mark.parametrize("translated", ["zh", "ja"])
def test_every_notice_is_translated_from_the_english_of_today(translated: str) -> None:
    english = language.texts("en")
    found = tomllib.loads((language.FOLDER / f"{translated}.toml").read_text(encoding="utf-8"))
    assert list(found) == list(english)
    for key, entry in found.items():
        digest = hashlib.sha256(english[key].encode()).hexdigest()[:8]
        assert entry["english"] == digest, (
            f"{translated}.toml: {key} translates an older text; once it says what the English"
            f' says today, write english = "{digest}"'
        )
        assert places(entry["text"]) == places(english[key])


@pytest.mark.parametrize("name", ["en", "zh", "ja"])
def test_lines_fit_a_terminal(name: str) -> None:
    for key, text in language.texts(name).items():
        for line in text.splitlines():
            assert columns(line) <= (WIDEST_REMARK if key in REMARKS else WIDEST), (key, line)
