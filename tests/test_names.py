"""PyTorch's names for what is here under NumPy's: ``minicnn.names``, ``minicnn.functions``."""

from __future__ import annotations

import copy
import importlib
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn.nn import Parameter
from minicnn.tensor import Tensor as TensorOfTheModule
from tests.oracle import assert_agrees_with_torch

ROOT = Path(__file__).parent.parent
F = Callable[[Any], Any]


def numbers(*shape: int) -> np.ndarray:
    """Distinct float64 numbers in a random order."""
    cells = np.random.default_rng(5).permutation(int(np.prod(shape)))
    return np.asarray(cells.reshape(shape) / 7 - 1)


# Shapes -------------------------------------------------------------------------------------------

SHAPES: dict[str, tuple[tuple[int, ...], F, F]] = {
    # the shape, PyTorch's name (which runs on torch's tensors too), and NumPy's words for it
    "view": ((2, 3, 4), lambda x: x.view(4, 6), lambda a: a.reshape(4, 6)),
    "view a tuple": ((2, 3, 4), lambda x: x.view((-1, 8)), lambda a: a.reshape(3, 8)),
    "view the rest": ((2, 3, 4), lambda x: x.view(x.size(0), -1), lambda a: a.reshape(2, 12)),
    "view_as": ((2, 3, 4), lambda x: x.view_as(x.permute(2, 0, 1)),
                lambda a: a.reshape(4, 2, 3)),
    "flatten": ((2, 3, 4), lambda x: x.flatten(), lambda a: a.reshape(24)),
    "flatten(1)": ((2, 3, 4), lambda x: x.flatten(1), lambda a: a.reshape(2, 12)),
    "flatten(0, 1)": ((2, 3, 4, 5), lambda x: x.flatten(0, 1), lambda a: a.reshape(6, 4, 5)),
    "flatten by name": ((2, 3, 4, 5), lambda x: x.flatten(start_dim=-3, end_dim=-2),
                        lambda a: a.reshape(2, 12, 5)),
    "flatten 0-d": ((), lambda x: x.flatten(), lambda a: a.reshape(1)),
    "permute": ((2, 3, 4), lambda x: x.permute(2, 0, 1), lambda a: a.transpose(2, 0, 1)),
    "permute a tuple": ((2, 3, 4), lambda x: x.permute((0, -1, 1)),
                        lambda a: a.transpose(0, 2, 1)),
    "channels last": ((2, 3, 4, 5), lambda x: x.permute(0, 2, 3, 1).contiguous().view(-1, 3),
                      lambda a: a.transpose(0, 2, 3, 1).reshape(-1, 3)),
    "t": ((2, 3), lambda x: x.t(), lambda a: a.T),
    "squeeze": ((1, 3, 1, 2), lambda x: x.squeeze(), lambda a: a[0, :, 0]),
    "squeeze(0)": ((1, 3, 1, 2), lambda x: x.squeeze(0), lambda a: a[0]),
    "squeeze(-2)": ((1, 3, 1, 2), lambda x: x.squeeze(-2), lambda a: a[:, :, 0]),
    "squeeze nothing": ((1, 3, 1, 2), lambda x: x.squeeze(1), lambda a: a),
    "squeeze two": ((1, 3, 1, 2), lambda x: x.squeeze((0, 2)), lambda a: a[0, :, 0]),
    "squeeze 0-d": ((), lambda x: x.squeeze(0), lambda a: a),
    "unsqueeze(0)": ((3, 2), lambda x: x.unsqueeze(0), lambda a: a[None]),
    "unsqueeze(1)": ((3, 2), lambda x: x.unsqueeze(dim=1), lambda a: a[:, None]),
    "unsqueeze(-1)": ((3, 2), lambda x: x.unsqueeze(-1), lambda a: a[..., None]),
    "unsqueeze 0-d": ((), lambda x: x.unsqueeze(0), lambda a: a[None]),
    "clone": ((3, 2), lambda x: x.clone(), lambda a: a),
    "contiguous": ((3, 2), lambda x: x.contiguous(), lambda a: a),
}  # fmt: skip


