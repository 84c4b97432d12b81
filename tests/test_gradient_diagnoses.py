"""minicnn.gradcheck: what it says of a wrong gradient, and of one that cannot be checked."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import minicnn
from minicnn import GradientError, Tensor, gradcheck, nn
from minicnn.nn import functional as F
from minicnn.ops import Operation
from tests.wrong_gradients import (
    PADDING,
    STRIDE,
    WRONG,
    Convolution,
    message_of,
    operation,
    overwrite,
    random,
)

SHAPES = ((2, 3, 8, 6), (4, 3, 3, 3), (4,))  # a row of the picture is left over; OH = O = 4


def ignore_the_stride(self: Convolution, dcolumns: Any) -> Any:
    framed, (oh, ow) = np.zeros_like(self.framed), self.out
    for i, j in np.ndindex(*self.weight.shape[2:]):
        framed[:, :, i : i + oh, j : j + ow] += dcolumns[:, :, i, j]
    return framed


def swap_the_offsets(self: Convolution, dcolumns: Any) -> Any:
    return Convolution.col2im(self, dcolumns.swapaxes(2, 3))


class Bug(NamedTuple):
    """A method, what stands there instead, the input it makes wrong, and what is said of it.

    said: what the gradient has in common with the right one; slip: what was done.
    """

    method: str
    instead: Callable[[Any, Any], Any]
    input: int
    said: str = ""
    slip: str = ""


BUGS = {
    "kernel turned once too often": Bug(
        "dcolumns",
        lambda self, dy: np.einsum("ocij,nohw->ncijhw", self.weight[:, :, ::-1, ::-1], dy),
        0,
        slip="the kernel is flipped",
    ),
    "only the first kernel": Bug(
        "dcolumns",
        lambda self, dy: Convolution.dcolumns(self, dy * np.eye(4)[0][:, None, None]),
        0,
        slip="only kernel 0 is used",
    ),
    "overwritten instead of added": Bug("col2im", overwrite, 0, slip="= where += belongs"),
    "stride forgotten": Bug("col2im", ignore_the_stride, 0, slip="the stride is ignored"),
    "rows and columns of the kernel swapped": Bug(
        "col2im", swap_the_offsets, 0, slip="(j, i) where (i, j) belongs"
    ),
    "padding cut off at the end": Bug(
        "cut_off", lambda self, framed: framed[:, :, :8, :6], 0, slip="the padding is ignored"
    ),
    "forgotten": Bug("cut_off", lambda self, framed: np.zeros(SHAPES[0]), 0, "0 everywhere"),
    "flipped": Bug(
        "dweight",
        lambda self, dy: Convolution.dweight(self, dy)[:, :, ::-1, ::-1],
        1,
        "the right gradient flipped along axes 2 and 3",
    ),
    "transposed": Bug(
        "dweight",
        lambda self, dy: Convolution.dweight(self, dy).swapaxes(2, 3),
        1,
        "the right gradient transposed, its axes in the order (0, 1, 3, 2)",
    ),
    "reshaped instead of transposed": Bug(
        "dweight",
        lambda self, dy: np.einsum("nohw,ncijhw->cijo", dy, self.columns).reshape(4, 3, 3, 3),
        1,
        "the right gradient with its cells in another order",
    ),
    "the first image only": Bug(
        "dweight",
        lambda self, dy: np.einsum("ohw,cijhw->ocij", dy[0], self.columns[0]),
        1,
        slip="the batch is forgotten",
    ),
    "divided by the batch twice": Bug(
        "dweight",
        lambda self, dy: Convolution.dweight(self, dy) / len(dy) ** 2,
        1,
        "the right gradient times 1/4",
    ),
    "wrong sign": Bug(
        "dweight",
        lambda self, dy: -Convolution.dweight(self, dy),
        1,
        "the right gradient times -1",
    ),
    "flipped and doubled": Bug(
        "dweight",
        lambda self, dy: 2 * Convolution.dweight(self, dy)[:, :, :, ::-1],
        1,
        "the right gradient flipped along axis 3 and times 2",
    ),
    "summed over the wrong axes": Bug(
        "dbias", lambda self, dy: dy.sum(axis=(0, 1, 3)), 2, slip="summed over the wrong axes"
    ),
    "mean instead of sum": Bug(
        "dbias", lambda self, dy: dy.mean(axis=(0, 2, 3)), 2, "the right gradient times 1/64"
    ),
}
WRONG_SHAPES = {
    "padding not cut off": Bug(
        "cut_off", lambda self, framed: framed, 0, "in a frame of (0, 0, 1, 2) cells that was not"
    ),
    "channels swapped": Bug(
        "dweight",
        lambda self, dy: np.einsum("nohw,ncijhw->coij", dy, self.columns),
        1,
        "transposed, its axes in the order (1, 0, 2, 3)",
    ),
    "batch not summed": Bug(
        "dweight",
        lambda self, dy: np.einsum("nohw,ncijhw->nocij", dy, self.columns),
        1,
        "not summed over axis 0",
    ),
    "pixels not summed": Bug(
        "dbias", lambda self, dy: dy.sum(axis=0), 2, "not summed over axes 1 and 2"
    ),
    "a column": Bug("dbias", lambda self, dy: dy.sum((0, 2, 3))[:, None], 2, "in another shape"),
}


def convolve_with(bug: Bug | None) -> Callable[..., Tensor]:
    changed = {} if bug is None else {bug.method: bug.instead}
    learners: Any = type("Learners", (Convolution,), changed)
    return lambda x, weight, bias: minicnn.apply(learners(), x, weight, bias)


def inputs_of_a_convolution() -> list[Tensor]:
    rng = np.random.default_rng(3)
    return [Tensor(rng.standard_normal(shape), requires_grad=True) for shape in SHAPES]


def right_gradients() -> list[np.ndarray]:
    """By the engine's own convolution, for the cotangent that gradcheck draws first."""
    x, weight, bias = inputs_of_a_convolution()
    y = F.conv2d(x, weight, bias, stride=STRIDE, padding=PADDING)
    y.backward(np.random.default_rng(0).standard_normal(y.shape))
    return [z.grad.numpy() for z in (x, weight, bias) if z.grad is not None]


