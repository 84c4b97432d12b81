"""The explorer's page as a file: its numbers, and nothing from the network."""

from __future__ import annotations

import re

import numpy as np
import pytest

from minicnn import explain
from minicnn.explain import numbers
from minicnn.explain.page.grid import Grid
from tests.explain.examples import CASES, by_loops, data_of, example


def test_the_page_holds_the_numbers(rng: np.random.Generator) -> None:
    conv, x, dy = example(rng, **CASES["everything"])
    explained = explain.conv2d(conv, x, dy)
    grids = {grid["grid"]: grid for grid in data_of(explained.html())["grids"]}
    expected = by_loops(conv, x, dy)
    assert set(expected) | {"x", "weight", "bias", "dy"} <= set(grids)
    for name in ("dx", "dweight", "dbias", "y", "columns", "dcolumns"):
        grid = grids[name]
        values = np.array(grid["values"]).reshape(*grid["planes"], grid["rows"], grid["columns"])
        top, left = grid["frame"]
        inner = values[:, :, top : grid["rows"] - top, left : grid["columns"] - left]
        np.testing.assert_allclose(inner.reshape(expected[name].shape), expected[name], atol=1e-12)


def test_the_page_is_whole_and_needs_no_network(rng: np.random.Generator) -> None:
    html = explain.conv2d(*example(rng, **CASES["the default"])).html()
    assert html.startswith("<!doctype html>")
    assert html.rstrip().endswith("</html>")
    assert "{{" not in html
    assert not re.search(r'(src|href)="(?!data:|#)', html)
    assert "http" not in html
    assert len(html.encode()) < 500_000
    for anchor in ("flipped", "channels", "plus-equals", "stride-does-not-fit", "padding"):
        assert f'id="{anchor}"' in html


def test_a_notebook_shows_the_page_in_a_frame(rng: np.random.Generator) -> None:
    explained = explain.conv2d(*example(rng, (4, 4), (2, 2)))
    shown = explained._repr_html_()
    assert shown.startswith("<iframe srcdoc=")
    assert "&lt;!doctype html&gt;" in shown
    large = explain.conv2d(*example(rng, (60, 4), (2, 2)))
    assert "<iframe" not in large._repr_html_()
    assert "at most" in large._repr_html_()


def test_text_from_the_user_cannot_end_the_script(rng: np.random.Generator) -> None:
    html = explain.conv2d(*example(rng, (4, 4), (2, 2))).html(about="</script><b>bold</b>")
    assert "</script><b>" not in html


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, -12.0], (0, 0)),
        ([0.25, 0.5], (0, 3)),
        ([1.5, 20.25], (0, 2)),
        ([1000.5], (0, 1)),
        ([0.00025, 0.00012], (-4, 2)),
        ([0.0], (0, 0)),
        ([99999.0], (0, 0)),
        ([123456.0, 1.0], (5, 2)),
        ([-20000.5], (4, 2)),
        ([-0.03], (0, 3)),
    ],
)
def test_a_grid_has_one_number_of_digits(values: list[float], expected: tuple[int, int]) -> None:
    assert numbers.digits(np.array(values)) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (1.26e-9, "1.3 × 10⁻⁹"),
        (0.5, "5.0 × 10⁻¹"),
        (3e12, "3.0 × 10¹²"),
        (7.04, "7.0 × 10⁰"),
    ],
)
def test_a_difference_is_two_digits_and_a_power_of_ten(value: float, said: str) -> None:
    assert numbers.small_number(value) == said


def test_a_grid_says_its_scale_and_its_width() -> None:
    grid = Grid("dy", "dy", "a title", "gradient", np.array([[[[-2.5e-4, 1.25e-5]]]]))
    assert '<b>dy</b>a title <span class="scale">× 10⁻⁴</span>' in grid.figure()
    held = grid.as_data()
    assert (held["exponent"], held["places"], held["exact"]) == (-4, 2, False)
    assert held["chars"] == len("-2.50")
    assert held["largest"] == 2.5e-4
    fixed = Grid("p", "p", "", "x", np.array([[[[0.25]]]]), places=4).as_data()
    assert (fixed["exponent"], fixed["places"], fixed["exact"]) == (0, 4, True)
    assert fixed["chars"] == len("0.2500")
