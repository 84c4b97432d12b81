"""The explorer's text: grids, and sums written out."""

from __future__ import annotations

import re

import numpy as np
import pytest

from minicnn import explain, nn
from minicnn.explain.conv.questions import questions
from minicnn.explain.text import fill, grids_as_text
from tests.explain.examples import CASES, by_loops, data_of, example


def test_text_has_every_grid_and_sums(rng: np.random.Generator) -> None:
    text = str(explain.conv2d(*example(rng, **CASES["the default"])))
    for title in (
        "x[0, 0]",
        "W[1, 1]",
        "y[0, 1]",
        "dy[0, 0]",
        "dx[0, 1]",
        "dW[0, 1]",
        "columns[0]",
    ):
        assert title in text
    assert "finite differences: dx" in text
    assert max(map(len, text.splitlines())) <= 96


def test_text_writes_out_sums_that_are_right(rng: np.random.Generator) -> None:
    conv, x, dy = example(rng, **{**CASES["everything"], "size": (7, 9)})
    conv.weight.data = np.round(conv.weight.data * 8)
    explained = explain.conv2d(conv, np.round(x * 4), np.round(dy * 4))
    text = " ".join(str(explained).split())
    assert (
        "Conv2d(3, 4, kernel_size=(3, 2), stride=(2, 3), padding=(1, 2), dilation=(2, 3))" in text
    )
    for name, index in (("y", (0, 0, 1, 2)), ("dx", (0, 0, 3, 4)), ("dW", (0, 0, 1, 1))):
        array = {"y": explained.y, "dx": explained.dx, "dW": explained.dweight}[name]
        found = re.search(
            re.escape(f"{name}[{', '.join(map(str, index))}] = ") + r"([^=]*) = (\S+)", text
        )
        assert found, name
        summands = found[1].replace("·", "*")
        assert "more" not in summands
        assert eval(summands) == pytest.approx(array[index], abs=1e-3)
        assert float(found[2]) == pytest.approx(array[index], rel=1e-5)
        count = len(getattr(explained, f"{'dweight' if name == 'dW' else name}_terms")(*index))
        assert summands.count(" + ") == count - 1 > 0
    for way in ("loops from the definition", "as convolutions", "finite differences"):
        found = re.search(rf"{way}: dx (\S+), dweight (\S+)", text)
        assert found
        assert max(float(number.strip(",")) for number in found.groups()) < 1e-8


def test_text_counts_the_summands_it_leaves_out(rng: np.random.Generator) -> None:
    conv, x, dy = example(rng, (9, 9), (5, 6), channels=1, outs=1)
    assert "+ ... (7 more) = " in " ".join(str(explain.conv2d(conv, x, dy)).split())
    unreached = explain.conv2d(*example(rng, (3, 3), (1, 1), stride=(2, 2), channels=1, outs=1))
    assert "dx[0, 0, 1, 1] = 0: no window reaches it" in str(unreached)


def test_text_has_the_numbers_of_every_grid(rng: np.random.Generator) -> None:
    conv, x, dy = example(rng, **CASES["plain"])
    conv.weight.data, x, dy = (np.round(a * 8) for a in (conv.weight.data, x, dy))
    conv.bias.data = np.array([3.0, -5.0])  # type: ignore[union-attr]
    text = str(explain.conv2d(conv, x, dy))
    expected = by_loops(conv, x, dy) | {"x": x, "dy": dy, "W": conv.weight.numpy()}
    for name, array in (("x", x), ("y", expected["y"]), ("dy", dy), ("dx", expected["dx"])):
        for c in range(array.shape[1]):
            assert block_of(text, f"{name}[0, {c}]") == array[0, c].tolist()
    assert block_of(text, "dW[1, 0]") == expected["dweight"][1, 0].tolist()
    assert block_of(text, "columns[0]") == expected["columns"][0].tolist()
    assert block_of(text, "dcolumns = Wᵀ dy[0]") == expected["dcolumns"][0].tolist()


def test_text_writes_fractions_to_three_decimals() -> None:
    layer = nn.Linear(2, 1, bias=False).to("float64")
    layer.weight.data = np.array([[0.25, -2.0]])
    text = str(explain.linear(layer, np.array([[0.5, 1.0], [3.0, 0.0625]])))
    assert block_of(text, "x") == [[0.5, 1], [3, 0.062]]
    assert block_of(text, "W") == [[0.25, -2]]
    assert block_of(text, "y") == [[-1.875], [0.625]]
    assert block_of(text, "dx") == [[0.25, -2], [0.25, -2]]