@pytest.mark.parametrize(("shape", "named", "in_numpy"), SHAPES.values(), ids=SHAPES)
def test_a_shape_by_pytorchs_name_is_numpys(shape: tuple[int, ...], named: F, in_numpy: F) -> None:
    x = Tensor(numbers(*shape), requires_grad=True)
    y = named(x)
    np.testing.assert_array_equal(y.numpy(), in_numpy(numbers(*shape)), strict=True)

    u = np.random.default_rng(6).standard_normal(y.shape)
    y.backward(Tensor(u))
    moved = in_numpy(np.arange(x.size).reshape(shape))  # where each cell of x went
    expected = np.empty(x.size)
    expected[moved.ravel()] = u.ravel()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), expected.reshape(shape))


@pytest.mark.parity
@pytest.mark.parametrize(("shape", "named", "in_numpy"), SHAPES.values(), ids=SHAPES)
def test_a_shape_by_pytorchs_name_is_pytorchs(
    shape: tuple[int, ...], named: F, in_numpy: F
) -> None:
    assert_agrees_with_torch(named, numbers(*shape))


def test_view_as_takes_the_other_ones_shape() -> None:
    assert minicnn.zeros(4, 3).view_as(minicnn.zeros(2, 6)).shape == (2, 6)


def test_a_clone_has_memory_of_its_own_and_a_view_has_not() -> None:
    x = Tensor(numbers(2, 3))
    x.clone().data[:] = 9
    np.testing.assert_array_equal(x.numpy(), numbers(2, 3))
    x.view(6).data[:] = 9
    np.testing.assert_array_equal(x.numpy(), np.full((2, 3), 9.0))
    for array in (np.array([1, 2]), np.array([True, False])):
        np.testing.assert_array_equal(Tensor(array).clone().numpy(), array, strict=True)


def test_contiguous_copies_only_what_does_not_lie_in_order() -> None:
    x = Tensor(numbers(2, 3))
    assert x.contiguous() is x
    turned = x.permute(1, 0).contiguous()
    assert turned.numpy().flags.c_contiguous
    np.testing.assert_array_equal(turned.numpy(), numbers(2, 3).T)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda x: x.unsqueeze(3), r"^unsqueeze: dim is 3; wanted -3 to 2$"),
        (lambda x: x.squeeze(-3), r"^squeeze: dim is -3; wanted -2 to 1$"),
        (lambda x: x.size(2), r"^size: dim is 2; wanted -2 to 1$"),
        (lambda x: x.sum().size(0), r"^size: dim is 0; a 0-d tensor has no axes$"),
        (lambda x: x.flatten(2), r"^flatten: shape \(2, 3\) has no axes from start_dim 2 to "),
        (lambda x: x.flatten(0, -3), r"has no axes from start_dim 0 to end_dim -3$"),
        (lambda x: x.flatten(1, 0), r"has no axes from start_dim 1 to end_dim 0$"),
        (lambda x: x.sum().flatten(1), r"^flatten: shape \(\) has no axes from start_dim 1"),
        (lambda x: x.max(dim=2), r"^max: dim is 2; wanted -2 to 1$"),
        (lambda x: minicnn.cat([x, x], 2), r"^cat: dim is 2; wanted -2 to 1$"),
        (lambda x: minicnn.stack([x, x], 3), r"^stack: dim is 3; wanted -3 to 2$"),
    ],
)
def test_an_axis_that_is_not_there_is_an_index_error(
    wrong: Callable[[Tensor], Any], message: str
) -> None:
    with pytest.raises(IndexError, match=message):  # PyTorch's; NumPy's AxisError is one
        wrong(minicnn.zeros(2, 3))


# Reductions ---------------------------------------------------------------------------------------

REDUCTIONS: dict[str, F] = {
    "sum": lambda x: x.sum(dim=1),
    "sum, kept": lambda x: x.sum(dim=-2, keepdim=True),
    "sum of two": lambda x: x.sum(dim=(0, 2)),
    "sum of a list": lambda x: x.sum(dim=[0, -1], keepdim=True),
    "mean": lambda x: x.mean(dim=0),
    "mean of pictures": lambda x: x.mean([1, 2]),
    "softmax": lambda x: x.softmax(dim=1),
    "max": lambda x: x.max(dim=1)[0],
    "max by name": lambda x: x.max(dim=-1, keepdim=True).values,
    "max of all": lambda x: x.max(),
}


