"""minicnn.Tensor: what it accepts, and how its dtype combines with those of arrays and numbers."""

import operator
from typing import Any

import numpy as np
import pytest

from minicnn import Tensor
from tests.tensor.leaves import ARITHMETIC, Binary, grad_of, leaf

COMPARISONS: list[Binary] = [
    operator.eq,
    operator.ne,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]


# Data and dtypes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [1, 2.5, [1, 2], [[1.5, 2], [3, 4]], (1, 2), [], np.pi])
def test_python_numbers_become_float32(data: Any) -> None:
    t = Tensor(data)

    assert t.dtype == np.float32
    np.testing.assert_array_equal(t.numpy(), np.array(data, np.float32))


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "int8", "uint8", "int32", "int64", "uint64", "bool"]
)
def test_arrays_keep_their_dtype_and_memory(dtype: str) -> None:
    array = np.ones((2, 3), dtype)

    assert Tensor(array).dtype == dtype
    assert Tensor(array).data is array


def test_numpy_scalars_keep_their_dtype() -> None:
    assert Tensor(np.float64(1)).dtype == np.float64
    assert Tensor(np.int16(1)).dtype == np.int16


def test_booleans_stay_booleans() -> None:
    assert Tensor(True).dtype == bool
    assert Tensor([True, False]).dtype == bool


def test_number_in_float64_is_not_rounded_to_float32_on_the_way() -> None:
    assert Tensor(0.1, dtype="float64").item() == 0.1
    assert (Tensor(0.0, dtype="float64") + 0.1).item() == 0.1
    assert Tensor(2**60 + 1, dtype="int64").item() == 2**60 + 1


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i2", ">i8"])
def test_big_endian_arrays_are_turned_into_native_ones(dtype: str) -> None:
    t = Tensor(np.arange(5, dtype=dtype))

    assert t.dtype.isnative
    np.testing.assert_array_equal(t.numpy(), np.arange(5))
    assert Tensor(1, dtype=dtype).dtype.isnative


@pytest.mark.parametrize(
    ("data", "received"),
    [
        (None, "NoneType"),
        ("1.5", "str"),
        (["1", "2"], "list"),
        ([1, None], "list"),
        (1 + 2j, "complex"),
        (np.array([1 + 2j]), "complex128"),
        (np.array([1, 2], object), "object"),
        (np.array(["a"]), "<U1"),
        (np.datetime64(1, "s"), "datetime64"),
        ({}, "dict"),
    ],
)
@pytest.mark.parametrize("dtype", [None, "float32"])
def test_what_is_no_real_number_is_refused(data: Any, received: str, dtype: str | None) -> None:
    with pytest.raises(TypeError, match=f"^data: wanted real numbers, received .*{received}.*$"):
        Tensor(data, dtype=dtype)


def test_float16_arrays_have_to_be_converted() -> None:
    array = np.ones(2, np.float16)
    with pytest.raises(TypeError, match=r"^dtype float16 is not supported; wanted float32,"):
        Tensor(array)
    assert Tensor(array, dtype="float32").dtype == np.float32


@pytest.mark.parametrize("dtype", ["complex64", "float16", "U3", "O"])
def test_asking_for_an_unsupported_dtype_is_refused(dtype: str) -> None:
    with pytest.raises(TypeError, match=r"^dtype .* is not supported; wanted float32, float64"):
        Tensor([1.0], dtype=dtype)


def test_asking_for_something_that_is_no_dtype_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^'flota32' is no dtype or device; wanted 'float32'"):
        Tensor([1.0], dtype="flota32")
    with pytest.raises(TypeError, match=r"^'tpu' is no dtype or device"):
        Tensor([1.0]).to("tpu")


@pytest.mark.parametrize("data", [np.arange(3), np.array([True])])
def test_integers_cannot_require_gradients(data: np.ndarray) -> None:
    with pytest.raises(RuntimeError, match=r"^requires_grad: only floating-point .* this one is "):
        Tensor(data, requires_grad=True)


def test_tensor_of_a_tensor_shares_its_array_and_has_no_past() -> None:
    x = leaf(1, 2)

    assert Tensor(x * 1).node is None
    assert Tensor(x).data is x.data
    assert not Tensor(x).requires_grad


def test_empty_tensors_go_through_the_tape() -> None:
    x = Tensor(np.ones((0, 3), np.float32), requires_grad=True)

    y = (x * 2 + 1).sum()
    y.backward()

    assert y.item() == 0
    assert grad_of(x).shape == (0, 3)


def test_scalars_go_through_the_tape() -> None:
    x = Tensor(3.0, requires_grad=True)

    (x * x).backward()

    assert x.shape == ()
    assert (x.size, x.numel(), x.ndim) == (1, 1, 0)
    assert grad_of(x).shape == ()
    assert grad_of(x) == 6


# Dtypes of two operands ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "dtype"),
    [
        (np.arange(3), 1, "int64"),
        (np.arange(3, dtype=np.uint8), 1, "uint8"),
        (np.arange(3), 1.5, "float32"),
        (np.arange(3), np.float64(1.5), "float32"),
        (np.arange(3), np.ones(3, np.float32), "float32"),
        (np.arange(3), np.ones(3, np.float64), "float64"),
        (np.arange(3, dtype=np.uint8), np.arange(3, dtype=np.int8), "int16"),
        (np.ones(3, np.float32), 2, "float32"),
        (np.ones(3, np.float32), np.float64(2), "float32"),
        (np.ones(3, np.float32), np.int64(2), "float32"),
        (np.ones(3, np.float32), [1.0, 2.0, 3.0], "float32"),
        (np.ones(3, np.float64), 0.1, "float64"),
        (np.ones(3, np.float64), np.float32(2), "float64"),
        (np.ones(3, bool), 1, "int64"),
        (np.ones(3, bool), 1.5, "float32"),
        (np.ones(3, bool), np.ones(3, np.float64), "float64"),
    ],
)
def test_dtype_of_a_sum(a: np.ndarray, b: Any, dtype: str) -> None:
    assert (Tensor(a) + b).dtype == dtype
    assert (b + Tensor(a)).dtype == dtype