def block_of(text: str, title: str) -> list[list[float]]:
    """The numbers below a title, which may have blocks to its left and right."""
    lines = text.splitlines()
    (row,) = (k for k, line in enumerate(lines) if title in re.split(r"\s{3,}", line))
    left = re.search(rf"(?<!\S){re.escape(title)}", lines[row]).start()  # type: ignore[union-attr]
    after = re.compile(r"\s{3,}\S").search(lines[row], left)
    right = after.end() - 1 if after else None
    rows = [line[left:right].split() for line in [*lines[row + 1 :], ""]]
    return [[float(cell) for cell in cells] for cells in rows[: rows.index([])]]


def test_a_picture_begins_where_there_is_something_to_see() -> None:
    """Its corners are black: a sum of products with 0 would be the first thing shown."""
    x = np.zeros((1, 1, 12, 13))
    x[0, 0, 6:9, 5:8] = 1
    x[0, 0, 11, 10] = 1
    explained = explain.conv2d(nn.Conv2d(1, 2, 3, padding=1), x)
    asked = questions(explained)
    assert asked["channels"][2] == ("y", "0,0,7,6")
    assert data_of(explained.html())["start"] == ["y", "0,0,7,6"]
    assert asked["padding"][2] == ("y", "0,0,11,9")


def test_hints_about_options_are_for_examples_only(rng: np.random.Generator) -> None:
    explained = explain.conv2d(*example(rng, (4, 4), (2, 2), channels=1, outs=1))
    asked = explained.html().partition('<script id="data"')[0]
    assert re.findall(r"try --(\w+)", asked) == ["channels", "padding", "batch", "size", "channels"]
    assert "--size 5x6" in explained.html()
    assert "try --" not in explained.html("net[0] of lenet")
    assert "--size 5x6" not in explained.html("net[0] of lenet")
    assert "Here none are left over." in explained.html("net[0] of lenet")


def test_grids_stand_side_by_side_where_there_is_room() -> None:
    wide, narrow = np.array([[10.0, -2, 3]]), np.array([[0.5], [12]])
    assert grids_as_text({"x": wide, "dx": narrow}) == (
        "x             dx\n10  -2   3     0.500\n              12.000"
    )
    planes = np.arange(6.0).reshape(1, 3, 1, 2)
    assert grids_as_text({"y": planes}) == (
        "y[0, 0]    y[0, 1]    y[0, 2]\n0  1       2  3       4  5"
    )
    # 24 columns of 1 digit are 70 characters wide, with 4 to the next grid
    line = np.ones((1, 24))
    rest = {70: np.full((1, 1), 1e17), 96: np.full((1, 1), 1e18)}  # of 18 and 19 digits
    assert len(grids_as_text({"a": line, "b": rest[70]}).splitlines()) == 2
    assert grids_as_text({"a": line, "b": rest[96]}).splitlines()[2:4] == ["", "b"]


def test_a_grid_of_more_than_24_columns_is_named_and_left_out() -> None:
    text = grids_as_text({"a": np.ones((2, 24)), "b": np.ones((2, 25))})
    assert text.splitlines()[0].split() == ["a"]
    assert "b: (2, 25), too wide to print" in text
    assert text.count("1  1") == 24  # two lines of 24


def test_a_long_sum_is_broken_at_spaces_before_96_characters() -> None:
    line = "y[0] = " + " + ".join(["1234567"] * 12)
    broken = fill(line).split("\n")
    assert " ".join(part.strip() for part in broken) == line
    assert [part[:5] for part in broken[1:]] == ["    " + broken[1][4]]
    assert len(broken[0]) <= 96 < len(broken[0]) + 1 + len(broken[1].split()[0])
    assert fill("x" * 96) == "x" * 96
    assert fill(f"{'x' * 90} {'y' * 5}") == f"{'x' * 90} {'y' * 5}"  # 96 in all
    assert fill(f"{'x' * 90} {'y' * 6}") == f"{'x' * 90}\n    {'y' * 6}"
