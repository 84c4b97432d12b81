"""optim.SGD: by its formula, by hand, and by PyTorch's."""

from typing import Any

import numpy as np
import pytest

from minicnn import Tensor, nn, optim
from tests.optim.settings import SETTINGS, parameter


def with_gradient(p: Tensor, *values: float) -> Tensor:
    p.grad = Tensor(np.array(values, np.float64))
    return p


# SGD ----------------------------------------------------------------------------------------------


@pytest.mark.parity
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_ten_steps_are_pytorchs(settings: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    starts = [rng.standard_normal(shape) for shape in ((3, 2), (4,), ())]
    ours = [Tensor(start.copy(), requires_grad=True) for start in starts]
    theirs = [torch.tensor(start, requires_grad=True) for start in starts]
    a, b = optim.SGD(ours, lr=0.1, **settings), torch.optim.SGD(theirs, lr=0.1, **settings)

    for step in range(10):
        a.lr = b.param_groups[0]["lr"] = 0.1 / (1 + step // 3)
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            g = rng.standard_normal(p.shape)
            without = i == 1 and step in (0, 1, 5)  # a parameter that was not used in these steps
            p.grad = None if without else Tensor(np.array(g))
            q.grad = None if without else torch.tensor(g)
        a.step()
        b.step()
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-13, atol=1e-14)


def test_a_plain_step_goes_down_the_gradient() -> None:
    p = with_gradient(parameter(1, 2), 10, -10)
    optim.SGD([p], lr=0.1).step()
    np.testing.assert_allclose(p.numpy(), [0, 3], atol=1e-15)  # lr * g is fused into p - lr * g


def test_maximize_goes_up() -> None:
    p = with_gradient(parameter(1), 10)
    optim.SGD([p], lr=0.1, maximize=True).step()
    np.testing.assert_allclose(p.numpy(), [2])


def test_momentum_by_hand() -> None:
    p = with_gradient(parameter(0), 1)
    optimizer = optim.SGD([p], lr=1, momentum=0.5, dampening=0.2)
    seen = []
    for _ in range(3):
        optimizer.step()
        seen.append(p.item())
    # v = 1, 0.5 + 0.8, 0.65 + 0.8
    np.testing.assert_allclose(seen, [-1, -2.3, -3.75])


def test_nesterov_and_weight_decay_by_hand() -> None:
    p = with_gradient(parameter(10), 1)
    optim.SGD([p], lr=1, momentum=0.5, weight_decay=0.1, nesterov=True).step()
    # g = 1 + 0.1·10 = 2, v = 2, p = 10 - (2 + 0.5·2)
    assert p.item() == 7


def test_a_step_writes_into_the_parameter_and_leaves_the_gradient() -> None:
    p = with_gradient(parameter(1, 2), 3, 4)
    array = p.data
    optimizer = optim.SGD([p], lr=0.5, momentum=0.9, weight_decay=0.1, maximize=True)

    optimizer.step()
    optimizer.step()

    assert p.data is array
    assert p.grad is not None
    np.testing.assert_array_equal(p.grad.numpy(), [3, 4])
    assert p.is_leaf


@pytest.mark.parametrize("lr", [0.1, np.float64(0.1), np.float32(0.1)])
def test_float32_parameters_stay_float32(lr: float) -> None:
    net = nn.Linear(2, 2)
    optimizer = optim.SGD(net.parameters(), lr=lr, momentum=0.9, weight_decay=0.01)
    for _ in range(2):
        net(Tensor([[1.0, 2.0]])).sum().backward()
        optimizer.step()
    assert net.weight.dtype == np.float32
    assert optimizer.velocity[0] is not None
    assert optimizer.velocity[0].dtype == np.float32


def test_parameters_without_a_gradient_stay() -> None:
    still, moving = parameter(1), with_gradient(parameter(1), 1)
    optimizer = optim.SGD([still, moving], lr=1, momentum=0.9, weight_decay=1)
    optimizer.step()
    assert still.item() == 1
    assert moving.item() == -1
    assert optimizer.velocity[0] is None


def test_zero_grad_forgets_the_gradients() -> None:
    p = with_gradient(parameter(1), 1)
    optimizer = optim.SGD([p])
    optimizer.zero_grad()
    assert p.grad is None
    optimizer.step()
    assert p.item() == 1


def test_sgd_learns_a_line() -> None:
    rng = np.random.default_rng(0)
    x = Tensor(rng.standard_normal((50, 3)).astype(np.float32))
    y = x @ Tensor([[1.0], [-2.0], [3.0]]) + 0.5
    net = nn.Linear(3, 1)
    optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for _ in range(200):
        optimizer.zero_grad()
        ((net(x) - y) ** 2).mean().backward()
        optimizer.step()
    np.testing.assert_allclose(net.weight.numpy(), [[1, -2, 3]], atol=1e-3)
    assert net.bias is not None
    np.testing.assert_allclose(net.bias.numpy(), [0.5], atol=1e-3)


# Schedules ----------------------------------------------------------------------------------------


def test_momentum_survives_a_change_of_dtype() -> None:
    net = nn.Linear(3, 2)
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for dtype in ("float32", "float64"):
        net.to(dtype)
        optimizer.zero_grad()
        net(Tensor(np.ones((1, 3), dtype))).sum().backward()
        optimizer.step()
    assert all(v is not None and v.dtype == np.float64 for v in optimizer.velocity)
    assert all(p.dtype == np.float64 for p in net.parameters())


@pytest.mark.parametrize("momentum", [0, 0.9])
def test_a_parameter_in_another_memory_order_is_updated_in_place(momentum: float) -> None:
    array = np.arange(6.0).reshape(2, 3).T
    p = Tensor(array, requires_grad=True)
    optimizer = optim.SGD([p], lr=1, momentum=momentum)
    for _ in range(2):
        p.grad = Tensor(np.ones((3, 2)))
        optimizer.step()
    np.testing.assert_allclose(array, np.arange(6.0).reshape(2, 3).T - (2 + momentum))


def test_a_gradient_of_another_shape_is_refused() -> None:
    p = Tensor(np.ones((4, 5)), requires_grad=True)
    sgd = optim.SGD([p], lr=0.1)
    with pytest.raises(
        ValueError, match=r"gradient of parameter 0 has shape \(5,\); wanted \(4, 5\)"
    ):
        sgd.update(0, np.ones(5))
