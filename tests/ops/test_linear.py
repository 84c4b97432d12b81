"""Matrix products and the linear layer's."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn.nn import functional as F
from tests.oracle import assert_agrees_with_torch, assert_functional_agrees

PRODUCTS = [
    ((4,), (4,)),
    ((3, 4), (4,)),
    ((4,), (4, 5)),
    ((3, 4), (4, 5)),
    ((4, 4), (4, 5)),  # a and b have as many rows
    ((1, 4), (4, 1)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 5)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 4), (2, 4, 5)),  # the rows of a are as many as the matrices of b
    ((4, 2, 4), (4, 5)),  # the matrices of a are as many as the rows of b
    ((2, 3, 4), (2, 4, 5)),
    ((1, 3, 4), (6, 4, 2)),
    ((2, 1, 3, 4), (5, 4, 2)),
    ((3, 3, 3), (3, 3, 3)),
    ((0, 4), (4, 3)),
    ((2, 0), (0, 3)),
    ((0, 2, 3), (3, 4)),
]


@pytest.mark.parametrize(("a", "b"), PRODUCTS)
def test_matmul_has_right_values_and_gradients(
    a: tuple[int, ...], b: tuple[int, ...], kernel_set: str, rng: np.random.Generator
) -> None:
    factors = [rng.standard_normal(a), rng.standard_normal(b)]
    y, expected = Tensor(factors[0]) @ Tensor(factors[1]), factors[0] @ factors[1]
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)
    assert minicnn.gradcheck(operator.matmul, [Tensor(x, requires_grad=True) for x in factors])


@pytest.mark.parity
@pytest.mark.parametrize(("a", "b"), PRODUCTS)
def test_matmul_is_torchs(
    a: tuple[int, ...], b: tuple[int, ...], kernel_set: str, rng: np.random.Generator
) -> None:
    assert_agrees_with_torch(operator.matmul, rng.standard_normal(a), rng.standard_normal(b))


@pytest.mark.parity
@pytest.mark.parametrize(
    ("a", "b"),
    [((130, 140), (140, 150)), ((150, 150), (150, 90)), ((40, 50), (20, 50, 60))],
)
def test_large_products_that_threads_share_are_torchs(
    a: tuple[int, ...], b: tuple[int, ...], kernel_set: str, rng: np.random.Generator
) -> None:
    assert_agrees_with_torch(operator.matmul, rng.standard_normal(a), rng.standard_normal(b))


@pytest.mark.parametrize(("a", "b"), [((3, 4), (5, 4)), ((3,), (4,)), ((), (2, 2)), ((2,), ())])
def test_factors_that_do_not_fit_are_refused(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    shapes = rf"matmul: shapes {a} and {b} do not fit".replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=shapes):
        Tensor(np.ones(a)) @ Tensor(np.ones(b))


@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 4), (4,), (0, 4), (3, 4)])
@pytest.mark.parametrize("biased", [True, False])
def test_linear_has_right_values_and_gradients(
    shape: tuple[int, ...], biased: bool, kernel_set: str, rng: np.random.Generator
) -> None:
    arrays = [rng.standard_normal(s) for s in [shape, (3, 4), (3,)][: 2 + biased]]
    y = F.linear(*map(Tensor, arrays))
    expected = np.einsum("...k,ok->...o", arrays[0], arrays[1]) + (arrays[2] if biased else 0)
    assert y.shape == (*shape[:-1], 3)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-12)
    assert minicnn.gradcheck(F.linear, [Tensor(x, requires_grad=True) for x in arrays])


@pytest.mark.parity
@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 4), (4,), (0, 4), (3, 4)])
@pytest.mark.parametrize("biased", [True, False])
def test_linear_is_torchs(
    shape: tuple[int, ...], biased: bool, kernel_set: str, rng: np.random.Generator
) -> None:
    shapes = [shape, (3, 4), (3,)][: 2 + biased]
    assert_functional_agrees("linear", *(rng.standard_normal(s) for s in shapes))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(5, 4), (3, 5)], r"input \(5, 4\) and weight \(3, 5\) do not fit; wanted \(\.\.\., K\)"),
        ([(5, 4), (4,)], r"input \(5, 4\) and weight \(4,\) do not fit"),
        ([(), (3, 4)], r"input \(\) and weight \(3, 4\) do not fit"),
        ([(5, 4), (3, 4), (4,)], r"bias has shape \(4,\); wanted \(3,\)"),
    ],
)
def test_linear_refuses_what_does_not_fit(shapes: list[tuple[int, ...]], message: str) -> None:
    with pytest.raises(ValueError, match=f"linear: {message}"):
        F.linear(*(Tensor(np.ones(shape)) for shape in shapes))


def test_linear_refuses_mixed_dtypes_with_the_way_out() -> None:
    x, weight = Tensor(np.ones((2, 3), np.float32)), Tensor(np.ones((4, 3)))
    with pytest.raises(
        TypeError,
        match=r"linear: input is float32, weight is float64; "
        r"convert one, for example input\.to\('float64'\)",
    ):
        F.linear(x, weight)
