"""Indices, transposed axes, padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn.nn import functional as F
from tests.oracle import assert_functional_agrees


@pytest.mark.parametrize(
    "key",
    [
        (slice(None, None, -1), slice(3, 0, -2)),
        (None, Ellipsis, 1),
        np.array([[True, False, True, False]] * 3),
        (np.array([2, 2, 0]), slice(1, 3)),
        (np.array([[0], [2]]), np.array([1, 1, 3])),
        np.int64(1),
        [0, 0],
        Tensor(np.array([2, 1, 2])),
        Tensor(np.array([True, False, True])),
    ],
)
def test_an_index_takes_what_numpys_takes(key: Any, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 4))
    expected = x[key.numpy() if isinstance(key, Tensor) else key]
    np.testing.assert_array_equal(Tensor(x)[key].numpy(), expected)
    assert minicnn.gradcheck(lambda x: x[key], Tensor(x, requires_grad=True))


def test_a_cell_taken_three_times_gets_three_gradients() -> None:
    x = Tensor(np.zeros(4), requires_grad=True)
    x[np.array([1, 3, 1, 1])].backward(np.array([1.0, 10.0, 100.0, 1000.0]))
    assert x.grad is not None
    assert x.grad.numpy().tolist() == [0, 1101, 0, 10]


def test_axes_that_are_no_order_are_refused() -> None:
    x = Tensor(np.zeros((2, 3)))
    for axes in ((0, 0), (0,), (0, 1, 1)):
        with pytest.raises(ValueError, match=r"are not an order of the 2 axes of \(2, 3\)"):
            x.transpose(axes)


WIDTHS = [(1, 2), (1, 0, 2, 3), (-1, 2), (0, -2, -1, 0), (2, -3, 0, 1, -1, 1), (-2, -2), ()]


@pytest.mark.parametrize("widths", WIDTHS)
def test_padding_has_right_gradients(widths: tuple[int, ...], rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal((2, 3, 4)), requires_grad=True)
    assert minicnn.gradcheck(lambda x: F.pad(x, widths, value=1.5), x)


@pytest.mark.parity
@pytest.mark.parametrize("widths", WIDTHS)
def test_padding_is_torchs(widths: tuple[int, ...], rng: np.random.Generator) -> None:
    assert_functional_agrees("pad", rng.standard_normal((2, 3, 4)), pad=widths, value=-2.5)


@pytest.mark.parametrize(
    ("widths", "mode", "message"),
    [
        ((1, 2, 3), "constant", r"received 3 widths for input \(2, 3\)"),
        ((1,) * 6, "constant", r"received 6 widths for input \(2, 3\)"),
        ((-2, -2), "constant", r"widths \(-2, -2\) cut more than there is of input \(2, 3\)"),
        ((5, -4), "constant", r"widths \(5, -4\) cut more than there is of input \(2, 3\)"),
        ((1, 1), "reflect", "mode is 'reflect'; wanted 'constant'"),
    ],
)
def test_widths_that_do_not_fit_are_refused(
    widths: tuple[int, ...], mode: str, message: str
) -> None:
    with pytest.raises(ValueError, match=f"pad: {message}"):
        F.pad(Tensor(np.zeros((2, 3))), widths, mode)


@pytest.mark.parametrize("widths", [(-4, 5), (5, -4), (-2, -2), (-4, 0)])
def test_more_than_there_is_cannot_be_cut_off(widths: tuple[int, int]) -> None:
    message = r"^pad: widths .* cut more than there is of input \(2, 3\)$"
    with pytest.raises(ValueError, match=message):
        F.pad(Tensor(np.ones((2, 3))), widths)


def test_all_that_there_is_can_be_cut_off() -> None:
    assert F.pad(Tensor(np.ones((2, 3))), (-1, -2)).shape == (2, 0)
    assert F.pad(Tensor(np.ones((2, 3))), (-3, 4)).numpy().tolist() == [[0] * 4] * 2
