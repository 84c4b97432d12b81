"""minicnn.Tensor: what it accepts, how it meets arrays and numbers, and the tape behind it."""

import copy
import gc
import operator
import pickle
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minicnn
from minicnn import Tensor, is_grad_enabled, no_grad
from minicnn.ops import Operation

Binary = Callable[[Any, Any], Any]

ARITHMETIC: list[Binary] = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.pow,
    operator.matmul,
]
COMPARISONS: list[Binary] = [
    operator.eq,
    operator.ne,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values, np.float32), requires_grad=True)


def grad_of(tensor: Tensor) -> np.ndarray:
    assert tensor.grad is not None
    return tensor.grad.numpy()


class Double(Operation):
    """y = 2 x, counting how often its backward runs."""

    def __init__(self) -> None:
        self.calls = 0

    def forward(self, x: np.ndarray) -> np.ndarray:
        return 2 * x

    def backward(self, dy: np.ndarray) -> np.ndarray:
        self.calls += 1
        return 2 * dy


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


# Dtypes that meet ---------------------------------------------------------------------------------


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


# Conversions --------------------------------------------------------------------------------------


def test_asarray_and_numpy_share_memory() -> None:
    t = leaf(1, 2)

    np.asarray(t)[0] = 5
    t.numpy()[1] = 6

    np.testing.assert_array_equal(t.data, [5, 6])
    assert np.array(t) is not t.data
    assert not np.shares_memory(np.array(t, copy=True), t.data)


def test_array_protocol_takes_dtype_and_copy() -> None:
    t = Tensor([1.0, 2.0])

    assert np.asarray(t, dtype=np.float64).dtype == np.float64
    assert np.array(t, copy=False) is t.data
    assert np.shares_memory(t.__array__(np.float32, copy=None), t.data)
    with pytest.raises(ValueError, match="copy"):
        np.array(t, dtype=np.float64, copy=False)


def test_dlpack_to_and_from_numpy_shares_memory() -> None:
    t, array = leaf(1, 2), np.ones(3, np.int32)

    np.from_dlpack(t)[0] = 7
    back = minicnn.from_dlpack(array)
    array[0] = 8

    assert t.data[0] == 7
    assert back.dtype == np.int32
    assert back.data[0] == 8
    assert t.__dlpack_device__()[0] == 1  # kDLCPU


@pytest.mark.parity
def test_dlpack_to_and_from_torch_shares_memory() -> None:
    torch = pytest.importorskip("torch")
    t, theirs = Tensor(np.ones((2, 3), np.float32).T), torch.arange(4, dtype=torch.float64)

    torch.from_dlpack(t)[0, 0] = 7
    back = minicnn.from_dlpack(theirs)
    theirs[0] = 8

    assert t.data[0, 0] == 7
    assert back.dtype == np.float64
    assert back.data[0] == 8


def test_from_dlpack_names_what_does_not_speak_it() -> None:
    with pytest.raises(TypeError, match=r"^from_dlpack: list has no __dlpack__$"):
        minicnn.from_dlpack([1.0])
    with pytest.raises(TypeError, match=r"^data: .* complex128"):
        minicnn.from_dlpack(np.ones(2, complex))


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (Tensor(1.5), "Tensor(1.5)"),
        (Tensor([1.0, 2.0]), "Tensor([1., 2.])"),
        (leaf(1, 2), "Tensor([1., 2.], requires_grad=True)"),
        (leaf(1, 2) * 2, "Tensor([2., 4.], from=Multiply)"),
        (Tensor(np.arange(3)), "Tensor([0, 1, 2], dtype=int64)"),
        (Tensor(np.ones(1)), "Tensor([1.], dtype=float64)"),
        (Tensor([True]), "Tensor([ True], dtype=bool)"),
        (Tensor(np.zeros((2, 2))), "Tensor([[0., 0.],\n        [0., 0.]], dtype=float64)"),
    ],
)
def test_repr_says_values_dtype_and_origin(tensor: Tensor, text: str) -> None:
    assert repr(tensor) == text
    assert f"{tensor}" == text


def test_repr_of_a_large_tensor_is_short() -> None:
    text = repr(Tensor(np.zeros((100, 100))))
    assert "..." in text
    assert len(text) < 1000


