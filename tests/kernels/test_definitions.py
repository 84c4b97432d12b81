"""im2col and col2im, sums, batches and labels: their definition, in both sets of kernels."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from minicnn.kernels.arrays import LANES
from tests.kernels.geometry import Geometry, both, examples, geometries


@both
@given(g=geometries())
@examples
def test_im2col_and_col2im_are_transposes(kernel: ModuleType, g: Geometry) -> None:
    """<im2col(x), c> = <x, col2im(c)>"""
    rng = np.random.default_rng(g.seed)
    x = rng.standard_normal(g.shape)
    columns = kernel.im2col(x, *g.window)
    c = rng.standard_normal(columns.shape)
    back = kernel.col2im(c, g.shape, *g.window)
    assert back.shape == g.shape
    np.testing.assert_allclose((columns * c).sum(), (x * back).sum(), rtol=1e-10, atol=1e-10)


@both
@given(g=geometries())
@examples
def test_im2col_writes_every_window_out_as_a_column(kernel: ModuleType, g: Geometry) -> None:
    x = np.random.default_rng(g.seed).standard_normal(g.shape)
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = g.window
    framed = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    columns = kernel.im2col(x, *g.window)
    rows = range(0, framed.shape[2] - dh * (kh - 1), sh)
    cols = range(0, framed.shape[3] - dw * (kw - 1), sw)
    n, c = g.shape[:2]
    assert columns.shape == (n, c * kh * kw, len(rows) * len(cols))
    for image, row in np.ndindex(columns.shape[:2]):
        channel, i, j = row // (kh * kw), row // kw % kh, row % kw
        seen = [framed[image, channel, r + i * dh, q + j * dw] for r in rows for q in cols]
        assert columns[image, row].tolist() == seen


@both
def test_the_picture_of_the_documentation(kernel: ModuleType) -> None:
    x = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    columns = kernel.im2col(x, (2, 2), (1, 1), (0, 0), (1, 1))
    assert columns.tolist() == [[[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]]]
    counts = kernel.col2im(np.ones_like(columns), x.shape, (2, 2), (1, 1), (0, 0), (1, 1))
    assert counts.tolist() == [[[[1, 2, 1], [2, 4, 2], [1, 2, 1]]]]


@both
def test_a_window_in_the_padding_has_no_winner(kernel: ModuleType) -> None:
    x = np.arange(1.0, 7.0).reshape(1, 1, 2, 3)
    y, index = kernel.max_pool(x, (1, 2), (1, 2), (1, 2), (1, 1), (4, 3))
    assert index.dtype == np.int64
    assert index[0, 0].tolist() == [[-1] * 3, [-1, 1, 2], [-1, 4, 5], [-1] * 3]
    inf = float("inf")
    assert y[0, 0].tolist() == [[-inf] * 3, [-inf, 2, 3], [-inf, 5, 6], [-inf] * 3]


@both
def test_float32_is_added_up_in_float64(kernel: ModuleType) -> None:
    x = np.full((200_000, 2), 0.1, np.float32)
    total = kernel.sum_over(x, 0)
    assert total.dtype == np.float32
    np.testing.assert_allclose(total, np.float64(np.float32(0.1)) * 200_000, rtol=1e-7)


@both
def test_a_row_that_is_ignored_has_no_loss(kernel: ModuleType) -> None:
    logits = np.array([[1.0, 2.0, 5.0], [0.0, 0.0, 0.0]])
    losses, p = kernel.softmax_cross_entropy(logits, np.array([-1, 2]))
    np.testing.assert_allclose(losses, [0, np.log(3)], rtol=1e-15)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-15)


@both
@pytest.mark.parametrize("rows", [slice(1, 3), np.array([2, 0])], ids=["slice", "indices"])
def test_a_batch_is_scaled_and_shifted_by_channel(kernel: ModuleType, rows: Any) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(3, 2, 1, 4)
    labels = np.array([5, 6, 7])
    scale = np.array([[2, 3], [10, 20]], np.float32)[:, :, None, None]
    x, y = kernel.load_batch(images, labels, rows, scale)
    assert x.dtype == np.float32
    assert x.tolist() == (images[rows] * scale[0] + scale[1]).tolist()
    assert y.tolist() == labels[rows].tolist()


@both
def test_labels_that_are_ignored_or_no_class_are_told_by_their_weights(kernel: ModuleType) -> None:
    labels = np.array([1, -7, 0, 3, -1, 2])
    for weight in (None, np.array([2, 3, 4], np.float32)):
        w = [1, 1, 1] if weight is None else weight.tolist()
        indices, weights = kernel.class_indices(labels, weight, 3, -7, np.float32)
        assert indices.tolist() == [1, -1, 0, 0, 0, 2]
        assert weights.dtype == np.float32
        np.testing.assert_array_equal(weights, [w[1], 0, w[0], np.nan, np.nan, w[2]])
    indices, weights = kernel.class_indices(labels[1:2], None, 0, -7, np.float32)
    assert (indices.tolist(), weights.tolist()) == ([-1], [0])


def test_a_tile_has_an_image_for_each_place_of_a_vector() -> None:
    assert LANES == 16  # of which tiles/move.py and others load, store and transpose 16 at once