def test_the_learners_convolution_without_a_bug_passes() -> None:
    assert gradcheck(convolve_with(None), inputs_of_a_convolution())


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_in_a_convolution_is_caught_and_its_worst_cell_named(name: str) -> None:
    bug = BUGS[name]
    with pytest.raises(GradientError) as caught:
        gradcheck(convolve_with(bug), inputs_of_a_convolution())
    error, right = caught.value, right_gradients()[bug.input]
    assert error.backward is not None
    assert error.differences is not None
    np.testing.assert_allclose(error.differences, right, rtol=1e-6, atol=1e-6)
    worst = np.unravel_index(np.abs(error.backward - right).argmax(), right.shape)
    assert (error.input, error.index) == (bug.input, worst)

    place = f"input {bug.input} ({('x', 'weight', 'bias')[bug.input]}), index {error.index}"
    numbers = (
        f"backward gives {error.backward[worst]:.8g}, "
        f"finite differences {error.differences[worst]:.8g}"
    )
    beginning = f"gradcheck: {place}: {numbers}; "
    assert str(error).startswith(beginning)
    rest = str(error).removeprefix(beginning)
    if bug.said:
        assert rest == f"it is {bug.said}"
    else:
        assert rest.startswith("as a gradient of conv2d(stride=(2, 1), padding=(1, 2)) with a slip")
        assert bug.slip in rest
    assert "\n" not in str(error)


@pytest.mark.parametrize("name", WRONG_SHAPES)
def test_a_gradient_of_another_shape_is_caught_and_what_is_missing_named(name: str) -> None:
    bug = WRONG_SHAPES[name]
    with pytest.raises(GradientError) as caught:
        gradcheck(convolve_with(bug), inputs_of_a_convolution())
    error = caught.value
    assert error.backward is not None
    assert (error.input, error.index) == (bug.input, None)
    assert f"shape {error.backward.shape}, wanted {SHAPES[bug.input]}" in str(error)
    assert bug.said in str(error)