def test_length_and_iteration_go_over_the_first_axis() -> None:
    x = Tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)

    rows = list(x)
    (rows[0].sum() + rows[2].sum() * 3).backward()

    assert len(x) == len(rows) == 3
    np.testing.assert_array_equal(rows[1].numpy(), [2, 3])
    np.testing.assert_array_equal(grad_of(x), [[1, 1], [0, 0], [3, 3]])
    assert list(Tensor(np.ones((0, 2)))) == []


def test_a_scalar_has_no_length_and_no_iteration() -> None:
    with pytest.raises(TypeError, match=r"^len\(\) of a 0-d tensor$"):
        len(Tensor(1.0))
    with pytest.raises(TypeError, match=r"^iteration over a 0-d tensor$"):
        iter(Tensor(1.0))


def test_equality_with_none_and_strings_is_plain() -> None:
    t: Any = Tensor([1.0])
    assert (t == None) is False  # noqa: E711
    assert (t != None) is True  # noqa: E711
    assert (t == "a") is False
    with pytest.raises(TypeError, match="not supported between"):
        _ = t < None


def test_hash_goes_by_identity() -> None:
    a, b = Tensor([1.0]), Tensor([1.0])

    names = {a: "a", b: "b"}

    assert names[a] == "a"
    assert names[b] == "b"
    assert len({a, b, a}) == 2
    assert hash(a) == hash(a)


def test_one_cell_converts_to_python_numbers() -> None:
    for t in (Tensor(2.5), Tensor([[2.5]])):
        assert float(t) == t.item() == 2.5
        assert int(t) == 2
        assert f"{t:.3f}" == "2.500"
    assert isinstance(Tensor(np.int64(3)).item(), int)
    assert isinstance(Tensor(True).item(), bool)
    assert bool(Tensor(1.0))
    assert not bool(Tensor(0.0))
    assert [10, 11, 12][Tensor(np.int64(2))] == 12
    assert list(range(Tensor(np.int8(2)))) == [0, 1]


@pytest.mark.parametrize("convert", [float, int, bool, Tensor.item])
@pytest.mark.parametrize("shape", [(2,), (0,), (1, 3)])
def test_other_sizes_do_not_convert(convert: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="wanted one cell"):
        convert(Tensor(np.ones(shape)))


def test_floats_are_no_index() -> None:
    with pytest.raises(TypeError, match=r"^a float32 tensor cannot be an index; wanted integers$"):
        operator.index(Tensor(1.0))


def test_a_pickle_keeps_values_and_gradient() -> None:
    x = leaf(1, 2)
    (x * 3).sum().backward()

    again = pickle.loads(pickle.dumps(x))

    np.testing.assert_array_equal(again.numpy(), x.numpy())
    assert again.requires_grad
    np.testing.assert_array_equal(grad_of(again), [3, 3])


def test_a_deep_copy_shares_nothing() -> None:
    x = leaf(1, 2)
    (x * 3).sum().backward()

    again = copy.deepcopy(x)
    (again * again).sum().backward()

    np.testing.assert_array_equal(grad_of(x), [3, 3])
    np.testing.assert_array_equal(grad_of(again), [5, 7])
    assert not np.shares_memory(again.data, x.data)


# Indexing and shape -------------------------------------------------------------------------------


def test_transpose_and_reshape_take_sizes_apart_or_together() -> None:
    x = Tensor(np.arange(6.0).reshape(1, 2, 3))

    assert x.T.shape == x.transpose().shape == (3, 2, 1)
    assert x.transpose(1, 0, -1).shape == x.transpose((1, 0, 2)).shape == (2, 1, 3)
    assert x.reshape(3, -1).shape == x.reshape((3, 2)).shape == (3, 2)
    assert x.flatten().shape == (6,)
    assert Tensor(1.0).T.shape == ()


