"""Writing into tensors: a step by hand, what the tape forbids, ``data = ...``; their copies."""

import copy
import operator
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn, no_grad
from minicnn.nn import functional as F
from minicnn.tensor import enable_grad

SIGNS: list[Any] = [
    operator.iadd,
    operator.isub,
    operator.imul,
    operator.itruediv,
    operator.ipow,
]


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values, np.float32), requires_grad=True)


# A step by hand -----------------------------------------------------------------------------------


def by_operator(net: nn.Module, lr: float) -> None:
    with no_grad():
        for p in net.parameters():
            assert p.grad is not None
            p -= lr * p.grad


def by_slice(net: nn.Module, lr: float) -> None:
    with no_grad():
        for p in net.parameters():
            assert p.grad is not None
            p[:] -= lr * p.grad


def by_method(net: nn.Module, lr: float) -> None:
    with no_grad():
        for p in net.parameters():
            p.add_(p.grad, alpha=-lr)


def by_data(net: nn.Module, lr: float) -> None:
    for p in net.parameters():
        p.data -= lr * p.grad  # type: ignore[operator]


def by_new_data(net: nn.Module, lr: float) -> None:
    for p in net.parameters():
        p.data = p.detach() - lr * p.grad  # type: ignore[operator]


@pytest.mark.parametrize("step", [by_operator, by_slice, by_method, by_data, by_new_data])
def test_a_step_written_by_hand_trains(step: Any) -> None:
    nets = []
    for way in (step, None):
        minicnn.manual_seed(3)
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        optimizer = minicnn.optim.SGD(net.parameters(), 0.5)
        x, y = Tensor(np.eye(3, dtype=np.float32)), Tensor(np.array([0, 1, 1]))
        for _ in range(3):
            F.cross_entropy(net(x), y).backward()
            optimizer.step() if way is None else way(net, 0.5)
            for p in net.parameters():
                assert p.grad is not None
                p.grad.zero_()
        nets.append(net)
    for (name, ours), wanted in zip(nets[0].named_parameters(), nets[1].parameters(), strict=True):
        np.testing.assert_allclose(ours.numpy(), wanted.numpy(), rtol=1e-6, err_msg=name)
        assert ours.requires_grad
        assert ours.is_leaf


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("requires_grad", [True, False])
def test_under_no_grad_a_leaf_is_written_into(sign: Any, requires_grad: bool) -> None:
    x = Tensor(np.array([1, 2, 3], np.float32), requires_grad)
    array, expected = x.data, sign(x.numpy().copy(), np.float32(3))

    with no_grad():
        y = sign(x, 3)

    assert y is x
    assert x.data is array
    assert x.requires_grad is requires_grad
    np.testing.assert_array_equal(x.numpy(), expected)


@pytest.mark.parametrize("sign", SIGNS)
def test_outside_of_no_grad_a_new_tensor_is_made(sign: Any) -> None:
    x = leaf(1, 2, 3)
    for start in (Tensor([1.0, 2.0, 3.0]), x * 1):
        before = start.numpy().copy()
        y = sign(start, 3)
        assert y is not start
        np.testing.assert_array_equal(start.numpy(), before)
        np.testing.assert_array_equal(y.numpy(), sign(before.copy(), np.float32(3)))
    y.sum().backward()  # the one that x leads to is on the tape
    assert x.grad is not None


@pytest.mark.parametrize("sign", SIGNS)
def test_outside_of_no_grad_a_leaf_that_requires_a_gradient_is_not_written_into(sign: Any) -> None:
    x = leaf(1, 2)
    with pytest.raises(RuntimeError, match=r"^.{1,2}=: this tensor requires a gradient, .*no_grad"):
        sign(x, 3)
    np.testing.assert_array_equal(x.numpy(), [1, 2])


