"""minicnn.gradcheck: it accepts right gradients and finds wrong ones, by name."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import GradientError, Tensor, gradcheck, no_grad
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
        f"gradcheck: input 1, index (1, 2): backward gives 0, finite differences {3 * u:.8g}"
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
    with pytest.raises(GradientError, match=r"^gradcheck: input 1 received no gradient$"):
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
    with no_grad(), pytest.raises(GradientError, match="depends on no input"):
        gradcheck(lambda x: x * 2, random(2))
