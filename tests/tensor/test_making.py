"""Tensors made and joined by functions with PyTorch's names: ``minicnn.functions``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from tests.oracle import assert_agrees_with_torch
from tests.tensor.numbers import numbers

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


def test_like_a_list_is_like_the_tensor_of_it() -> None:
    made = minicnn.zeros_like([[1, 2, 3]])  # type: ignore[arg-type]
    np.testing.assert_array_equal(made.numpy(), np.zeros((1, 3), np.float32), strict=True)