def test_integers_divide_and_exponentiate_in_float32() -> None:
    i = Tensor(np.arange(1, 4))
    for y in (i / 2, 2 / i, i.mean(), i.exp(), i.log(), i.sqrt(), i.sigmoid(), i.tanh()):
        assert y.dtype == np.float32
    assert i.softmax().dtype == np.float32
    np.testing.assert_array_equal((i / 2).numpy(), [0.5, 1, 1.5])


def test_numpy_integer_that_does_not_fit_is_refused_not_wrapped() -> None:
    i = Tensor(np.arange(3, dtype=np.int32))
    with pytest.raises(OverflowError):
        i + 2**40
    with pytest.raises(OverflowError):
        i + np.int64(2**40)


@pytest.mark.parametrize("relation", ARITHMETIC)
def test_float32_and_float64_do_not_mix(relation: Binary) -> None:
    a, b = Tensor(np.ones(3, np.float32)), Tensor(np.ones(3, np.float64))
    with pytest.raises(TypeError, match=r"^\w+: .*float32.*float64.*convert one.*\.to\("):
        relation(a, b)
    with pytest.raises(TypeError, match=r"^\w+: .*float64.*float32.*convert one"):
        relation(b.numpy(), a)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept_forward_and_backward(dtype: str, rng: np.random.Generator) -> None:
    x = Tensor(rng.random((3, 4)).astype(dtype) + 1, requires_grad=True)
    w = Tensor(rng.random((4, 2)).astype(dtype), requires_grad=True)

    y = ((2 * x.log() + x.sqrt() / 3 - 1) ** 2) @ w
    y = (y.sigmoid() + y.tanh() + y.relu() + y.softmax()).max(axis=0).mean()
    y.backward()

    assert y.dtype == dtype
    assert grad_of(x).dtype == dtype
    assert grad_of(w).dtype == dtype


def test_a_gradient_comes_back_through_a_change_of_dtype() -> None:
    x = leaf(1, 2)

    y = x.to("float64")
    (y * y).sum().backward()

    assert y.dtype == np.float64
    assert grad_of(x).dtype == np.float32
    np.testing.assert_array_equal(grad_of(x), [2, 4])
    assert x.to("float32") is x
    assert x.to("cpu") is x


# Arrays on the left -------------------------------------------------------------------------------


@pytest.mark.parametrize("relation", ARITHMETIC)
def test_array_on_the_left_reaches_the_tensor_and_keeps_the_tape(relation: Binary) -> None:
    array, x, same = np.array([4, 2, 1], np.float32), leaf(1, 2, 3), leaf(1, 2, 3)

    y = relation(array, x)
    y.sum().backward()
    relation(Tensor(array), same).sum().backward()

    assert isinstance(y, Tensor)
    np.testing.assert_array_equal(y.numpy(), relation(array, x.numpy()))
    np.testing.assert_array_equal(grad_of(x), grad_of(same))


@pytest.mark.parametrize("relation", ARITHMETIC)
def test_number_or_list_on_the_left_reaches_the_tensor(relation: Binary) -> None:
    x = leaf(1, 2, 3)
    others: list[Any] = [[3.0, 2.0, 1.0]]
    if relation is not operator.matmul:
        others += [2, 2.5, np.float32(2), np.float64(2), np.int64(2), True]
    for other in others:
        y = relation(other, x)
        assert y.dtype == np.float32
        assert y.requires_grad
        np.testing.assert_allclose(y.numpy(), relation(np.array(other, "f"), x.numpy()))


@pytest.mark.parametrize("relation", COMPARISONS)
def test_comparisons_are_elementwise_whatever_stands_on_the_left(relation: Binary) -> None:
    t, array = Tensor([1.0, 2.0, 3.0]), np.array([3, 2, 1], np.float32)
    for other in (array, Tensor(array), array.tolist(), array.astype(np.float64)):
        for a, b in ((t, other), (other, t)):
            y = relation(a, b)
            assert isinstance(y, Tensor)
            assert y.dtype == bool
            np.testing.assert_array_equal(y.numpy(), relation(np.asarray(a), np.asarray(b)))
    np.testing.assert_array_equal(relation(t, 2).numpy(), relation(t.numpy(), 2))


def test_augmented_assignment_makes_a_new_tensor_on_the_tape() -> None:
    x: Any = leaf(1, 2)
    y = x * 1

    y += 1
    y *= 2
    y -= 1
    y /= 2
    y **= 2
    y.sum().backward()

    assert y is not x
    np.testing.assert_array_equal(x.numpy(), [1, 2])
    np.testing.assert_array_equal(grad_of(x), 2 * (x.numpy() + 0.5))


# apply --------------------------------------------------------------------------------------------


def test_comparison_with_what_is_no_number_is_like_numpy() -> None:
    small = Tensor(np.array([1, 200], np.uint8))
    assert (small > -1).numpy().tolist() == [True, True]
    assert (small < 300).numpy().tolist() == [True, True]
    assert not (small == object()).numpy().any()


@pytest.mark.parametrize("target", [None, "none", "float128"])
def test_to_what_is_neither_dtype_nor_device(target: object) -> None:
    with pytest.raises(TypeError, match="wanted"):
        Tensor([1.0]).to(target)
