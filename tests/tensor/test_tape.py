"""What the tape promises for every operation: backward again, and numbers changed meanwhile."""

import copy
import inspect
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, compiler, nn, no_grad, ops, optim
from minicnn.nn import functional as F

from .every_operation import USES, gradients_of, leaves_for

every_operation = pytest.mark.parametrize("operation", USES, ids=lambda op: op.__name__)


def test_every_operation_has_its_use_here() -> None:
    offered = {x for x in vars(ops).values() if inspect.isclass(x)} - {ops.Operation}
    assert set(USES) == offered


@every_operation
def test_backward_a_second_time_adds_the_same_gradient_again(
    operation: type[ops.Operation], kernel_set: str
) -> None:
    function, leaves = USES[operation][0], leaves_for(operation)
    y = function(*leaves)
    assert y.node is not None
    u = np.random.default_rng(1).standard_normal(y.shape).astype(y.dtype)

    y.backward(u, retain_graph=True)
    once = gradients_of(leaves)
    y.backward(u, retain_graph=True)
    y.backward(u)

    for leaf, first in zip(leaves, once, strict=True):
        assert leaf.grad is not None
        np.testing.assert_array_equal(leaf.grad.numpy(), first + first + first)


# Numbers that changed between forward and backward ------------------------------------------------


@every_operation
def test_a_changed_input_is_refused_or_does_not_matter(operation: type[ops.Operation]) -> None:
    """Whichever input changes, whichever inputs need gradients: the right gradient or a refusal."""
    function, count = USES[operation][0], len(leaves_for(operation))
    for needed in range(1, 2**count):
        for changed in range(count):
            wanted, found = [
                _gradients_after_a_change(operation, function, needed, where)
                for where in (None, changed)
            ]
            for a, b in zip(wanted, found or wanted, strict=True):
                np.testing.assert_array_equal(a, b)


def _gradients_after_a_change(
    operation: type[ops.Operation], function: Any, needed: int, changed: int | None
) -> list[Any]:
    """None of them where backward refuses."""
    leaves = leaves_for(operation)
    for i, leaf in enumerate(leaves):
        leaf.requires_grad = bool(needed >> i & 1)
    y = function(*leaves)
    if changed is not None:
        with no_grad():
            leaves[changed] *= 1.5
    message = refusal(y)
    if message:
        assert changed is not None
        assert f"needs its input {changed} of shape {leaves[changed].shape} as it was" in message
        assert gradients_of(leaves) == [None] * len(leaves)
        return []
    return gradients_of(leaves)


def refusal(y: Tensor) -> str:
    """The message with which backward refuses; "" where it does not."""
    try:
        y.backward(np.ones(y.shape, y.dtype))
    except RuntimeError as error:
        return str(error)
    return ""