@pytest.mark.parametrize("axes", [(0,), (0, 0), (0, 3), (0, -3), (0, 1, 2)])
def test_transpose_refuses_what_is_no_order_of_the_axes(axes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^transpose: axes \(.*\) are not an order of the 2 axes"):
        Tensor(np.ones((2, 3))).transpose(*axes)
    with pytest.raises(ValueError, match="axes"):
        Tensor(1.0).transpose(*axes)


def test_tensors_index_tensors() -> None:
    x = Tensor(np.arange(12.0).reshape(3, 4), requires_grad=True)
    rows = Tensor(np.array([0, 2, 2]))

    y = x[rows, Tensor(np.array([1, 3, 3]))]
    (y * Tensor(np.array([1.0, 10.0, 100.0]))).sum().backward()

    np.testing.assert_array_equal(y.numpy(), [1, 11, 11])
    expected = np.zeros((3, 4))
    expected[0, 1], expected[2, 3] = 1, 110
    np.testing.assert_array_equal(grad_of(x), expected)
    np.testing.assert_array_equal(x[x > 9].numpy(), [10, 11])


def test_matmul_names_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^matmul: shapes \(2, 3\) and \(2, 3\) do not fit"):
        _ = Tensor(np.ones((2, 3))) @ Tensor(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"^matmul: shapes \(\) and \(\)"):
        _ = Tensor(1.0) @ Tensor(1.0)


# backward -----------------------------------------------------------------------------------------


def test_a_chain_of_50_000_operations_runs_backward_and_is_collected() -> None:
    x = Tensor(np.ones(1), requires_grad=True)

    y = x
    for _ in range(50_000):
        y = y + 1
    y.backward(retain_graph=True)
    last_operation = weakref.ref(y.node.operation) if y.node else None
    del y
    gc.collect()

    assert grad_of(x) == 1
    assert last_operation is not None
    assert last_operation() is None


def test_each_operation_runs_backward_once_however_many_paths_lead_to_it() -> None:
    x, double = Tensor(np.ones(1), requires_grad=True), Double()

    y = minicnn.apply(double, x)
    for _ in range(60):
        y = y + y * 1.0
    y.backward()

    assert double.calls == 1
    assert grad_of(x) == 2 * 2.0**60


def test_a_leaf_used_early_and_late_gets_both_gradients() -> None:
    x = leaf(2)

    y = x * x
    (y * y * x + x).sum().backward()

    assert grad_of(x) == 5 * 2**4 + 1


def test_one_tensor_at_both_inputs_gets_both_gradients() -> None:
    x = leaf(3)
    (x - x + x / x + x * x).sum().backward()
    np.testing.assert_allclose(grad_of(x), 6)


def test_gradients_add_up_over_calls() -> None:
    x = leaf(1, 2)
    for _ in range(3):
        (x * x).sum().backward()
    np.testing.assert_array_equal(grad_of(x), [6, 12])


def test_only_what_requires_a_gradient_gets_one() -> None:
    x, constant = leaf(1, 2), Tensor([3.0, 4.0])

    y = x * constant
    y.sum().backward()

    assert constant.grad is None
    assert y.grad is None
    np.testing.assert_array_equal(grad_of(x), [3, 4])


@settings(max_examples=60, deadline=None)
@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4, min_side=0))
def test_gradient_of_a_broadcast_operand_is_summed_to_its_shape(
    shapes: hnp.BroadcastableShapes,
) -> None:
    rng = np.random.default_rng(0)
    a, b = (Tensor(rng.random(s), requires_grad=True) for s in shapes.input_shapes)
    dy = rng.random(shapes.result_shape)

    (a * b).backward(Tensor(dy))

    for x, other in ((a, b), (b, a)):
        places = np.broadcast_to(np.arange(x.size).reshape(x.shape), dy.shape).ravel()
        expected = np.bincount(places, (dy * other.numpy()).ravel(), minlength=x.size)
        np.testing.assert_allclose(grad_of(x), expected.reshape(x.shape), rtol=1e-12)


@pytest.mark.parametrize("relation", ARITHMETIC[:5])
def test_every_operator_undoes_broadcasting(relation: Binary) -> None:
    a = Tensor(np.full((2, 1), 2.0), requires_grad=True)
    b = Tensor(np.full((4, 1, 3), 3.0), requires_grad=True)

    relation(a, b).sum().backward()

    assert grad_of(a).shape == (2, 1)
    assert grad_of(b).shape == (4, 1, 3)
    assert minicnn.gradcheck(relation, [a, b])


