"""NumPy's functions given tensors, and the engine's functions given what is no tensor."""

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, compiler, nn, no_grad, optim
from minicnn.nn import functional as F


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values, np.float32), requires_grad=True)


@pytest.mark.parametrize(
    "compute",
    [
        np.exp,
        np.log,
        np.sqrt,
        np.tanh,
        np.negative,
        lambda x: -x,
        np.sum,
        np.mean,
        np.max,
        lambda x: np.sum(x, axis=0, keepdims=True),
        lambda x: np.sum(x, 1),
        lambda x: np.mean(x, axis=(0, 1)),
        lambda x: np.reshape(x, (3, 2)),
        lambda x: np.transpose(x, (1, 0)),
        lambda x: np.add(x, 2),
        lambda x: np.subtract(np.ones(3), x),
        lambda x: np.float64(3) / x,
        lambda x: np.power(x, 2),
        lambda x: np.matmul(np.ones((2, 2)), x),
    ],
)
def test_numpys_functions_go_on_the_tape(compute: Any) -> None:
    array = np.array([[1, 4, 2], [3, 6, 5]], np.float64)
    x = Tensor(array.copy(), requires_grad=True)

    y = compute(x)
    y.backward(np.ones(y.shape))

    assert isinstance(y, Tensor)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y.numpy(), compute(array), rtol=1e-12)
    assert minicnn.gradcheck(compute, x)


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: np.sum(x, dtype=np.float64),
        lambda x: np.sum(x, 1, np.float64),
        lambda x: np.sum(x, initial=5),
        lambda x: np.mean(x, where=[True, False, True]),
        lambda x: np.reshape(x, (3, 2), order="F"),
        lambda x: np.transpose(x, axes=(1, 0)),
    ],
)
def test_options_that_tensors_lack_are_numpys(compute: Any) -> None:
    array = np.array([[1, 4, 2], [3, 6, 5]], np.float32)
    np.testing.assert_array_equal(compute(Tensor(array)), compute(array))
    with pytest.raises(RuntimeError, match="the gradient lost"):
        compute(Tensor(array, requires_grad=True))


@pytest.mark.parametrize(
    "relation", [np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal]
)
def test_comparisons_by_their_functions(relation: Any) -> None:
    x, array = leaf(1, 2, 3), np.array([2, 2, 2], np.float32)
    for a, b in ((x, array), (array, x), (x, x), (x, 2), (2, x)):
        y = relation(a, b)
        assert isinstance(y, Tensor)
        np.testing.assert_array_equal(y.numpy(), relation(np.asarray(a), np.asarray(b)))


def test_functions_that_tensors_do_not_have_give_arrays() -> None:
    x = Tensor([1.0, -2.0])
    for y, wanted in (
        (np.maximum(x, 0), [1, 0]),
        (np.abs(x), [1, 2]),
        (np.add.reduce(x), -1),
        (np.concatenate([x, np.ones(1, np.float32), x]), [1, -2, 1, 1, -2]),
        (np.where(x > 0, x, 7), [1, 7]),
        (np.clip(x, a_min=x[1], a_max=0), [0, -2]),
    ):
        assert isinstance(y, np.ndarray | np.generic)
        np.testing.assert_array_equal(y, wanted)


def test_a_question_is_answered_on_the_tape_too() -> None:
    x = leaf(1, 2)
    assert np.isfinite(x).all()
    assert np.allclose(x, [1, 2])
    assert np.argmax(x) == 1
    assert np.shape(x) == (2,)
    np.testing.assert_array_equal(x, [1, 2])


@pytest.mark.parametrize(
    ("name", "compute"),
    [
        ("maximum", lambda x: np.maximum(x, 0)),
        ("add", np.add.reduce),
        ("sin", np.sin),
        ("clip", lambda x: np.clip(x, 0, 1)),
        ("where", lambda x: np.where(x > 0, x, 0)),
        ("concatenate", lambda x: np.concatenate([x, x])),
    ],
)
def test_a_function_that_would_lose_the_gradient_is_refused(name: str, compute: Any) -> None:
    x = leaf(1, 2)
    with pytest.raises(RuntimeError, match=rf"^np.{name}: .* gradient lost; .* tensor.detach\(\)$"):
        compute(x)
    with no_grad():
        compute(x)
    compute(x.detach())


