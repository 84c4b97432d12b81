"""The questions of the explorer's pages, in a browser: the cells that they select, their sums."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from minicnn.explain.conv.notes import _Rules
from minicnn.explain.examples import example
from minicnn.explain.options import parser
from minicnn.explain.words import LANGUAGES
from tests.explain.page.browsing import (
    OPTIONS,
    dependencies,
    geometry,
    summands,
    values_of,
)
from tests.explain.test_svg import texts

pytest.importorskip("playwright.sync_api", reason="needs playwright")
ASKED = {
    "everything": {
        "batch": "dweight", "dilation": "y", "bias": "dbias", "transposed": "transposed",
    },
    "groups": {"groups": "y"},
    "max-pool": {"routing": "dy", "ties": "y", "overlap": "dx"},
    "avg-pool": {"shares": "dy", "overlap": "dx"},
    "dense": {"batch": "dweight", "bias": "dbias"},
    "receptive-field": {"field": "y2", "reach": "x"},
    "softmax": {"p-minus-t": "dlogits", "wrong-class": "dlogits", "mean": "loss"},
}  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_a_question_selects_a_cell_and_answers_in_each_language(name: str, visit: Any) -> None:
    page = visit(name)
    for anchor, grid in ASKED[name].items():
        page.locator(f'a[href="#{anchor}"]').click()
        here = page.locator("[data-here]")
        assert here.count() == 1
        assert here.get_attribute("data-grid") == grid, anchor
        answers = set()
        for language in LANGUAGES:
            page.evaluate("(language) => speak(language)", language)
            answers.add(page.locator("#why").inner_text())
        assert len(answers) == 3
        assert min(map(len, answers)) > 12


def test_a_batch_has_a_line_for_each_image(visit: Any) -> None:
    page = visit("everything")
    page.locator('a[href="#batch"]').click()
    assert page.locator("#sum .line .label").all_inner_texts() == ["image 0", "image 1"]


def test_of_equal_cells_the_first_gets_the_gradient(visit: Any) -> None:
    page = visit("max-pool")
    page.locator('a[href="#ties"]').click()
    largest = page.locator("#sum .head .number").inner_text()
    numbers = page.locator("#sum .line .number").all_inner_texts()
    assert numbers.count(largest) == 2
    lit = page.evaluate(
        "() => [...document.querySelectorAll('[data-lit]')]"
        ".map((cell) => [cell.dataset.index, cell.textContent])"
    )
    first, second = (index for index, text in lit if text == largest)
    for index, gets in ((first, True), (second, False)):
        page.locator(f'[data-grid="dx"][data-index="{index}"]').hover()
        assert (page.locator("#sum .line .number").count() > 0) == gets
        assert (page.locator("#sum .head .number").inner_text() != "0") == gets


@pytest.mark.parametrize(
    "name", ["two channels", "max-pool", "avg-pool", "dense", "softmax", "receptive-field"]
)
def test_a_figure_says_what_the_page_says(name: str, visit: Any, rng: np.random.Generator) -> None:
    page = visit(name)
    page.evaluate("() => speak('en')")
    explained = example(parser().parse_args(OPTIONS.get(name, f"--op {name}").split()))
    values = values_of(page)
    for grid in sorted({grid for grid, _ in values}):
        cells = [at for where, at in values if where == grid]
        for k in rng.permutation(len(cells))[:6]:
            key = ",".join(map(str, cells[k]))
            if name == "two channels" and not hasattr(_Rules, grid):
                continue
            page.evaluate("(cell) => select(...cell)", [grid, key])
            said = page.locator("#sum p").all_inner_texts()
            drawn = texts(explained.svg(f"{grid}/{key}", ["sum"]))
            if name == "two channels" and grid in ("x", "weight", "bias", "dy"):
                said[0] = said[0].partition(" stands")[0].partition(" takes")[0]
                said[0] = said[0].partition(" is added")[0].partition(" goes")[0]
            assert squeezed("".join(drawn)) == squeezed("".join(said)), (grid, key)


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("name", ["two channels", "groups", "everything"])
def test_dx_as_a_convolution_has_the_products_of_dx_and_zeros(name: str, visit: Any) -> None:
    page = visit(name)
    g, values = geometry(page), values_of(page)
    cells = [at for grid, at in values if grid == "transposed"]
    assert len(cells) == g["n"] * g["c"] * g["h"] * g["w"]
    for at in cells[:: max(1, len(cells) // 25)]:
        page.evaluate("(key) => select('transposed', key)", ",".join(map(str, at)))
        found = summands(page)
        assert sum(a * b for a, b in found) == values["transposed", at] == values["dx", at]
        _, terms = dependencies("dx", at, g)
        ours = sorted([values[w], values[dy]] for w, dy in terms)  # type: ignore[index]
        theirs = sorted(factors for factors in found if factors[1] != 0)
        assert theirs == [factors for factors in ours if factors[1] != 0]
        if terms:
            assert len(found) == g["o"] // g["groups"] * g["kh"] * g["kw"]
        lit = page.locator('[data-grid="spread"][data-lit]').count()
        assert lit == len(found)


def test_a_cell_of_spread_dy_is_a_copy_or_a_zero(visit: Any) -> None:
    page = visit("everything")
    g, values = geometry(page), values_of(page)
    said = set()
    for (grid, at), value in values.items():
        if grid != "spread":
            continue
        n, o, h, w = at
        held = h % g["sh"] == w % g["sw"] == 0
        assert value == (values["dy", (n, o, h // g["sh"], w // g["sw"])] if held else 0)
        page.evaluate("(key) => select('spread', key)", ",".join(map(str, at)))
        said.add((held, page.locator("#why").inner_text()))
        assert page.locator("[data-lit]").count() == held
    assert len(said) == 2
    for (grid, at), value in values.items():
        o, c, i, j = at if grid == "flipped" else (0, 0, 0, 0)
        turned = ("weight", (o, c, g["kh"] - 1 - i, g["kw"] - 1 - j))
        assert grid != "flipped" or value == values[turned]