def test_the_first_gradient_weighs_the_cells() -> None:
    x = leaf(1, 2, 3)
    for gradient in ([1, 10, 100], np.array([1, 10, 100], np.float32), Tensor([1.0, 10.0, 100.0])):
        x.grad = None
        (x * 2).backward(gradient)
        np.testing.assert_array_equal(grad_of(x), [2, 20, 200])


def test_backward_through_a_freed_tape_is_refused() -> None:
    x = leaf(1, 2)
    middle = x * x
    first, second = middle.sum(), (middle * 2).sum()

    first.backward()

    for again in (first, second, middle.sum()):
        with pytest.raises(RuntimeError, match=r"freed by an earlier .*retain_graph=True"):
            again.backward()
    np.testing.assert_array_equal(grad_of(x), [2, 4])
    assert not first.is_leaf
    assert x.is_leaf


def test_retain_graph_lets_backward_run_again() -> None:
    x = leaf(1, 2)
    y = (x * x).sum()

    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()

    np.testing.assert_array_equal(grad_of(x), [6, 12])
    with pytest.raises(RuntimeError, match="freed"):
        y.backward()


def test_backward_lets_go_of_the_operations_memory() -> None:
    y: Any = (leaf(1, 2) * 2).sum()
    operation = weakref.ref(y.node.inputs[0].node.operation)

    y.backward()

    assert y.node is None
    assert operation() is None


def test_backward_needs_a_gradient_for_what_is_no_scalar() -> None:
    with pytest.raises(RuntimeError, match=r"^backward\(\): a tensor of shape \(2,\) is not a sca"):
        (leaf(1, 2) * 2).backward()
    with pytest.raises(RuntimeError, match=r"shape \(0,\) is not a scalar"):
        (Tensor([], requires_grad=True) * 2).backward()
    (leaf(1) * 2).backward()


def test_backward_refuses_a_gradient_that_does_not_fit() -> None:
    y = leaf(1, 2) * 2
    with pytest.raises(ValueError, match=r"^gradient has shape \(3,\), its tensor \(2,\)$"):
        y.backward(np.ones(3, np.float32))
    with pytest.raises(ValueError, match=r"^gradient has shape \(\), its tensor \(2,\)$"):
        y.backward(1.0)
    with pytest.raises(TypeError, match=r"^gradient is float64, its tensor float32$"):
        y.backward(np.ones(2))
    y.backward([1, 1])


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor(1.0),
        Tensor(1.0) * 2,
        leaf(1).detach(),
        leaf(1).to("int64"),
        leaf(1).argmax(),
        leaf(1) > 0,
    ],
)
def test_backward_on_what_needs_no_gradient_is_refused(tensor: Tensor) -> None:
    with pytest.raises(RuntimeError, match=r"^backward\(\): this tensor does not require a grad"):
        tensor.backward()


def test_backward_on_a_leaf_gives_it_the_gradient_itself() -> None:
    x = leaf(1, 2)
    x.backward([3, 4])
    x.backward([3, 4])
    np.testing.assert_array_equal(grad_of(x), [6, 8])


def test_retain_grad_keeps_the_gradient_of_a_computed_tensor() -> None:
    x = leaf(1, 2)
    y = x * 3
    y.retain_grad()

    (y * y).sum().backward()

    np.testing.assert_array_equal(grad_of(y), [6, 12])
    np.testing.assert_array_equal(grad_of(x), [18, 36])


def test_detach_shares_the_array_and_stops_the_gradient() -> None:
    x = leaf(2)

    (x * (x * x).detach()).sum().backward()

    assert grad_of(x) == 4
    assert x.detach().data is x.data


