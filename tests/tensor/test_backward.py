"""Tensor.backward: what gets a gradient, and how gradients add up."""

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

import minicnn
from minicnn import Tensor, ops
from tests.tensor.leaves import ARITHMETIC, Binary, Double, grad_of, leaf

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


# Whose array a gradient is ------------------------------------------------------------------------


class Passing(ops.Operation):
    """y = x; backward hands on dy itself, or a copy where ``gives_new_arrays`` says so."""

    def __init__(self, gives_new_arrays: bool):
        self.gives_new_arrays = gives_new_arrays

    def forward(self, x: np.ndarray) -> np.ndarray:
        return x.copy()

    def backward(self, dy: np.ndarray) -> np.ndarray:
        self.dx = dy.copy() if self.gives_new_arrays else dy
        return self.dx


@pytest.mark.parametrize("is_new", [True, False])
def test_only_a_new_array_becomes_a_gradient_without_a_copy(is_new: bool) -> None:
    x, passing = Tensor(np.ones(3), requires_grad=True), Passing(is_new)
    y, u = minicnn.apply(passing, x), np.arange(3.0)
    y.backward(Tensor(u))
    assert x.grad is not None
    assert np.shares_memory(x.grad.numpy(), passing.dx) == is_new
    assert not np.shares_memory(x.grad.numpy(), u)
    np.testing.assert_array_equal(x.grad.numpy(), u)


def test_a_second_way_adds_to_a_copy_of_the_first() -> None:
    """relu gives a new array, which is x's gradient so far; the sum must not be written there."""
    x = Tensor(np.ones(3), requires_grad=True)
    for _ in range(2):
        before = None if x.grad is None else x.grad
        kept = None if before is None else before.numpy().copy()
        x.relu().sum().backward()
        if before is not None:
            np.testing.assert_array_equal(before.numpy(), kept)
    np.testing.assert_array_equal(grad_of(x), np.full(3, 2.0))
