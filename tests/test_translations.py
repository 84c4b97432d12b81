"""The translated pages are their English page in another language, whole and up to date.

Their code is not run here: it is the English page's, letter for letter, and test_docs runs that.
"""

from __future__ import annotations

import importlib
import itertools
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.test_docs import DOCS, pytestmark

__all__ = ["pytestmark"]  # outside a checkout there are no pages

PAGES = ["convolution-backward", "lenet"]
LANGUAGES = ["zh", "ja"]
CASES = list(itertools.product(PAGES, LANGUAGES))
every_page = pytest.mark.parametrize(("page", "language"), CASES)

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
WORDS = {
    **{"one": "1", "ones": "1", "single": "1", "two": "2", "both": "2", "three": "3", "four": "4"},
    **{"five": "5", "six": "6", "seventh": "7", "eight": "8", "ten": "10", "sixteen": "16"},
    **{"thousand": "1,000", "thousands": "1,000", "millionth": "1,000,000"},
}
# The same number in another form: (page, language): {of the English text: of the translation}.
OTHERWISE: dict[tuple[str, str], dict[str, str]] = {}


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> Any:
    """docs/translations.py."""
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("translations")


def pairs(maker: Any, page: str, language: str) -> list[tuple[str, str]]:
    """The prose, block by block: (English, translated)."""
    ours = maker.prose(page, language)
    return [
        (block, ours[maker.mark(block)]) for block in maker.blocks(page) if maker.is_prose(block)
    ]


def test_every_page_is_there_in_every_language(maker: Any) -> None:
    assert list(maker.PAGES) == PAGES
    assert list(maker.LANGUAGES) == LANGUAGES
    for page in PAGES:
        text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
        assert maker.BLOCK.findall(text)[1] == maker.HEADS["en"].format(page=page)
    made = {
        (path.stem, path.parent.name) for name in LANGUAGES for path in DOCS.glob(f"{name}/*.md")
    }
    assert made - {("README", name) for name in LANGUAGES} == set(CASES)


@every_page
def test_a_page_is_what_its_prose_makes(page: str, language: str, maker: Any) -> None:
    made = maker.translated(page, language)
    assert (DOCS / language / f"{page}.md").read_text(encoding="utf-8") == made


@every_page
def test_a_page_has_every_block_of_the_english_one(page: str, language: str, maker: Any) -> None:
    made = maker.BLOCK.findall(maker.translated(page, language))
    assert made.pop(1) == maker.HEADS[language].format(page=page)
    for block, english in zip(made, maker.blocks(page), strict=True):
        assert outline(block.replace(f" --lang {language}", "")) == outline(english), english
        if not maker.is_prose(english):
            assert block == english


def outline(block: str) -> list[str]:
    """What of a block is the same in every language: headings, items, cells, code, links."""
    lines = [re.match(r"(?:#+|-|\|) ?", line) for line in block.splitlines()]
    bars = [str(line.count("|")) for line in block.splitlines() if line.startswith("|")]
    code = sorted(re.findall(r"`[^`]+`", block))
    links = [Path(target).name for target in re.findall(r"\]\(([^)]+)\)", block)]
    return [*(found[0] for found in lines if found), *bars, *code, *sorted(links)]


@every_page
def test_a_translation_has_the_numbers_of_the_english_text(
    page: str, language: str, maker: Any
) -> None:
    otherwise = OTHERWISE.get((page, language), {})
    rows = [zip(*map(lines, pair), strict=True) for pair in pairs(maker, page, language)]
    for english, ours in itertools.chain(*rows):
        wanted = Counter(otherwise.get(number, number) for number in NUMBER.findall(english))
        words = Counter(
            WORDS[word] for word in re.findall(r"\w+", english.lower()) if word in WORDS
        )
        got = Counter(NUMBER.findall(ours))
        assert not wanted - got, f"without {list(wanted - got)}: {ours}"
        assert not got - wanted - words, f"with {list(got - wanted - words)}: {ours}"


def lines(block: str) -> list[str]:
    """The rows of a table, the items of a list; a paragraph whole."""
    return re.split(r"\n(?=[-|])", block)


@every_page
def test_a_translation_is_in_its_language(page: str, language: str, maker: Any) -> None:
    letters = {"zh": r"[\u4e00-\u9fff]", "ja": r"[\u3040-\u30ff]"}[language]
    for english, ours in pairs(maker, page, language):
        words = re.sub(r"`[^`]*`|\]\([^)]*\)", "", english)
        if len(re.findall(r"[a-z]{3,}", words)) > 4:
            assert re.search(letters, ours), ours
        if language == "zh":
            assert not re.search(r"[\u3040-\u30ff]", ours), ours


def test_a_changed_block_is_named(maker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page, language = CASES[0]
    changed = maker.blocks(page)
    old, changed[1] = maker.mark(changed[1]), "This page says something else."
    monkeypatch.setattr(maker, "blocks", lambda page: changed)
    with pytest.raises(maker.TranslationError) as raised:
        maker.translated(page, language)
    message = str(raised.value)
    assert message.startswith(
        f"docs/translations/{page}.{language}.md lacks these blocks of {page}.md"
    )
    assert f"<!-- {maker.mark(changed[1])} -->\nThis page says something else.\n" in message
    assert f"<!-- {old} -->\n" in message  # the translation that has lost its English text
    assert message.count("<!--") == 2


def test_a_page_that_cannot_be_made_does_not_keep_the_others(
    maker: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for page in PAGES:
        (tmp_path / f"{page}.md").write_text((DOCS / f"{page}.md").read_text(encoding="utf-8"))
    monkeypatch.setattr(maker, "DOCS", tmp_path)
    monkeypatch.setattr(maker, "PAGES", [CASES[0][0], "new"])
    monkeypatch.setattr(maker, "LANGUAGES", [CASES[0][1]])
    (tmp_path / "new.md").write_text("# A new page\n\nIn other languages: [简体中文](zh/new.md).\n")
    assert maker.main() == 1
    assert (tmp_path / CASES[0][1] / f"{CASES[0][0]}.md").is_file()
    assert "# A new page" in capsys.readouterr().err


def test_links_lead_out_of_the_folder_of_the_language(maker: Any) -> None:
    text = (
        "[a](lenet.md) [b](gpu.md) ![c](pictures/c.png) [d](../README.md) [e](#e) [f](https://f.g)"
    )
    assert maker.shown(text) == (
        "[a](lenet.md) [b](../gpu.md) ![c](../pictures/c.png) [d](../../README.md) [e](#e) "
        "[f](https://f.g)"
    )


def test_a_line_break_in_a_sentence_is_no_space(maker: Any) -> None:
    text = "- 一\n  二\n  3，\n  4 x\n  五。\n- 六\n- 七"
    assert maker.shown(text) == "- 一二\n  3，4 x\n  五。\n- 六\n- 七"


def test_a_block_ends_at_a_blank_line_but_code_does_not(maker: Any) -> None:
    text = "# A\n\none\ntwo\n\n```python\na\n\nb\n```\n\n    c\n"
    found = maker.BLOCK.findall(text)
    assert found == ["# A", "one\ntwo", "```python\na\n\nb\n```", "    c"]
    assert [maker.is_prose(block) for block in found] == [True, True, False, False]


@pytest.mark.parametrize("page", PAGES)
def test_blocks_are_the_whole_page(page: str, maker: Any) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    head = maker.HEADS["en"].format(page=page)
    assert "\n\n".join(maker.blocks(page)) + "\n" == text.replace(f"\n\n{head}", "")
