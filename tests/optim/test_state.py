"""What optimisers keep for a parameter, and optimisers and schedules of one's own."""

from typing import Any

import numpy as np
import pytest

from minicnn import Tensor, optim
from tests.optim.settings import parameter, sgd

KEEPING: dict[str, tuple[dict[str, Any], list[str]]] = {
    "SGD": ({"momentum": 0.9}, ["velocity"]),
    "Adam": ({}, ["m", "v"]),
    "AdamW": ({"amsgrad": True}, ["m", "v", "largest"]),
    "Adadelta": ({}, ["v", "u"]),
}
each_kind = pytest.mark.parametrize("kind", KEEPING)


def made(kind: str, p: Tensor) -> tuple[optim.Optimizer, list[str]]:
    settings, names = KEEPING[kind]
    return getattr(optim, kind)([p], **settings), names


def stepped(optimizer: optim.Optimizer, p: Tensor) -> None:
    p.grad = Tensor(np.arange(1.0, p.data.size + 1).reshape(p.shape))
    optimizer.step()


@each_kind
def test_what_is_kept_is_what_the_attributes_hold_and_stays_the_same_array(kind: str) -> None:
    p = Tensor(np.ones((2, 3)), requires_grad=True)
    optimizer, names = made(kind, p)
    assert optimizer.kept(0) == [None] * len(names)
    stepped(optimizer, p)
    first = optimizer.kept(0)
    stepped(optimizer, p)
    for name, before, now in zip(names, first, optimizer.kept(0), strict=True):
        assert now is vars(optimizer)[name][0], name
        assert now is before, name
        assert now is not None
        assert now.any(), name


@each_kind
@pytest.mark.parametrize("how", ["read-only", "in another memory order"])
def test_state_that_cannot_be_written_in_place_is_copied(kind: str, how: str) -> None:
    """As it may come from a file."""
    p, same = (Tensor(np.ones((2, 3)), requires_grad=True) for _ in range(2))
    (optimizer, names), (other, _) = made(kind, p), made(kind, same)
    for one, q in ((optimizer, p), (other, same)):
        stepped(one, q)
    for name in names:
        array = vars(optimizer)[name][0]
        vars(optimizer)[name][0] = array if how == "read-only" else np.asfortranarray(array)
        array.flags.writeable = how != "read-only"
    for one, q in ((optimizer, p), (other, same)):
        stepped(one, q)
    np.testing.assert_array_equal(p.numpy(), same.numpy())
    for kept in optimizer.kept(0):
        assert kept is not None
        assert kept.flags.carray


@each_kind
def test_state_of_another_shape_is_refused(kind: str) -> None:
    p = Tensor(np.ones((2, 3)), requires_grad=True)
    optimizer, names = made(kind, p)
    stepped(optimizer, p)
    p.data = np.ones((3, 2))
    message = rf"^{kind}: {names[0]} of parameter 0 has shape \(2, 3\); wanted \(3, 2\)$"
    with pytest.raises(ValueError, match=message):
        stepped(optimizer, p)


@each_kind
def test_maximize_goes_up(kind: str) -> None:
    p = parameter(1, 2)
    settings, _ = KEEPING[kind]
    optimizer = getattr(optim, kind)([p], **settings, maximize=True)
    stepped(optimizer, p)
    assert (p.numpy() > [1, 2]).all()


def test_a_rho_of_1_is_allowed() -> None:
    p = parameter(1)
    optimizer = optim.Adadelta([p], rho=1)
    stepped(optimizer, p)
    assert p.item() == 0  # the means stay 0: d = g sqrt(eps) / sqrt(eps)


@pytest.mark.parametrize("momentum", [0, 0.5, 1])
def test_sgd_keeps_state_with_any_momentum(momentum: float) -> None:
    assert optim.SGD([parameter(1)], momentum=momentum).keeps_state == (momentum > 0)


def test_a_dampening_below_0_is_a_push() -> None:
    p = parameter(1)
    optimizer = optim.SGD([p], lr=1, momentum=0.5, dampening=-1)
    stepped(optimizer, p)
    stepped(optimizer, p)
    assert p.item() == 1 - 1 - (0.5 + 2)


@each_kind
def test_a_group_has_every_setting_and_loses_none(kind: str) -> None:
    optimizer, _ = made(kind, parameter(1))
    (group,) = optimizer.param_groups
    assert len(group) == len(list(group)) == len(vars(optimizer)) > 5
    with pytest.raises(TypeError, match=f"^{kind}: a setting cannot be deleted$"):
        del group["lr"]
    assert group["lr"] == optimizer.lr


# Of one's own -------------------------------------------------------------------------------------


class Unfinished(optim.Optimizer):
    pass


class Half(optim.Optimizer):
    def state_of(self, i: int) -> tuple[list[np.ndarray], int]:
        return [], 1


def test_an_optimizer_without_its_methods_says_which() -> None:
    for kind, wanted in ((Unfinished, r"state_of\(i\)"), (Half, r"descend\(p, g, state, step\)")):
        p = parameter(1)
        optimizer = kind([p], 0.1)
        message = rf"^{kind.__name__} has neither step\(\) nor {wanted}$"
        with pytest.raises(NotImplementedError, match=message):
            stepped(optimizer, p)
    for method in (lambda: optimizer.kept(0), optimizer.settings):
        with pytest.raises(NotImplementedError):
            method()


def test_a_schedule_without_its_formula_is_refused() -> None:
    with pytest.raises(NotImplementedError):
        optim.lr_scheduler.LRScheduler(sgd(0.1))
