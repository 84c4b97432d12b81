"""minicnn.optim: SGD by its formula and by PyTorch's, and the learning-rate schedules."""

import inspect
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn import Tensor, nn, optim

SETTINGS: list[dict[str, Any]] = [
    {
        "momentum": momentum,
        "dampening": dampening,
        "weight_decay": weight_decay,
        "nesterov": nesterov,
        "maximize": maximize,
    }
    for momentum, dampening, weight_decay, nesterov, maximize in itertools.product(
        (0, 0.9), (0, 0.3), (0, 0.05), (False, True), (False, True)
    )
    if not nesterov or (momentum and not dampening)
]


def parameter(*values: float) -> Tensor:
    return Tensor(np.array(values, np.float64), requires_grad=True)


def sgd(lr: float) -> optim.SGD:
    return optim.SGD([parameter(1)], lr=lr)


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


KINDS = ["SGD", "Adam", "AdamW", "Adadelta"]
each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
@pytest.mark.parametrize("params", [[], iter(())])
def test_no_parameters_are_refused(kind: str, params: Any) -> None:
    message = rf"^{kind}: params is empty; wanted the tensors to be learnt$"
    with pytest.raises(ValueError, match=message):
        getattr(optim, kind)(params)


@each_kind
@pytest.mark.parametrize(
    ("params", "says"),
    [
        ([parameter(1), 1.0], "params holds a float; wanted tensors"),
        (dict(nn.Linear(1, 1).named_parameters()), "params holds a str; wanted tensors"),
        (parameter(1, 2), "params is a tensor; wanted a list of tensors"),
        (0.1, "params is of type float; wanted a list of tensors"),
        (None, "params is of type NoneType; wanted a list of tensors"),
        (nn.Linear(1, 1), r"params is a net \(Linear\); wanted its tensors: net.parameters\(\)"),
        ([{"params": [parameter(1)], "lr": 1}], "params holds a dict; wanted tensors. Groups .*"),
    ],
)
def test_what_is_no_list_of_tensors_is_refused(kind: str, params: Any, says: str) -> None:
    with pytest.raises(TypeError, match=rf"^{kind}: {says}$"):
        getattr(optim, kind)(params)


@each_kind
def test_the_result_of_an_operation_is_refused(kind: str) -> None:
    """Its gradient is never kept: it would not learn, without a word."""
    with pytest.raises(ValueError, match=rf"^{kind}: params\[1\] is the result of an operation"):
        getattr(optim, kind)([parameter(1), parameter(1) * 2])


SETTINGS_OF = {
    "SGD": ["lr", "momentum", "dampening", "weight_decay"],
    "Adam": ["lr", "eps", "weight_decay"],
    "AdamW": ["lr", "eps", "weight_decay"],
    "Adadelta": ["lr", "rho", "eps", "weight_decay"],
}
EACH_SETTING = [(kind, name) for kind, names in SETTINGS_OF.items() for name in names]
each_setting = pytest.mark.parametrize(("kind", "name"), EACH_SETTING)


@each_setting
@pytest.mark.parametrize("value", [-0.1, math.nan])
def test_negative_settings_are_refused(kind: str, name: str, value: float) -> None:
    least = "-inf" if name == "dampening" else "0"
    if value < 0 and name == "dampening":
        return
    with pytest.raises(
        ValueError, match=rf"^{kind}: {name} is (-0.1|nan); wanted at least {least}$"
    ):
        getattr(optim, kind)([parameter(1)], **{name: value})


