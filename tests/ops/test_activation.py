"""Activations and dropout."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn.kernels import reference
from minicnn.nn import functional as F
from tests.oracle import assert_agrees_with_torch

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda x: x.relu(),
    "sigmoid": lambda x: x.sigmoid(),
    "tanh": lambda x: x.tanh(),
    "softmax over the last axis": lambda x: x.softmax(-1),
    "softmax over axis 1": lambda x: x.softmax(1),
    "log_softmax over axis 0": lambda x: F.log_softmax(x, 0),
    "log_softmax over axis -2": lambda x: F.log_softmax(x, -2),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradients_are_those_of_finite_differences(
    name: str, kernel_set: str, rng: np.random.Generator
) -> None:
    x = Tensor(3 * rng.standard_normal((4, 3, 5)), requires_grad=True)
    assert minicnn.gradcheck(ACTIVATIONS[name], x)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("shape", [(4, 3, 5), (), (0, 3)])
def test_pointwise_values_and_gradients_are_those_of_torch(
    name: str, shape: tuple[int, ...], kernel_set: str, rng: np.random.Generator
) -> None:
    x = 10 * rng.standard_normal(shape)
    assert_agrees_with_torch(lambda x: getattr(x, name)(), np.asarray(x))


@pytest.mark.parity
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_values_and_gradients_are_those_of_torch(
    name: str, axis: int, rng: np.random.Generator
) -> None:
    x = 10 * rng.standard_normal((4, 3, 5))
    x[1] += 1e4  # beyond exp's range
    assert_agrees_with_torch(
        lambda x: getattr(F, name)(x, axis), x, theirs=lambda z: getattr(z, name)(axis)
    )


def test_functions_and_methods_are_the_same(rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal((3, 4)))
    for name in ("relu", "sigmoid", "tanh"):
        np.testing.assert_array_equal(getattr(F, name)(x), getattr(x, name)())
    np.testing.assert_array_equal(F.softmax(x, 0), x.softmax(0))


# Their edges --------------------------------------------------------------------------------------


def test_relu_keeps_nan_and_is_flat_at_0() -> None:
    x = Tensor(np.array([math.nan, -0.0, 0.0, 1e-300, -1e-300, math.inf, -math.inf]), True)
    y = x.relu()
    y.backward(np.full(7, 3.0))
    assert math.isnan(y.numpy()[0])
    assert y.numpy()[1:].tolist() == [0, 0, 1e-300, 0, math.inf, 0]
    assert x.grad is not None
    assert x.grad.numpy()[1:].tolist() == [0, 0, 3, 0, 3, 0]


def test_float32_sigmoid_is_right_to_3e_7_in_its_tails_too(kernel_set: str) -> None:
    x = np.linspace(-87, 87, 400_001).astype(np.float32)
    exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    s = Tensor(x).sigmoid().numpy()
    assert s.dtype == np.float32
    np.testing.assert_allclose(s, exact, rtol=3e-7, atol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_at_the_ends_of_the_numbers(dtype: type[np.floating], kernel_set: str) -> None:
    x = np.array([math.inf, 1e30, 0, -0.0, -1e30, -math.inf, math.nan], dtype)
    s = Tensor(x).sigmoid().numpy()
    assert s[:-1].tolist() == [1, 1, 0.5, 0.5, 0, 0]
    assert math.isnan(s[-1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_never_falls_and_stays_within_0_and_1(
    dtype: type[np.floating], kernel_set: str
) -> None:
    s = Tensor(np.linspace(-120, 120, 10_001).astype(dtype)).sigmoid().numpy()
    assert (np.diff(s) >= -np.spacing(s[1:])).all()
    assert s.min() >= 0
    assert s.max() <= 1


def test_softmax_of_large_numbers_overflows_nowhere() -> None:
    x = Tensor(np.array([[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4]]))
    np.testing.assert_array_equal(x.softmax(1).numpy(), [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]])
    expected = [[0, -1e4, -2e4], [-math.log(3)] * 3]
    np.testing.assert_allclose(F.log_softmax(x, 1).numpy(), expected, rtol=1e-15)


# Dropout ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
def test_dropout_drops_a_share_p_and_scales_the_rest(p: float, kernel_set: str) -> None:
    x = Tensor(np.full((250, 400), 3.0), requires_grad=True)
    y = F.dropout(x, p)
    y.backward(np.full(x.shape, 5.0))
    kept = y.numpy() != 0
    # 100,000 cells: five standard deviations
    assert abs(kept.mean() - (1 - p)) < 5 * math.sqrt(p * (1 - p) / x.size)
    np.testing.assert_allclose(y.numpy()[kept], 3 / (1 - p), rtol=1e-15)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), np.where(kept, 5 / (1 - p), 0), rtol=1e-15)
    # along rows and columns as well as on the whole
    assert abs(kept.mean(axis=0) - (1 - p)).max() < 6 * math.sqrt(p * (1 - p) / 250)
    assert abs(kept.mean(axis=1) - (1 - p)).max() < 6 * math.sqrt(p * (1 - p) / 400)


def test_dropout_gradient_is_that_of_finite_differences(
    kernel_set: str, rng: np.random.Generator
) -> None:
    def dropped(x: Tensor) -> Tensor:
        minicnn.manual_seed(3)
        return F.dropout(x, 0.4)

    x = Tensor(rng.standard_normal((3, 5, 7)), requires_grad=True)
    assert minicnn.gradcheck(dropped, x)


def masks(seed: int, count: int = 3) -> list[list[bool]]:
    minicnn.manual_seed(seed)
    return [(F.dropout(Tensor(np.ones(60)), 0.5).numpy() != 0).tolist() for _ in range(count)]


def test_the_seed_decides_the_masks(kernel_set: str) -> None:
    assert masks(5) == masks(5)
    drawn = masks(5) + masks(6) + masks(2**64 - 1) + masks(5 + 2**32)
    assert len({tuple(mask) for mask in drawn}) == len(drawn)


def test_the_first_mask_of_a_seed_is_frozen(kernel_set: str) -> None:
    """Under every kernel set, on every platform, in every release."""
    kept = "".join("01"[kept] for kept in masks(2026, 1)[0])
    assert kept == "011010011111111110100000110011101001101100100001010001111110"


def test_a_cell_is_kept_whose_number_is_at_least_p(kernel_set: str) -> None:
    """The numbers are those of the Philox generator: mask by mask, cell by cell."""
    x = np.ones((4, 5))
    for mask in range(2):
        numbers = reference.random_uniform(x, 11, mask)
        p = float(numbers[2, 3])
        minicnn.manual_seed(11)
        for _ in range(mask):
            F.dropout(Tensor(x), 0.5)
        np.testing.assert_array_equal(F.dropout(Tensor(x), p).numpy() != 0, numbers >= p)


def test_dropout_with_p_0_or_in_evaluation_changes_nothing_and_draws_no_mask() -> None:
    x = Tensor(np.arange(60.0))
    expected = masks(5, 1)
    minicnn.manual_seed(5)
    np.testing.assert_array_equal(F.dropout(x, 0.0).numpy(), x.numpy())
    np.testing.assert_array_equal(F.dropout(x, 0.7, training=False).numpy(), x.numpy())
    assert (F.dropout(Tensor(np.ones(60)), 0.5).numpy() != 0).tolist() == expected[0]


def test_dropout_with_p_1_leaves_nothing(kernel_set: str) -> None:
    x = Tensor(np.arange(1.0, 9.0), requires_grad=True)
    y = F.dropout(x, 1.0)
    y.sum().backward()
    assert x.grad is not None
    assert (y.numpy() == 0).all()
    assert (x.grad.numpy() == 0).all()


def test_dropout_of_float32_stays_float32(kernel_set: str) -> None:
    y = F.dropout(Tensor(np.ones(50, np.float32)), 0.1)
    assert y.dtype == np.float32


@pytest.mark.parametrize("p", [-0.1, 1.5, math.nan])
def test_a_p_that_is_no_probability_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match=f"dropout: p is {p}; wanted a probability"):
        F.dropout(Tensor(np.ones(3)), p)


# Axes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [F.softmax, F.log_softmax])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [((0, 4), 0), ((0, 4), 1), ((4, 0), 0), ((4, 0), -1), ((0,), 0), ((2, 0, 3), 1)],
)
def test_a_softmax_of_nothing_is_nothing(
    function: Callable[..., Tensor], shape: tuple[int, ...], axis: int
) -> None:
    x = Tensor(np.zeros(shape), requires_grad=True)
    y = function(x, axis)
    y.backward(Tensor(np.ones(shape)))
    assert y.shape == shape
    assert x.grad is not None
    assert x.grad.shape == shape


@pytest.mark.parametrize("axis", [None, (0, 1), 1.0, "1"])
def test_a_softmax_wants_one_axis(axis: Any) -> None:
    """PyTorch guesses one for None, with a warning; NumPy would take all cells."""
    x = Tensor(np.ones((2, 3)))
    for function in (F.softmax, F.log_softmax, Tensor.softmax):
        with pytest.raises(TypeError, match=r"^(Log)?Softmax: the axis \(dim\) is .*; wanted an"):
            function(x, axis)
    assert F.softmax(x, np.int64(1)).numpy().sum() == pytest.approx(2)  # type: ignore[arg-type]
