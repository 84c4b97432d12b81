"""Learning-rate schedules: by hand and by PyTorch's."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn import nn, optim
from tests.optim.settings import sgd


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
        ("MultiStepLR", ([3, "4"],), TypeError, "an epoch of milestones is '4', of type"),
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
