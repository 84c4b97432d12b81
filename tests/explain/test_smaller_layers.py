"""The explorer's notes on pooling, a dense layer and the loss."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from minicnn import explain, nn
from tests import oracle


def refs(note: dict[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
    return [
        (token[0], tuple(map(int, token[1].split(","))))
        for line in note["lines"]
        for token in line["tokens"]
        if isinstance(token, list)
    ]


@pytest.mark.parametrize(
    ("function", "wanted"),
    [("max_pool2d", "MaxPool2d"), ("avg_pool2d", "AvgPool2d"), ("linear", "Linear")],
)
def test_another_kind_of_layer_is_named(function: str, wanted: str) -> None:
    with pytest.raises(
        TypeError, match=f"explain.{function}: layer is Conv2d; wanted an nn.{wanted}"
    ):
        getattr(explain, function)(nn.Conv2d(1, 1, 2), np.ones((1, 4, 4)))


def joined(note: dict[str, Any]) -> str:
    """A note's line, with [grid, key] for the numbers."""
    (line,) = note["lines"]
    return "".join(t if isinstance(t, str) else f"{t[0]}[{t[1]}]" for t in line["tokens"])


def test_max_pooling_says_who_won(rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((2, 2, 6, 7)), rng.standard_normal((2, 2, 2, 3))
    explained = explain.max_pool2d(nn.MaxPool2d((2, 3), (3, 2), dilation=(2, 1)), x, dy)
    wins = np.zeros(x.shape, int)
    over = np.zeros(x.shape, int)
    for at in np.ndindex(dy.shape):
        cells = [(*at[:2], 3 * at[2] + 2 * i, 2 * at[3] + j) for i in range(2) for j in range(3)]
        winner = max(cells, key=lambda cell: x[cell])
        key = ",".join(map(str, at))
        won = f"[{', '.join(map(str, winner))}]"
        assert explained.notes["y"][key]["words"].startswith(f"x{won} is the largest")
        inside = ", ".join(f"x[{','.join(map(str, cell))}]" for cell in cells)
        assert joined(explained.notes["y"][key]) == f"max({inside})"
        assert explained.notes["dy"][key]["tail"] == f"goes to dx{won}"
        assert explained.notes["dy"][key]["lit"] == [["dx", ",".join(map(str, winner))]]
        wins[winner] += 1
        for cell in cells:
            over[cell] += 1
    for at in np.ndindex(x.shape):
        note = explained.notes["x"][",".join(map(str, at))]
        windows = f"is in {over[at]} window{'' if over[at] == 1 else 's'}"
        assert note["tail"] == windows + (f", wins {wins[at]} of them" if over[at] else "")
        said = "The sum over the windows" if wins[at] else "It won no window"
        assert explained.notes["dx"][",".join(map(str, at))]["words"].startswith(said)


def test_average_pooling_says_the_shares(rng: np.random.Generator) -> None:
    layer = nn.AvgPool2d((2, 3), (2, 2), padding=(0, 1), count_include_pad=False)
    explained = explain.avg_pool2d(layer, rng.standard_normal((1, 1, 4, 5)))
    assert joined(explained.notes["y"]["0,0,0,1"]) == (
        "(x[0,0,0,1] + x[0,0,0,2] + x[0,0,0,3] + x[0,0,1,1] + x[0,0,1,2] + x[0,0,1,3]) / 6"
    )
    assert joined(explained.notes["y"]["0,0,1,0"]).endswith("x[0,0,3,1]) / 4")
    assert joined(explained.notes["dx"]["0,0,2,1"]) == "dy[0,0,1,0] / 4 + dy[0,0,1,1] / 6"
    assert explained.notes["dy"]["0,0,0,0"]["words"].endswith("the same share, dy / 4.")
    assert explained.notes["dy"]["0,0,0,0"]["tail"] == "is shared by 4 cells"
    assert explained.notes["x"]["0,0,2,1"]["tail"] == "is in 2 windows, a share of each"


def test_a_dense_layer_says_what_feeds_what(rng: np.random.Generator) -> None:
    notes = explain.linear(nn.Linear(4, 3), rng.standard_normal((2, 4))).notes
    products = " + ".join(f"x[1,{k}]·weight[2,{k}]" for k in range(4))
    assert joined(notes["y"]["1,2"]) == f"{products} + bias[2]"
    assert notes["y"]["1,2"]["words"] == "Row 1 of x times row 2 of W."
    assert joined(notes["dx"]["1,3"]) == " + ".join(f"dy[1,{o}]·weight[{o},3]" for o in range(3))
    assert joined(notes["dbias"]["1"]) == "dy[0,1] + dy[1,1]"
    assert notes["x"]["0,1"]["tail"] == "feeds 3 outputs"
    assert notes["weight"]["2,1"]["tail"] == "takes part in 2 outputs"
    assert notes["bias"]["1"]["tail"] == "is added to 2 outputs"
    assert notes["dy"]["1,2"]["tail"] == "goes to 4 cells of dx"
    assert notes["weight"]["2,1"]["lit"] == [["y", "0,2"], ["y", "1,2"]]


def test_softmax_says_which_class_is_right() -> None:
    notes = explain.cross_entropy(np.arange(12.0).reshape(3, 4), [2, 0, 3]).notes
    assert joined(notes["dlogits"]["1,0"]) == "(probabilities[1,0] − target[1,0]) / 3"
    assert "Class 0 is the right class: 1 is taken away." in notes["dlogits"]["1,0"]["words"]
    assert notes["dlogits"]["1,2"]["words"] == "Class 2 is a wrong class."
    divided = [key for key, note in notes["dlogits"].items() if "divided by p" in note["words"]]
    assert divided == ["0,2", "1,0", "2,3"]
    exps = " + ".join(f"exp(logits[1,{k}])" for k in range(4))
    assert joined(notes["probabilities"]["1,3"]) == f"exp(logits[1,3]) / ({exps})"
    assert joined(notes["losses"]["2"]) == "−log probabilities[2,3]"
    assert notes["losses"]["2"]["words"].endswith("by class 3, the right one.")
    assert joined(notes["loss"]["0"]) == "(losses[0] + losses[1] + losses[2]) / 3"
    tails = [notes["target"][f"0,{k}"]["tail"] for k in range(4)]
    assert tails == ["marks a wrong class"] * 2 + ["marks the right class", "marks a wrong class"]
    assert notes["target"]["0,2"]["lit"] == [["losses", "0"]]


def test_max_pooling(rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((2, 2, 5, 6)), rng.standard_normal((2, 2, 3, 3))
    explained = explain.max_pool2d(nn.MaxPool2d(3, 2, 1), x, dy)
    y = oracle.max_pool2d(x, (3, 3), (2, 2), (1, 1))
    np.testing.assert_array_equal(explained.grids["y"], y)
    dx = np.zeros_like(x)
    for at in np.ndindex(y.shape):
        inside = [
            (*at[:2], h, w)
            for h in range(2 * at[2] - 1, 2 * at[2] + 2)
            for w in range(2 * at[3] - 1, 2 * at[3] + 2)
            if 0 <= h < 5 and 0 <= w < 6
        ]
        assert refs(explained.notes["y"][",".join(map(str, at))]) == [("x", i) for i in inside]
        dx[max(inside, key=lambda i: x[i])] += dy[at]
    np.testing.assert_allclose(explained.grids["dx"], dx)
    for at in np.ndindex(x.shape):
        won = refs(explained.notes["dx"][",".join(map(str, at))])
        assert sum(dy[index] for _, index in won) == pytest.approx(dx[at])


def test_average_pooling(rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((1, 2, 5, 4)), rng.standard_normal((1, 2, 3, 2))
    explained = explain.avg_pool2d(nn.AvgPool2d(3, 2, 1), x, dy)
    np.testing.assert_allclose(
        explained.grids["y"], oracle.avg_pool2d(x, (3, 3), (2, 2), (1, 1)), atol=1e-12
    )
    for at in np.ndindex(x.shape):
        shares = refs(explained.notes["dx"][",".join(map(str, at))])
        total = sum(dy[index] / 9 for _, index in shares)
        assert total == pytest.approx(explained.grids["dx"][at])


def test_a_dense_layer(rng: np.random.Generator) -> None:
    layer = nn.Linear(4, 3).to("float64")
    x, dy = rng.standard_normal((2, 4)), rng.standard_normal((2, 3))
    explained = explain.linear(layer, x, dy)
    w, b = layer.weight.numpy(), layer.bias.numpy()  # type: ignore[union-attr]
    expected = {"y": x @ w.T + b, "dx": dy @ w, "dweight": dy.T @ x, "dbias": dy.sum(0)}
    for name, array in expected.items():
        np.testing.assert_allclose(explained.grids[name].reshape(array.shape), array, atol=1e-12)
    assert refs(explained.notes["dweight"]["2,1"]) == [
        ("dy", (0, 2)), ("x", (0, 1)), ("dy", (1, 2)), ("x", (1, 1)),
    ]  # fmt: skip


def test_softmax_and_cross_entropy(rng: np.random.Generator) -> None:
    logits, target = rng.standard_normal((3, 4)), np.array([2, 0, 3])
    explained = explain.cross_entropy(logits, target)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(explained.grids["probabilities"][0, 0], p)
    np.testing.assert_allclose(
        explained.grids["losses"].ravel(), -np.log(p[np.arange(3), target]), atol=1e-12
    )
    np.testing.assert_allclose(
        explained.grids["dlogits"][0, 0], (p - np.eye(4)[target]) / 3, atol=1e-12
    )
    with pytest.raises(ValueError, match=r"target is \[4 0 1\]; wanted 0..3"):
        explain.cross_entropy(logits, [4, 0, 1])


# What holds on each page --------------------------------------------------------------------------


@functools.cache
def page_of(kind: str) -> explain.Explained:
    """A page of each kind."""
    rng = np.random.default_rng(5)
    pictures, rows = rng.standard_normal((2, 3, 6, 7)), rng.standard_normal((2, 4))
    if kind == "max":
        layer = nn.MaxPool2d((2, 3), (3, 1), (0, 1), (2, 1))
        return explain.max_pool2d(layer, pictures, rng.standard_normal((2, 3, 2, 7)))
    if kind == "avg":
        return explain.avg_pool2d(nn.AvgPool2d((3, 2), (1, 2), (1, 0)), pictures)
    if kind == "field":
        first, second = nn.Conv2d(3, 2, (2, 3), (1, 2)), nn.Conv2d(2, 3, (3, 2), bias=False)
        return explain.receptive_field(first, second, pictures)
    if kind == "softmax":
        return explain.cross_entropy(rng.standard_normal((3, 4)), [2, 0, 3])
    return explain.linear(nn.Linear(4, 3, kind == "dense"), rows, rng.standard_normal((2, 3)))


KINDS = ("max", "avg", "dense", "no bias", "softmax", "field")


def cells_of(explained: explain.Explained) -> dict[tuple[str, str], float]:
    """The number of each cell of a page, which its notes count in the same order."""
    return {
        (grid, key): number
        for grid, notes in explained.notes.items()
        for key, number in zip(notes, explained.grids[grid].ravel(), strict=True)
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_note_comes_to_the_number_of_its_cell(kind: str) -> None:
    """Its lines are computed as they stand there, with the numbers of the cells that they name."""
    explained = page_of(kind)
    numbers = cells_of(explained)
    functions = {"exp": math.exp, "max": max, "log": math.log}
    seen = set()
    for (grid, key), number in numbers.items():
        sums = [
            "".join(t if isinstance(t, str) else f"({numbers[t[0], t[1]]})" for t in line["tokens"])
            for line in explained.notes[grid][key]["lines"]
        ]
        written = " + ".join(line or "0" for line in sums)
        for sign, python in (("−log ", "-log"), ("−", "-"), ("·", "*")):
            written = written.replace(sign, python)
        if sums:
            assert eval(written, functions) == pytest.approx(number, abs=1e-12), (grid, key)
            seen.add(grid)
    of_input = {"x", "weight", "bias", "dy", "logits", "target", "weight1", "weight2"}
    assert seen == set(explained.notes) - of_input - {"bias1", "dy2"}


FED = {  # grids that light up whatever is made of their cells
    "max": ("x", "y", "dy", "dx"),
    "avg": ("x", "y", "dy", "dx"),
    "dense": ("x", "y", "weight", "y", "bias", "y", "dy", "dx"),
    "no bias": ("x", "y", "weight", "y", "dy", "dx"),
    "softmax": ("logits", "probabilities"),
    "field": ("x", "y1", "weight1", "y1", "bias1", "y1", "weight2", "y2", "dy2", "dy1"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_lights_up_what_it_is_a_summand_of(kind: str) -> None:
    explained = page_of(kind)
    notes, pairs = explained.notes, FED[kind]
    for grid, made in zip(pairs[::2], pairs[1::2], strict=True):
        lit = {(key, to[1]) for key, note in notes[grid].items() for to in note["lit"]}
        named = {
            (token[1], key)
            for key, note in notes[made].items()
            for line in note["lines"]
            for token in line["tokens"]
            if token[0] == grid
        }
        assert lit == named != set(), (grid, made)


LINKED = {  # a cell of one array, and its partner in the other
    "max": {"x": "dx", "dx": "x", "dy": "y"},
    "avg": {"x": "dx", "dx": "x", "dy": "y"},
    "dense": {"x": "dx", "dx": "x", "weight": "dweight", "dweight": "weight", "dy": "y"},
    "no bias": {"x": "dx", "dx": "x", "weight": "dweight", "dweight": "weight", "dy": "y"},
    "softmax": {"logits": "dlogits", "dlogits": "logits"},
    "field": {"dy1": "y1"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_is_linked_with_its_gradient(kind: str) -> None:
    notes = page_of(kind).notes
    for grid, partner in LINKED[kind].items():
        for key, note in notes[grid].items():
            assert note["linked"] == [[partner, key]]


def test_a_cell_that_two_convolutions_see_is_linked_with_each_that_sees_it() -> None:
    """By their definition: a change of the cell of x changes those of y2."""
    notes = page_of("field").notes
    links = {
        grid: {(key, to[1]) for key, note in notes[grid].items() for to in note["linked"]}
        for grid in ("x", "dx", "y1", "y2")
    }
    summands = {
        grid: {
            (key, token[1])
            for key, note in notes[grid].items()
            for line in note["lines"]
            for token in line["tokens"]
            if token[0] in ("x", "y1")
        }
        for grid in ("y1", "y2")
    }
    seen = {(y2, x) for y2, y1 in summands["y2"] for other, x in summands["y1"] if other == y1}
    assert links["y2"] == seen
    assert links["x"] == links["dx"] == {(x, y2) for y2, x in seen}
    assert links["y1"] == {(y1, y2) for y2, y1 in summands["y2"]}
    assert "4 × 5 cells of x: rows 1 to 4, columns 2 to 6" in notes["y2"]["0,0,1,1"]["words"]


# Questions ----------------------------------------------------------------------------------------


def test_questions_on_max_pooling_lead_to_a_tie_and_to_the_cell_that_wins_most() -> None:
    x = np.array([[[[1.0, 2, 3, 4], [5, 6, 12, 8], [7, 9, 11, 11]]]])
    asked = explain.max_pool2d(nn.MaxPool2d((2, 2), 1), x).questions
    assert asked["routing"][2] == ("dy", "0,0,0,0")
    assert asked["ties"][1:] == (
        "The first of them, row by row, wins the window and gets all of the gradient. It is not "
        "shared. Here no window has two.",
        ("y", "0,0,0,0"),
    )
    assert asked["overlap"][2] == ("dx", "0,0,1,2")  # the 12
    x[0, 0, 1, 2] = 10
    asked = explain.max_pool2d(nn.MaxPool2d((2, 2), 1), x).questions
    assert asked["ties"][1].endswith("It is not shared.")
    assert asked["ties"][2] == ("y", "0,0,1,2")  # of 10, 8, 11 and 11


@pytest.mark.parametrize(("stride", "overlaps"), [(1, True), (2, False)])
def test_a_question_on_average_pooling_leads_to_a_cell_of_most_windows(
    stride: int, overlaps: bool
) -> None:
    asked = explain.avg_pool2d(nn.AvgPool2d(2, stride), np.ones((1, 1, 4, 6))).questions
    assert asked["shares"][2] == ("dy", "0,0,0,0")
    assert asked["overlap"][2] == ("dx", "0,0,1,1" if overlaps else "0,0,0,0")
    hint = "Here every cell is in one window; try --stride 1."
    assert asked["overlap"][1].endswith(hint) != overlaps


def test_questions_on_a_dense_layer_are_about_what_it_has() -> None:
    layer, plain = nn.Linear(4, 3), nn.Linear(4, 3, bias=False)
    asked = explain.linear(layer, np.ones((1, 4))).questions
    assert {anchor: place for anchor, (_, _, place) in asked.items()} == {
        "batch": ("dweight", "0,0"),
        "bias": ("dbias", "0"),
    }
    assert asked["batch"][1].endswith("Here there is only one sample; try --batch 3.")
    asked = explain.linear(plain, np.ones((2, 4))).questions
    assert list(asked) == ["batch"]
    assert asked["batch"][1].endswith("a feature belongs to one sample.")


def test_questions_on_the_loss_lead_to_the_right_class_and_to_a_wrong_one() -> None:
    asked = explain.cross_entropy(np.zeros((2, 3)), [2, 0]).questions
    assert {anchor: place for anchor, (_, _, place) in asked.items()} == {
        "p-minus-t": ("dlogits", "0,2"),
        "wrong-class": ("dlogits", "0,0"),
        "mean": ("loss", "0"),
    }


def test_questions_on_the_receptive_field_lead_to_middles() -> None:
    asked = page_of("field").questions
    assert asked["field"][2] == ("y2", "0,0,1,1")  # of 3 x 2
    assert asked["reach"][2] == ("x", "0,0,3,3")  # of 6 x 7
    assert page_of("field").start == ["y2", "0,0,1,1"]


def test_numbers_are_any_real_ones() -> None:
    layer = nn.Linear(2, 1)
    given = explain.linear(layer, [[Fraction(1, 4), 10**30]], np.ones((1, 1), object))
    assert given.grids["x"].ravel().tolist() == [0.25, 1e30]
    with pytest.raises(ValueError, match="x holds nan or inf; wanted finite numbers"):
        explain.linear(layer, [[10**400, 1]])