def test_operations_can_meet_on_the_tape_in_any_order() -> None:
    """The order of computation, not of discovery, decides when a gradient is complete."""
    x = leaf(1.5)
    a = x * 2
    b = a * a  # a is used by b, and again at the very end
    c = b * b + b
    (c * a).sum().backward()
    # c a = (16 x^4 + 4 x^2) 2x
    np.testing.assert_allclose(grad_of(x), 160 * 1.5**4 + 24 * 1.5**2, rtol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("seed", range(8))
def test_random_programs_have_pytorchs_gradients(seed: int) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    arrays = [rng.uniform(0.5, 1.5, shape) for shape in [(), (3,), (2, 1), (4, 2, 3)]]
    program = [rng.integers((5, 999, 999)) for _ in range(12)]  # which step, on which values

    steps: list[Binary] = [
        lambda a, b: a + b,
        lambda a, b: a * b,
        lambda a, b: a - b / 2,
        lambda a, b: a / (b * b + 1),
        lambda a, b: a.tanh() * b.sigmoid(),
    ]

    def run(leaves: list[Any]) -> Any:
        values = list(leaves)
        for step, i, j in program:
            values.append(steps[step](values[i % len(values)], values[j % len(values)]))
        return sum(value.sum() for value in values)

    ours = [Tensor(array, requires_grad=True) for array in arrays]
    theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
    y, expected = run(ours), run(theirs)
    y.backward()
    expected.backward()

    np.testing.assert_allclose(y.item(), expected.item(), rtol=1e-12)
    for x, t in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(grad_of(x), t.grad.numpy(), rtol=1e-10)


# grad ---------------------------------------------------------------------------------------------


def test_grad_is_a_tensor_and_can_be_assigned() -> None:
    x = leaf(1, 2)
    assert x.grad is None

    x.grad = Tensor([5.0, 6.0])
    (x * 2).sum().backward()

    assert isinstance(x.grad, Tensor)
    np.testing.assert_array_equal(grad_of(x), [7, 8])
    x.grad = None
    assert x.grad is None


def test_grad_refuses_what_does_not_fit() -> None:
    x = leaf(1, 2)
    with pytest.raises(TypeError, match=r"^grad: wanted a Tensor or None, received ndarray$"):
        x.grad = np.ones(2, np.float32)  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"^grad has shape \(3,\), its tensor \(2,\)$"):
        x.grad = Tensor(np.ones(3, np.float32))
    with pytest.raises(TypeError, match=r"^grad is float64, its tensor float32$"):
        x.grad = Tensor(np.ones(2))
    assert x.grad is None


def test_gradients_never_alias_the_callers_arrays() -> None:
    x, gradient = leaf(1, 2), np.ones(2, np.float32)

    x.backward(gradient)
    x.backward(gradient)
    gradient[:] = 9

    np.testing.assert_array_equal(grad_of(x), [2, 2])


def test_accumulating_leaves_an_assigned_gradient_as_it_was() -> None:
    shared = np.ones(2, np.float32)
    a, b = leaf(1, 2), leaf(3, 4)
    a.grad, b.grad = Tensor(shared), Tensor(shared)

    (a * b).sum().backward()

    np.testing.assert_array_equal(shared, 1)
    np.testing.assert_array_equal(grad_of(a), [4, 5])
    np.testing.assert_array_equal(grad_of(b), [2, 3])


def test_gradients_of_two_leaves_do_not_alias_each_other() -> None:
    a, b = leaf(1, 2), leaf(3, 4)

    (a + b).backward([1, 1])
    grad_of(a)[:] = 9

    np.testing.assert_array_equal(grad_of(b), [1, 1])


# no_grad ------------------------------------------------------------------------------------------


def test_nothing_is_recorded_under_no_grad() -> None:
    x = leaf(1, 2)

    with no_grad():
        y, enabled = x * 2, is_grad_enabled()

    assert not enabled
    assert not y.requires_grad
    assert y.node is None
    assert is_grad_enabled()
    assert (x * 2).requires_grad


def test_no_grad_is_also_a_decorator() -> None:
    @no_grad()
    def double(x: Tensor, depth: int = 0) -> Tensor:
        """Calls itself, so that the one no_grad object is entered twice."""
        return x * 2 if depth == 0 else double(x, depth - 1)

    assert not double(leaf(1), depth=2).requires_grad
    assert is_grad_enabled()


def test_no_grad_nests_and_one_object_can_be_entered_again() -> None:
    guard, seen = no_grad(), [is_grad_enabled()]
    with guard:
        with guard, no_grad():
            seen.append(is_grad_enabled())
        seen.append(is_grad_enabled())
    seen.append(is_grad_enabled())
    assert seen == [True, False, False, True]


def test_an_exception_ends_no_grad() -> None:
    with pytest.raises(ZeroDivisionError), no_grad(), no_grad():
        _ = 1 / 0
    assert is_grad_enabled()


