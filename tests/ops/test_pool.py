"""Pooling: against its definition, PyTorch and finite differences, and what ties and NaN do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn.nn import functional as F
from tests import oracle
from tests.oracle import assert_functional_agrees

SHAPE = (2, 3, 7, 10)
MAX_CASES: dict[str, dict[str, Any]] = {
    "plain": {"kernel_size": (2, 3)},
    "square": {"kernel_size": 2, "stride": 2},
    "overlapping": {"kernel_size": (3, 4), "stride": (1, 2)},
    "stride larger than the kernel": {"kernel_size": (2, 1), "stride": (3, 2)},
    "padding": {"kernel_size": (2, 5), "stride": (2, 3), "padding": (1, 2)},
    "dilation": {"kernel_size": (3, 2), "stride": (1, 2), "dilation": (2, 3)},
    "ceil": {"kernel_size": (3, 4), "stride": (3, 4), "ceil_mode": True},
    "ceil, a window beyond the picture": {
        "kernel_size": (2, 4),
        "stride": (4, 7),
        "padding": (1, 2),
        "ceil_mode": True,
    },
    "everything": {
        "kernel_size": (3, 2),
        "stride": (2, 3),
        "padding": (1, 1),
        "dilation": (2, 3),
        "ceil_mode": True,
    },
    "cells after the last window": {"kernel_size": (2, 3), "stride": (4, 5), "padding": 1},
    "1 x 1": {"kernel_size": 1},
}
AVG_CASES: dict[str, dict[str, Any]] = {
    "plain": {"kernel_size": (2, 3)},
    "square": {"kernel_size": 2, "stride": 2},
    "overlapping": {"kernel_size": (3, 4), "stride": (1, 2)},
    "stride larger than the kernel": {"kernel_size": (2, 1), "stride": (3, 2)},
    "padding": {"kernel_size": (2, 5), "stride": (2, 3), "padding": (1, 2)},
    "padding not counted": {
        "kernel_size": (2, 5),
        "stride": (1, 3),
        "padding": (1, 2),
        "count_include_pad": False,
    },
    "ceil": {"kernel_size": (3, 4), "stride": (3, 4), "ceil_mode": True},
    "ceil, padding": {
        "kernel_size": (4, 3),
        "stride": (4, 2),
        "padding": (2, 1),
        "ceil_mode": True,
    },
    "ceil, padding not counted": {
        "kernel_size": (4, 3),
        "stride": (4, 2),
        "padding": (2, 1),
        "ceil_mode": True,
        "count_include_pad": False,
    },
    "cells after the last window": {"kernel_size": (2, 3), "stride": (4, 5), "padding": 1},
    "divisor": {
        "kernel_size": (3, 2),
        "stride": (2, 3),
        "padding": 1,
        "ceil_mode": True,
        "divisor_override": 5,
    },
}
CASES = [("max_pool2d", name) for name in MAX_CASES] + [("avg_pool2d", name) for name in AVG_CASES]


def options_of(function: str, name: str) -> dict[str, Any]:
    return (MAX_CASES if function == "max_pool2d" else AVG_CASES)[name]


def pairs(options: dict[str, Any]) -> dict[str, Any]:
    """The options in the plain form, with the default stride."""
    numbers = ("kernel_size", "stride", "padding", "dilation")
    plain = {
        name: (value, value) if isinstance(value, int) and name in numbers else value
        for name, value in options.items()
    }
    return {"stride": plain["kernel_size"]} | plain


@pytest.mark.parametrize(("function", "name"), CASES)
def test_forward_is_the_definition(
    function: str, name: str, kernel_set: str, rng: np.random.Generator
) -> None:
    options, x = options_of(function, name), rng.standard_normal(SHAPE)
    y = getattr(F, function)(Tensor(x), **options)
    expected = getattr(oracle, function)(x, **pairs(options))
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("function", "name"), CASES)
def test_gradients_are_those_of_finite_differences(
    function: str, name: str, kernel_set: str, rng: np.random.Generator
) -> None:
    options = options_of(function, name)
    x = Tensor(rng.standard_normal(SHAPE), requires_grad=True)
    assert minicnn.gradcheck(lambda x: getattr(F, function)(x, **options), x)


@pytest.mark.parity
@pytest.mark.parametrize(("function", "name"), CASES)
def test_values_and_gradients_are_those_of_torch(
    function: str, name: str, kernel_set: str, rng: np.random.Generator
) -> None:
    options = options_of(function, name)
    assert_functional_agrees(function, rng.standard_normal(SHAPE), **options)


@pytest.mark.parity
@pytest.mark.parametrize("function", ["max_pool2d", "avg_pool2d"])
def test_window_counts_are_those_of_torch(function: str, rng: np.random.Generator) -> None:
    """Every small geometry, in both rounding modes: the corner cases of ceil_mode."""
    torch = pytest.importorskip("torch")
    for size in range(1, 7):
        x = rng.standard_normal((1, 1, size, 4))
        for kernel, stride, padding, ceil in np.ndindex(4, 4, 3, 2):
            options = {
                "kernel_size": (int(kernel) + 1, 2),
                "stride": (int(stride) + 1, 2),
                "padding": (int(padding), 0),
                "ceil_mode": bool(ceil),
            }
            if 2 * padding > kernel + 1 or (not ceil and kernel + 1 > size + 2 * padding):
                continue
            try:
                expected = getattr(torch.nn.functional, function)(torch.from_numpy(x), **options)
            except RuntimeError:
                with pytest.raises(ValueError, match="larger than the padded input"):
                    getattr(F, function)(Tensor(x), **options)
                continue
            y = getattr(F, function)(Tensor(x), **options)
            np.testing.assert_allclose(y.numpy(), expected.numpy(), 1e-10, err_msg=str(options))


@pytest.mark.parametrize("function", ["max_pool2d", "avg_pool2d"])
def test_one_picture_is_a_batch_of_one(
    function: str, kernel_set: str, rng: np.random.Generator
) -> None:
    options = options_of(function, "padding" if function == "max_pool2d" else "divisor")
    pool, x = getattr(F, function), rng.standard_normal(SHAPE[1:])
    y = pool(Tensor(x), **options)
    np.testing.assert_array_equal(y.numpy(), pool(Tensor(x[None]), **options).numpy()[0])


@pytest.mark.parametrize("function", ["max_pool2d", "avg_pool2d"])
def test_a_batch_of_none_works(function: str, kernel_set: str) -> None:
    x = Tensor(np.zeros((0, 3, 6, 5)), requires_grad=True)
    y = getattr(F, function)(x, (2, 3), stride=(2, 1), padding=1)
    assert y.shape == (0, 3, 4, 5)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape


# What a window's largest value is -----------------------------------------------------------------


def winners(picture: list[list[float]], **options: Any) -> tuple[list[Any], list[Any]]:
    """The maxima of a picture, and the gradient when window k has the cotangent 10**k."""
    x = Tensor(np.array([[picture]]), requires_grad=True)
    y = F.max_pool2d(x, **options)
    y.backward(10.0 ** np.arange(y.size).reshape(y.shape))
    assert x.grad is not None
    return y.numpy()[0, 0].tolist(), x.grad.numpy()[0, 0].tolist()


def test_of_equal_cells_the_first_in_row_order_wins(kernel_set: str) -> None:
    picture = [[1.0, 5.0, 0.0, 0.0], [5.0, 5.0, 0.0, 0.0]]
    y, dx = winners(picture, kernel_size=2)
    assert y == [[5, 0]]
    assert dx == [[0, 1, 10, 0], [0, 0, 0, 0]]


def test_zeros_of_both_signs_are_equal(kernel_set: str) -> None:
    _, dx = winners([[-0.0, 0.0], [0.0, -0.0]], kernel_size=2)
    assert dx == [[1, 0], [0, 0]]


def test_a_cell_that_wins_several_windows_adds_their_gradients(kernel_set: str) -> None:
    picture = [[1.0, 2.0, 3.0], [4.0, 9.0, 5.0], [6.0, 7.0, 8.0]]
    _, dx = winners(picture, kernel_size=2, stride=1)
    assert dx == [[0, 0, 0], [0, 1111, 0], [0, 0, 0]]


@pytest.mark.parametrize(("row", "col"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_nan_wins_its_window_and_gets_the_gradient(row: int, col: int, kernel_set: str) -> None:
    picture = [[1.0, 2.0, 3.0, 4.0], [5.0, math.inf, 7.0, 8.0]]
    picture[row][col] = math.nan
    y, dx = winners(picture, kernel_size=2)
    assert math.isnan(y[0][0])
    assert y[0][1] == 8
    expected = [[0.0] * 4, [0.0, 0.0, 0.0, 10.0]]
    expected[row][col] = 1.0
    assert dx == expected


def test_of_several_nans_the_first_wins(kernel_set: str) -> None:
    _, dx = winners([[9.0, math.nan], [math.nan, 9.0]], kernel_size=2)
    assert dx == [[0, 1], [0, 0]]


def test_padding_never_wins(kernel_set: str) -> None:
    y, dx = winners([[-math.inf, -3.0], [-5.0, -7.0]], kernel_size=2, padding=1)
    assert y == [[-math.inf, -3], [-5, -7]]
    assert dx == [[1, 10], [100, 1000]]


def test_a_window_without_a_cell_is_minus_infinity_and_has_no_gradient(kernel_set: str) -> None:
    # cells -1 and 2 of rows 0 and 1
    y, dx = winners([[1.0, 2.0], [3.0, 4.0]], kernel_size=2, padding=1, dilation=3)
    assert y == [[-math.inf]]
    assert dx == [[0, 0], [0, 0]]


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        (
            (1, 2, 5, 6),
            {"kernel_size": (2, 3), "padding": (1, 2)},
            r"padding \(1, 2\) is over half the kernel size \(2, 3\)",
        ),
        (
            (1, 2, 3, 6),
            {"kernel_size": (6, 2), "padding": (1, 1)},
            r"kernel \(6, 2\) with dilation \(1, 1\) is larger than the padded input: "
            r"input \(1, 2, 3, 6\), padding \(1, 1\)",
        ),
        ((5, 6), {"kernel_size": 2}, r"input has shape \(5, 6\); wanted \(N, C, H, W\)"),
        ((1, 2, 5, 6), {"kernel_size": 0}, "kernel_size is 0; wanted .* at least 1"),
        ((1, 2, 5, 6), {"kernel_size": 2, "stride": 0}, "stride is 0; wanted"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    function: str, shape: tuple[int, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"{function}: {message}|^{message}"):
        getattr(F, function)(Tensor(np.zeros(shape)), **options)


def test_a_divisor_of_0_is_refused() -> None:
    with pytest.raises(ValueError, match="divisor_override is 0"):
        F.avg_pool2d(Tensor(np.zeros((1, 1, 4, 4))), 2, divisor_override=0)


@pytest.mark.parametrize("function", ["max_pool2d", "avg_pool2d"])
def test_integers_are_refused(function: str) -> None:
    with pytest.raises(TypeError, match="input is int64; wanted float32 or float64"):
        getattr(F, function)(Tensor(np.zeros((1, 1, 4, 4), np.int64)), 2)
