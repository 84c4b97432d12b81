"""The explorer's page in a browser: keyboard, mouse, the steps of col2im."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.explain.page.browsing import (
    GRIDS,
    check_cell,
    geometry,
    lit_cells,
    locate,
    plain,
    products,
    values_of,
)

pytest.importorskip("playwright.sync_api", reason="needs playwright")


def test_the_keyboard_alone_reaches_everything(visit: Any) -> None:
    page = visit("two channels")
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        active = page.evaluate(
            "() => { const a = document.activeElement; return a.dataset.grid || a.id || a.hash; }"
        )
        if active and active in seen:
            break
        seen.append(active)
    for grid in (*GRIDS, "col2im"):
        assert seen.count(grid) == 1, grid  # one tab stop a grid
    assert {"back", "step", "forward", "#flipped", "#padding"} <= set(seen)


def test_arrow_keys_walk_a_grid(visit: Any) -> None:
    page = visit("two channels")
    values = values_of(page)
    locate(page, "dx", (0, 0, 0, 0)).focus()
    moves = [("ArrowRight", (0, 0, 0, 1)), ("ArrowDown", (0, 0, 1, 1)), ("ArrowLeft", (0, 0, 1, 0)),
             ("ArrowUp", (0, 0, 0, 0)), ("End", (0, 1, 0, 5)), ("Home", (0, 0, 0, 0))]  # fmt: skip
    for key, at in moves:
        page.keyboard.press(key)
        assert page.evaluate("() => document.activeElement.dataset.index") == ",".join(map(str, at))
        check_cell(page, "dx", at, values)
    for _ in range(6):  # over the edge of channel 0 into channel 1
        page.keyboard.press("ArrowRight")
    assert page.evaluate("() => document.activeElement.dataset.index") == "0,1,0,0"


def test_leaving_the_grids_goes_back_to_the_cell_that_was_clicked(visit: Any) -> None:
    page = visit("two channels")
    locate(page, "y", (0, 1, 1, 1)).click()
    locate(page, "x", (0, 0, 0, 0)).hover()
    assert page.locator("[data-here]").get_attribute("data-grid") == "x"
    page.locator("h1").hover()
    assert page.locator("[data-here]").get_attribute("data-index") == "0,1,1,1"


def test_col2im_forwards_and_backwards(visit: Any) -> None:
    page = visit("everything")
    g, values = geometry(page), values_of(page)
    steps = g["n"] * g["oh"] * g["ow"]
    every = [p for p in products(g) if p.y[1] == 0]  # each column once

    def check(done: int) -> None:
        so_far = {at: 0.0 for where, at in values if where == "dx"}
        for p in every:
            if p.in_picture and p.column[0] * g["oh"] * g["ow"] + p.column[2] < done:
                so_far[p.x] += values["dcolumns", p.column]
        shown = {at: v for (where, at), v in values_of(page).items() if where == "col2im"}
        assert shown == so_far
        if done > 0:
            column = divmod(done - 1, g["oh"] * g["ow"])
            lit = {c[1] for c in lit_cells(page) if c[0] == "dcolumns"}
            assert lit == {p.column for p in every if (p.column[0], p.column[2]) == column}

    page.locator("#back").focus()
    for done in range(steps - 1, -1, -1):
        page.keyboard.press("ArrowLeft")
        if done % 3 == 0:
            check(done)
    page.keyboard.press("ArrowLeft")
    check(0)
    for done in range(1, 4):
        page.locator("#forward").click()
        check(done)
    page.locator("#step").focus()
    page.keyboard.press("End")
    check(steps)
    assert page.locator("#step").get_attribute("aria-valuetext").endswith(f"{steps} of {steps}")


def test_a_step_says_what_was_added(visit: Any) -> None:
    page = visit("two channels")
    page.locator("#step").focus()
    page.keyboard.press("Home")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    text = plain(page.locator("#sum").inner_text())
    found = re.findall(r"\] (-?\d+) \+ \(?(-?\d+)\)? = (-?\d+)", text)
    assert found
    assert all(int(a) + int(b) == int(c) for a, b, c in found)
    assert "+=" in page.locator("#why").inner_text()


def test_the_cell_pointed_at_in_four_ways(visit: Any) -> None:
    page = visit("two channels")
    values = values_of(page)
    for grid, at in (("dx", (0, 1, 2, 3)), ("dweight", (1, 0, 2, 1)), ("dbias", (1,))):
        locate(page, grid, at).hover()
        cells = page.locator("[data-check]").all_inner_texts()
        numbers = [float(plain(text)) for text in cells if text != "–"]
        assert len(numbers) == (3 if grid == "dbias" else 4)
        assert numbers == pytest.approx([values[grid, at]] * len(numbers), abs=1e-6)


def test_a_tap_on_a_phone(visit: Any) -> None:
    page = visit("two channels", 375, has_touch=True, is_mobile=True)
    values = values_of(page)
    locate(page, "dweight", (0, 1, 2, 0)).tap()
    check_cell(page, "dweight", (0, 1, 2, 0), values)
