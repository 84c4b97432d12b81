"""minicnn.gradcheck: it accepts right gradients and finds wrong ones, by name."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import GradientError, Tensor, gradcheck, nn, no_grad
from minicnn.kernels import array_module
from minicnn.nn import functional as F
from tests.wrong_gradients import WRONG, message_of, operation, random, softmax

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


def test_a_wrong_gradient_of_a_number_is_named() -> None:
    u = np.random.default_rng(0).standard_normal(())
    assert message_of(operation(lambda x: 2 * x, lambda dy, x: dy), random()) == (
        f"gradcheck: input 0, index (): backward gives {u:.8g}, finite differences {2 * u:.8g}"
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


@pytest.mark.parametrize("directions", [1, 4, None])
def test_directions_says_how_often_to_try(directions: int | None) -> None:
    fn = Watched()
    gradcheck(fn, random(3), **({} if directions is None else {"directions": directions}))
    assert fn.recorded == [True, False, False] * (directions or 3)  # backward, two differences


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


def test_the_default_tolerances() -> None:
    """An error of 1e-5 of the slope along a line, or of 1e-7, passes: half more does not."""
    rng = np.random.default_rng(0)
    _, v = rng.standard_normal(()), abs(float(rng.standard_normal(())))  # u, v
    for part in (0.5, 1.5):
        steep = operation(lambda x: 1e4 * x, lambda dy, x, e=part: 1e4 * dy * (1 + 1e-5 * e))
        flat = operation(lambda x: 0 * x, lambda dy, x, e=part: np.full((), 1e-7 * e / v))
        for fn in (steep, flat):
            if part < 1:
                assert gradcheck(fn, random(), directions=1)
            else:
                with pytest.raises(GradientError):
                    gradcheck(fn, random(), directions=1)


def test_what_is_exact_needs_no_tolerance() -> None:
    assert gradcheck(lambda x: x * 3, random(0, 3), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fn": 1}, "fn is of type int; wanted a function of tensors"),
        ({"inputs": "x"}, "inputs is of type str; wanted a tensor, or a list of tensors"),
        ({"inputs": ["x"]}, "input 0 is a str; wanted a Tensor"),
        ({"rtol": "1"}, "rtol is '1', of type str; wanted a number"),
        ({"atol": "1"}, "atol is '1', of type str; wanted a number"),
        ({"directions": 1.5}, "directions is 1.5, of type float; wanted an integer"),
        ({"seed": "1"}, "seed is '1', of type str; wanted an integer"),
    ],
)
def test_arguments_of_other_types_are_named(arguments: dict[str, Any], message: str) -> None:
    right: dict[str, Any] = {"fn": lambda x: x, "inputs": random(2)}
    with pytest.raises(TypeError, match=rf"^gradcheck: {message}$"):
        gradcheck(**right | arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rtol": -1}, "rtol is -1; wanted at least 0"),
        ({"atol": -1}, "atol is -1; wanted at least 0"),
        ({"directions": 0}, "directions is 0; wanted an integer of at least 1"),
        ({"seed": -1}, "seed is -1; wanted an integer of at least 0"),
    ],
)
def test_numbers_that_are_too_small_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^gradcheck: {message}$"):
        gradcheck(lambda x: x, random(2), **arguments)


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


def test_an_infinite_gradient_at_a_step_to_infinity_is_named_without_a_warning() -> None:
    step = operation(lambda x: np.where(x > 1, np.inf, 0.0), lambda dy, x: dy * np.inf)
    message = message_of(step, Tensor(np.array([1.0]), requires_grad=True))
    assert "index (0,): backward gives inf, finite differences inf" in message


def test_beyond_an_edge_nothing_is_warned_of() -> None:
    x = Tensor(np.array([1e-7]), requires_grad=True)  # closer to 0 than the step
    message = message_of(lambda x: x.log(), x)
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
        assert message.startswith("gradcheck: input 0 (x), index (")
        assert "but fn has a kink there, with slopes from " in message
        assert "finite differences cannot say which" in message


def test_a_wrong_gradient_beside_a_kink_is_wrong() -> None:
    wrong = operation(lambda x: np.maximum(x, 0), lambda dy, x: dy * (x > 0) * 1.5)
    message = message_of(wrong, Tensor(np.array([0.0, 1.0, 2.0]), requires_grad=True))
    assert "kink" not in message
    assert "wrong in 3 of 3 cells" in message


def array_like(x: Any, *numbers: float) -> Any:
    """An array of the kind of ``x``."""
    return array_module(x).asarray(numbers, x.dtype)


@pytest.mark.parametrize("seed", [0, 4])  # of which the slopes are above 0, and below
def test_a_kink_excuses_its_own_cell_alone(seed: int) -> None:
    u = np.random.default_rng(seed).standard_normal(())
    assert (u > 0) == (seed == 0)
    wrong = operation(
        lambda x: (np.maximum(x, 0) * array_like(x, 1, 1, 3)).sum(),
        lambda dy, x: dy * (x > 0) * array_like(x, 1, 2, 3),  # 2, which the third cell could have
    )
    with pytest.raises(GradientError) as caught:
        gradcheck(wrong, Tensor(np.array([0.0, 1.0, 2.0]), requires_grad=True), seed=seed)
    assert "kink" not in str(caught.value)
    assert caught.value.index == (1,)


def test_small_cells_are_judged_by_the_largest_of_them() -> None:
    wrong = operation(lambda x: 1e-3 * x, lambda dy, x: 1e-3 * dy * array_like(x, 1, 1.01, 1))
    assert "wrong in 1 of 3 cells" in message_of(wrong, random(3))


def test_without_tolerances_what_is_equal_is_right() -> None:
    wrong = operation(
        lambda x: x * array_like(x, 0, 1, 3), lambda dy, x: dy * array_like(x, 0, 2, 2)
    )
    with pytest.raises(GradientError, match="wrong in 2 of 3 cells"):
        gradcheck(wrong, random(3), rtol=0, atol=0)


def test_a_shape_like_nothing_is_said_alone() -> None:
    two = operation(lambda x: x.sum(), lambda dy, x: np.array([0.1, 0.7]))
    message = message_of(two, random(5))
    assert message == "gradcheck: input 0: backward gives shape (2,), wanted (5,)"


def test_a_tensor_that_fn_leaves_alone_is_not_written() -> None:
    held, w = Tensor(np.array([2.0, np.nan])), random(2)
    y = (w * held)[0]
    gradcheck(lambda x: x * held[0], random(2))
    y.backward()  # refused for a tensor that was written since
    assert w.grad is not None
    assert w.grad.numpy()[0] == 2


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
