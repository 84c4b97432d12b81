"""What every operation promises: inputs unchanged, dtypes kept, gradients added."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, apply, ops
from minicnn.nn import functional as F
from tests.ops.cases import CASES, Case, arrays_of
from tests.tensor.every_operation import USES, leaves_for

conv2d: Callable[..., Tensor] = F.conv2d
batch_norm: Callable[..., Tensor] = F.batch_norm
PICTURE = (2, 4, 6, 7)
VIEWS = {name for name in CASES if name.startswith(("reshape", "flatten", "transpose", "T", "x["))}
VIEWS |= {"dropout in evaluation"}
OPERATIONS = CASES | {
    "@": Case(operator.matmul, ((3, 4), (4, 5))),
    "@, stacked": Case(operator.matmul, ((2, 3, 4), (4, 5))),
    "linear": Case(F.linear, ((3, 4), (5, 4), (5,))),
    "linear, one row": Case(F.linear, ((4,), (5, 4))),
    "relu": Case(F.relu, ((3, 4),)),
    "sigmoid": Case(F.sigmoid, ((3, 4),)),
    "tanh": Case(F.tanh, ((3, 4),)),
    "softmax": Case(lambda x: F.softmax(x, 1), ((3, 4),)),
    "log_softmax": Case(lambda x: F.log_softmax(x, 1), ((3, 4),)),
    "dropout": Case(lambda x: F.dropout(x, 0.5), ((3, 4),)),
    "dropout in evaluation": Case(lambda x: F.dropout(x, 0.5, training=False), ((3, 4),)),
    "pad": Case(lambda x: F.pad(x, (1, -1)), ((3, 4),)),
    "pad by nothing": Case(lambda x: F.pad(x, (0, 0)), ((3, 4),)),
    "conv2d": Case(lambda *xs: conv2d(*xs, padding=1), (PICTURE, (3, 4, 2, 3), (3,))),
    "conv2d, 1 x 1": Case(F.conv2d, (PICTURE, (3, 4, 1, 1))),
    "conv2d, groups": Case(
        lambda *xs: conv2d(*xs, padding="same", groups=2), (PICTURE, (2, 2, 2, 3), (2,))
    ),
    "max_pool2d": Case(lambda x: F.max_pool2d(x, (2, 3), stride=1), (PICTURE,)),
    "max_pool2d, 1 x 1": Case(lambda x: F.max_pool2d(x, 1), (PICTURE,)),
    "avg_pool2d": Case(lambda x: F.avg_pool2d(x, (2, 3), padding=1), (PICTURE,)),
    "avg_pool2d, 1 x 1": Case(lambda x: F.avg_pool2d(x, 1), (PICTURE,)),
    "batch_norm": Case(
        lambda *xs: batch_norm(xs[0], None, None, *xs[1:], training=True), (PICTURE, (4,), (4,))
    ),
    "batch_norm, not affine": Case(lambda x: batch_norm(x, None, None, training=True), (PICTURE,)),
    "batch_norm, evaluation": Case(
        lambda x, *affine: batch_norm(
            x,
            Tensor(np.array([0.3, -1, 0, 2], x.dtype)),
            Tensor(np.array([0.5, 1, 2, 3], x.dtype)),
            *affine,
        ),
        (PICTURE, (4,), (4,)),
    ),
    "cross_entropy": Case(lambda x: F.cross_entropy(x, Tensor(np.array([3, 0, 1]))), ((3, 4),)),
    "cross_entropy, probabilities": Case(F.cross_entropy, ((3, 4), (3, 4))),
    "cross_entropy, everything": Case(
        lambda x: F.cross_entropy(
            x,
            Tensor(np.array([3, 0, 1])),
            Tensor(np.ones(4, x.dtype)),
            ignore_index=0,
            label_smoothing=0.1,
            reduction="none",
        ),
        ((3, 4),),
    ),
    "nll_loss": Case(lambda x: F.nll_loss(x, Tensor(np.array([3, 0, 1]))), ((3, 4),)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_inputs_and_cotangent_are_neither_changed_nor_shared(
    name: str, kernel_set: str, rng: np.random.Generator
) -> None:
    case = OPERATIONS[name]
    arrays = arrays_of(case, rng)
    copies = [array.copy() for array in arrays]
    inputs = [Tensor(array, requires_grad=True) for array in arrays]
    y = case.ours(*inputs)
    value = y.numpy().copy()
    if name not in VIEWS:
        assert not any(np.shares_memory(y.numpy(), array) for array in arrays)

    u = np.asarray(rng.standard_normal(y.shape))
    kept = u.copy()
    y.backward(Tensor(u))
    np.testing.assert_array_equal(u, kept)
    np.testing.assert_array_equal(y.numpy(), value)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)

    others = [u, y.numpy(), *arrays]
    for x in inputs:
        assert x.grad is not None
        assert not any(np.shares_memory(x.grad.numpy(), other) for other in others)
        others.append(x.grad.numpy())


@pytest.mark.parametrize("name", OPERATIONS)
def test_float32_in_gives_float32_out_and_float64s_numbers(
    name: str, kernel_set: str, rng: np.random.Generator
) -> None:
    case = OPERATIONS[name]
    arrays, results = arrays_of(case, rng), []
    for dtype in (np.float64, np.float32):
        minicnn.manual_seed(0)
        inputs = [Tensor(array.astype(dtype), requires_grad=True) for array in arrays]
        y = case.ours(*inputs)
        y.backward(np.asarray(np.cos(np.arange(y.size)).reshape(y.shape), dtype))
        results.append([y, *(x.grad for x in inputs)])
    for double, single in zip(*results, strict=True):
        assert single.dtype == np.float32
        scale = max(1.0, float(np.abs(double.numpy()).max(initial=0)))
        np.testing.assert_allclose(single.numpy(), double.numpy(), 1e-5, 1e-5 * scale)


def test_a_gradient_is_added_to_the_one_that_is_there() -> None:
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    (x * 3).sum().backward()
    (x * x).sum().backward()
    assert x.grad is not None
    assert x.grad.numpy().tolist() == [5, 7]


# What an operation says of itself -----------------------------------------------------------------


NEW = [ops.Sigmoid, ops.Tanh, ops.ReLU, ops.MaxPool2d, ops.AvgPool2d, ops.BatchNorm]
NEW += [ops.FixedBatchNorm, ops.Conv2d, ops.Conv2dByImage, ops.SoftmaxCrossEntropy, ops.Linear]


@pytest.mark.parametrize("operation", NEW)
def test_a_gradient_that_nobody_else_holds_is_kept_without_a_copy(
    operation: type[ops.Operation], monkeypatch: pytest.MonkeyPatch
) -> None:
    returned: list[Any] = []
    backward = operation.backward

    def watched(self: ops.Operation, dy: np.ndarray) -> Any:
        returned.append(backward(self, dy))
        return returned[-1]

    monkeypatch.setattr(operation, "backward", watched)
    x, *others = leaves_for(operation)
    y = USES[operation][0](x, *others)
    y.backward(np.ones(y.shape))
    (gradients,) = returned
    assert x.grad is not None
    dx = gradients[0] if isinstance(gradients, tuple) else gradients
    assert np.shares_memory(x.grad.numpy(), dx)


class Square(ops.Operation):
    """y = x²: it does not say what its backward reads."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x = x
        return x * x

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return 2 * self.x * dy


