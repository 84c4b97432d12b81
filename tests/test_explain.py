"""The explorer's numbers and its command line: against loops from the definition."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn import Tensor, data, explain, models, nn
from minicnn.explain import numbers
from minicnn.explain.__main__ import main
from minicnn.explain.conv.grids import is_map
from minicnn.explain.conv.questions import questions
from minicnn.explain.page.grid import Grid
from minicnn.train.run import Run
from tests import oracle

Arrays = dict[str, np.ndarray]

CASES: dict[str, dict[str, Any]] = {
    "the default": {"size": (5, 6), "kernel": (3, 3), "stride": (2, 2), "padding": (1, 0)},
    "plain": {"size": (4, 5), "kernel": (2, 3)},
    "everything": {
        "size": (8, 9), "kernel": (3, 2), "stride": (2, 3), "padding": (1, 2),
        "dilation": (2, 3), "batch": 2, "channels": 3, "outs": 4,
    },
    "more padding than kernel": {"size": (3, 2), "kernel": (2, 1), "padding": (3, 2)},
    "stride larger than the kernel": {"size": (7, 8), "kernel": (1, 2), "stride": (3, 4)},
    "no bias": {"size": (4, 4), "kernel": (3, 3), "bias": False},
}  # fmt: skip


def example(
    rng: np.random.Generator,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    batch: int = 1,
    channels: int = 2,
    outs: int = 2,
    bias: bool = True,
) -> tuple[nn.Conv2d, np.ndarray, np.ndarray]:
    """A layer, pictures, and a gradient by its output."""
    conv = nn.Conv2d(channels, outs, kernel, stride, padding, dilation, bias=bias).to("float64")
    x = rng.standard_normal((batch, channels, *size))
    shape = conv(Tensor(x)).shape
    return conv, x, rng.standard_normal(shape)


def by_loops(conv: nn.Conv2d, x: np.ndarray, dy: np.ndarray) -> Arrays:
    """Every array of a convolution, from the definition."""
    stride: Any = conv.stride
    padding: Any = conv.padding
    dilation: Any = conv.dilation
    w = conv.weight.numpy()
    b = None if conv.bias is None else conv.bias.numpy()
    (sh, sw), (ph, pw), (dh, dw) = stride, padding, dilation
    oh, ow = dy.shape[2:]
    kh, kw = w.shape[2:]
    found: Arrays = {
        "y": oracle.conv2d(x, w, b, (sh, sw), (ph, pw), (dh, dw)),
        "dx": np.zeros_like(x),
        "dweight": np.zeros_like(w),
        "dbias": dy.sum(axis=(0, 2, 3)),
        "columns": np.zeros((len(x), w[0].size, oh * ow)),
        "dcolumns": np.zeros((len(x), w[0].size, oh * ow)),
    }
    for n, o, p, q in np.ndindex(dy.shape):
        for c, i, j in np.ndindex(w.shape[1:]):
            h, v = p * sh + i * dh - ph, q * sw + j * dw - pw
            place = n, (c * kh + i) * kw + j, p * ow + q
            found["dcolumns"][place] += w[o, c, i, j] * dy[n, o, p, q]
            if 0 <= h < x.shape[2] and 0 <= v < x.shape[3]:
                found["columns"][place] = x[n, c, h, v]
                found["dx"][n, c, h, v] += w[o, c, i, j] * dy[n, o, p, q]
                found["dweight"][o, c, i, j] += dy[n, o, p, q] * x[n, c, h, v]
    return found


@pytest.mark.parametrize("case", CASES)
def test_every_number_is_the_definitions(case: str, rng: np.random.Generator) -> None:
    conv, x, dy = example(rng, **CASES[case])
    explained = explain.conv2d(conv, x, dy)
    for name, expected in by_loops(conv, x, dy).items():
        if name == "dbias" and conv.bias is None:
            assert explained.dbias is None
            continue
        actual = getattr(explained, name)
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_the_terms_of_a_cell_are_products_that_add_up_to_it(
    case: str, rng: np.random.Generator
) -> None:
    conv, x, dy = example(rng, **CASES[case])
    explained = explain.conv2d(conv, x, dy)
    expected = by_loops(conv, x, dy)
    arrays = {"x": x, "weight": conv.weight.numpy(), "dy": dy}
    if conv.bias is not None:
        arrays["bias"] = conv.bias.numpy()
    for name in ("y", "dx", "dweight", "dcolumns", *(["dbias"] if conv.bias is not None else [])):
        for index in np.ndindex(expected[name].shape):
            terms = getattr(explained, f"{name}_terms")(*index)
            assert sum(terms) == pytest.approx(expected[name][index], abs=1e-12), (name, index)
            assert sum(a * b for a, b in terms) == pytest.approx(expected[name][index], abs=1e-12)
            for factor in (f for term in terms for f in (term.left, term.right)):
                if factor.index is None:
                    assert factor.value == 0
                elif factor.grid != "one":
                    assert factor.value == arrays[factor.grid][factor.index]


def test_backward_the_weights_run_against_the_outputs(rng: np.random.Generator) -> None:
    """The kernel is flipped: read in the order of the outputs, the weights' places go down."""
    conv, x, dy = example(rng, (5, 5), (3, 3), channels=1, outs=1)
    terms = explain.conv2d(conv, x, dy).dx_terms(0, 0, 2, 2)
    assert [t.right.index for t in terms] == [(0, 0, p, q) for p in range(3) for q in range(3)]
    assert [t.left.index for t in terms] == [
        (0, 0, i, j) for i in (2, 1, 0) for j in (2, 1, 0)
    ]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_other_ways_give_the_same_gradient(case: str, rng: np.random.Generator) -> None:
    explained = explain.conv2d(*example(rng, **CASES[case]))
    for ways, tolerance in (
        (explained.by_loops, 1e-12),
        (explained.by_convolution, 1e-12),
        (explained.by_differences, 1e-9),
    ):
        for name in ways:
            assert explained.largest_difference(ways, name) < tolerance, name
    assert set(explained.by_loops) == set(explained.by_differences) == set(explained.gradients)