def test_the_block_of_the_wrong_cells_is_named() -> None:
    def forget_the_last_row(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
        dx = 2 * dy
        dx[:, -1, 1:] = 0
        return dx

    fn = operation(lambda x: 2 * x, forget_the_last_row)
    assert message_of(fn, random(2, 3, 4)).endswith("; wrong in 6 of 24 cells, all in [:, 2, 1:4]")


@pytest.mark.parametrize(
    ("factor", "said"),
    [(2, "2"), (-1 / 3, "-1/3"), (0.75, "3/4"), (1.001, "1.001"), (7e-5, "7e-05")],
)
def test_a_constant_is_named_as_one_would_write_it(factor: float, said: str) -> None:
    fn = operation(np.exp, lambda dy, x: factor * dy * np.exp(x))
    assert message_of(fn, random(3, 2)).endswith(f"; it is the right gradient times {said}")


def test_nothing_is_said_of_a_gradient_that_resembles_nothing() -> None:
    for wrong in ("constant", "sum not spread", "log_softmax as softmax"):
        assert "right gradient" not in message_of(WRONG[wrong], random(3, 3))
    one_cell = operation(np.sin, lambda dy, x: dy)  # times 1 / cos x, as all numbers are
    assert "right gradient" not in message_of(one_cell, random(1))


def test_inputs_are_called_as_the_function_calls_them() -> None:
    wrong = WRONG["sign"]
    assert "input 0 (pixels), index" in message_of(lambda pixels: wrong(pixels), random(2))
    assert "input 0, index" in message_of(lambda *pixels: wrong(*pixels), random(2))


def test_a_gradient_kept_from_the_last_call_is_caught() -> None:
    kept = [np.zeros(3)]

    def accumulate(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
        kept[0] = kept[0] + 2 * dy
        return kept[0]

    assert "wrong in 3 of 3 cells" in message_of(operation(lambda x: 2 * x, accumulate), random(3))


def test_a_function_that_is_never_the_same_is_found_out() -> None:
    rng = np.random.default_rng(0)

    def drop(x: Tensor) -> Tensor:
        return x * Tensor(rng.integers(0, 2, x.shape))

    assert "different results for the same inputs" in message_of(drop, random(20))


class Tripled(Operation):
    """3 x, whose backward writes into dy: the slope comes out as 9."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        return 3 * x

    def backward(self, dy: np.ndarray) -> np.ndarray:
        dy *= 3
        return 3 * dy


class ReluInPlace(Operation):
    """max(x, 0), whose backward writes into dy, which another branch has too."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.negative = x < 0
        return np.maximum(x, 0)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        dy[self.negative] = 0
        return dy


def test_a_backward_that_writes_into_dy_is_noticed() -> None:
    x = Tensor(np.array([-1.5, 2.0, 0.5]), requires_grad=True)
    with pytest.raises(GradientError, match="backward writes into dy"):
        gradcheck(lambda x: minicnn.apply(Tripled(), x), x)
    with pytest.raises(GradientError):
        gradcheck(lambda x: (x + minicnn.apply(ReluInPlace(), x)) * 2, x)


def test_what_cannot_be_checked_is_said() -> None:
    conv = nn.Conv2d(1, 2, 3)
    x = Tensor(np.ones((1, 1, 4, 5)), requires_grad=True)
    with pytest.raises(TypeError, match=r"parameters are float32; wanted fn.to\('float64'\)"):
        gradcheck(conv, x)
    assert gradcheck(conv.to("float64"), x)
    with pytest.raises(TypeError, match="input 0 is a ndarray; wanted a Tensor"):
        gradcheck(lambda x: x, [np.ones(3)])  # type: ignore[list-item]


# Operations that are seen by their result ---------------------------------------------------------

POOLINGS: dict[str, tuple[Callable[..., Any], Callable[..., Any], str]] = {
    "max_pool2d(kernel_size=(3, 2), stride=(2, 1))": (
        lambda x: sliding_window_view(x, (3, 2), (2, 3))[:, :, ::2].max(axis=(-1, -2)),
        lambda dy, x: _to_first_cells(dy, x, (2, 1)),
        "dy goes to the first cell of each window",
    ),
    "avg_pool2d(kernel_size=(2, 3), stride=(2, 3))": (
        lambda x: sliding_window_view(x, (2, 3), (2, 3))[:, :, ::2, ::3].mean(axis=(-1, -2)),
        lambda dy, x: _to_first_cells(dy / 6, x, (2, 3)),
        "dy goes to the first cell of each window",
    ),
}


def _to_first_cells(dy: np.ndarray, x: np.ndarray, stride: tuple[int, int]) -> np.ndarray:
    dx = np.zeros_like(x)
    dx[:, :, :: stride[0], :: stride[1]][:, :, : dy.shape[2], : dy.shape[3]] = dy
    return dx


@pytest.mark.parametrize("name", POOLINGS)
def test_a_slip_in_a_pooling_is_named(name: str) -> None:
    forward, backward, slip = POOLINGS[name]
    message = message_of(operation(forward, backward), random(2, 3, 7, 6))
    assert message.endswith(f"; as a gradient of {name} with a slip: {slip}, whatever stands there")


def test_a_slip_in_a_dense_layer_is_named() -> None:
    fn = operation(
        lambda x, w, b: x @ w.T + b,
        lambda dy, x, w, b: (dy @ w, np.outer(dy.sum(0), x.sum(0)), dy.sum(0)),
    )
    message = message_of(fn, random(3, 4), random(2, 4, seed=1), random(2, seed=2))
    assert "; as a gradient of linear() with a slip: the images are mixed" in message


def test_an_operation_that_is_not_known_has_no_slip() -> None:
    fn = operation(lambda x, w: np.tanh(x @ w.T), lambda dy, x, w: (dy @ w, dy.T @ x))
    assert "; wrong in " in message_of(fn, random(3, 4), random(2, 4, seed=1))
