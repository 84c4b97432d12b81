"""Arithmetic, reductions, shapes, matrix products; and what every operation promises."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn.nn import functional as F
from tests.oracle import assert_agrees_with_torch, assert_functional_agrees


class Case(NamedTuple):
    """A function of tensors of these shapes; ``theirs`` is the same in PyTorch's words."""

    ours: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    theirs: Callable[..., Any] | None = None
    positive: bool = False


def arrays_of(case: Case, rng: np.random.Generator) -> list[np.ndarray]:
    """Numbers of both signs and not near 0; or, for ``positive``, of one."""
    arrays = [rng.standard_normal(shape) for shape in case.shapes]
    signs = [1.0 if case.positive else np.where(array < 0, -1.0, 1.0) for array in arrays]
    return [np.asarray(s * (0.5 + np.abs(x))) for s, x in zip(signs, arrays, strict=True)]


MASK = np.array([[True, False, True, True], [False, False, True, False], [True] * 4])
CASES = {
    # two tensors
    "a + b": Case(operator.add, ((3, 4), (3, 4))),
    "a - b": Case(operator.sub, ((3, 4), (3, 4))),
    "a * b": Case(operator.mul, ((3, 4), (3, 4))),
    "a / b": Case(operator.truediv, ((3, 4), (3, 4))),
    "a ** b": Case(operator.pow, ((3, 4), (3, 4)), positive=True),
    # broadcasting
    "(2, 3, 4) + (4,)": Case(operator.add, ((2, 3, 4), (4,))),
    "(3, 1) + (2, 3, 4)": Case(operator.add, ((3, 1), (2, 3, 4))),
    "() - (2, 3)": Case(operator.sub, ((), (2, 3))),
    "(2, 1, 4) - (3, 1)": Case(operator.sub, ((2, 1, 4), (3, 1))),
    "(1, 1) * (2, 3)": Case(operator.mul, ((1, 1), (2, 3))),
    "(3, 1) * (1, 4)": Case(operator.mul, ((3, 1), (1, 4))),
    "(2, 3, 4) / (3, 1)": Case(operator.truediv, ((2, 3, 4), (3, 1))),
    "(4,) / (2, 3, 4)": Case(operator.truediv, ((4,), (2, 3, 4))),
    "(3, 1) ** (2, 1, 4)": Case(operator.pow, ((3, 1), (2, 1, 4)), positive=True),
    "(0, 3) + (3,)": Case(operator.add, ((0, 3), (3,))),
    "(1,) * (1, 1)": Case(operator.mul, ((1,), (1, 1))),
    # numbers
    "x + 2": Case(lambda x: x + 2, ((2, 3),)),
    "2 + x": Case(lambda x: 2 + x, ((2, 3),)),
    "x - 2.5": Case(lambda x: x - 2.5, ((2, 3),)),
    "2.5 - x": Case(lambda x: 2.5 - x, ((2, 3),)),
    "x * -3": Case(lambda x: x * -3, ((2, 3),)),
    "-3 * x": Case(lambda x: -3 * x, ((2, 3),)),
    "x / 4": Case(lambda x: x / 4, ((2, 3),)),
    "4 / x": Case(lambda x: 4 / x, ((2, 3),)),
    "x ** 3": Case(lambda x: x**3, ((2, 3),)),
    "x ** -2": Case(lambda x: x**-2, ((2, 3),)),
    "x ** 0.5": Case(lambda x: x**0.5, ((2, 3),), positive=True),
    "3 ** x": Case(lambda x: 3**x, ((2, 3),)),
    "-x": Case(operator.neg, ((2, 3),)),
    "a tensor used twice": Case(lambda x: x * x - x / (x + 4), ((2, 3),)),
    # one cell at a time
    "exp": Case(lambda x: x.exp(), ((2, 3),)),
    "log": Case(lambda x: x.log(), ((2, 3),), positive=True),
    "sqrt": Case(lambda x: x.sqrt(), ((2, 3),), positive=True),
    # reductions
    "sum": Case(lambda x: x.sum(), ((2, 3, 4),)),
    "sum of one number": Case(lambda x: x.sum(), ((),)),
    "sum, axis 1": Case(lambda x: x.sum(1), ((2, 3, 4),)),
    "sum, axes": Case(lambda x: x.sum((0, -1)), ((2, 3, 4),)),
    "sum, keepdims": Case(lambda x: x.sum(axis=-2, keepdims=True), ((2, 3, 4),)),
    "sum, all, keepdims": Case(
        lambda x: x.sum(keepdims=True), ((2, 3),), lambda z: z.sum((0, 1), keepdim=True)
    ),
    "mean": Case(lambda x: x.mean(), ((2, 3, 4),)),
    "mean, axis -1": Case(lambda x: x.mean(-1), ((2, 3, 4),)),
    "mean, axes, keepdims": Case(lambda x: x.mean(axis=(0, 2), keepdims=True), ((2, 3, 4),)),
    "max": Case(lambda x: x.max(), ((2, 3, 4),)),
    "max, axis 0": Case(lambda x: x.max(0), ((2, 3, 4),), lambda z: z.amax(0)),
    "max, axes": Case(lambda x: x.max((-1, 0)), ((2, 3, 4),), lambda z: z.amax((-1, 0))),
    "max, keepdims": Case(
        lambda x: x.max(1, keepdims=True), ((2, 3, 4),), lambda z: z.amax(1, keepdim=True)
    ),
    # shapes
    "reshape": Case(lambda x: x.reshape(4, -1, 3), ((2, 3, 4),)),
    "reshape by a tuple": Case(lambda x: x.reshape((6, 4)), ((2, 3, 4),)),
    "flatten": Case(lambda x: x.flatten(), ((2, 3, 4),)),
    "transpose": Case(lambda x: x.transpose(2, 0, 1), ((2, 3, 4),), lambda z: z.permute(2, 0, 1)),
    "transpose, reversed": Case(
        lambda x: x.transpose(), ((2, 3, 4),), lambda z: z.permute(2, 1, 0)
    ),
    "transpose, negative axes": Case(
        lambda x: x.transpose((0, -1, 1, 2)), ((2, 3, 4, 5),), lambda z: z.permute(0, -1, 1, 2)
    ),
    "T": Case(lambda x: x.T, ((3, 4),)),
    "x[1]": Case(lambda x: x[1], ((3, 4),)),
    "x[-1, 2]": Case(lambda x: x[-1, 2], ((3, 4),)),
    "x[1:, ::2]": Case(lambda x: x[1:, ::2], ((3, 4),)),
    "x[..., 1]": Case(lambda x: x[..., 1], ((2, 3, 4),)),
    "x[:, None, 2]": Case(lambda x: x[:, None, 2], ((3, 4, 2),)),
    "x[2:2]": Case(lambda x: x[2:2], ((3, 4),)),
    "x[mask]": Case(lambda x: x[MASK], ((3, 4),)),
    "x[:, mask]": Case(lambda x: x[:, MASK[:, 0]], ((2, 3, 4),)),
    "x[repeated rows]": Case(lambda x: x[[2, 0, 2, 2]], ((3, 4),)),
    "x[repeated cells]": Case(lambda x: x[[0, 1, 0, -3], [1, 1, 1, 1]], ((3, 4),)),
    "x[rows, :, 1]": Case(lambda x: x[np.array([[1, 1], [0, 1]]), :, 1], ((2, 3, 4),)),
    # chained
    "a * b + c, mean of squares": Case(
        lambda a, b, c: ((a * b + c) ** 2).mean(), ((2, 3), (3,), (2, 1))
    ),
}


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