def test_a_wrong_gradient_shows_in_every_way(rng: np.random.Generator) -> None:
    explained = explain.conv2d(*example(rng, **CASES["the default"]))
    explained.dx[0, 1, 2, 3] += 0.5
    for ways in (explained.by_loops, explained.by_convolution, explained.by_differences):
        assert explained.largest_difference(ways, "dx") == pytest.approx(0.5, abs=1e-8)


def test_col2im_step_by_step(rng: np.random.Generator) -> None:
    """``additions`` are the running sums of every cell, column after column."""
    conv, x, dy = example(rng, **CASES["everything"])
    explained = explain.conv2d(conv, x, dy)
    framed = np.zeros_like(explained.dx_framed)
    (sh, sw), (dh, dw), ow = explained.stride, explained.dilation, dy.shape[3]
    for n, column in np.ndindex(len(x), dy[0, 0].size):
        for row, (c, i, j) in enumerate(np.ndindex(conv.weight.shape[1:])):
            h, w = column // ow * sh + i * dh, column % ow * sw + j * dw
            framed[n, c, h, w] += explained.dcolumns[n, row, column]
            assert explained.additions[n, row, column] == pytest.approx(framed[n, c, h, w])
    np.testing.assert_allclose(framed, explained.dx_framed)


def test_the_numbers_are_those_of_the_tape(rng: np.random.Generator) -> None:
    conv, x, dy = example(rng, **CASES["everything"])
    tensor = Tensor(x, requires_grad=True)
    conv(tensor).backward(Tensor(dy))
    explained = explain.conv2d(conv, x, dy)
    for leaf, name in ((tensor, "dx"), (conv.weight, "dweight"), (conv.bias, "dbias")):
        assert leaf is not None
        assert leaf.grad is not None
        np.testing.assert_allclose(getattr(explained, name), leaf.grad.numpy(), rtol=1e-12)


def test_the_convenient_forms(rng: np.random.Generator) -> None:
    conv = nn.Conv2d(2, 3, 3, padding="same")
    x = rng.standard_normal((2, 4, 5)).astype(np.float32)
    explained = explain.conv2d(conv, Tensor(x))
    assert explained.padding == (1, 1)
    assert explained.dx.dtype == np.float64
    np.testing.assert_allclose(explained.y, conv(Tensor(x[None])).numpy(), atol=1e-5)
    np.testing.assert_array_equal(explained.dy, np.ones((1, 3, 4, 5)))
    lazy = nn.LazyConv2d(3, 2)
    assert explain.conv2d(lazy, x).weight.shape == (3, 2, 2, 2)


