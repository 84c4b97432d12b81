"""minicnn.optim: SGD by its formula and by PyTorch's, and the learning-rate schedules."""

import importlib
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
at_least_0 = [(kind, name) for kind, name in EACH_SETTING if name != "dampening"]


@pytest.mark.parametrize(("kind", "name"), at_least_0)
@pytest.mark.parametrize("value", [-0.1, math.nan])
def test_negative_settings_are_refused(kind: str, name: str, value: float) -> None:
    message = rf"^{kind}: {name} is (-0.1|nan); wanted at least 0$"
    with pytest.raises(ValueError, match=message):
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


@each_kind
def test_a_text_is_no_setting_later_either(kind: str) -> None:
    optimizer = getattr(optim, kind)([parameter(1)])
    with pytest.raises(TypeError, match=f"^{kind}: lr is '0.5'; wanted a number$"):
        optimizer.lr = "0.5"
    with pytest.raises(TypeError, match=f"^{kind}: lr is '0.5'; wanted a number$"):
        optimizer.param_groups[0]["lr"] = "0.5"


def test_a_subclass_may_keep_a_text() -> None:
    class Mine(optim.SGD):
        label = "plain"

    optimizer = Mine([parameter(1)])
    optimizer.label = "run 7"
    assert optimizer.label == "run 7"


def test_pytorchs_defaults_in_a_subclass_come_with_the_cure() -> None:
    class Mine(optim.Optimizer):
        def __init__(self, params: list[Tensor], lr: float):
            super().__init__(params, {"lr": lr})  # type: ignore[arg-type]

    with pytest.raises(TypeError, match=r"^Mine: lr is .*; wanted a number: super\(\).__init__"):
        Mine([parameter(1)], 0.1)


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
    ("CosineAnnealingLR", lambda make, o: make(o, T_max=1)),
    ("ExponentialLR", lambda make, o: make(o, gamma=0.8)),
]


def rates_beside_pytorchs(
    schedules: list[tuple[str, Callable[[Any, Any], Any]]], start: float, by_hand: dict[int, float]
) -> tuple[list[float], list[float]]:
    """The rates of 16 epochs under some schedules; ``by_hand``: those that are set in an epoch."""
    torch = pytest.importorskip("torch")
    ours = sgd(start)
    theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=start)
    steps = [make(getattr(optim.lr_scheduler, name), ours).step for name, make in schedules]
    steps += [
        make(getattr(torch.optim.lr_scheduler, name), theirs).step for name, make in schedules
    ]
    seen = []
    for epoch in range(16):
        if epoch in by_hand:
            ours.param_groups[0]["lr"] = theirs.param_groups[0]["lr"] = by_hand[epoch]
        seen.append((ours.lr, theirs.param_groups[0]["lr"]))
        theirs.step()
        for step in steps:
            step()
    mine, pytorchs = zip(*seen, strict=True)
    return list(mine), list(pytorchs)


@pytest.mark.parity
@pytest.mark.parametrize("start", [0.3, 0.0])
@pytest.mark.parametrize(("name", "make"), SCHEDULES)
def test_a_schedule_is_pytorchs(name: str, make: Callable[[Any, Any], Any], start: float) -> None:
    ours, theirs = rates_beside_pytorchs([(name, make)], start, {})
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parity
@pytest.mark.parametrize(
    "places", [(2, 4), (4, 2), (0, 3), (3, 6), (6, 9, 4), (9, 2, 4), (1, 0)], ids=str
)
@pytest.mark.parametrize("by_hand", [{}, {5: 0.7}], ids=["alone", "and by hand"])
def test_schedules_compose_as_pytorchs(places: tuple[int, ...], by_hand: dict[int, float]) -> None:
    ours, theirs = rates_beside_pytorchs([SCHEDULES[k] for k in places], 0.3, by_hand)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_a_rate_set_by_hand_is_where_a_schedule_goes_on() -> None:
    optimizer = sgd(1.0)
    first, second = optim.StepLR(optimizer, 2, 0.5), optim.MultiStepLR(optimizer, [3], 0.1)
    seen = []
    for epoch in range(6):
        if epoch == 1:
            optimizer.lr = 8
        seen.append(optimizer.lr)
        first.step()
        second.step()
    np.testing.assert_allclose(seen, [1, 8, 4, 0.4, 0.2, 0.2])
    assert first.get_last_lr() == [optimizer.lr]
    assert first.last_epoch == 6


def test_a_cosine_climbs_from_0_to_its_least_rate() -> None:
    seen = rates(optim.CosineAnnealingLR(sgd(0.0), 4, eta_min=0.2), 5)
    np.testing.assert_allclose(seen, [0, 0.2 * (1 - np.cos(np.pi / 4)) / 2, 0.1, 0.17071067, 0.2])


def test_schedules_are_found_where_pytorch_has_them() -> None:
    module = importlib.import_module("minicnn.optim.lr_scheduler")
    assert optim.lr_scheduler is module
    for name in ("LambdaLR", "StepLR", "MultiStepLR", "CosineAnnealingLR", "ExponentialLR"):
        assert getattr(module, name) is getattr(optim, name)


@pytest.mark.parametrize(
    ("name", "settings", "error", "says"),
    [
        ("StepLR", (0,), ValueError, "step_size is 0; wanted at least 1"),
        ("StepLR", (-2,), ValueError, "step_size is -2; wanted at least 1"),
        ("StepLR", ("3",), TypeError, "step_size is '3', of type str; wanted a number"),
        ("StepLR", (1, None), TypeError, "gamma is None, of type NoneType; wanted a number"),
        ("MultiStepLR", (3,), TypeError, "milestones is 3; wanted a list of epochs"),
        ("MultiStepLR", ([3], "1"), TypeError, "gamma is '1', of type str; wanted a number"),
        ("ExponentialLR", ("1",), TypeError, "gamma is '1', of type str; wanted a number"),
        ("CosineAnnealingLR", (0,), ValueError, "T_max is 0; wanted at least 1"),
        ("CosineAnnealingLR", (3, 1j), TypeError, "eta_min is 1j, of type complex; wanted a num"),
        ("LambdaLR", (0.5,), TypeError, "lr_lambda is a float; wanted a function of the epoch"),
    ],
)
def test_settings_of_a_schedule_are_checked(
    name: str, settings: tuple[Any, ...], error: type[Exception], says: str
) -> None:
    optimizer = sgd(0.5)
    with pytest.raises(error, match=f"^{name}: {says}"):
        getattr(optim, name)(optimizer, *settings)
    assert optimizer.lr == 0.5


def test_what_is_no_optimizer_has_no_schedule() -> None:
    net: Any = nn.Linear(1, 1)
    with pytest.raises(TypeError, match=r"^StepLR: optimizer is a Linear; wanted one of minicnn"):
        optim.StepLR(net, 1)


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
