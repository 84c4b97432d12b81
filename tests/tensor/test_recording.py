"""no_grad and apply: what the tape records."""

import threading
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, is_grad_enabled, no_grad
from minicnn.ops import Operation
from minicnn.tape import looks_noted
from tests.tensor.leaves import Double, grad_of, leaf

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


def test_numbers_that_are_read_are_noted_inside_only() -> None:
    x, y = leaf(1), leaf(2)
    with looks_noted() as outer:
        x.item()
        with looks_noted() as inner:
            y.item()
        x.item()
    y.item()
    assert [tensor is x for tensor in outer] == [True, True]
    assert [tensor is y for tensor in inner] == [True]


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