@pytest.mark.parity
@pytest.mark.parametrize("reduce", REDUCTIONS.values(), ids=REDUCTIONS)
def test_dim_and_keepdim_mean_what_they_mean_in_pytorch(reduce: F) -> None:
    assert_agrees_with_torch(reduce, numbers(2, 3, 4))


@pytest.mark.parametrize("name", ["sum", "mean", "argmax"])
def test_dim_is_another_word_for_axis(name: str) -> None:
    reduce = getattr(Tensor(numbers(2, 3, 4)), name)
    for dim in (0, -1):
        for keep in (False, True):
            expected = reduce(axis=dim, keepdims=keep).numpy()
            for given in ({"dim": dim, "keepdim": keep}, {"axis": dim, "keepdim": keep}):
                np.testing.assert_array_equal(reduce(**given).numpy(), expected, strict=True)
    with pytest.raises(
        TypeError, match=rf"^{name}: received axis 0 and dim 1, two names of one thing$"
    ):
        reduce(axis=0, dim=1)


def test_max_over_dim_is_a_pair_and_over_axis_the_values() -> None:
    array = numbers(2, 3, 4)
    x = Tensor(array)
    values, indices = x.max(dim=1)
    np.testing.assert_array_equal(values.numpy(), array.max(1), strict=True)
    np.testing.assert_array_equal(indices.numpy(), array.argmax(1), strict=True)
    kept = x.max(dim=-1, keepdim=True)
    assert kept.values.shape == kept.indices.shape == (2, 3, 1)
    np.testing.assert_array_equal(x.max(axis=1).numpy(), array.max(1), strict=True)
    np.testing.assert_array_equal(x.max(2, keepdim=True).numpy(), array.max(2, keepdims=True))
    assert Tensor(3.5).max(dim=0)[0].item() == 3.5


@pytest.mark.parity
def test_of_equal_values_the_first_alone_has_the_gradient_of_max_over_dim() -> None:
    ties = np.array([[0.0, 2.0, 2.0], [1.0, 1.0, 0.5]])
    assert_agrees_with_torch(lambda x: x.max(dim=1).values, ties)
    assert_agrees_with_torch(lambda x: x.max(dim=0, keepdim=True)[0], ties)
    x = Tensor(ties, requires_grad=True)
    x.max(axis=1).sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), [[0, 0.5, 0.5], [0.5, 0.5, 0]])


# size ---------------------------------------------------------------------------------------------


def test_size_is_a_number_that_can_be_called() -> None:
    x = minicnn.zeros(2, 3, 4)
    assert x.size == 24
    assert isinstance(x.size, int)
    assert x.size() == x.shape == (2, 3, 4)
    assert (x.size(0), x.size(-1), x.size(dim=1)) == (2, 4, 3)
    assert (x.dim(), x.ndim, x.numel(), x.size // 5) == (3, 3, 24, 4)
    assert type(x.numel()) is int
    assert f"{x.size} {x.size!r} {x.size:5d}" == "24 24    24"
    assert json.dumps([x.size]) == "[24]"
    assert np.zeros(x.size).shape == (24,)
    assert Tensor(1.0).size() == ()
    for again in (pickle.loads(pickle.dumps(x.size)), copy.deepcopy(x.size)):
        assert (again, again(1)) == (24, 3)


# Comparisons and conversions ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["eq", "ne", "lt", "le", "gt", "ge"])
def test_comparisons_have_names(name: str) -> None:
    a, b = np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])
    for other, in_numpy in ((Tensor(b), b), (2, 2)):
        expected = getattr(a, f"__{name}__")(in_numpy)
        np.testing.assert_array_equal(getattr(Tensor(a), name)(other).numpy(), expected)