@pytest.mark.parametrize(
    ("layer", "x", "dy", "error", "message"),
    [
        (nn.Linear(2, 3), np.ones((1, 2)), None, TypeError, "conv is Linear; wanted an nn.Conv2d"),
        (nn.Conv2d(2, 3, 2), np.ones((1, 3, 4, 4)), None, ValueError, "3 channels; wanted 2"),
        (nn.Conv2d(2, 2, 2, groups=2), np.ones((1, 2, 4, 4)), None, ValueError, "groups is 2"),
        (nn.Conv2d(2, 3, 5), np.ones((1, 2, 4, 4)), None, ValueError, "larger than the padded"),
        (nn.Conv2d(2, 3, 2), np.ones((1, 2, 4, 4)), np.ones((1, 3, 2, 3)), ValueError,
         r"dy has shape \(1, 3, 2, 3\); wanted \(1, 3, 3, 3\)"),
        (nn.Conv2d(2, 3, 2), np.full((1, 2, 4, 4), np.nan), None, ValueError, "x holds nan"),
        (nn.Conv2d(2, 3, 2, padding="same"), np.ones((1, 2, 4, 4)), None, ValueError,
         "wanted as many on both sides"),
        (nn.Conv2d(2, 3, 2), np.ones(4), None, ValueError, r"x has shape \(4,\); wanted 4 axes"),
        (nn.Conv2d(2, 3, 2), np.ones((0, 2, 4, 4)), None, ValueError, "none empty"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(
    layer: Any, x: np.ndarray, dy: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        explain.conv2d(layer, x, dy)


def test_an_index_out_of_range_is_named(rng: np.random.Generator) -> None:
    explained = explain.conv2d(*example(rng, (4, 4), (2, 2)))
    with pytest.raises(IndexError, match=r"dx_terms: index is \(0, 0, 4, 0\)"):
        explained.dx_terms(0, 0, 4, 0)


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
    assert re.findall(r"try --(\w+)", explained.html()) == ["channels", "padding"]
    assert "--size 5x6" in explained.html()
    assert "try --" not in explained.html("net[0] of lenet")
    assert "--size 5x6" not in explained.html("net[0] of lenet")
    assert "Here every cell is reached." in explained.html("net[0] of lenet")


# Pages --------------------------------------------------------------------------------------------


def data_of(html: str) -> Any:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', html, re.S)
    assert found
    return json.loads(found[1])


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


# The smaller layers -------------------------------------------------------------------------------


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


# The command --------------------------------------------------------------------------------------


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """What training leaves behind, of an untrained net."""
    config = {"model": "lenet", "model_args": {}, "dataset": "fashion-mnist-sample"}
    return Run(tmp_path / "run", config, models.lenet()).folder


def error_of(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(list(argv))
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_the_default_page_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.chdir(tmp_path)
    assert main([]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["explain.html"]
    html = (tmp_path / "explain.html").read_text()
    assert html.rstrip().endswith("</html>")
    assert len(html) < 500_000
    assert opened == [(tmp_path / "explain.html").as_uri()]


def test_no_open_and_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webbrowser.open", lambda url: pytest.fail("opened"))
    out = tmp_path / "page.html"
    out.write_text("old")
    assert main(["--no-open", "--out", str(out)]) == 0
    assert "conv" in out.read_text()


def test_options_make_the_example(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    options = (
        "--size 7x8 --kernel 3x2 --stride 2x1 --padding 1,2 --dilation 1x2 --channels 3 "
        "--out-channels 4 --batch 2 --seed 5 --no-open --out"
    )
    assert main([*options.split(), str(out)]) == 0
    assert data_of(out.read_text())["geometry"] == {
        "n": 2, "c": 3, "h": 7, "w": 8, "o": 4, "kh": 3, "kw": 2, "sh": 2, "sw": 1,
        "ph": 1, "pw": 2, "dh": 1, "dw": 2, "oh": 4, "ow": 10, "bias": 1,
    }  # fmt: skip


def test_the_seed_decides_the_numbers(tmp_path: Path) -> None:
    pages = []
    for seed in ("0", "0", "1"):
        main(["--no-open", "--seed", seed, "--out", str(tmp_path / "page.html")])
        pages.append((tmp_path / "page.html").read_text())
    assert pages[0] == pages[1] != pages[2]


def test_text_writes_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for kind in ("conv", "max-pool", "avg-pool", "dense", "softmax"):
        assert main(["--text", "--op", kind]) == 0
        assert "dx" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["max-pool", "avg-pool", "dense", "softmax"])
def test_pages_of_the_smaller_layers(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert main(["--op", kind, "--no-open", "--out", str(out)]) == 0
    held = data_of(out.read_text())
    for grid in held["grids"]:  # every cell has a note, and every reference leads to a cell
        count = np.prod(grid["planes"]) * grid["rows"] * grid["columns"]
        assert len(held["notes"][grid["grid"]]) == count
    known = {grid: set(notes) for grid, notes in held["notes"].items()}
    for notes in held["notes"].values():
        for note in notes.values():
            tokens = [t for line in note["lines"] for t in line["tokens"] if isinstance(t, list)]
            for grid, key in tokens + note.get("lit", []) + note.get("linked", []):
                assert key in known[grid]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--size 60x60", "size is 60x60 with padding 1x0"),
        ("--size 30x30 --channels 16 --out-channels 16", "cells; a page shows at most"),
        ("--size 30x30 --channels 2 --kernel 7", "columns of 61,152 cells"),
        ("--batch 1000000000", "cells; a page shows at most"),
        ("--size 4x4 --kernel 7", "larger than the padded picture"),
        ("--size 4x4x4", "wanted a number of at least 1, or two like 3x2"),
        ("--kernel 0", "wanted a number of at least 1"),
        ("--padding -1", "wanted a number of at least 0"),
        ("--stride two", "'two'"),
        ("--op dense --stride 2", "--stride does not apply to --op dense"),
        ("--op max-pool --size 90x90", "makes 32,400 cells"),
        ("--layer 0", "--layer needs --run DIR"),
        ("--run nowhere", "nowhere"),
        ("--out missing/folder/page.html", "missing"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_the_reason(
    argv: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in error_of(capsys, *argv.split(), "--no-open")


def test_a_trained_layer_on_a_real_picture(run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    for layer, shape in (("0", (1, 28)), ("3", (6, 14))):
        argv = ["--run", str(run_folder), "--layer", layer, "--image", "3", "--no-open"]
        assert main([*argv, "--out", str(out)]) == 0
        held = data_of(out.read_text())
        assert (held["geometry"]["c"], held["geometry"]["h"]) == shape
        assert held["map"]
    main(["--run", str(run_folder), "--no-open", "--out", str(out)])
    grids = {grid["grid"]: grid for grid in data_of(out.read_text())["grids"]}
    test = data.load("fashion-mnist-sample")[1]
    pixels = np.array(grids["x"]["values"]).reshape(32, 32)[2:-2, 2:-2]
    np.testing.assert_allclose(pixels, test.images[0] / 255, rtol=1e-6)
    assert np.abs(grids["dy"]["values"]).max() > 0


def test_a_runs_layer_and_image_are_checked(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ("--run", str(run_folder), "--no-open")
    assert "--layer is 1, no convolution; wanted one of 0, 3" in error_of(
        capsys, *run, "--layer", "1"
    )
    assert "--image is 1000; wanted one of 0..999" in error_of(capsys, *run, "--image", "1000")
    assert "--stride does not apply to --run" in error_of(capsys, *run, "--stride", "2")


def test_the_command_needs_no_numba() -> None:
    code = (
        "import sys; from minicnn.explain.__main__ import main; main(['--text']); "
        "assert not {'numba', 'matplotlib'} & set(sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def test_sizes_between_numbers_and_refusal_are_drawn_as_colours(rng: np.random.Generator) -> None:
    assert not is_map(explain.conv2d(*example(rng, **CASES["everything"])))
    assert is_map(explain.conv2d(*example(rng, (20, 20), (3, 3))))


def test_sequences_of_one_are_explained_as_numbers(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 5, 6))
    conv = nn.Conv2d(1, 2, 3, stride=(2,), padding=[1]).to("float64")
    assert explain.conv2d(conv, x).y.shape == conv(Tensor(x[None])).shape
    one, two = (explain.max_pool2d(nn.MaxPool2d(size), x).grids["y"] for size in (2, (2,)))
    np.testing.assert_array_equal(one, two)
