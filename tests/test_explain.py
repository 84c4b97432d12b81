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
from minicnn.explain import conv_page, page
from minicnn.explain.__main__ import main
from minicnn.runs import Run
from tests import oracle

Arrays = dict[str, np.ndarray]

CASES: dict[str, dict[str, Any]] = {
    "the default": {"size": (5, 6), "kernel": (3, 3), "stride": (2, 2), "padding": (1, 0)},
    "plain": {"size": (4, 5), "kernel": (2, 3)},
    "everything": {
        "size": (8, 9), "kernel": (3, 2), "stride": (2, 3), "padding": (1, 2),
        "dilation": (2, 1), "batch": 2, "channels": 3, "outs": 4,
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
    ],
)
def test_a_grid_has_one_number_of_digits(values: list[float], expected: tuple[int, int]) -> None:
    assert page.digits(np.array(values)) == expected


# The smaller layers -------------------------------------------------------------------------------


def refs(note: dict[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
    return [
        (token[0], tuple(map(int, token[1].split(","))))
        for line in note["lines"]
        for token in line["tokens"]
        if isinstance(token, list)
    ]


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
    assert not conv_page.is_map(explain.conv2d(*example(rng, **CASES["everything"])))
    assert conv_page.is_map(explain.conv2d(*example(rng, (20, 20), (3, 3))))
