"""The explorer's page in a browser: what lights up, and what is written, for random cells.

Needs Playwright and Debian's chromium (pip install playwright; apt-get install chromium).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn import explain, nn
from tests.explain.page.browsing import (
    GRIDS,
    OPTIONS,
    check_cell,
    geometry,
    lit_cells,
    locate,
    products,
    values_of,
)

pytest.importorskip("playwright.sync_api", reason="needs playwright")


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("grid", GRIDS)
def test_random_cells_light_up_what_the_definition_says(
    name: str, grid: str, visit: Any, rng: np.random.Generator
) -> None:
    page = visit(name)
    values = values_of(page)
    cells = [at for where, at in values if where == grid]
    for k in rng.permutation(len(cells))[:6]:
        locate(page, grid, cells[k]).hover()
        check_cell(page, grid, cells[k], values)


@pytest.mark.parametrize("name", ["the default", "everything"])
def test_every_cell_that_is_focused(name: str, visit: Any) -> None:
    """All cells of all grids, without the mouse: focus() is what tapping and tabbing do."""
    page = visit(name)
    values = values_of(page)
    for grid, at in [cell for cell in values if cell[0] in ("y", "dx", "dweight", "dbias")]:
        locate(page, grid, at).evaluate("(cell) => cell.focus()")
        check_cell(page, grid, at, values)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_contract_of_the_cells(name: str, visit: Any) -> None:
    page = visit(name)
    g, values = geometry(page), values_of(page)
    shapes = {
        "x": (g["n"], g["c"], g["h"], g["w"]),
        "weight": (g["o"], g["c"] // g["groups"], g["kh"], g["kw"]),
        "bias": (g["o"],),
        "y": (g["n"], g["o"], g["oh"], g["ow"]),
        "columns": (g["n"], g["c"] * g["kh"] * g["kw"], g["oh"] * g["ow"]),
    }
    shapes |= {"dx": shapes["x"], "dweight": shapes["weight"], "dbias": shapes["bias"]}
    shapes |= {"dy": shapes["y"], "dcolumns": shapes["columns"]}
    for grid, shape in shapes.items():
        assert {at for where, at in values if where == grid} == set(np.ndindex(shape)), grid
    framed = g["n"] * g["c"] * (g["h"] + 2 * g["ph"]) * (g["w"] + 2 * g["pw"])
    padding = framed - int(np.prod(shapes["x"]))
    assert page.locator('[data-grid="x"]:not([data-index])').count() == padding
    assert page.locator("#sum").get_attribute("role") == "status"
    assert page.locator("[data-grid]:not([data-value])").count() == 0


def test_all_digits_of_a_value(browser: Any, tmp_path: Path) -> None:
    layer, x = nn.Conv2d(1, 1, 2), np.random.default_rng(0).standard_normal((1, 1, 3, 3))
    (tmp_path / "page.html").write_text(explain.conv2d(layer, x).html())
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    for at in np.ndindex(x.shape):
        assert float(locate(page, "x", at).get_attribute("data-value")) == x[at]
    page.close()


def test_padding_says_so(visit: Any) -> None:
    page = visit("two channels")
    page.locator('[data-grid="dx"]:not([data-index])').first.hover()
    assert "dropped" in page.locator("#why").inner_text()
    page.locator('[data-grid="x"]:not([data-index])').first.hover()
    assert "always 0" in page.locator("#why").inner_text()


def test_flipped_is_said_where_it_is_seen(visit: Any) -> None:
    page = visit("two channels")
    locate(page, "dx", (0, 0, 2, 2)).hover()
    assert "flipped" in page.locator("#why").inner_text()
    locate(page, "y", (0, 0, 1, 1)).hover()
    assert "not flipped" in page.locator("#why").inner_text()


QUESTIONS = {
    "flipped": "dx",
    "channels": "y",
    "plus-equals": "col2im",
    "stride-does-not-fit": "dx",
    "padding": "y",
}


@pytest.mark.parametrize("anchor", QUESTIONS)
@pytest.mark.parametrize("how", ["address", "click"])
def test_each_question_selects_the_cell_that_shows_it(anchor: str, how: str, visit: Any) -> None:
    page = visit("two channels", anchor=f"#{anchor}" if how == "address" else "")
    if how == "click":
        page.locator(f'a[href="#{anchor}"]').click()
    here = page.locator("[data-here]")
    assert here.count() == 1
    assert here.get_attribute("data-grid") == QUESTIONS[anchor]
    assert len(page.locator("#why").inner_text()) > 40
    g = geometry(page)
    at = tuple(map(int, here.get_attribute("data-index").split(",")))
    every = products(g)
    if anchor == "stride-does-not-fit":
        assert here.get_attribute("data-value") == "0"
        assert not [p for p in every if p.x == at]
        assert lit_cells(page) == []
    elif anchor == "padding":
        assert ("x", None) in lit_cells(page)
    elif anchor == "channels":
        assert {cell[1][1] for cell in lit_cells(page) if cell[0] == "x" and cell[1]} == {0, 1}
    elif anchor == "plus-equals":
        covered = {p.column for p in every if p.x == at}
        assert len(covered) > 1
        assert lit_cells(page) == sorted((("dcolumns", k) for k in covered), key=str)
    else:
        assert len([p for p in every if p.x == at]) == 8  # four windows, two output channels


IN_VIEW = """() => {
  const end = document.getElementById("bar").getBoundingClientRect().top;
  const seen = (cell) => {
    const box = cell.getBoundingClientRect();
    if (box.top < 0 || box.bottom > end || box.left < 0 || box.right > innerWidth) return false;
    const middle = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
    return document.elementFromPoint(...middle) === cell;
  };
  const count = (mark) => [...document.querySelectorAll(`[data-${mark}]`)].filter(seen).length;
  return [count("here"), count("lit")];
}"""


@pytest.mark.parametrize("size", [(390, 844), (1280, 720)])
@pytest.mark.parametrize("name", ["the default", "two channels", "large"])
def test_a_questions_cell_is_on_the_screen_and_some_lit_cells_with_it(
    name: str, size: tuple[int, int], visit: Any
) -> None:
    page = visit(name, size[0])
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for anchor in QUESTIONS:
        page.locator(f'a[href="#{anchor}"]').click()
        here, lit = page.evaluate(IN_VIEW)
        assert here == 1, anchor
        assert lit > 0 or not page.locator("[data-lit]").count(), anchor
        assert page.locator("[data-lit]").count() or anchor == "stride-does-not-fit"


@pytest.mark.parametrize("size", [(390, 844), (1280, 720)])
@pytest.mark.parametrize("name", ["the default", "large", "softmax"])
def test_a_page_begins_with_a_cell_that_is_on_the_screen_or_says_what_to_do(
    name: str, size: tuple[int, int], visit: Any
) -> None:
    page = visit(name, 1280)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.reload()
    if page.locator("[data-here]").count():
        assert page.evaluate(IN_VIEW)[0] == 1
    else:
        assert "Tap or point at a cell" in page.locator("#sum").inner_text()
        assert page.locator("[data-lit], [data-linked]").count() == 0
        cell = page.locator("td[data-index]").first
        cell.hover()
        page.locator("h1").hover()  # nothing was clicked: there is no cell to go back to
        assert page.locator("[data-here]").get_attribute("data-grid") == "x" or name == "softmax"
    assert (name, size) != ("the default", (1280, 720)) or page.locator("[data-here]").count()


LEGENDS = {
    "the default": ["pictures", "weights", "gradients"],
    "large": ["pictures", "weights", "gradients", "negative numbers"],
    "max-pool": ["pictures", "gradients"],
    "avg-pool": ["pictures", "gradients"],
    "dense": ["input and output", "weights", "gradients"],
    "softmax": ["logits, probabilities, loss", "the right class", "gradient"],
}


@pytest.mark.parametrize("name", LEGENDS)
def test_the_legend_has_the_colours_of_the_page_and_no_others(name: str, visit: Any) -> None:
    page = visit(name)
    assert page.locator(".key").all_inner_texts() == LEGENDS[name]
    used = page.evaluate("() => new Set(data.grids.map((grid) => grid.family)).size")
    assert page.locator(".key[data-family]").count() == used
    if name == "large":
        grey = page.evaluate(
            "() => getComputedStyle(document.querySelector('.key[data-sign]'), '::before')"
            ".backgroundColor"
        )
        assert len({*re.findall(r"[\d.]+", grey)}) > 1  # a colour, not the default's
        page.locator('[data-grid="dy"][data-negative]').first.hover()
        assert page.locator("#sum .head").inner_text().split("= ")[1].startswith("−")


def test_softmax_writes_one_number_in_grid_and_sum(visit: Any) -> None:
    page = visit("softmax")
    notes, shown = page.evaluate("() => data.notes"), {}
    for cell in page.locator("td[data-index]").all():
        shown[cell.get_attribute("data-grid"), cell.get_attribute("data-index")] = cell.inner_text()
    for grid, index in [
        ("dlogits", "0,3"),
        ("probabilities", "1,2"),
        ("losses", "0"),
        ("loss", "0"),
    ]:
        page.locator(f'[data-grid="{grid}"][data-index="{index}"]').hover()
        tokens = notes[grid][index]["lines"][0]["tokens"]
        wanted = [shown[t[0], t[1]] for t in tokens if isinstance(t, list)]
        assert page.locator("#sum .line .number").all_inner_texts() == wanted
        assert page.locator("#sum .head .number").inner_text() == shown[grid, index]
        written = page.locator("#sum").inner_text()
        assert not re.search(r"\(\(|\(−[\d.]+\)\)", written), written


def test_numbers_in_lists_and_brackets_stand_alone(browser: Any, tmp_path: Path) -> None:
    """A negative number is in brackets after a sign only: max(−1, −2), but 3 + (−1)."""
    x = -np.arange(1.0, 17).reshape(1, 1, 4, 4)
    (tmp_path / "page.html").write_text(explain.max_pool2d(nn.MaxPool2d(2), x).html())
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    locate(page, "y", (0, 0, 0, 0)).hover()
    assert page.locator("#sum .line").inner_text() == "= max(−1, −2, −5, −6)"
    (tmp_path / "page.html").write_text(explain.avg_pool2d(nn.AvgPool2d(2), x).html())
    page.reload()
    locate(page, "y", (0, 0, 0, 0)).hover()
    assert page.locator("#sum .line").inner_text() == "= (−1 + (−2) + (−5) + (−6)) / 4"
    page.close()
