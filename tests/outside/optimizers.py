"""PyTorch's own settings of its optimisers and schedules, and wrong ones: its ``OptimizerInfo``.

With each setting both sides take steps with the same random gradients; one parameter has none in
some steps. Compared are the parameters and what is kept for each of them after every step. Of a
schedule, or of several that run together, the learning rate of every epoch is compared.
"""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_optimizers import (
    OptimizerErrorEnum,
    OptimizerInfo,
    optim_db,
)

from minicnn import Tensor, nn, optim

from .comparing import Call, arguments, called, converted, copied, far, refusal, short
from .differences import OPTIMIZERS as DIFFERENCES
from .tally import Found

TITLE = "PyTorch's OptimizerInfo"
DTYPES = (torch.float64, torch.float32)
SHAPES = ((4, 3), (5,), (), (2, 1, 3, 2))
STEPS, EPOCHS = 7, 40
# what is kept for each parameter: PyTorch's name of it and ours
KEPT = {
    "SGD": {"momentum_buffer": "velocity"},
    "Adam": {"exp_avg": "m", "exp_avg_sq": "v", "max_exp_avg_sq": "largest"},
    "AdamW": {"exp_avg": "m", "exp_avg_sq": "v", "max_exp_avg_sq": "largest"},
    "Adadelta": {"square_avg": "v", "acc_delta": "u"},
}

__all__ = ["DIFFERENCES", "TITLE", "found"]


def found(names: Sequence[str] = ()) -> Iterator[Found]:
    """All settings of these optimisers, of all by default."""
    for info in optim_db:
        if info.name in optim.__all__ and (not names or info.name in names):
            yield from found_of(info)
    known = {info.name for info in optim_db}
    for name in sorted(KEPT.keys() - known):
        yield Found(name, f"{name} is not in PyTorch's list")


def found_of(info: OptimizerInfo) -> Iterator[Found]:
    """What came of one optimiser's settings, wrong settings and schedules."""
    name = info.name
    for dtype in DTYPES:
        for sample in info.optim_inputs_func("cpu", dtype):
            case = f"{name}({short(dtype)}; {arguments((), sample.kwargs)})"
            yield Found(name, line(case, difference_in_steps(info, sample.kwargs, dtype)))
    torch.manual_seed(0)
    for wrong in info.optim_error_inputs_func("cpu", DTYPES[0]):
        sample = wrong.optimizer_error_input
        case = f"{name}({arguments((sample.params,), sample.kwargs)})"
        yield Found(name, line(case, difference_in_refusing(info, wrong)), is_wrong=True)
    for makers in info.scheduler_inputs:
        case = f"{name}: {' and '.join(maker.__code__.co_names[0] for maker in makers)}"
        yield Found(name, line(case, difference_in_rates(info, makers)))


def line(case: str, differs: str | None) -> str | None:
    return None if differs is None else f"{case}: {differs}"


# Steps --------------------------------------------------------------------------------------------


def difference_in_steps(
    info: OptimizerInfo, settings: dict[str, Any], dtype: torch.dtype
) -> str | None:
    """Where some steps with random gradients lead elsewhere than PyTorch's, in a line."""
    draw = np.random.default_rng(7)
    start = [draw.standard_normal(shape).astype(short(dtype)) for shape in SHAPES]
    theirs = [torch.nn.Parameter(torch.tensor(p)) for p in start]
    ours = [nn.Parameter(p.copy()) for p in start]
    kind: Any = info.optim_cls
    their_optimizer = kind(theirs, **copied(settings, []))
    made = called(getattr(optim, info.name), (ours,), settings, converted)
    if isinstance(made.result, Exception):
        return f"{type(made.result).__name__}: {made.result}"
    for step in range(STEPS):
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            g = draw.standard_normal(p.shape).astype(p.dtype)
            is_absent = i == 1 and step in (0, 3)
            p.grad = None if is_absent else Tensor(g)
            q.grad = None if is_absent else torch.tensor(g)
        made.result.step()
        their_optimizer.step()
        for i in range(len(ours)):
            differs = difference_in_parameter(i, made.result, their_optimizer)
            if differs:
                return f"step {step + 1}, {differs}"
    return None


def difference_in_parameter(i: int, ours: Any, theirs: Any) -> str | None:
    """How parameter number ``i``, or what is kept for it, differs."""
    p = theirs.param_groups[0]["params"][i]
    pairs = {"": (ours.params[i].numpy(), p.detach().numpy())}
    for their_name, name in KEPT[ours.name].items():
        kept = theirs.state[p].get(their_name)
        if kept is not None:
            pairs[f", {name}"] = getattr(ours, name)[i], kept.numpy()
    found = (far(f"parameter {i}{what}", a, b) for what, (a, b) in pairs.items())
    return next((differs for differs in found if differs), None)


# Refusals -----------------------------------------------------------------------------------------


def difference_in_refusing(info: OptimizerInfo, wrong: Any) -> str | None:
    """How a wrong setting is not refused, or not well; a warning of PyTorch's is an error here."""
    sample = wrong.optimizer_error_input
    default = [torch.nn.Parameter(torch.zeros(2, 3))]
    params = default if sample.params is None else sample.params

    def made(kind: Callable[..., Any], convert: Callable) -> Call:
        def one(params: Any, **settings: Any) -> Any:
            optimizer = kind(params, **settings)
            if wrong.error_on is OptimizerErrorEnum.STEP_ERROR:
                optimizer.step()
            return optimizer

        return called(one, (params,), sample.kwargs, convert)

    ours = made(getattr(optim, info.name), leaves)
    good = ValueError if issubclass(wrong.error_type, Warning) else wrong.error_type
    return refusal(wrong.error_type("as in PyTorch's list"), ours.result, good)


def leaves(value: Any, tensors: list[Any]) -> Any:
    """``converted``, but one parameter stays one."""
    seen: dict[int, Any] = {}

    def once(value: Any, tensors: list[Any]) -> Any:
        if isinstance(value, torch.Tensor):
            return seen.setdefault(id(value), converted(value, tensors))
        if isinstance(value, tuple | list):
            return type(value)(once(part, tensors) for part in value)
        if isinstance(value, dict):
            return {key: once(part, tensors) for key, part in value.items()}
        return converted(value, tensors)

    return once(value, tensors)


# Schedules ----------------------------------------------------------------------------------------


def difference_in_rates(info: OptimizerInfo, makers: Sequence[Any]) -> str | None:
    """In which epoch the learning rate differs from PyTorch's, in a line."""
    kind: Any = info.optim_cls
    theirs = kind([torch.nn.Parameter(torch.zeros(2))], lr=0.5)
    ours = getattr(optim, info.name)([nn.Parameter(np.zeros(2))], lr=0.5)
    rooms = vars(optim)
    absent = [n for m in makers for n in m.__code__.co_names if n not in rooms]
    if absent:
        return f"no {', '.join(absent)}"
    their_schedules = [maker(theirs) for maker in makers]
    # the same maker, in which StepLR means ours
    schedules = [types.FunctionType(maker.__code__, rooms)(ours) for maker in makers]
    for epoch in range(EPOCHS):
        wanted = theirs.param_groups[0]["lr"]
        if abs(ours.lr - wanted) > 1e-12 * abs(wanted):
            return f"epoch {epoch}: lr {ours.lr}; PyTorch: {wanted}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a schedule without a step of the optimiser
            for schedule in (*schedules, *their_schedules):
                schedule.step()
    return None
