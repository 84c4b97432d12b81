"""Figures for slides: the numbers, what is lit, the sum, and what is refused."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn import explain, nn
from minicnn.explain.__main__ import main
from minicnn.explain.conv.notes import note_of
from minicnn.explain.svg import COLOURS, INK
from tests.explain.examples import CASES, example
from tests.explain.page.browsing import dependencies, plain
from tests.explain.test_command import error_of

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in ET.fromstring(svg).iter(f"{SVG}text")]


def fills(svg: str, family: str) -> tuple[int, int]:
    """How many cells of a family there are, and how many of them are lit."""
    found = [box.get("fill") for box in ET.fromstring(svg).iter(f"{SVG}rect")]
    _, wash, lit = COLOURS[family]
    return found.count(wash) + found.count(lit), found.count(lit)


@pytest.fixture
def explained() -> explain.ExplainedConvolution:
    options: Any = {"stride": (2, 1), "padding": (1, 0), "outs": 3}
    conv, x, _ = example(np.random.default_rng(1), (5, 6), (3, 2), **options)
    rng = np.random.default_rng(2)
    conv.weight.data = rng.integers(-9, 9, conv.weight.shape).astype(np.float64)
    conv.bias.data = rng.integers(-9, 9, 3).astype(np.float64)  # type: ignore[union-attr]
    return explain.conv2d(conv, np.round(9 * x), rng.integers(-9, 9, (1, 3, 3, 5)))


@pytest.mark.parametrize(
    ("cell", "lit"),
    [
        ("y/0,2,1,3", {"x": 12, "weight": 13, "gradient": 0}),
        ("dx/0,1,2,4", {"x": 0, "weight": 6, "gradient": 6}),
        ("dweight/2,0,1,1", {"x": 15, "weight": 0, "gradient": 15}),
        ("dbias/1", {"x": 0, "weight": 0, "gradient": 15}),
        ("weight/1,1,0,0", {"x": 15, "weight": 0, "gradient": 0}),
    ],
)
def test_a_cell_its_grids_and_its_sum(
    cell: str, lit: dict[str, int], explained: explain.ExplainedConvolution
) -> None:
    svg = explained.svg(cell)
    assert {family: fills(svg, family)[1] for family in lit} == lit
    here = [box for box in ET.fromstring(svg).iter(f"{SVG}rect") if box.get("stroke") == INK]
    assert len(here) == 1
    name, _, key = cell.partition("/")
    value = getattr(explained, name)[tuple(map(int, key.split(",")))]
    head, *lines = texts(explained.svg(cell, ["sum"]))
    assert float(plain(head.split("= ")[1])) == value
    if lines:
        total = plain(" ".join(lines))
        total = re.sub(r"(bias|(from )?channel \d) ", "", total).lstrip("= ")
        assert eval(total) == value, total


def test_the_grids_have_all_numbers(explained: explain.ExplainedConvolution) -> None:
    drawn = [plain(text) for text in texts(explained.svg("y/0,0,0,0", ["grid"]))]
    for values in (explained.x, explained.weight, explained.y):
        for number in values.ravel():
            drawn.remove(f"{number + 0.0:.0f}")
    left = [text for text in drawn if re.fullmatch(r"-?[1-9]\d*", text)]
    assert left == [f"{number:.0f}" for number in explained.bias if number]  # type: ignore[union-attr]


@pytest.mark.parametrize("case", ["the default", "everything"])
def test_notes_light_what_the_definition_says(case: str, rng: np.random.Generator) -> None:
    c = explain.conv2d(*example(rng, **CASES[case]))
    g = c.geometry()
    for grid in ("y", "dx", "dweight", "dbias", "columns", "dcolumns", "weight", "bias", "dy"):
        array = getattr(c, grid)
        for at in {tuple(int(rng.integers(n)) for n in array.shape) for _ in range(3)}:
            note = note_of(c, grid, at)
            tokens = [t for line in note["lines"] for t in line["tokens"] if not isinstance(t, str)]
            found = {(name, key) for name, key in [*tokens, *note.get("lit", [])]}
            inside = {
                (name, tuple(map(int, key.split(","))))
                for name, key in found
                if name not in ("x", "dx") or c.in_picture(*map(int, key.split(",")[2:]))
            }
            wanted, _ = dependencies(grid, at, g)
            assert inside == {cell for cell in wanted if cell[1] is not None}, (grid, at)
            assert len(found) == len(wanted) or grid == "dy"  # the cells of the padding, too


def test_small_pages_have_figures_too() -> None:
    pooled = explain.max_pool2d(nn.MaxPool2d(2), np.array([[[1.0, 5, -2, 3], [5, 0, 4, -9]]]))
    assert texts(pooled.svg("y/0,0,0,0", ["sum"])) == ["y[0, 0, 0, 0] = 5", "= max(1, 5, 5, 0)"]
    pooled.lang = "ja"
    assert "画像" in "".join(texts(pooled.svg()))
    loss = explain.cross_entropy([[1.0, 2, 0.5]], [1])
    p = float(loss.grids["probabilities"][0, 0, 0, 1])
    assert texts(loss.svg("dlogits/0,1", ["sum"]))[1] == f"= ({p:.4f} − 1) / 1"


def test_a_large_grid_is_drawn_as_colours() -> None:
    c = explain.conv2d(nn.Conv2d(1, 1, 3), np.random.default_rng(0).random((1, 20, 21)))
    svg = c.svg("y/0,0,4,5", ["grid"])
    assert len(texts(svg)) == 4 + 9 + 1  # captions, the kernel and the bias
    assert svg.count("<rect") == 20 * 21 + 9 + 18 * 19 + 1


def test_the_command_writes_a_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--svg", "grid,sum", "--no-open", "--size", "5x6"]) == 0
    assert main(["--svg", "sum", "--cell", "dx/0,0,1,2", "--no-open", "--out", "dx.svg"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dx.svg", "explain.svg"]
    assert texts((tmp_path / "dx.svg").read_text())[0].startswith("dx[0, 0, 1, 2] = ")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--svg all", "--svg: svg is 'all'; wanted grid, sum or grid,sum"),
        ("--svg grid --cell q/0", "--cell: cell is 'q/0'; wanted one of x, weight, y"),
        ("--svg grid --cell dx/0,0,9,9", "wanted an index of dx below (1, 1, 4, 5), from 0"),
        ("--svg grid --cell dx/0,0,-1,0", "wanted an index of dx below (1, 1, 4, 5), from 0"),
        ("--svg grid --cell dx", "wanted an index of dx below (1, 1, 4, 5), from 0"),
        ("--svg grid --cell flipped/0,0,0,0", "cell is one of flipped; wanted one of y, dx"),
        ("--cell dx/0,0,0,0", "--cell needs --svg"),
        ("--svg sum --text", "--text prints and writes no figure"),
    ],
)
def test_what_is_no_figure_is_refused(
    argv: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in error_of(capsys, *argv.split(), "--no-open")