class Keeping(ops.Operation):
    """y = 2 x, whose backward returns an array that it keeps."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        return 2 * x

    def backward(self, dy: np.ndarray) -> np.ndarray:
        self.kept = 2 * dy
        return self.kept


def test_of_an_operation_that_says_nothing_the_gradient_is_copied() -> None:
    x, keeping = Tensor(np.ones(3), requires_grad=True), Keeping()
    apply(keeping, x).backward(np.array([1.0, -2.0, 5.0]))
    assert x.grad is not None
    assert x.grad.numpy().tolist() == [2, -4, 10]
    assert not np.shares_memory(x.grad.numpy(), keeping.kept)


def test_an_operation_that_says_nothing_reads_everything() -> None:
    x = Tensor(np.array([3.0, -1.0]), requires_grad=True)
    apply(Square(), x).sum().backward()
    assert x.grad is not None
    assert x.grad.numpy().tolist() == [6, -2]
    for number, said in ((0, r"input 0 of shape \(2,\)"), (1, "result")):
        y = apply(Square(), x)
        total = y.sum()
        with minicnn.no_grad():
            (x if number == 0 else y.detach()).mul_(2)
        with pytest.raises(RuntimeError, match=f"Square needs its {said} as it was in the forward"):
            total.backward()


@pytest.mark.parametrize("needed", [0, 1])
@pytest.mark.parametrize("changed", [0, 1])
def test_both_gradients_of_a_power_read_base_and_exponent(needed: int, changed: int) -> None:
    pair = [Tensor(np.array([2.0, 3.0]), requires_grad=i == needed) for i in range(2)]
    y = (pair[0] ** pair[1]).sum()
    with minicnn.no_grad():
        pair[changed].mul_(2)
    with pytest.raises(RuntimeError, match=f"Power needs its input {changed} of shape"):
        y.backward()


def test_an_operation_without_its_two_methods_cannot_be_used() -> None:
    class Empty(ops.Operation):
        pass

    class OneWay(ops.Operation):
        def forward(self, x: np.ndarray) -> np.ndarray:
            return x + 1

    x = Tensor(np.ones(2), requires_grad=True)
    with pytest.raises(NotImplementedError):
        apply(Empty(), x)
    y = apply(OneWay(), x).sum()
    with pytest.raises(NotImplementedError):
        y.backward()


@pytest.mark.parametrize("needed", [0, 1, 2])
@pytest.mark.parametrize("changed", [0, 1])
def test_pieces_are_computed_again_from_input_and_weight(needed: int, changed: int) -> None:
    inputs = leaves_for(ops.InPieces)
    for number, tensor in enumerate(inputs):
        tensor.requires_grad = number == needed
    y = apply(ops.InPieces(ops.Linear, 2), *inputs).sum()
    with minicnn.no_grad():
        inputs[changed].mul_(2)
    said = f"Linear in pieces needs its input {changed} of shape"
    with pytest.raises(RuntimeError, match=said):
        y.backward()


def test_an_image_by_image_convolution_has_no_dweight_where_nobody_wants_one() -> None:
    x, w, b = leaves_for(ops.Conv2dByImage)
    w.requires_grad = b.requires_grad = False
    y = USES[ops.Conv2dByImage][0](x, w, b)
    assert y.node is not None
    dx, *others = y.node.operation.backward(np.ones(y.shape))
    assert dx is not None
    assert dx.shape == x.shape
    assert others == [None, None]


def test_a_frame_is_of_zeros_if_nothing_else_is_said() -> None:
    framed = ops.Pad(((0, 1), (2, 0))).forward(np.ones((1, 2)))
    assert framed.tolist() == [[0, 0, 1, 1], [0, 0, 0, 0]]


def test_an_ignored_row_is_zeros() -> None:
    x = np.array([[np.inf, np.nan], [3.0, -4.0]])
    ignored = ops.IgnoreRows(np.array([-1, 0]))
    np.testing.assert_array_equal(ignored.forward(x), [[0, 0], [3, -4]])
    np.testing.assert_array_equal(ignored.backward(x), [[0, 0], [3, -4]])


def test_a_part_of_a_batch_gets_its_rows_of_the_mask(kernel_set: str) -> None:
    """As the ranks do that share a batch."""
    x, key = np.ones((7, 4, 5)), (9, 2)
    whole = ops.Dropout(0.4, key).forward(x)
    for first, last in ((0, 3), (3, 7), (1, 2)):
        part = ops.Dropout(0.4, key, first).forward(x[first:last])
        np.testing.assert_array_equal(part, whole[first:last])


@pytest.mark.parametrize(
    ("key", "once"),
    [((slice(1, 3), None, 2), True), ((..., 0), True), (([0, 1],), False), ((1, [0]), False)],
)
def test_an_index_of_numbers_and_slices_takes_a_cell_once(key: Any, once: bool) -> None:
    assert ops.Index(key).takes_a_cell_once() is once


@pytest.mark.parametrize("operation", [ops.Sum, ops.Mean, ops.Max])
def test_a_reduction_takes_all_axes_away_if_nothing_else_is_said(operation: Any) -> None:
    x = np.array([[1.0, 5.0, 6.0], [2.0, 3.0, 7.0]])
    assert operation().forward(x).shape == ()
    assert operation(1).forward(x).shape == (2,)
    assert operation(keepdims=True).forward(x).shape == (1, 1)