def test_no_grad_does_not_reach_into_other_threads() -> None:
    seen: list[bool] = []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append((leaf(1) * 2).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]


def test_a_decorated_function_serves_threads_in_different_modes() -> None:
    inside, leave = threading.Event(), threading.Event()
    after: list[bool] = []

    @no_grad()
    def wait() -> None:
        inside.set()
        assert leave.wait(10)

    @no_grad()
    def unused() -> None: ...

    def other_thread() -> None:
        wait()
        after.append(is_grad_enabled())

    thread = threading.Thread(target=other_thread)
    thread.start()
    assert inside.wait(10)
    leave_later = threading.Thread(target=leave.set)
    with no_grad():  # this thread enters the same function in the other mode
        leave_later.start()
        wait()
    thread.join()
    leave_later.join()

    assert after == [True]
    assert is_grad_enabled()


def test_requires_grad_set_later_counts_from_then_on() -> None:
    x = Tensor([1.0, 2.0])
    before = x * 2
    x.requires_grad = True
    after = (x * 3).sum()

    after.backward()

    assert not before.requires_grad
    np.testing.assert_array_equal(grad_of(x), [3, 3])


# apply --------------------------------------------------------------------------------------------


def test_apply_puts_an_operation_of_ones_own_on_the_tape() -> None:
    x, double = leaf(1, 2), Double()

    y = minicnn.apply(double, x)
    y.backward([1, 10])

    np.testing.assert_array_equal(y.numpy(), [2, 4])
    np.testing.assert_array_equal(grad_of(x), [2, 20])


def test_operations_are_told_which_inputs_need_gradients() -> None:
    x, constant = leaf(1), Tensor([2.0])

    y, z = x * constant, constant * constant
    with no_grad():
        w = x * x

    assert y.node is not None
    assert y.node.operation.needs_gradient == (True, False)
    assert z.node is None
    assert w.node is None


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=5))
def test_python_lists_survive_the_round_trip(values: list[float]) -> None:
    assert Tensor(values).numpy().tolist() == values


def test_requiring_a_gradient_late_does_not_disturb_what_was_recorded() -> None:
    """The tape remembers what each operation was asked for, not what its inputs say today."""
    a = Tensor([2.0, 3.0], requires_grad=True)
    b = Tensor([5.0, 7.0])
    product = (a * b).sum()
    b.requires_grad = True
    product.backward()
    assert a.grad is not None
    assert a.grad.numpy().tolist() == [5.0, 7.0]
    assert b.grad is None


def test_comparison_with_what_is_no_number_is_like_numpy() -> None:
    small = Tensor(np.array([1, 200], np.uint8))
    assert (small > -1).numpy().tolist() == [True, True]
    assert (small < 300).numpy().tolist() == [True, True]
    assert not (small == object()).numpy().any()


@pytest.mark.parametrize("target", [None, "none", "float128"])
def test_to_what_is_neither_dtype_nor_device(target: object) -> None:
    with pytest.raises(TypeError, match="wanted"):
        Tensor([1.0]).to(target)


@pytest.mark.parametrize(
    ("returned", "complaint"),
    [
        (lambda dy: (dy,), "returned 1 gradients; wanted a gradient for each of its 2 inputs"),
        (lambda dy: (dy, dy, dy), "returned 3 gradients"),
        (lambda dy: None, "returned no tuple"),
        (lambda dy: dy, "returned no tuple"),
        (lambda dy: (dy, None), "the gradient of input 1 is a NoneType; wanted an array"),
        (lambda dy: (Tensor(dy), dy), "the gradient of input 0 is a Tensor; wanted an array"),
        (lambda dy: (1.0, dy), "the gradient of input 0 is a float; wanted an array"),
    ],
)
def test_a_backward_that_returns_something_else_is_named(returned: Any, complaint: str) -> None:
    class Sum(Operation):
        def forward(self, x: Any, y: Any) -> Any:
            return x + y

        def backward(self, dy: Any) -> Any:
            return returned(dy)

    x, y = (Tensor(np.ones((2, 3)), requires_grad=True) for _ in range(2))
    with pytest.raises(RuntimeError, match=f"^Sum.backward: {complaint}"):
        minicnn.apply(Sum(), x, y).sum().backward()
