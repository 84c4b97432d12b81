"""python -m minicnn.learn show: the explorer at the first wrong cell, with the learner's number."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from minicnn.learn.course import COURSE
from minicnn.learn.judge import Verdict
from minicnn.learn.options import main
from minicnn.learn.show import GRIDS, page_of
from tests.learn.planted import PLANTED, Planted
from tests.learn.planting import EXERCISES, judged, outcomes


def shown() -> list[Planted]:
    """A planted slip for every output of every exercise that has a page."""
    found: dict[tuple[str, str], Planted] = {}
    for planted in PLANTED:
        if planted.slip and planted.exercise in GRIDS and judged(planted).index is not None:
            found.setdefault((planted.exercise, judged(planted).output), planted)
    return [*found.values()]


def data_of(page: str) -> Any:
    """What the page's scripts read."""
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])


def value_at(spec: dict[str, Any], key: str) -> float:
    """The number of a grid at a cell, as the page's own script finds it."""
    at = {"a": 0, "b": 0, "i": 0, "j": 0} | dict(
        zip(spec["axes"], map(int, key.split(",")), strict=True)
    )
    row, column = at["i"] + spec["frame"][0], at["j"] + spec["frame"][1]
    plane = at["a"] * spec["planes"][1] + at["b"]
    return float(spec["values"][(plane * spec["rows"] + row) * spec["columns"] + column])


def test_every_output_that_has_a_grid_is_shown_in_the_tests_below() -> None:
    wanted = {(name, output) for name in GRIDS for output in EXERCISES[name].outputs}
    assert {(p.exercise, judged(p).output) for p in shown()} == wanted


@pytest.mark.parametrize("planted", shown(), ids=lambda p: f"{p.exercise}-{judged(p).output}")
def test_the_page_begins_at_the_first_wrong_cell_with_both_numbers(planted: Planted) -> None:
    found = judged(planted)
    verdict = Verdict("wrong", "it is wrong", found, outcomes(planted)[found.number].arrays)
    page = page_of(EXERCISES[planted.exercise], verdict, "en")
    data = data_of(page)
    grid, key = data["start"]
    specs = {spec["grid"]: spec for spec in data["grids"]}
    assert found.index is not None
    assert key == (",".join(map(str, found.index)) or "0")
    assert value_at(specs[grid], key) == pytest.approx(found.wanted, rel=1e-9)
    yours = data["yours"][grid][key]
    assert float(yours) == pytest.approx(found.got, rel=1e-9, nan_ok=True)
    assert "it is wrong" in page


def test_the_page_shows_it_without_scrolling(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    assert main(["start", str(tmp_path)]) == 0
    wrong = COURSE[3].answer.replace("dW[o, c, i, j]", "dW[o, c, KH - 1 - i, j]")
    (tmp_path / COURSE[3].file).write_text(wrong)
    assert main(["show", "3", "--in", str(tmp_path), "--no-open"]) == 0
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((tmp_path / "show.html").as_uri())
    page.wait_for_selector("[data-here]")
    here = page.locator("[data-here]")
    assert here.get_attribute("data-index") == "0,0,0,0"
    assert here.get_attribute("data-wrong") == ""
    assert "yours: " in here.get_attribute("aria-label")
    bar = page.locator("#bar")
    assert here.bounding_box()["y"] < bar.bounding_box()["y"]
    assert "dW[0, 0, 0, 0] = " in bar.inner_text()
    assert "yours: " in bar.inner_text()
    # the middle row of a kernel of three is right when the rows are flipped
    assert page.locator('[data-grid="dweight"][data-index="0,0,1,0"][data-wrong]').count() == 0
    assert page.locator("[data-wrong]").count() == 2 * 4 * 3 * 2
    assert errors == []


def test_an_exercise_without_a_page_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    main(["start", str(tmp_path)])
    with pytest.raises(SystemExit):
        main(["show", "13", "--in", str(tmp_path)])
    assert "exercise 13 has no page" in capsys.readouterr().err