@pytest.mark.parametrize("sign", SIGNS)
def test_under_no_grad_what_is_on_the_tape_is_not_written_into(sign: Any) -> None:
    y = leaf(1, 2).exp()
    before = y.numpy().copy()
    with no_grad(), pytest.raises(RuntimeError, match=r"^.{1,2}=: .*computed by Exp and is on the"):
        sign(y, 3)
    np.testing.assert_array_equal(y.numpy(), before)


@pytest.mark.parametrize(
    ("start", "other", "error", "message"),
    [
        (np.ones(3, np.int64), 1.5, TypeError, "numbers are float32, this tensor is int64"),
        (np.ones(3, np.uint8), np.ones(3, np.int64), TypeError, "int64, this tensor is uint8"),
        (np.ones(3, np.float32), np.ones(3), TypeError, "float32 and float64; convert one"),
        (np.ones(3), np.ones((2, 3)), ValueError, r"shape \(2, 3\); this tensor's is \(3,\)"),
        (np.ones(()), np.ones(1), ValueError, r"shape \(1,\); this tensor's is \(\)"),
    ],
)
def test_what_a_tensor_cannot_hold_is_refused(
    start: Any, other: Any, error: type[Exception], message: str
) -> None:
    x = Tensor(start)
    before = x.numpy().copy()
    with no_grad(), pytest.raises(error, match=message):
        x += other
    np.testing.assert_array_equal(x.numpy(), before)
    assert x.dtype == start.dtype


def test_a_read_only_array_is_left_alone() -> None:
    x = Tensor(np.broadcast_to(np.ones(3), (2, 3)))
    with no_grad(), pytest.raises(ValueError, match=r"^-=: the array is read-only; wanted one to "):
        x -= 1
    assert (x - 1).numpy().max() == 0
    x -= 1  # another tensor
    assert x.numpy().max() == 0


def test_integers_scalars_and_empty_tensors_are_written_into_as_well() -> None:
    count, nothing = Tensor(np.int64(3)), Tensor(np.ones((0, 2)), requires_grad=True)
    with no_grad():
        count += 1
        count *= Tensor(np.uint8(2))
        nothing -= 1
    assert count.item() == 8
    assert count.dtype == np.int64
    assert nothing.shape == (0, 2)
    (nothing * 2).sum().backward()


# Methods with an underscore, cells ----------------------------------------------------------------


def test_the_methods_write_into_the_tensors_own_array() -> None:
    x = Tensor(np.array([[1, 2, 3], [4, 5, 6]], np.float32))
    array = x.data

    assert x.add_(1) is x
    np.testing.assert_array_equal(x.numpy(), [[2, 3, 4], [5, 6, 7]])
    x.sub_([1, 1, 2], alpha=2)
    np.testing.assert_array_equal(x.numpy(), [[0, 1, 0], [3, 4, 3]])
    x.mul_(4).div_(2)
    np.testing.assert_array_equal(x.numpy(), [[0, 2, 0], [6, 8, 6]])
    x.copy_(np.array([7.0, 8.0, 9.0]))
    np.testing.assert_array_equal(x.numpy(), [[7, 8, 9]] * 2)
    x.fill_(2.5)
    np.testing.assert_array_equal(x.numpy(), np.full((2, 3), 2.5))
    x.zero_()
    np.testing.assert_array_equal(x.numpy(), np.zeros((2, 3)))
    assert x.data is array


@pytest.mark.parametrize("dtype", ["float64", "int32", "uint8", "bool"])
def test_every_dtype_can_be_filled(dtype: str) -> None:
    x = Tensor(np.ones(3, dtype))
    assert not x.zero_().numpy().any()
    x[1] = 1
    assert x.fill_(1).numpy().all()
    assert x.dtype == dtype