def test_right_predictions_are_counted_as_pytorchs_example_does() -> None:
    output = Tensor(np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3], [0.0, 0.1, 0.9]], np.float32))
    target = minicnn.tensor([1, 2, 2])
    pred = output.argmax(dim=1, keepdim=True)
    assert pred.shape == (3, 1)
    assert pred.eq(target.view_as(pred)).sum().item() == 2


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("float", np.float32),
        ("double", np.float64),
        ("int", np.int32),
        ("long", np.int64),
        ("bool", np.bool_),
    ],
)
def test_dtypes_have_methods(name: str, dtype: Any) -> None:
    array = np.array([[1.0, 0.0], [2.0, -3.5]])
    converted = getattr(Tensor(array), name)()
    np.testing.assert_array_equal(converted.numpy(), array.astype(dtype), strict=True)
    assert getattr(converted, name)() is converted


def test_cells_as_python_numbers() -> None:
    cells = minicnn.tensor([[1, 2, 3], [4, 5, 6]]).tolist()
    assert cells == [[1, 2, 3], [4, 5, 6]]
    assert type(cells[0][0]) is int
    assert Tensor(0.5).tolist() == 0.5


def test_requires_grad_returns_the_tensor() -> None:
    x = minicnn.ones(2, 3)
    assert x.requires_grad_() is x
    assert x.requires_grad
    assert not x.requires_grad_(False).requires_grad
    with pytest.raises(RuntimeError, match="only floating-point tensors have gradients"):
        minicnn.arange(3).requires_grad_()


def test_gradients_flow_back_through_a_change_of_dtype_by_name() -> None:
    x = Tensor(numbers(2, 3), requires_grad=True)
    (x.float().double() * 3).sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), np.full((2, 3), 3.0))


def test_a_tensor_on_the_cpu_is_returned_as_it_is() -> None:
    x = minicnn.zeros(2, device="cpu")
    assert x.cpu() is x.to(minicnn.device("cpu"))
    assert x.detach().cpu().numpy().shape == (2,)


# Making tensors -----------------------------------------------------------------------------------

DATA: dict[str, Any] = {
    "an integer": 3,
    "a float": 3.5,
    "a truth": True,
    "integers": [1, 2],
    "floats": [[1.5, 2.0], [3.0, 4.0]],
    "both": [1, 2.5],
    "truths": [True, False],
    "nothing": [],
    "nested tuples": ((1, 2, 3), (4, 5, 6)),
    "float64 array": np.ones((2, 3)),
    "int32 array": np.array([1, 2], np.int32),
    "uint8 array": np.array([1, 2], np.uint8),
    "float64 number": np.float64(1.5),
}


@pytest.mark.parity
@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
def test_tensor_makes_what_pytorchs_makes(data: Any) -> None:
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(
        minicnn.tensor(data).numpy(), torch.tensor(data).numpy(), strict=True
    )


def test_tensor_copies() -> None:
    for data in (np.ones(3), Tensor(np.ones(3))):
        made = minicnn.tensor(data)
        made.data[0] = 7
        np.testing.assert_array_equal(np.asarray(data), np.ones(3))
    past = Tensor([1.0, 2.0], requires_grad=True) * 2
    assert minicnn.tensor(past).is_leaf


def test_tensor_takes_dtype_device_and_requires_grad() -> None:
    x = minicnn.tensor([1, 2], dtype=minicnn.float64, device="cpu", requires_grad=True)
    (x * x).sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), np.array([2.0, 4.0]), strict=True)
    assert minicnn.tensor([1.7], dtype=minicnn.long).numpy() == 1
    with pytest.raises(RuntimeError, match="only floating-point tensors have gradients"):
        minicnn.tensor([1, 2], requires_grad=True)
    with pytest.raises(TypeError, match=r"^data: wanted real numbers, received NoneType$"):
        minicnn.tensor(None)


def test_from_numpy_shares_memory() -> None:
    array = np.zeros(3)
    minicnn.from_numpy(array).data[1] = 5
    assert array[1] == 5
    with pytest.raises(TypeError, match=r"^from_numpy: wanted a NumPy array, received list$"):
        minicnn.from_numpy([1, 2])  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [minicnn.zeros, minicnn.ones, minicnn.rand, minicnn.randn])