@every_operation
def test_a_changed_result_is_refused_or_does_not_matter(operation: type[ops.Operation]) -> None:
    function = USES[operation][0]
    untouched, changed = leaves_for(operation), leaves_for(operation)
    results = function(*untouched), function(*changed)
    results[1].detach().mul_(1.5)

    results[0].backward(np.ones(results[0].shape, results[0].dtype))
    message = refusal(results[1])

    if message:
        assert "needs its result as it was" in message
    else:
        for a, b in zip(gradients_of(untouched), gradients_of(changed), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parity
@pytest.mark.parametrize("needed", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("changed", [0, 1])
@pytest.mark.parametrize(
    "name", ["add", "sub", "mul", "truediv", "pow", "matmul", "linear", "conv2d", "exp", "log"]
)
def test_what_pytorch_lets_pass_is_not_refused(
    name: str, changed: int, needed: tuple[bool, bool]
) -> None:
    torch = pytest.importorskip("torch")
    import operator

    shapes = ((2, 3, 4, 4), (5, 3, 2, 3)) if name == "conv2d" else ((3, 3), (3, 3))
    arrays = [np.random.default_rng(i).uniform(0.5, 1.5, s) for i, s in enumerate(shapes)]

    def refuses(xs: list[Any], functional: Any, change: Any) -> bool:
        if name in ("exp", "log"):
            y = getattr(xs[0], name)() * xs[1]
        else:
            y = getattr(operator, name, None) or getattr(functional, name)
            y = y(*xs)
        with change():
            xs[changed] *= 1.5
        try:
            y.sum().backward()
        except RuntimeError:
            return True
        return False

    ours = [Tensor(a.copy(), need) for a, need in zip(arrays, needed, strict=True)]
    theirs = [torch.tensor(a).requires_grad_(need) for a, need in zip(arrays, needed, strict=True)]
    if not refuses(theirs, torch.nn.functional, torch.no_grad):
        assert not refuses(ours, F, no_grad)


CHANGES: dict[str, Any] = {
    "optimizer.step": lambda net: optim.SGD(net.parameters(), 0.1, momentum=0.9).step(),
    "Adam": lambda net: optim.Adam(net.parameters()).step(),
    "optimizer.update": lambda net: optim.SGD([net[2].weight], 0.1).update(
        0, net[2].weight.data.copy()
    ),
    "load_state_dict": lambda net: net.load_state_dict(net.state_dict()),
    "an initialiser": lambda net: nn.init.xavier_uniform_(net[2].weight),
    "a constant initialiser": lambda net: nn.init.zeros_(net[2].weight),
    "data -=": lambda net: setattr(net[2].weight, "data", net[2].weight.data.__isub__(1)),
    "data =": lambda net: setattr(net[2].weight, "data", np.zeros((2, 4), np.float32)),
    "its detach()": lambda net: net[2].weight.detach().zero_(),
    "a tensor of its state_dict": lambda net: net.state_dict()["2.weight"].fill_(3),
    "a tensor made of it": lambda net: Tensor(net[2].weight).add_(1),
    "a row of its": lambda net: net[2].weight.detach()[1].mul_(2),
    "its cells": lambda net: net[2].weight.detach().__setitem__((slice(None), 1), 7.0),
    "its transpose": lambda net: net[2].weight.detach().T.copy_(np.ones((4, 2), np.float32)),
    "to another dtype": lambda net: net.to("float64"),
    "increment_version": lambda net: net[2].weight.increment_version(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_weights_changed_between_forward_and_backward_are_noticed(change: Any) -> None:
    net: Any = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 2))
    x = Tensor(np.ones((5, 3), np.float32))
    first, second = net(x).sum(), net(x).sum()

    first.backward()
    before = gradients_of(list(net.parameters()))
    change(net)

    with pytest.raises(
        RuntimeError, match=r"^backward\(\): Linear needs its input 1 of shape \(2, 4\) as it was "
    ):
        second.backward()
    if net[2].weight.dtype == np.float32:  # nothing was added to any gradient
        for a, b in zip(before, gradients_of(list(net.parameters())), strict=True):
            np.testing.assert_array_equal(a, b)


if compiler.is_available():  # not with the reference kernels

    def test_a_compiled_step_between_forward_and_backward_is_noticed() -> None:
        net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 2))
        step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), 0.1))
        x, y = Tensor(np.ones((5, 1, 2, 2), np.float32)), Tensor(np.array([0, 1, 1, 0, 1]))
        loss = F.cross_entropy(net(x), y)

        step(x, y)

        with pytest.raises(RuntimeError, match="Linear needs its input 1"):
            loss.backward()


@pytest.mark.parametrize(
    "use",
    [
        lambda x, w: x @ w.T,
        lambda x, w: F.linear(x.reshape(1, 2, 3), w.reshape(3, 4).T),
        lambda x, w: x * w[0],
        lambda x, w: F.conv2d(x.reshape(1, 2, 1, 3), w.reshape(4, 1, 3, 1), groups=2, padding=1),
    ],
)
def test_a_change_is_seen_through_views(use: Any) -> None:
    x, w = (Tensor(np.ones(s, np.float32), requires_grad=True) for s in ((2, 3), (4, 3)))
    y = use(x, w).sum()
    with no_grad():
        w += 1
    with pytest.raises(RuntimeError, match="as it was in the forward pass"):
        y.backward()


def test_a_step_that_nobody_reads_through_is_allowed() -> None:
    """Linear regression: the gradient of the weight does not depend on the weight."""
    w, b = Tensor([[1.0, 2.0, 3.0]], requires_grad=True), Tensor([0.5], requires_grad=True)
    x = Tensor(np.arange(6, dtype=np.float32).reshape(2, 3))
    losses = [F.linear(x, w, b).sum(), (F.linear(x, w, b) + b).sum()]
    for loss in losses:
        loss.backward()
        with no_grad():
            w -= 0.1
            b -= 0.1
    assert w.grad is not None
    np.testing.assert_array_equal(w.grad.numpy(), 2 * x.numpy().sum(0, keepdims=True))


def test_a_loop_that_steps_after_backward_is_left_in_peace() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    optimizer = optim.SGD(net.parameters(), 0.1)
    for _ in range(3):
        net(Tensor(np.ones((5, 3), np.float32))).sum().backward()
        optimizer.step()


# An operation of one's own ------------------------------------------------------------------------


class Cube(ops.Operation):
    """y = x**3, with the gradient that the test invents."""

    def __init__(self, derivative: Any = lambda dy, x: 3 * x * x * dy):
        self.derivative = derivative

    def forward(self, x: Any) -> Any:
        self.x = x
        return x**3

    def backward(self, dy: Any) -> Any:
        return self.derivative(dy, self.x)