def test_cells_are_written_by_any_key() -> None:
    x = Tensor(np.zeros((6, 8)))
    x[:, 2:6] = 1
    x[Tensor(np.array([0, 5])), 0] = Tensor(np.array([7, 8]))
    x[x > 6] *= 2
    x[1] += 3

    expected = np.zeros((6, 8))
    expected[:, 2:6], expected[0, 0], expected[5, 0] = 1, 14, 16
    expected[1] += 3
    np.testing.assert_array_equal(x.numpy(), expected)


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.add_(1),
        lambda x: x.fill_(1),
        lambda x: x.copy_(x),
        lambda x: x.zero_(),
        lambda x: operator.setitem(x, 0, 1.0),
    ],
)
def test_the_methods_obey_the_tape_too(write: Any) -> None:
    x = leaf(1, 2)
    y = x.exp()
    with pytest.raises(RuntimeError, match="requires a gradient"):
        write(x)
    for context in (enable_grad(), no_grad()):
        with context, pytest.raises(RuntimeError, match="on the tape"):
            write(y)
    with no_grad():
        write(x)
    with pytest.raises(RuntimeError, match="a gradient, which would be lost"):
        Tensor([0.0, 0.0]).copy_(x)
    with pytest.raises(RuntimeError, match="a gradient, which would be lost"):
        Tensor([0.0, 0.0])[1] = x[0]
    with pytest.raises(TypeError, match=r"\[...\] =: the new numbers are float32, .*int64"):
        Tensor(np.arange(3))[0] = 1.5


# data = -------------------------------------------------------------------------------------------


def test_data_takes_the_array_of_a_tensor() -> None:
    conv, new = nn.Conv2d(2, 3, 2), minicnn.rand(3, 2, 2, 2)
    conv.weight.data = new
    assert conv.weight.data is new.data
    assert conv.weight.requires_grad
    conv(minicnn.rand(1, 2, 4, 5)).sum().backward()


def test_data_may_change_shape_dtype_and_order_as_in_pytorch() -> None:
    x = leaf(1, 2)
    for array in (np.ones((2, 3)), np.float64(3), np.ones(2, ">f4")):
        x.data = array
        assert isinstance(x.data, np.ndarray)
        assert x.shape == array.shape
        assert x.dtype.isnative
        (x * 2).sum().backward()
        x.grad = None


@pytest.mark.parametrize("new", [[1.0, 2.0], 1.0, None, "abc", (1, 2), memoryview(b"ab")])
def test_data_refuses_what_is_no_array(new: Any) -> None:
    x = leaf(1, 2)
    kind = type(new).__name__
    with pytest.raises(TypeError, match=rf"^data: received {kind}; wanted an array or a tensor"):
        x.data = new
    np.testing.assert_array_equal(x.numpy(), [1, 2])


def test_data_refuses_dtypes_that_do_not_fit() -> None:
    x = leaf(1, 2)
    for array in (np.ones(2, np.float16), np.ones(2, complex), np.array(["a"]), np.ones(2, object)):
        with pytest.raises(TypeError, match=r"not supported|wanted real numbers"):
            x.data = array
    with pytest.raises(RuntimeError, match=r"^requires_grad: only floating-point .* this one is i"):
        x.data = np.arange(2)
    Tensor([1.0]).data = np.arange(2)


@pytest.mark.parity
def test_data_refuses_pytorchs_tensors_by_their_name() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"^data: received torch.Tensor; wanted"):
        leaf(1).data = torch.ones(1)
    leaf(1).data = Tensor(torch.ones(1))


# Copies and pickles -------------------------------------------------------------------------------


def test_a_deep_copy_of_a_computed_tensor_is_refused() -> None:
    y: Any = leaf(1, 2)
    for _ in range(2000):
        y = y + 1
    with pytest.raises(RuntimeError, match=r"^deepcopy: .* computed from others.*\.detach\(\)$"):
        copy.deepcopy(y)
    y.sum().backward()
    with pytest.raises(RuntimeError, match=r"^deepcopy: "):  # its tape is freed, it is no leaf
        copy.deepcopy(y)
    assert copy.deepcopy(y.detach()).node is None


