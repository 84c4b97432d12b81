"""minicnn.gradcheck: it accepts right gradients and finds wrong ones, by name."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import minicnn
from minicnn import GradientError, Tensor, gradcheck, nn, no_grad
from minicnn.nn import functional as F
from minicnn.ops import Operation


def random(*shape: int, seed: int = 0, requires_grad: bool = True) -> Tensor:
    array = np.random.default_rng(seed).uniform(0.5, 1.5, shape)
    return Tensor(array, requires_grad=requires_grad)


class Wrong(Operation):
    """y = forward(inputs), with the gradients that the test invents."""

    def __init__(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        self.function, self.derivative = forward, backward

    def forward(self, *inputs: Any) -> Any:
        self.inputs = inputs
        return self.function(*inputs)

    def backward(self, dy: Any) -> Any:
        return self.derivative(dy, *self.inputs)


def operation(forward: Callable[..., Any], backward: Callable[..., Any]) -> Callable[..., Tensor]:
    return lambda *inputs: minicnn.apply(Wrong(forward, backward), *inputs)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x)
    return e / e.sum(axis=-1, keepdims=True)


# Right gradients ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x * x + x,
        lambda x: x.sum(),
        lambda x: (x @ x.T).softmax(),
        lambda x: F.log_softmax(x, 1),
        lambda x: x[[0, 0, 1]].max(axis=0),
        lambda x: x.mean(axis=1).exp(),
    ],
)
def test_right_gradients_pass(fn: Callable[[Tensor], Tensor]) -> None:
    assert gradcheck(fn, random(2, 3)) is True


@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (2, 1, 4)])
def test_inputs_of_any_shape_pass(shape: tuple[int, ...]) -> None:
    assert gradcheck(lambda x: x * 3, random(*shape))


def test_several_inputs_of_which_some_are_constant() -> None:
    indices = Tensor(np.array([0, 1]))
    weight = random(3, seed=1, requires_grad=False)
    bias = random(3, seed=2)
    assert gradcheck(lambda x, i, w, b: x[i] * w + b, [random(2, 3), indices, weight, bias])
    assert gradcheck(F.cross_entropy, (random(2, 3), indices))


def test_float32_inputs_are_checked_in_float64() -> None:
    x = Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    dtypes = []

    def fn(x: Tensor) -> Tensor:
        dtypes.append(x.dtype)
        return x.exp()

    assert gradcheck(fn, x)
    assert set(dtypes) == {np.dtype(np.float64)}


def test_inputs_and_their_gradients_are_left_alone() -> None:
    x = random(2, 3)
    before = x.numpy().copy()
    x.grad = Tensor(np.full((2, 3), 7.0))

    gradcheck(lambda x: x * x, x)

    np.testing.assert_array_equal(x.numpy(), before)
    np.testing.assert_array_equal(x.grad.numpy(), 7)


def test_the_mode_of_recording_is_left_alone() -> None:
    gradcheck(lambda x: x * x, random(2))
    assert minicnn.is_grad_enabled()


# Wrong gradients ----------------------------------------------------------------------------------

WRONG: dict[str, Callable[..., Tensor]] = {
    "sign": operation(np.exp, lambda dy, x: -dy * np.exp(x)),
    "factor": operation(np.square, lambda dy, x: dy * x),
    "one per mille": operation(np.square, lambda dy, x: 2.002 * dy * x),
    "constant": operation(np.sin, lambda dy, x: dy),
    "transposed": operation(lambda x: x @ x, lambda dy, x: dy @ x + x.T @ dy),
    "cotangent forgotten": operation(np.exp, lambda dy, x: np.exp(x)),
    "sum not spread": operation(lambda x: x.sum(0), lambda dy, x: np.eye(*x.shape) * dy),
    "zero": operation(np.exp, lambda dy, x: np.zeros_like(x)),
    "log_softmax as softmax": operation(
        lambda x: np.log(softmax(x)), lambda dy, x: dy - softmax(x) * dy
    ),
}


@pytest.mark.parametrize("fn", WRONG.values(), ids=WRONG.keys())
def test_wrong_gradients_fail(fn: Callable[..., Tensor]) -> None:
    with pytest.raises(
        GradientError, match=r"^gradcheck: input 0, index \(\d, \d\): backward give"
    ):
        gradcheck(fn, random(3, 3))


def test_the_message_names_input_cell_and_both_numbers() -> None:
    def missing_cell(dy: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, ...]:
        db = np.broadcast_to(dy * 3, b.shape).copy()
        db[1, 2] = 0
        return dy * 1, db

    fn = operation(lambda a, b: a + 3 * b, missing_cell)
    with pytest.raises(GradientError) as caught:
        gradcheck(lambda a, b: fn(a, b).sum(), [random(2, 4), random(2, 4)], seed=5)
    u = np.random.default_rng(5).standard_normal(())  # the cotangent of the first direction
    assert str(caught.value) == (
        f"gradcheck: input 1 (b), index (1, 2): backward gives 0, "
        f"finite differences {3 * u:.8g}; wrong in 1 of 8 cells"
    )


def test_missing_accumulation_fails() -> None:
    """x[[0, 0]] takes a cell twice: its gradients have to be added up."""

    def overwrite(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
        dx = np.zeros_like(x)
        dx[[0, 0, 1]] = dy
        return dx

    with pytest.raises(GradientError, match=r"input 0, index \(0,\)"):
        gradcheck(operation(lambda x: x[[0, 0, 1]], overwrite), random(3))


def test_a_wrong_softmax_fails_though_a_cotangent_of_ones_would_pass_it() -> None:
    fn = operation(
        softmax, lambda dy, x: 5 * softmax(x) * (dy - (dy * softmax(x)).sum(-1)[:, None])
    )
    x = random(2, 3)

    fn(x).backward(np.ones((2, 3)))

    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), 0, atol=1e-15)  # the truth, by luck
    with pytest.raises(GradientError):
        gradcheck(fn, x)


def test_a_nan_fails() -> None:
    def one_nan(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
        dx = dy * 2
        dx[0, 1] = np.nan
        return dx

    with pytest.raises(GradientError, match=r"index \(0, 1\): backward gives nan, finite diff"):
        gradcheck(operation(lambda x: 2 * x, one_nan), random(2, 3))


def test_an_input_without_influence_is_named() -> None:
    with pytest.raises(GradientError, match=r"^gradcheck: input 1 \(y\) received no gradient$"):
        gradcheck(lambda x, y: x * y.detach(), [random(2), random(2)])


def test_wrong_gradients_are_assertion_errors() -> None:
    assert issubclass(GradientError, AssertionError)


@pytest.mark.parametrize("inputs", [random(2, requires_grad=False), [], [Tensor([1])]])
def test_something_has_to_require_a_gradient(inputs: Any) -> None:
    with pytest.raises(ValueError, match=r"^gradcheck: no input has requires_grad=True$"):
        gradcheck(lambda x: x, inputs)


# Settings -----------------------------------------------------------------------------------------


class Watched:
    """y = 2 x, noting every x it is called with and whether it was recorded."""

    def __init__(self) -> None:
        self.inputs: list[np.ndarray] = []
        self.recorded: list[bool] = []

    def __call__(self, x: Tensor) -> Tensor:
        self.inputs.append(x.numpy().copy())
        self.recorded.append(minicnn.is_grad_enabled())
        return x * 2


def test_the_same_seed_checks_along_the_same_directions() -> None:
    first, again, other = Watched(), Watched(), Watched()
    for fn, seed in ((first, 1), (again, 1), (other, 2)):
        gradcheck(fn, random(3), seed=seed)

    np.testing.assert_array_equal(first.inputs, again.inputs)
    assert not np.array_equal(first.inputs, other.inputs)


@pytest.mark.parametrize("directions", [1, 4])
def test_directions_says_how_often_to_try(directions: int) -> None:
    fn = Watched()
    gradcheck(fn, random(3), directions=directions)
    assert fn.recorded == [True, False, False] * directions  # backward, and two differences


def test_tolerances_decide() -> None:
    fn = operation(np.square, lambda dy, x: 2.02 * dy * x)
    with pytest.raises(GradientError):
        gradcheck(fn, random(3))
    assert gradcheck(fn, random(3), rtol=0.1)
    assert gradcheck(fn, random(3), atol=10)


def test_small_gradients_are_judged_by_their_size() -> None:
    """An error of a thousandth is found in gradients of 1e-3 as in those of 1e3."""
    for scale in (1e-3, 1.0, 1e3):
        fn = operation(lambda x, s=scale: s * x, lambda dy, x, s=scale: 1.001 * s * dy)
        with pytest.raises(GradientError):
            gradcheck(fn, random(4))
        assert gradcheck(
            operation(lambda x, s=scale: s * x, lambda dy, x, s=scale: s * dy), random(4)
        )


def test_under_no_grad_there_is_no_gradient_to_check() -> None:
    with (
        no_grad(),
        pytest.raises(GradientError, match=r"^gradcheck: inside of no_grad\(\) no"),
    ):
        gradcheck(lambda x: x * 2, random(2))
    with pytest.raises(GradientError, match="depends on no input"):
        gradcheck(lambda x: x.detach() * 2, random(2))


# What a wrong gradient looks like -----------------------------------------------------------------


def message_of(fn: Callable[..., Tensor], *inputs: Tensor) -> str:
    with pytest.raises(GradientError) as caught:
        gradcheck(fn, inputs)
    return str(caught.value)


class Convolution(Operation):
    """A convolution as a learner writes it, and right. Each bug below replaces one method."""

    def forward(self, x: Any, weight: Any, bias: Any) -> Any:
        (ph, pw), (kh, kw) = PADDING, weight.shape[2:]
        self.weight = weight
        self.framed = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
        self.out = [
            (size - k) // s + 1
            for size, k, s in zip(self.framed.shape[2:], (kh, kw), STRIDE, strict=True)
        ]
        self.columns = np.empty((*x.shape[:2], kh, kw, *self.out))
        for i, j in np.ndindex(kh, kw):
            self.columns[:, :, i, j] = self.framed[:, :, self.seen(0, i), self.seen(1, j)]
        return np.einsum("ocij,ncijhw->nohw", weight, self.columns) + bias[:, None, None]

    def seen(self, axis: int, offset: int) -> slice:
        """The rows (axis 0) or columns that all windows see at an offset."""
        return slice(offset, offset + STRIDE[axis] * (self.out[axis] - 1) + 1, STRIDE[axis])

    def backward(self, dy: Any) -> Any:
        return self.dx(dy), self.dweight(dy), self.dbias(dy)

    def dbias(self, dy: Any) -> Any:
        return dy.sum(axis=(0, 2, 3))

    def dweight(self, dy: Any) -> Any:
        return np.einsum("nohw,ncijhw->ocij", dy, self.columns)

    def dx(self, dy: Any) -> Any:
        return self.cut_off(self.col2im(self.dcolumns(dy)))

    def dcolumns(self, dy: Any) -> Any:
        return np.einsum("ocij,nohw->ncijhw", self.weight, dy)

    def col2im(self, dcolumns: Any) -> Any:
        framed = np.zeros_like(self.framed)
        for i, j in np.ndindex(*self.weight.shape[2:]):
            framed[:, :, self.seen(0, i), self.seen(1, j)] += dcolumns[:, :, i, j]
        return framed

    def cut_off(self, framed: Any) -> Any:
        (ph, pw), (rows, columns) = PADDING, framed.shape[2:]
        return framed[:, :, ph : rows - ph, pw : columns - pw]


STRIDE, PADDING = (2, 1), (1, 2)
SHAPES = ((2, 3, 8, 6), (4, 3, 3, 3), (4,))  # a row of the picture is left over; OH = O = 4


def overwrite(self: Convolution, dcolumns: Any) -> Any:
    framed = np.zeros_like(self.framed)
    for i, j in np.ndindex(*self.weight.shape[2:]):
        framed[:, :, self.seen(0, i), self.seen(1, j)] = dcolumns[:, :, i, j]
    return framed


def ignore_the_stride(self: Convolution, dcolumns: Any) -> Any:
    framed, (oh, ow) = np.zeros_like(self.framed), self.out
    for i, j in np.ndindex(*self.weight.shape[2:]):
        framed[:, :, i : i + oh, j : j + ow] += dcolumns[:, :, i, j]
    return framed


def swap_the_offsets(self: Convolution, dcolumns: Any) -> Any:
    return Convolution.col2im(self, dcolumns.swapaxes(2, 3))


class Bug(NamedTuple):
    """A method, what stands there instead, the input it makes wrong, and what is said of it."""

    method: str
    instead: Callable[[Any, Any], Any]
    input: int
    said: str = ""


BUGS = {
    "kernel turned once too often": Bug(
        "dcolumns",
        lambda self, dy: np.einsum("ocij,nohw->ncijhw", self.weight[:, :, ::-1, ::-1], dy),
        0,
    ),
    "only the first kernel": Bug(
        "dcolumns", lambda self, dy: Convolution.dcolumns(self, dy * np.eye(4)[0][:, None, None]), 0
    ),
    "overwritten instead of added": Bug("col2im", overwrite, 0),
    "stride forgotten": Bug("col2im", ignore_the_stride, 0),
    "rows and columns of the kernel swapped": Bug("col2im", swap_the_offsets, 0),
    "padding cut off at the end": Bug("cut_off", lambda self, framed: framed[:, :, :8, :6], 0),
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
        "dweight", lambda self, dy: np.einsum("ohw,cijhw->ocij", dy[0], self.columns[0]), 1
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
    "summed over the wrong axes": Bug("dbias", lambda self, dy: dy.sum(axis=(0, 1, 3)), 2),
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
    assert rest == f"it is {bug.said}" if bug.said else rest.startswith("wrong in ")
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


# What finite differences cannot say ---------------------------------------------------------------


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e200])
@pytest.mark.parametrize("cells", [(0,), (0, 1, 2)])
def test_a_gradient_that_is_no_number_never_passes(value: float, cells: tuple[int, ...]) -> None:
    def backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
        dx = 2 * dy
        dx[list(cells)] = value
        return dx

    fn = operation(lambda x: 2 * x, backward)
    with np.errstate(over="ignore"):  # the square of 1e200
        message = message_of(fn, random(3))
    assert f"backward gives {value:.8g}, finite differences" in message


def test_where_fn_is_not_finite_nothing_can_be_said() -> None:
    x = Tensor(np.array([0.0, 1.0]), requires_grad=True)
    with np.errstate(all="ignore"):
        assert message_of(lambda x: x.log(), x).startswith("gradcheck: fn gives -inf here, where")
        message = message_of(lambda x: x.sqrt(), x)
    assert message.startswith("gradcheck: input 0 (x), index (0,): backward gives inf, finite diff")
    assert message.endswith("fn is not finite on both sides there, choose other inputs")


@pytest.mark.parametrize(
    ("fn", "x", "index"),
    [
        (lambda x: x.relu(), [1.0, 0.0, -2.0], (1,)),
        (lambda x: x.max(), [0.0, 2.0, 2.0, 2.0], (1,)),
        (
            lambda x: F.max_pool2d(x, 2),
            [[[[0.0, 1.0, 3.0, 2.0], [1.0, 0.0, 1.0, 1.0]]]],
            (0, 0, 0, 1),
        ),
        (lambda x: (x * x) ** 0.5, [3.0, 0.0], None),  # 0 times infinity: no number, not a kink
    ],
)
def test_a_kink_is_called_a_kink(fn: Any, x: Any, index: tuple[int, ...] | None) -> None:
    tensor = Tensor(np.array(x), requires_grad=True)
    with np.errstate(all="ignore"), pytest.raises(GradientError) as caught:
        gradcheck(fn, tensor)
    message = str(caught.value)
    if index is None:
        assert "kink" not in message
        assert "backward gives nan" in message
    else:
        assert caught.value.index == index
        assert "but fn has a kink there, with slopes from " in message
        assert "finite differences cannot say which" in message


def test_a_wrong_gradient_beside_a_kink_is_wrong() -> None:
    wrong = operation(lambda x: np.maximum(x, 0), lambda dy, x: dy * (x > 0) * 1.5)
    message = message_of(wrong, Tensor(np.array([0.0, 1.0, 2.0]), requires_grad=True))
    assert "kink" not in message
    assert "wrong in 3 of 3 cells" in message


def test_the_running_statistics_are_put_back() -> None:
    layer = nn.BatchNorm2d(3).to("float64")
    mean = Tensor(np.full(3, 0.5))
    var = Tensor(np.ones(3))
    before = {name: t.numpy().copy() for name, t in layer.state_dict().items()}
    x = random(4, 3, 2, 1)

    assert gradcheck(layer, x)
    assert gradcheck(lambda x: layer(x) * 2, x)
    assert gradcheck(lambda x: F.batch_norm(x, mean, var, training=True), x)

    for name, t in layer.state_dict().items():
        np.testing.assert_array_equal(t.numpy(), before[name])
    np.testing.assert_array_equal(mean.numpy(), np.full(3, 0.5))
    np.testing.assert_array_equal(var.numpy(), np.ones(3))


def test_a_gradient_of_another_dtype_or_inside_of_fn_is_named() -> None:
    half = operation(lambda x: x * 2, lambda dy, x: (2 * dy).astype(np.float32))
    assert "Wrong.backward: the gradient of input 0 is float32 of shape (2,); wanted float64" in (
        message_of(half, random(2))
    )
    rows = operation(lambda x: x * 2, lambda dy, x: 2 * dy[:1])
    assert "Wrong.backward: the gradient of input 0 is float64 of shape (1, 3)" in message_of(
        lambda x: rows(x * 3), random(2, 3)
    )
