"""The explorer's numbers of a convolution: against loops from the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn import Tensor, explain, nn
from tests.explain.examples import CASES, by_loops, example


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
    assert [t.left.index for t in terms] == [(0, 0, i, j) for i in (2, 1, 0) for j in (2, 1, 0)]


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