@pytest.mark.parametrize(
    ("derivative", "received"),
    [
        (lambda dy, x: (3 * x * x * dy).sum(0), r"float32 of shape \(3,\)"),
        (lambda dy, x: 3 * x[:1] ** 2, r"float32 of shape \(1, 3\)"),
        (lambda dy, x: (3 * x * x * dy)[None], r"float32 of shape \(1, 2, 3\)"),
        (lambda dy, x: (3 * x * x * dy).T, r"float32 of shape \(3, 2\)"),
        (lambda dy, x: 3.0 * x.astype("float64") ** 2, r"float64 of shape \(2, 3\)"),
        (lambda dy, x: (3 * x * x).astype("int64"), r"int64 of shape \(2, 3\)"),
    ],
)
@pytest.mark.parametrize("depth", [0, 1])
def test_a_gradient_of_another_shape_or_dtype_is_refused(
    derivative: Any, received: str, depth: int
) -> None:
    x = Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    y = minicnn.apply(Cube(derivative), x * 1 if depth else x)
    with pytest.raises(
        RuntimeError,
        match=rf"^Cube.backward: the gradient of input 0 is {received}; wanted float32 of shape "
        r"\(2, 3\), as the input$",
    ):
        y.sum().backward()
    assert x.grad is None


def test_one_instance_may_be_applied_twice() -> None:
    cube, x = Cube(), Tensor([2.0], requires_grad=True)

    y = minicnn.apply(cube, minicnn.apply(cube, x))
    y.sum().backward()

    assert x.grad is not None
    assert x.grad.item() == 9 * 2.0**8  # of x**9


def test_applying_it_once_more_leaves_what_was_recorded_alone() -> None:
    """A validation between forward and backward, as with an instance that a module keeps."""
    cube, x = Cube(), Tensor([2.0], requires_grad=True)
    y = minicnn.apply(cube, x)
    with no_grad():
        minicnn.apply(cube, Tensor([5.0]))
    minicnn.apply(cube, Tensor([7.0]))
    y.backward()
    assert x.grad is not None
    assert x.grad.item() == 12


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_labels_written_to_before_backward_change_nothing(smoothing: float) -> None:
    logits = Tensor(np.zeros((2, 3)), requires_grad=True)
    y = Tensor(np.array([0, 1]))
    loss = F.cross_entropy(logits, y, label_smoothing=smoothing)
    y.fill_(2)
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad.numpy().argmin(axis=1) == [0, 1]).all()


@pytest.mark.parametrize("kind", [list, np.array, lambda key: Tensor(np.array(key))])
def test_an_index_written_to_before_backward_changes_nothing(kind: Any) -> None:
    w = Tensor(np.ones(3), requires_grad=True)
    key = kind([0, 1])
    y = w[key]
    key[0] = 2
    y.sum().backward()
    assert w.grad is not None
    assert w.grad.numpy().tolist() == [1, 1, 0]


@pytest.mark.parametrize("several", [lambda x: np.split(x, 2), np.modf, np.broadcast_arrays])
def test_several_arrays_without_their_gradient_are_refused(several: Any) -> None:
    with pytest.raises(RuntimeError, match="gradient lost"):
        several(Tensor(np.ones(4), requires_grad=True))


def test_a_sum_over_no_axis_is_a_copy() -> None:
    x = Tensor(np.ones((2, 3), np.float32))
    x.sum(axis=()).zero_()
    assert (x.numpy() == 1).all()


def test_a_change_is_seen_through_a_shallow_copy() -> None:
    w, x = (Tensor(np.array(cells), requires_grad=True) for cells in ([2.0, 3.0], [5.0, 7.0]))
    same = copy.copy(w)
    loss = (same * x).sum()
    with no_grad():
        w *= 10
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()
    assert same.is_leaf
    assert same.requires_grad


def test_who_was_changed_before_it_was_read_may_be_used() -> None:
    x, other = (Tensor(np.array([2.0, 3.0]), requires_grad=True) for _ in range(2))
    with no_grad():
        x *= 5
    loss = (x * x).sum()
    with no_grad():
        other *= 5  # from now on something has changed
    loss.backward()
    assert x.grad is not None
    assert x.grad.numpy().tolist() == [20, 30]


@pytest.mark.parametrize("name", ["result", "part of a larger array"])
def test_a_result_with_memory_of_its_own_changes_alone(name: str) -> None:
    x = Tensor(np.array([[2.0, 3.0, 5.0]]), requires_grad=True)
    w = Tensor(np.ones((4, 3)), requires_grad=True)
    square = (x * x).sum()
    used = F.linear(x, w) if name == "result" else minicnn.apply(Padded(), x)
    used.detach().zero_()
    square.backward()
    assert x.grad is not None
    assert x.grad.numpy().tolist() == [[4, 6, 10]]


class Padded(ops.Operation):
    """Gives a view, but of new memory."""

    def forward(self, x: Any) -> Any:
        return np.pad(x, 1)[1:-1, 1:-1]

    def backward(self, dy: Any) -> Any:
        return dy


def test_a_constant_may_be_used_twice() -> None:
    a, b = (Tensor(np.array([cell]), requires_grad=True) for cell in (2.0, 3.0))
    mask = Tensor(np.array([5.0]))
    (mask * a + mask * b).sum().backward()
    assert [t.grad and t.grad.numpy().tolist() for t in (a, b, mask)] == [[5], [5], None]
