"""The explorer's page in a browser: sizes of screens, colour schemes, accessibility."""

from __future__ import annotations

from typing import Any

import pytest

from minicnn.explain.words import LANGUAGES
from tests.explain.page.browsing import OPTIONS, dependencies, geometry, lit_cells, locate

pytest.importorskip("playwright.sync_api", reason="needs playwright")

EVERY = [*OPTIONS, "max-pool", "avg-pool", "dense", "softmax", "receptive-field", "large"]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("width", [320, 375, 768, 1280, 1920])
def test_nothing_overflows(name: str, width: int, visit: Any) -> None:
    page = visit(name, width)
    for language in LANGUAGES:
        page.evaluate("(language) => speak(language)", language)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width, language
        assert page.evaluate(TOO_NARROW) == [], language


TOO_NARROW = """() => [...document.querySelectorAll("td[data-grid], button, th, figcaption")]
  .filter((place) => place.scrollWidth > place.clientWidth + 1)
  .map((place) => place.outerHTML.slice(0, 200))"""


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_accessibility_checker_finds_nothing(name: str, scheme: str, visit: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(name, scheme=scheme)
    for language in LANGUAGES[: 1 if name == "large" else None]:  # its cells take minutes
        page.evaluate("(language) => speak(language)", language)
        found = axe.run(page).response["violations"]
        assert [(v["id"], v["impact"], v["nodes"][0]["html"][:200]) for v in found] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background(scheme: str, visit: Any) -> None:
    """WCAG's contrast of 4.5 for cells of every colour, lit and not, and for the sum."""
    page = visit("two channels", scheme=scheme)
    for cell in ("y", "dx", "dweight"):
        page.locator(f'[data-grid="{cell}"][data-index]').nth(3).hover()
        ratios = page.evaluate(CONTRAST, "td[data-index], #sum .number, #sum .label, #why, p, a")
        assert min(ratios) >= 4.5


CONTRAST = """(selector) => {
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) =>
      v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour.slice(0, 3);
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll(selector)].map((element) => {
    const [a, b] = [parse(getComputedStyle(element).color).slice(0, 3), behind(element)].map(light);
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
}"""


def test_the_sum_hides_no_focused_cell(visit: Any) -> None:
    page = visit("two channels", 375)
    for at in ((0, 0, 0, 0), (0, 17, 5), (0, 9, 2)):
        grid = "dx" if len(at) == 4 else "dcolumns"
        locate(page, grid, at).focus()
        box = locate(page, grid, at).bounding_box()
        bar = page.locator("#bar").bounding_box()
        assert box["y"] + box["height"] <= bar["y"] + 1


def test_a_large_layer_is_drawn_as_colours(visit: Any) -> None:
    page = visit("large")
    g = geometry(page)
    assert page.locator('[data-grid="x"][data-index]').count() == 28 * 28
    assert page.locator('[data-grid="columns"]').count() == 25 * 28  # a row of windows at a time
    locate(page, "y", (0, 2, 20, 5)).hover()
    lit, _ = dependencies("y", (0, 2, 20, 5), g)
    assert lit_cells(page) == sorted(lit, key=str)
    linked = page.locator('[data-grid="columns"][data-linked]').first
    assert linked.get_attribute("data-index") == f"0,0,{20 * 28 + 5}"
    locate(page, "dx", (0, 0, 14, 14)).hover()
    lit, _ = dependencies("dx", (0, 0, 14, 14), g)
    assert lit_cells(page) == sorted(lit, key=str)


@pytest.mark.parametrize("kind", ["max-pool", "avg-pool", "dense", "softmax"])
def test_the_smaller_pages_light_up_their_notes(kind: str, visit: Any) -> None:
    page = visit(kind)
    notes = page.evaluate("() => data.notes")
    for grid, by_index in notes.items():
        for index, note in list(by_index.items())[:4]:
            page.locator(f'[data-grid="{grid}"][data-index="{index}"]').hover()
            tokens = [t for line in note["lines"] for t in line["tokens"] if isinstance(t, list)]
            expected = {(g, tuple(map(int, k.split(",")))) for g, k in tokens + note.get("lit", [])}
            assert set(lit_cells(page)) == expected
            assert page.locator("#sum").inner_text()