def test_a_shape_is_given_as_numbers_a_tuple_or_by_name(make: Callable[..., Tensor]) -> None:
    of_pictures = minicnn.zeros(2, 1, 4, 3)
    made = [
        make(2, 1, 4, 3), make((2, 1, 4, 3)), make([2, 1, 4, 3]), make(size=(2, 1, 4, 3)),
        make(of_pictures.shape), make(of_pictures.size()), make(*of_pictures.shape),
    ]  # fmt: skip
    for x in made:
        assert x.shape == (2, 1, 4, 3)
        assert x.dtype == np.float32
    assert (make(3).shape, make(()).shape, make().shape) == ((3,), (), ())
    x = make(2, dtype=minicnn.double, device="cpu", requires_grad=True)
    assert x.dtype == np.float64
    assert x.requires_grad


def test_zeros_and_ones_hold_zeros_and_ones() -> None:
    np.testing.assert_array_equal(minicnn.zeros(2, 3).numpy(), np.zeros((2, 3), np.float32))
    np.testing.assert_array_equal(minicnn.ones(2, 3).numpy(), np.ones((2, 3), np.float32))
    for like, number in ((minicnn.zeros_like, 0), (minicnn.ones_like, 1)):
        for dtype in ("float64", "int64", "uint8", "bool"):
            made = like(Tensor(np.full((2, 3), 7).astype(dtype)))
            expected = np.full((2, 3), number).astype(dtype)
            np.testing.assert_array_equal(made.numpy(), expected, strict=True)
        assert like(minicnn.zeros(2), dtype=minicnn.long).dtype == np.int64
        assert like(minicnn.zeros(2), requires_grad=True).requires_grad


@pytest.mark.parity
@pytest.mark.parametrize(
    "arguments",
    [(5,), (2, 5), (2, 11, 3), (5, 0, -2), (0.5, 3), (3.0,), (0, 1, 0.25), (0,)],
)
def test_arange_is_pytorchs(arguments: tuple[float, ...]) -> None:
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(
        minicnn.arange(*arguments).numpy(), torch.arange(*arguments).numpy(), strict=True
    )


def test_arange_takes_a_dtype_and_no_step_of_nothing() -> None:
    assert minicnn.arange(3, dtype=minicnn.float32).dtype == np.float32
    assert minicnn.arange(5, 2).shape == (0,)
    with pytest.raises(ValueError, match=r"^arange: step is 0; wanted another number$"):
        minicnn.arange(0, 3, 0)


# Joining ------------------------------------------------------------------------------------------


@pytest.mark.parity
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_cat_and_stack_are_pytorchs(dim: int) -> None:
    torch = pytest.importorskip("torch")
    shape = [2, 3, 4]
    shape[dim] = 5
    assert_agrees_with_torch(
        lambda a, b: minicnn.cat([a, b, a], dim),
        numbers(2, 3, 4),
        numbers(*shape),
        theirs=lambda a, b: torch.cat([a, b, a], dim),
    )
    assert_agrees_with_torch(
        lambda a, b: minicnn.stack((a, b, b), dim=dim),
        numbers(2, 3, 4),
        2 * numbers(2, 3, 4),
        theirs=lambda a, b: torch.stack((a, b, b), dim=dim),
    )


def test_cat_and_stack_join() -> None:
    a, b = numbers(2, 3), numbers(2, 1)
    np.testing.assert_array_equal(
        minicnn.cat([Tensor(a), Tensor(b)], dim=1).numpy(), np.concatenate([a, b], 1)
    )
    np.testing.assert_array_equal(
        minicnn.stack([Tensor(a), Tensor(2 * a)], 1).numpy(), np.stack([a, 2 * a], 1)
    )
    assert minicnn.stack([Tensor(1.0), Tensor(2.0)]).shape == (2,)