def test_deep_copies_keep_what_they_share_and_their_class() -> None:
    p = nn.Parameter(np.ones(2, np.float32))
    p.grad = Tensor([3.0, 4.0])
    both = copy.deepcopy([p, p])
    assert both[0] is both[1]
    assert type(both[0]) is nn.Parameter
    assert both[0].grad is not None
    assert both[0].grad is not p.grad
    with no_grad():
        both[0] += 1
    np.testing.assert_array_equal(p.numpy(), 1)


def test_a_pickle_leaves_the_past_behind() -> None:
    """As PyTorch's: the net that remembers its last output stays small."""
    net = nn.Sequential(nn.Linear(100, 2))
    small = len(pickle.dumps(net))
    net.last = net(Tensor(np.ones((1000, 100), np.float32)))
    assert len(pickle.dumps(net)) < small + 1000 * 2 * 4 + 500

    y = leaf(1, 2)
    for _ in range(2000):
        y = y + 1
    again = pickle.loads(pickle.dumps(y))

    np.testing.assert_array_equal(again.numpy(), y.numpy())
    assert again.requires_grad
    assert again.is_leaf


OLD_PATHS = {
    "minicnn.nn.layers": "AvgPool2d BatchNorm2d Conv2d CrossEntropyLoss Dropout Flatten "
    "Identity LazyConv2d LazyLinear Linear LogSoftmax MaxPool2d NLLLoss ReLU Sequential Sigmoid "
    "Softmax Tanh",
    "minicnn.optim.optimizers": "Adadelta Adam AdamW SGD",
    "minicnn.nn.module": "IncompatibleKeys Module Parameter",
}


def test_a_class_is_found_where_an_old_pickle_looks_for_it() -> None:
    """A pickle names a class by the module that it was in, which may have become several since."""
    for module, names in OLD_PATHS.items():
        for name in names.split():
            kind = pickle.loads(f"c{module}\n{name}\n.".encode())
            assert kind.__name__ == name
            assert kind is getattr(nn, name, getattr(minicnn.optim, name, kind))


def test_old_pickles_load() -> None:
    """Written by version 0.1, before tensors had a version."""
    old = pickle.loads((Path(__file__).parents[1] / "states" / "objects-0.1.pickle").read_bytes())

    np.testing.assert_array_equal(old["tensor"].numpy(), [[1.5, -2, 0.25]])
    np.testing.assert_array_equal(old["tensor"].grad.numpy(), [[3, -4, 0.5]])
    assert type(old["parameter"]) is nn.Parameter
    np.testing.assert_array_equal(old["parameter"].numpy(), np.arange(6).reshape(2, 3))
    assert old["integers"].dtype == np.uint8
    np.testing.assert_allclose(old["net"](old["input"]).numpy(), old["output"].numpy(), rtol=1e-6)
    with no_grad():
        old["parameter"] -= 1
    optimizer = minicnn.optim.SGD(old["net"].parameters(), 0.1)
    old["net"](old["input"]).sum().backward()
    optimizer.step()


def test_one_cell_is_a_view_too() -> None:
    x = Tensor(np.zeros((2, 3)))
    x[1, 2].add_(5)
    x[0][1].add_(7)
    line = x[0]
    for cell in line:
        cell.add_(1)
    np.testing.assert_array_equal(x.numpy(), [[1, 8, 1], [0, 0, 5]])
    leaf = Tensor(np.arange(3.0), requires_grad=True)
    y = leaf[1] * leaf[2]
    with minicnn.no_grad():
        leaf[2].add_(1)
    with pytest.raises(RuntimeError, match="Multiply needs its input 0"):
        y.backward()


@pytest.mark.parametrize("change", ["add_", "sub_"])
def test_a_factor_that_is_no_number_is_refused(change: str) -> None:
    x = Tensor([1.0, 2.0])
    for alpha in ([1.0, 1.0], "2", 2j, None):
        with pytest.raises(TypeError, match="alpha"):
            getattr(x, change)([1, 1], alpha=alpha)
    assert x.tolist() == [1, 2]
