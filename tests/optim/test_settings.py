"""What optimisers refuse: parameters and settings that do not fit."""

import inspect
import math
from typing import Any

import numpy as np
import pytest

from minicnn import Tensor, nn, optim
from tests.optim.settings import parameter

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


@each_kind
def test_a_tensor_that_is_there_twice_is_refused(kind: str) -> None:
    w, b = parameter(2, 3), parameter(3)
    message = rf"^{kind}: params\[0\] and params\[2\] are one tensor, .*; wanted each once$"
    with pytest.raises(ValueError, match=message):
        getattr(optim, kind)([w, b, w])


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


def test_an_integer_beyond_all_floats_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lr is a large integer; wanted a finite number$"):
        optim.SGD([parameter(1)], lr=10**400)


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