def test_a_list_of_one_tensor_is_joined_too_and_its_gradient_comes_back(
    rng: np.random.Generator,
) -> None:
    a, u = rng.standard_normal((3, 4)), rng.standard_normal((3, 1, 4))
    x, z = (Tensor(a, requires_grad=True) for _ in range(2))
    minicnn.stack([x], 1).backward(Tensor(u))
    minicnn.cat([z], 1).backward(Tensor(u[:, 0]))
    for tensor in (x, z):
        assert tensor.grad is not None
        np.testing.assert_array_equal(tensor.grad.numpy(), u[:, 0])


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda x: minicnn.cat(x), TypeError, "cat: tensors is a Tensor; wanted a list or tuple"),
        (lambda x: minicnn.stack(x), TypeError, "stack: tensors is a Tensor; wanted a list"),
        (lambda x: minicnn.cat([]), ValueError, "cat: tensors is empty; wanted at least one"),
        (lambda x: minicnn.cat([x, x[0]]), ValueError, r"cat: shapes \[\(2, 3\), \(3,\)\] do not"),
        (lambda x: minicnn.cat([x, x.T]), ValueError, "do not fit; wanted the same but for axis 0"),
        (lambda x: minicnn.stack([x, x.T]), ValueError, "stack: shapes .* differ; wanted one"),
        (
            lambda x: minicnn.cat([x, x.double()]),
            TypeError,
            r"cat: tensors\[0\] is float32, tensors\[1\] is float64; convert one",
        ),
        (lambda x: minicnn.stack([x, x.long()]), TypeError, "float32, .* is int64; convert one"),
        (lambda x: minicnn.cat([x.sum()]), IndexError, "cat: dim is 0; a 0-d tensor has no axes"),
    ],
)
def test_what_cannot_be_joined_is_refused(
    wrong: Callable[[Tensor], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        wrong(minicnn.zeros(2, 3))


def test_flatten_is_a_function_too() -> None:
    assert minicnn.flatten(minicnn.zeros(2, 3, 4), 1).shape == (2, 12)
    assert minicnn.flatten(minicnn.zeros(2, 3, 4)).shape == (24,)


# Two modules whose names are functions too --------------------------------------------------------


def test_device_names_a_device() -> None:
    assert minicnn.device("cpu") == "cpu"
    assert minicnn.device("gpu") == minicnn.device("cuda") == minicnn.device("cuda", 0) == "gpu:0"
    assert minicnn.device("cuda:2") == minicnn.device("cuda", 2) == "gpu:2"
    with pytest.raises(ValueError, match=r"^device is 'tpu'; wanted 'cpu', 'gpu' or"):
        minicnn.device("tpu")


def test_cuda_is_asked_for_as_in_pytorch() -> None:
    there = importlib.import_module("minicnn.device").gpu_problem() is None
    assert minicnn.cuda.is_available() is there
    device = minicnn.device("cuda" if minicnn.cuda.is_available() else "cpu")
    assert device == minicnn.try_gpu()


TO_CUDA: list[Callable[[Tensor], Tensor]] = [
    lambda x: x.cuda(),
    lambda x: x.to("cuda"),
    lambda x: x.to("cuda:0"),
    lambda x: x.to(minicnn.device("cuda")),
    lambda x: minicnn.zeros(2, 3, device="cuda"),
    lambda x: minicnn.tensor([[0, 0, 0], [0, 0, 0]], device="cuda").float(),
]


@pytest.mark.parametrize("move", TO_CUDA)
def test_cuda_is_the_gpu(move: Callable[[Tensor], Tensor]) -> None:
    x = minicnn.zeros(2, 3)
    if minicnn.cuda.is_available():  # or the stand-in for one
        moved = move(x)
        assert moved.device == minicnn.zeros_like(moved).device == "gpu:0"
        np.testing.assert_array_equal(moved.cpu().numpy(), np.zeros((2, 3), np.float32))
    else:
        with pytest.raises(minicnn.DeviceError, match=r"^device gpu:0 cannot be used: "):
            move(x)


def test_a_method_that_is_no_function_says_how_it_is_written() -> None:
    for name in ("exp", "softmax", "permute"):
        with pytest.raises(
            AttributeError, match=rf"^module 'minicnn' has no attribute '{name}'; write x\.{name}\("
        ):
            getattr(minicnn, name)
    for name in ("einsum", "T", "grad", "_mode"):
        with pytest.raises(AttributeError, match=rf"^module 'minicnn' has no attribute '{name}'$"):
            getattr(minicnn, name)


def test_tensor_and_device_are_functions_and_still_modules() -> None:
    import minicnn.device as device_by_statement
    import minicnn.tensor as tensor_by_statement

    assert TensorOfTheModule is Tensor
    assert importlib.import_module("minicnn.tensor").Tensor is Tensor
    assert tensor_by_statement.Tensor is Tensor
    assert tensor_by_statement.no_grad is minicnn.no_grad
    assert device_by_statement.try_gpu is minicnn.try_gpu
    # what a type checker sees, checked where mypy checks the tests
    assert_type(minicnn.tensor([1]), Tensor)
    assert_type(minicnn.device("cpu"), str)
    assert_type(tensor_by_statement.Tensor([1]), TensorOfTheModule)
    assert_type(minicnn.zeros(2).size(), tuple[int, ...])
    assert_type(minicnn.zeros(2).size(0), int)
    assert_type(minicnn.zeros(2).max(axis=0), Tensor)
    assert_type(minicnn.zeros(2).max(dim=0).values, Tensor)


def test_importing_the_modules_first_or_afterwards_leaves_the_functions() -> None:
    program = (
        "import minicnn.tensor, minicnn.device, minicnn\n"
        "from minicnn.tensor import Tensor, no_grad\n"
        "import minicnn.tensor, minicnn.device\n"
        "assert isinstance(minicnn.tensor([1]), minicnn.tensor.Tensor)\n"
        "assert minicnn.device('cpu') == 'cpu' == minicnn.device.resolve('cpu')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


OLD_PICKLES: dict[type[Tensor], bytes] = {
    Tensor: (
        b"\x80\x04\x95\xfb\x00\x00\x00\x00\x00\x00\x00\x8c\x0eminicnn.tensor\x94\x8c\x06Tensor\x94\x93\x94)"
        b"\x81\x94N}\x94(\x8c\x06_freed\x94\x89\x8c\x05_grad\x94N\x8c\x0b_keeps_grad\x94\x89"
        b"\x8c\x0e_requires_grad\x94\x89\x8c\x04data\x94\x8c\x16numpy._core.m"
        b"ultiarray\x94\x8c\x0c_reconstruct\x94\x93\x94\x8c\x05numpy\x94\x8c\x07nda"
        b"rray\x94\x93\x94K\x00\x85\x94C\x01b\x94\x87\x94R\x94(K\x01K\x02\x85\x94h\r\x8c\x05dtype\x94\x93\x94\x8c\x02"
        b"f4\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01<\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b\x89C\x08\x00\x00\xc0"
        b"?\x00\x00 @\x94t\x94b\x8c\x04node\x94Nu\x86\x94b."
    ),
    Parameter: (
        b"\x80\x04\x95\x01\x01\x00\x00\x00\x00\x00\x00\x8c\x11minicnn.nn.module\x94\x8c\tParamet"
        b"er\x94\x93\x94)\x81\x94N}\x94(\x8c\x06_freed\x94\x89\x8c\x05_grad\x94N\x8c\x0b_keeps_"
        b"grad\x94\x89\x8c\x0e_requires_grad\x94\x88\x8c\x04data\x94\x8c\x16numpy._"
        b"core.multiarray\x94\x8c\x0c_reconstruct\x94\x93\x94\x8c\x05numpy"
        b"\x94\x8c\x07ndarray\x94\x93\x94K\x00\x85\x94C\x01b\x94\x87\x94R\x94(K\x01K\x02\x85\x94h\r\x8c\x05dtyp"
        b"e\x94\x93\x94\x8c\x02f4\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01<\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b"
        b"\x89C\x08\x00\x00\xc0?\x00\x00 @\x94t\x94b\x8c\x04node\x94Nu\x86\x94b."
    ),
}


def test_a_pickle_from_before_is_read() -> None:
    """Made by ``pickle.dumps`` when ``minicnn.tensor`` was a module alone."""
    for kind, old in OLD_PICKLES.items():
        tensor = pickle.loads(old)
        assert type(tensor) is kind
        np.testing.assert_array_equal(tensor.numpy(), np.array([1.5, 2.5], np.float32))
    parameter = pickle.loads(OLD_PICKLES[Parameter])
    assert parameter.requires_grad
    again = pickle.loads(pickle.dumps(parameter))
    np.testing.assert_array_equal(again.numpy(), parameter.numpy())