@each_setting
def test_an_infinite_setting_is_refused(kind: str, name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{kind}: {name} is inf; wanted a finite number$"):
        getattr(optim, kind)([parameter(1)], **{name: math.inf})


@each_setting
@pytest.mark.parametrize("value", ["0.1", None, 1j, [0.1], np.complex64(1)])
def test_what_is_no_number_is_refused(kind: str, name: str, value: Any) -> None:
    message = rf"^{kind}: {name} is .*, of type {type(value).__name__}; wanted a number$"
    with pytest.raises(TypeError, match=message):
        getattr(optim, kind)([parameter(1)], **{name: value})


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9, "dampening": 0.1}])
def test_nesterov_needs_momentum_without_dampening(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^SGD: nesterov needs momentum above 0 and no dampening"):
        optim.SGD([parameter(1)], nesterov=True, **settings)


@pytest.mark.parity
@each_kind
def test_arguments_are_pytorchs(kind: str) -> None:
    torch = pytest.importorskip("torch")
    theirs = list(inspect.signature(getattr(torch.optim, kind)).parameters.values())
    ours = list(inspect.signature(getattr(optim, kind)).parameters.values())
    defaults = {p.name: p.default for p in theirs}
    count = 6 if kind == "SGD" else sum(p.kind != p.KEYWORD_ONLY for p in ours)
    assert [p.name for p in ours][:count] == [p.name for p in theirs][:count]
    assert all(p.default == defaults[p.name] for p in ours)


# Schedules ----------------------------------------------------------------------------------------


def rates(schedule: optim.LRScheduler, epochs: int) -> list[float]:
    seen = []
    for _ in range(epochs):
        seen.append(schedule.optimizer.lr)
        schedule.step()
    return seen


def test_step_lr_by_hand() -> None:
    np.testing.assert_allclose(
        rates(optim.StepLR(sgd(0.8), 2, gamma=0.5), 6), [0.8, 0.8, 0.4, 0.4, 0.2, 0.2]
    )


def test_multi_step_lr_by_hand() -> None:
    np.testing.assert_allclose(
        rates(optim.MultiStepLR(sgd(1.0), [4, 1], gamma=0.1), 6), [1, 0.1, 0.1, 0.1, 0.01, 0.01]
    )


def test_cosine_goes_from_the_start_to_eta_min() -> None:
    seen = rates(optim.CosineAnnealingLR(sgd(0.9), 10, eta_min=0.1), 11)
    assert seen[0] == pytest.approx(0.9)
    assert seen[5] == pytest.approx(0.5)
    assert seen[10] == pytest.approx(0.1)
    assert seen == sorted(seen, reverse=True)


def test_lambda_lr_sets_the_rate_of_the_first_epoch_too() -> None:
    optimizer = sgd(0.5)
    optim.LambdaLR(optimizer, lambda epoch: (epoch + 1) / 10)
    assert optimizer.lr == 0.05


SCHEDULES: list[tuple[str, Callable[[Any, Any], Any]]] = [
    ("LambdaLR", lambda make, o: make(o, lambda epoch: 0.9**epoch)),
    ("LambdaLR", lambda make, o: make(o, lambda epoch: min(1.0, (epoch + 1) / 5))),
    ("StepLR", lambda make, o: make(o, 3)),
    ("StepLR", lambda make, o: make(o, step_size=2, gamma=0.7)),
    ("MultiStepLR", lambda make, o: make(o, [2, 5, 5, 9])),
    ("MultiStepLR", lambda make, o: make(o, milestones=[1], gamma=2)),
    ("CosineAnnealingLR", lambda make, o: make(o, 7)),
    ("CosineAnnealingLR", lambda make, o: make(o, T_max=5, eta_min=0.05)),
]


@pytest.mark.parity
@pytest.mark.parametrize(("name", "make"), SCHEDULES)
def test_a_schedule_is_pytorchs(name: str, make: Callable[[Any, Any], Any]) -> None:
    torch = pytest.importorskip("torch")
    ours = make(getattr(optim, name), sgd(0.3))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    theirs = make(getattr(torch.optim.lr_scheduler, name), optimizer)

    expected = []
    for _ in range(16):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    np.testing.assert_allclose(rates(ours, 16), expected, rtol=1e-9, atol=1e-12)


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