# Shapes -------------------------------------------------------------------------------------------


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


# Matrix products ----------------------------------------------------------------------------------

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


# What every operation promises --------------------------------------------------------------------

conv2d: Callable[..., Tensor] = F.conv2d
batch_norm: Callable[..., Tensor] = F.batch_norm
PICTURE = (2, 4, 6, 7)
VIEWS = {name for name in CASES if name.startswith(("reshape", "flatten", "transpose", "T", "x["))}
VIEWS |= {"dropout in evaluation"}
OPERATIONS = CASES | {
    "@": Case(operator.matmul, ((3, 4), (4, 5))),
    "@, stacked": Case(operator.matmul, ((2, 3, 4), (4, 5))),
    "linear": Case(F.linear, ((3, 4), (5, 4), (5,))),
    "linear, one row": Case(F.linear, ((4,), (5, 4))),
    "relu": Case(F.relu, ((3, 4),)),
    "sigmoid": Case(F.sigmoid, ((3, 4),)),
    "tanh": Case(F.tanh, ((3, 4),)),
    "softmax": Case(lambda x: F.softmax(x, 1), ((3, 4),)),
    "log_softmax": Case(lambda x: F.log_softmax(x, 1), ((3, 4),)),
    "dropout": Case(lambda x: F.dropout(x, 0.5), ((3, 4),)),
    "dropout in evaluation": Case(lambda x: F.dropout(x, 0.5, training=False), ((3, 4),)),
    "pad": Case(lambda x: F.pad(x, (1, -1)), ((3, 4),)),
    "pad by nothing": Case(lambda x: F.pad(x, (0, 0)), ((3, 4),)),
    "conv2d": Case(lambda *xs: conv2d(*xs, padding=1), (PICTURE, (3, 4, 2, 3), (3,))),
    "conv2d, 1 x 1": Case(F.conv2d, (PICTURE, (3, 4, 1, 1))),
    "conv2d, groups": Case(
        lambda *xs: conv2d(*xs, padding="same", groups=2), (PICTURE, (2, 2, 2, 3), (2,))
    ),
    "max_pool2d": Case(lambda x: F.max_pool2d(x, (2, 3), stride=1), (PICTURE,)),
    "max_pool2d, 1 x 1": Case(lambda x: F.max_pool2d(x, 1), (PICTURE,)),
    "avg_pool2d": Case(lambda x: F.avg_pool2d(x, (2, 3), padding=1), (PICTURE,)),
    "avg_pool2d, 1 x 1": Case(lambda x: F.avg_pool2d(x, 1), (PICTURE,)),
    "batch_norm": Case(
        lambda *xs: batch_norm(xs[0], None, None, *xs[1:], training=True), (PICTURE, (4,), (4,))
    ),
    "batch_norm, not affine": Case(lambda x: batch_norm(x, None, None, training=True), (PICTURE,)),
    "batch_norm, evaluation": Case(
        lambda x, *affine: batch_norm(
            x,
            Tensor(np.array([0.3, -1, 0, 2], x.dtype)),
            Tensor(np.array([0.5, 1, 2, 3], x.dtype)),
            *affine,
        ),
        (PICTURE, (4,), (4,)),
    ),
    "cross_entropy": Case(lambda x: F.cross_entropy(x, Tensor(np.array([3, 0, 1]))), ((3, 4),)),
    "cross_entropy, probabilities": Case(F.cross_entropy, ((3, 4), (3, 4))),
    "cross_entropy, everything": Case(
        lambda x: F.cross_entropy(
            x,
            Tensor(np.array([3, 0, 1])),
            Tensor(np.ones(4, x.dtype)),
            ignore_index=0,
            label_smoothing=0.1,
            reduction="none",
        ),
        ((3, 4),),
    ),
    "nll_loss": Case(lambda x: F.nll_loss(x, Tensor(np.array([3, 0, 1]))), ((3, 4),)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_inputs_and_cotangent_are_neither_changed_nor_shared(
    name: str, kernel_set: str, rng: np.random.Generator
) -> None:
    case = OPERATIONS[name]
    arrays = arrays_of(case, rng)
    copies = [array.copy() for array in arrays]
    inputs = [Tensor(array, requires_grad=True) for array in arrays]
    y = case.ours(*inputs)
    value = y.numpy().copy()
    if name not in VIEWS:
        assert not any(np.shares_memory(y.numpy(), array) for array in arrays)

    u = np.asarray(rng.standard_normal(y.shape))
    kept = u.copy()
    y.backward(Tensor(u))
    np.testing.assert_array_equal(u, kept)
    np.testing.assert_array_equal(y.numpy(), value)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)

    others = [u, y.numpy(), *arrays]
    for x in inputs:
        assert x.grad is not None
        assert not any(np.shares_memory(x.grad.numpy(), other) for other in others)
        others.append(x.grad.numpy())


@pytest.mark.parametrize("name", OPERATIONS)
def test_float32_in_gives_float32_out_and_float64s_numbers(
    name: str, kernel_set: str, rng: np.random.Generator
) -> None:
    case = OPERATIONS[name]
    arrays, results = arrays_of(case, rng), []
    for dtype in (np.float64, np.float32):
        minicnn.manual_seed(0)
        inputs = [Tensor(array.astype(dtype), requires_grad=True) for array in arrays]
        y = case.ours(*inputs)
        y.backward(np.asarray(np.cos(np.arange(y.size)).reshape(y.shape), dtype))
        results.append([y, *(x.grad for x in inputs)])
    for double, single in zip(*results, strict=True):
        assert single.dtype == np.float32
        scale = max(1.0, float(np.abs(double.numpy()).max(initial=0)))
        np.testing.assert_allclose(single.numpy(), double.numpy(), 1e-5, 1e-5 * scale)


def test_a_gradient_is_added_to_the_one_that_is_there() -> None:
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    (x * 3).sum().backward()
    (x * x).sum().backward()
    assert x.grad is not None
    assert x.grad.numpy().tolist() == [5, 7]


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
