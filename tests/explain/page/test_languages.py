"""The explorer's page in a browser: three languages, and a switch that keeps the place."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from minicnn.explain.__main__ import main
from minicnn.explain.words import LANGUAGES, PLACE, catalogue, say
from tests.explain.page.browsing import lit_cells, locate
from tests.explain.test_words import english_in

pytest.importorskip("playwright.sync_api", reason="needs playwright")
TAGS = {language: catalogue(language)["tag"] for language in LANGUAGES}
ROUND = ("zh", "ja", "en")


def language_of(page: Any) -> str:
    tag = page.evaluate("() => document.documentElement.lang")
    pressed = page.locator('#languages [aria-pressed="true"]')
    assert pressed.count() == 1
    assert pressed.get_attribute("lang") == tag
    return next(language for language in LANGUAGES if TAGS[language] == tag)


def switch(page: Any, language: str, by_script: bool = False) -> None:
    button = page.locator(f'#languages [value="{language}"]')
    if by_script:  # without the scrolling that comes with a click
        button.evaluate("(button) => button.click()")
    else:
        button.click()
    assert language_of(page) == language


def bar(page: Any) -> str:
    return page.locator("#sum").inner_text() + "\n" + page.locator("#why").inner_text()


@pytest.mark.parametrize(
    ("locale", "language"),
    [("zh-CN", "zh"), ("zh-Hans-SG", "zh"), ("ja", "ja"), ("fr-FR", "en")],
)
def test_the_browsers_language_decides(locale: str, language: str, visit: Any) -> None:
    page = visit("dense", locale=locale)
    assert language_of(page) == language
    assert page.locator("h1").inner_text() == catalogue(language)["linear.title"]
    assert page.title() == f"{catalogue(language)['linear.title']} · minicnn"


def test_an_option_decides_before_the_browser(visit: Any, pages: dict[str, Path]) -> None:
    told = pages["dense"].with_name("told.html")
    main(["--op", "dense", "--lang", "ja", "--no-open", "--out", str(told)])
    pages["told"] = told
    page = visit("told", locale="zh-CN")
    assert language_of(page) == "ja"
    switch(page, "zh")
    assert page.locator("h1").inner_text() == catalogue("zh")["linear.title"]


@pytest.mark.parametrize(
    ("name", "grid", "at"),
    [
        ("two channels", "dx", (0, 1, 2, 2)),
        ("two channels", "col2im", (0, 0, 1, 1)),
        ("max-pool", "x", (0, 0, 2, 2)),
        ("softmax", "dlogits", (1, 3)),
    ],
)
def test_a_switch_keeps_the_cell_and_the_cells_that_light_up(
    name: str, grid: str, at: tuple[int, ...], visit: Any
) -> None:
    page = visit(name)
    locate(page, grid, at).click()
    said, lit = bar(page), lit_cells(page)
    labels = "() => [...document.querySelectorAll('[aria-label]')].map((e) => e.ariaLabel)"
    heard = page.evaluate(labels)
    assert lit
    others = set()
    for language in ROUND:
        switch(page, language)
        page.locator("h1").hover()  # where no cell is pointed at, the one that was clicked is shown
        assert lit_cells(page) == lit
        assert page.locator("[data-here]").get_attribute("data-index") == ",".join(map(str, at))
        others.add(bar(page))
    assert bar(page) == said
    assert page.evaluate(labels) == heard
    assert len(others) == 3


def test_a_switch_keeps_the_place_on_the_screen(visit: Any) -> None:
    page = visit("two channels", 375, anchor="#plus-equals")
    page.wait_for_function("() => here && here[0] === 'col2im'")
    top = "() => document.querySelector('[data-here]').getBoundingClientRect().top"
    before = page.evaluate(top)
    assert page.evaluate("() => scrollY") > 500
    for language in ROUND:
        switch(page, language, by_script=True)
        assert page.evaluate(top) == pytest.approx(before, abs=1.5)
        assert page.url.endswith("#plus-equals")
        assert page.locator("[aria-current]").get_attribute("href") == "#plus-equals"
        answer = catalogue(language)["conv.plus_equals_answer"]
        assert page.locator("#why").inner_text() == answer
    page.evaluate("() => scrollTo(0, 0)")
    switch(page, "ja")  # a mouse that clicked the switch finds it where it was
    assert page.evaluate("() => scrollY") == 0


def test_a_switch_keeps_the_step_of_col2im(visit: Any) -> None:
    page = visit("two channels")
    page.locator("#step").focus()
    for key in ("Home", "ArrowRight", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    lit, shown = lit_cells(page), page.locator('[data-grid="col2im"]').all_inner_texts()
    assert lit
    for language in ROUND:
        switch(page, language, by_script=True)
        values = {"l": 2, "done": 3, "total": 6}
        assert page.locator("#step").input_value() == "3"
        assert page.locator("#step-text").inner_text() == say(language, "conv.step", values)
        spoken = page.locator("#step").get_attribute("aria-valuetext")
        assert spoken == say(language, "conv.step", values)
        assert say(language, "conv.step_head", {"l": 2}) in bar(page)
        assert lit_cells(page) == lit
        assert page.locator('[data-grid="col2im"]').all_inner_texts() == shown


def test_the_switch_answers_to_the_keyboard_and_has_a_name(visit: Any) -> None:
    page = visit("dense")
    group = page.get_by_role("group", name="Language")
    for language in ("zh", "ja"):
        button = group.get_by_role("button", name=catalogue(language)["name"])
        button.focus()
        page.keyboard.press("Enter")
        assert language_of(page) == language
        assert page.evaluate("() => document.activeElement.value") == language
        group = page.get_by_role("group", name=catalogue(language)["page.language"])
        assert group.get_by_role("button", pressed=True).inner_text() == catalogue(language)["name"]


@pytest.mark.parametrize("name", ["two channels", "softmax"])
def test_scripts_say_a_sentence_as_python_does(name: str, visit: Any) -> None:
    page = visit(name)
    sentences = []
    for key in page.evaluate("() => Object.keys(words.en)"):
        names = {place[0] for place in PLACE.findall(catalogue("en")[key])}
        sentences += [(key, dict.fromkeys(names, number)) for number in (1, 2, 12)]
    for language in LANGUAGES:
        switch(page, language)
        by_script = page.evaluate("(sentences) => sentences.map(said)", sentences)
        assert by_script == [say(language, *sentence) for sentence in sentences]


EVERYTHING = """() => {
  const heard = [];
  const texts = (place) => {
    if (place.nodeType === 3) heard.push(place.data);
    if (place.matches?.("script, noscript, style, code, [value=en]")) return;
    for (const part of place.childNodes) texts(part);
  };
  const hear = () => heard.push(bar.innerText);
  for (const [name, grid] of grids)
    for (const key of [...grid.cells.keys()].slice(0, 20)) { select(name, key); hear(); }
  for (const { id } of document.querySelectorAll("#questions li")) { answer(id); hear(); }
  for (let k = 0; k < 6 && typeof goTo === "function"; k++) { goTo(k); hear(); }
  texts(document.body);
  invite();
  hear();
  for (const place of document.querySelectorAll("[aria-label], [title]"))
    heard.push(place.ariaLabel, place.title);
  return heard.join(" ");
}"""


@pytest.mark.parametrize("name", ["two channels", "max-pool", "avg-pool", "dense", "softmax"])
def test_nothing_is_said_in_english_to_others(name: str, visit: Any) -> None:
    page = visit(name)
    for language in ("zh", "ja"):
        switch(page, language)
        assert english_in(page.evaluate(EVERYTHING)) == set(), language


def test_each_language_names_its_own_fonts(visit: Any) -> None:
    page = visit("dense", locale="zh-CN")
    fonts = "(place) => getComputedStyle(document.querySelector(place)).fontFamily"
    for language, own, other in (("zh", "CJK SC", "CJK JP"), ("ja", "CJK JP", "CJK SC")):
        switch(page, language)
        for place in ("body", ".formula", "code"):
            assert own in page.evaluate(fonts, place)
            assert other not in page.evaluate(fonts, place)
        assert "CJK JP" in page.evaluate(fonts, "[value=ja]")  # a name is written in its own font
        assert "CJK SC" in page.evaluate(fonts, "[value=zh]")


def test_each_language_has_its_own_forms_of_characters(visit: Any) -> None:
    """直 is drawn in one way for a Chinese and in another for a Japanese reader."""
    page = visit("dense")
    drawn = []
    for language in ("zh", "ja", "zh"):
        switch(page, language)
        page.locator("h1").evaluate("(title) => (title.textContent = '直骨')")
        drawn.append(page.locator("h1").screenshot())
    assert drawn[0] == drawn[2]
    assert drawn[0] != drawn[1] or not has_chinese_and_japanese_fonts()


def has_chinese_and_japanese_fonts() -> bool:
    """Debian's fonts-noto-cjk, which not every machine with a browser has."""
    listed = shutil.which("fc-list")
    found = subprocess.run([listed], capture_output=True, text=True).stdout if listed else ""
    return "Noto Sans CJK" in found
