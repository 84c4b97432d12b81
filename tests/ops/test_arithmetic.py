"""Arithmetic and reductions; every case of ``cases`` against PyTorch and finite differences."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from tests.ops.cases import CASES, arrays_of
from tests.oracle import assert_agrees_with_torch


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_finite_differences(name: str, rng: np.random.Generator) -> None:
    inputs = [Tensor(array, requires_grad=True) for array in arrays_of(CASES[name], rng)]
    assert minicnn.gradcheck(CASES[name].ours, inputs)


@pytest.mark.parity
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_torch(name: str, rng: np.random.Generator) -> None:
    case = CASES[name]
    assert_agrees_with_torch(case.ours, *arrays_of(case, rng), theirs=case.theirs)


# Arithmetic ---------------------------------------------------------------------------------------


OPERATORS: list[Callable[[Any, Any], Any]] = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.pow,
    operator.matmul,
]


@pytest.mark.parametrize("operate", OPERATORS)
def test_array_and_tensor_meet_in_the_tensor(operate: Callable[[Any, Any], Any]) -> None:
    array = np.array([[1.0, 2.0], [4.0, 0.5]])
    x = Tensor(np.array([[3.0, 2.0], [1.0, 5.0]]), requires_grad=True)
    for result, expected in (
        (operate(array, x), operate(array, x.numpy())),
        (operate(x, array), operate(x.numpy(), array)),
    ):
        assert isinstance(result, Tensor)
        assert result.requires_grad
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-15)


@pytest.mark.parametrize("operate", OPERATORS[:-1])
@pytest.mark.parametrize("number", [2, 2.5, np.float64(2.5), np.float32(2.5), True])
def test_numbers_leave_float32_as_it_is(operate: Callable[[Any, Any], Any], number: Any) -> None:
    x = Tensor(np.array([0.5, 3.0], np.float32), requires_grad=True)
    assert operate(x, number).dtype == np.float32
    y = operate(number, x)
    assert y.dtype == np.float32
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize("operate", OPERATORS)
def test_float32_and_float64_are_refused_with_the_way_out(
    operate: Callable[[Any, Any], Any],
) -> None:
    a, b = Tensor(np.ones((2, 2), np.float32)), Tensor(np.ones((2, 2)))
    with pytest.raises(TypeError, match=r"float32.*float64.*convert one.*\.to\('float64'\)"):
        operate(a, b)
    assert operate(a.to("float64"), b).dtype == np.float64


def test_zero_to_the_zero_has_flat_gradients() -> None:
    a = Tensor(np.array([0.0, 0.0, 3.0]), requires_grad=True)
    b = Tensor(np.array([0.0, 2.0, 0.0]), requires_grad=True)
    y = a**b
    y.sum().backward()
    assert a.grad is not None
    assert b.grad is not None
    assert y.numpy().tolist() == [1, 0, 1]
    assert a.grad.numpy().tolist() == [0, 0, 0]
    assert b.grad.numpy().tolist() == [0, 0, pytest.approx(math.log(3))]


@pytest.mark.parity
def test_powers_at_their_edges_are_torchs() -> None:
    base = np.array([0.0, 0.0, 0.0, 2.0, -2.0, -2.0, 1.0])
    exponent = np.array([0.0, 1.0, 2.0, 0.0, 0.0, 3.0, -1.0])
    assert_agrees_with_torch(lambda x: x ** Tensor(exponent), base, theirs=_torch_power(exponent))
    # log(a) has no value for a < 0, so these exponents get no gradient
    positive = base >= 0
    assert_agrees_with_torch(operator.pow, base[positive], exponent[positive])


def _torch_power(exponent: np.ndarray) -> Callable[[Any], Any]:
    torch = pytest.importorskip("torch")
    return lambda z: z ** torch.from_numpy(exponent)


# Reductions ---------------------------------------------------------------------------------------


def test_cells_that_tie_for_the_maximum_share_the_gradient() -> None:
    x = Tensor(np.array([[3.0, 1.0, 3.0], [2.0, 2.0, 2.0]]), requires_grad=True)
    x.max(1).backward(np.array([10.0, 9.0]))
    assert x.grad is not None
    assert x.grad.numpy().tolist() == [[5, 0, 5], [3, 3, 3]]


@pytest.mark.parity
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
def test_cells_that_tie_for_the_maximum_share_the_gradient_as_in_torch(axis: Any) -> None:
    x = np.array([[3.0, 1.0, 3.0], [3.0, 2.0, -1.0]])
    assert_agrees_with_torch(
        lambda x: x.max(axis), x, theirs=lambda z: z.amax((0, 1) if axis is None else axis)
    )


def test_argmax_is_the_first_of_equal_ones(rng: np.random.Generator) -> None:
    x = Tensor(np.array([[1.0, 7.0, 7.0], [9.0, 9.0, 2.0]]), requires_grad=True)
    assert x.argmax().item() == 3
    assert x.argmax(1).numpy().tolist() == [1, 0]
    assert x.argmax(-2, keepdims=True).numpy().tolist() == [[1, 1, 0]]
    assert x.argmax(1).dtype == np.int64
    assert not x.argmax(1).requires_grad


def test_integers_and_booleans_are_summed_as_numbers() -> None:
    assert Tensor(np.array([True, True, False])).sum().item() == 2
    assert Tensor(np.array([1, 2, 4])).sum().dtype == np.int64
    mean = Tensor(np.array([1, 2, 4])).mean()
    assert mean.dtype == np.float32
    assert mean.item() == pytest.approx(7 / 3)


# What every operation promises --------------------------------------------------------------------


def test_infinities_are_not_nan() -> None:
    x = Tensor(np.array([math.inf, -math.inf]))
    assert x.exp().numpy().tolist() == [math.inf, 0]
    assert x.max().item() == math.inf


@pytest.mark.parity
@pytest.mark.parametrize("reduction", ["sum", "mean", "max"])
@pytest.mark.parametrize("axis", [0, -1, (0,), (-1,), ()])
@pytest.mark.parametrize("keepdims", [False, True])
def test_a_scalar_reduced_over_an_axis_is_itself(reduction: str, axis: Any, keepdims: bool) -> None:
    name = "amax" if reduction == "max" else reduction
    assert_agrees_with_torch(
        lambda x: getattr(x, reduction)(axis=axis, keepdims=keepdims),
        np.array(3.5),
        theirs=lambda x: getattr(x, name)(dim=axis, keepdim=keepdims),
    )


@pytest.mark.parametrize("reduction", ["sum", "mean", "max"])
def test_a_scalar_has_no_axis_1(reduction: str) -> None:
    with pytest.raises(ValueError, match="axis 1 is out of bounds"):
        getattr(Tensor(3.5), reduction)(axis=1)


@pytest.mark.parametrize("integers", ["int64", "uint8", "bool"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_integers_divide_and_are_divided_in_the_other_ones_dtype(integers: str, dtype: str) -> None:
    counts: Any = np.array([1, 1, 1], integers)
    reals: Any = np.array([0.1, 0.2, 0.4], dtype)
    for a, b in ((counts, reals), (reals, counts)):
        expected = (a / b).astype(dtype)
        for x, y in ((Tensor(a), Tensor(b)), (a, Tensor(b)), (Tensor(a), b)):
            assert (x / y).dtype == dtype
            np.testing.assert_array_equal((x / y).numpy(), expected)
    quotient = Tensor(counts) / counts
    assert quotient.dtype == np.float32
    np.testing.assert_array_equal(quotient.numpy(), 1)


def test_the_0th_power_of_a_huge_number_has_the_gradient_0_and_no_warning() -> None:
    base = Tensor(np.array([1e200, -1e200, 0.0]), requires_grad=True)
    (base ** Tensor(np.zeros(3))).sum().backward()
    assert base.grad is not None
    assert base.grad.numpy().tolist() == [0, 0, 0]


def test_a_sum_of_many_rows_in_float32_is_added_up_in_float64(kernel_set: str) -> None:
    """NumPy adds rows one after the other: in float32 this sum would be wrong by a hundredth."""
    x = np.full((200_000, 2), 0.1, np.float32)
    np.testing.assert_allclose(Tensor(x).sum(axis=0).numpy(), 2e5 * float(x[0, 0]), rtol=1e-6)
