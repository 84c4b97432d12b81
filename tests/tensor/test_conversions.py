"""minicnn.Tensor: to NumPy, Python and back; indexing and shape."""

import copy
import operator
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn
from minicnn import Tensor
from tests.tensor.leaves import grad_of, leaf

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

    there, back = np.from_dlpack(t), minicnn.from_dlpack(array)  # there: read-only in NumPy 2.0
    t.data[0] = 7
    array[0] = 8

    assert there[0] == 7
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


@pytest.mark.parametrize("sizes", [(3, -2), ((-7, 2),)])
def test_only_minus_one_is_the_rest(sizes: tuple[Any, ...]) -> None:
    """NumPy takes each negative number for it."""
    with pytest.raises(ValueError, match=r"^reshape: an axis is -\d; wanted .* at least -1$"):
        Tensor(np.zeros(6)).reshape(*sizes)


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


# apply --------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=5))
def test_python_lists_survive_the_round_trip(values: list[float]) -> None:
    assert Tensor(values).numpy().tolist() == values
