"""What the course says, in English, Chinese and Japanese."""

from __future__ import annotations

import string
import unicodedata
from pathlib import Path

import pytest

from minicnn.learn.course import COURSE
from minicnn.learn.options import main, text_of
from minicnn.learn.words import LANGUAGES
from minicnn.slips.resemblances import resemblance
from tests.learn.planted import PLANTED
from tests.learn.planting import judged
from tests.learn.words import TRANSLATIONS, sentences

WIDEST = 92  # columns of a line of a task; Chinese and Japanese characters take two


def places(text: str) -> list[str]:
    """The names of the values that stand in a text."""
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WFA" else 1 for char in line)


@pytest.mark.parametrize("language", TRANSLATIONS.languages)
def test_every_sentence_is_translated_from_the_english_of_today(language: str) -> None:
    english, translated = sentences("en"), sentences(language)
    assert list(translated) == list(english)
    for key, text in translated.items():
        assert places(text) == places(english[key]), key
        assert text != english[key] or key in ("slips/times", "learn/im2col.hint3"), key
    assert TRANSLATIONS.behind(language) == []


def test_every_slip_of_the_catalogue_has_a_sentence_and_every_sentence_is_used() -> None:
    names = {n for e in COURSE.values() for table in e.slips.values() for n in table}
    seen = {"zero", "flipped_along", "transposed_to", "other_order", "other_shape", "in_a_frame"}
    seen |= {"not_summed_over", "times", "and"}  # of resemblances
    assert {key.removeprefix("slips/") for key in sentences("en") if key[:6] == "slips/"} == (
        names | seen
    )
    assert resemblance.__doc__


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_finding_and_a_file_are_of_one_language(language: str) -> None:
    for planted in PLANTED:
        line = judged(planted).said(language)
        assert "\n" not in line
        assert "{" not in line
    for exercise in COURSE.values():
        text = text_of(exercise, language)
        task = text.split('"""')[1]
        assert max(map(columns, task.splitlines())) <= WIDEST, exercise.name
        compile(text, exercise.file, "exec")


def test_a_reader_of_japanese_gets_japanese(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LANGUAGE", raising=False)
    monkeypatch.setenv("LC_ALL", "ja_JP.UTF-8")
    assert main(["start", str(tmp_path)]) == 0
    assert "13 個の練習" in capsys.readouterr().out
    assert "練習 3：重みの勾配" in (tmp_path / COURSE[3].file).read_text(encoding="utf-8")
    wrong = COURSE[3].answer.replace("+=", "=")
    (tmp_path / COURSE[3].file).write_text(wrong)
    assert main(["check", "3", "--in", str(tmp_path)]) == 1
    assert "誤り：+= とするところが = です" in capsys.readouterr().out
    assert main(["check", "3", "--in", str(tmp_path), "--lang", "en"]) == 1
    assert "The slip: = where += belongs" in capsys.readouterr().out
