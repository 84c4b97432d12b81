"""PyTorch's names for what is here under NumPy's: ``minicnn.names``."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from tests.oracle import assert_agrees_with_torch
from tests.tensor.numbers import numbers

F = Callable[[Any], Any]


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


def test_more_than_two_axes_have_no_t() -> None:
    with pytest.raises(ValueError, match=r"^t: this tensor has shape \(2, 3, 4\); wanted at most"):
        Tensor(np.zeros((2, 3, 4))).t()
    assert Tensor(np.zeros(3)).t().shape == (3,)


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