def test_an_array_takes_up_a_tensor_in_place() -> None:
    array: Any = np.ones(3, np.float32)
    same = array
    array += Tensor([1.0, 2.0, 3.0])
    array -= 0.5 * Tensor([2.0, 2.0, 2.0])
    assert array is same
    np.testing.assert_array_equal(array, [1, 2, 3])


def test_an_array_does_not_take_up_a_tensor_with_a_gradient() -> None:
    array: Any = np.ones(3, np.float32)
    with pytest.raises(RuntimeError, match=r"^np.add: the array would take up .*array = array \+"):
        array += leaf(1, 2, 3)
    with pytest.raises(TypeError, match=r"^np.add: out is a Tensor; wanted an array$"):
        np.add(array, 1, out=Tensor(array))  # type: ignore[call-overload]
    np.testing.assert_array_equal(array, 1)
    with no_grad():
        array += leaf(1, 2, 3)
    np.testing.assert_array_equal(array, [2, 3, 4])


# Arrays and lists where tensors are wanted --------------------------------------------------------

PICTURES, KERNELS = np.ones((2, 3, 4, 5)), np.ones((6, 3, 2, 3))
ROWS, THREE = np.arange(6.0).reshape(2, 3), np.array([1.0, 2.0, 4.0])
FUNCTIONS: dict[str, tuple[Any, tuple[np.ndarray, ...]]] = {
    "conv2d": (F.conv2d, (PICTURES, KERNELS, np.ones(6))),
    "conv2d without a bias": (F.conv2d, (PICTURES, KERNELS)),
    "linear": (F.linear, (ROWS, np.ones((4, 3)), np.ones(4))),
    "batch_norm": (F.batch_norm, (ROWS, THREE, THREE, THREE, THREE)),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), (PICTURES,)),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 2), (PICTURES,)),
    "relu": (F.relu, (ROWS,)),
    "log_softmax": (lambda x: F.log_softmax(x, 1), (ROWS,)),
    "pad": (lambda x: F.pad(x, (1, 2)), (ROWS,)),
    "cross_entropy": (F.cross_entropy, (ROWS, np.array([2, 0]))),
    "cross_entropy of probabilities": (F.cross_entropy, (ROWS, ROWS, THREE)),
    "nll_loss": (F.nll_loss, (ROWS, np.array([2, 0]), THREE)),
    "matmul": (lambda a, b: Tensor(a) @ b, (ROWS, np.ones((3, 2)))),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_arrays(name: str) -> None:
    function, arrays = FUNCTIONS[name]
    expected = function(*map(Tensor, arrays)).numpy()
    np.testing.assert_array_equal(function(*arrays).numpy(), expected)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_whatever_follows_the_input_may_be_a_list_of_its_dtype(name: str) -> None:
    function, (first, *rest) = FUNCTIONS[name]
    y = function(Tensor(first), *[array.tolist() for array in rest])
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y.numpy(), function(Tensor(first), *map(Tensor, rest)).numpy())


@pytest.mark.parity
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_pytorchs_tensors(name: str) -> None:
    torch = pytest.importorskip("torch")
    function, arrays = FUNCTIONS[name]
    expected = function(*map(Tensor, arrays)).numpy()
    np.testing.assert_array_equal(function(*map(torch.tensor, arrays)).numpy(), expected)


if compiler.is_available():  # not with the reference kernels

    def test_a_compiled_step_takes_a_list_of_classes() -> None:
        net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
        step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.1))
        x = np.ones((2, 1, 2, 2), np.float32)
        expected = F.cross_entropy(net(x), Tensor(np.array([2, 0]))).item()
        np.testing.assert_allclose(step(x, [2, 0])[0].item(), expected, rtol=1e-6)
