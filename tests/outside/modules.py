"""PyTorch's own samples of its layers and losses, and wrong ones: its ``ModuleInfo``.

Each layer is made twice with the same arguments, in PyTorch and here, in training mode and, where
that differs, in evaluation mode; ours takes PyTorch's state, whose names must be the same. Compared
are the result, the gradients of inputs and parameters by a random cotangent, and the state
afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch.testing._internal.common_modules import (
    ModuleErrorEnum,
    ModuleInfo,
    ModuleInput,
    module_db,
)

from minicnn import nn

from .comparing import Call, arguments, called, converted, copied, difference, refusal, short
from .differences import MODULES as DIFFERENCES
from .tally import Found

TITLE = "PyTorch's ModuleInfo"
DTYPES = (torch.float64, torch.float32)
# layers of minicnn.nn that PyTorch's list does not have
ABSENT = ("Dropout", "Flatten", "Identity", "LazyLinear", "Sequential")

__all__ = ["DIFFERENCES", "TITLE", "found"]


class Case(NamedTuple):
    """A layer, and what goes through it."""

    theirs: type[torch.nn.Module]
    sample: ModuleInput
    dtype: torch.dtype
    training: bool
    error: type[Exception] | None = None  # that it must raise
    fails_when_made: bool = False

    @property
    def name(self) -> str:
        return self.theirs.__name__

    def __str__(self) -> str:
        made, given = self.sample.constructor_input, self.sample.forward_input
        call = f"{self.name}({arguments(made.args, made.kwargs)})"
        mode = "" if self.training else ".eval()"
        return f"{call}{mode}({arguments(given.args, given.kwargs) if given else ''})"


def found(names: Sequence[str] = ()) -> Iterator[Found]:
    """All samples of these layers, of all by default.

    A layer of ours that PyTorch's list does not have, and is not known as such, is a failure.
    """
    ours = {name for name in nn.layers.__all__ if not names or name in names}
    infos = [info for info in module_db if info.module_cls.__name__ in ours]
    for info in infos:
        for case in cases(info):
            differs = difference_of(case)
            line = None if differs is None else f"{case}: {differs}"
            yield Found(case.name, line, is_wrong=case.error is not None)
    for name in sorted(ours - {info.module_cls.__name__ for info in infos} - set(ABSENT)):
        yield Found(name, f"{name} is not in PyTorch's list")


def cases(info: ModuleInfo) -> Iterator[Case]:
    """All samples of a layer, right ones and wrong ones; always the same."""
    kind = info.module_cls
    for dtype in DTYPES:
        for training in (True, False) if info.train_and_eval_differ else (True,):
            torch.manual_seed(0)
            for sample in info.module_inputs_func(info, "cpu", dtype, True, training):
                yield Case(kind, sample, dtype, training)
    torch.manual_seed(0)
    errors = info.module_error_inputs_func
    for wrong in errors(info, "cpu", DTYPES[0], False, True) if errors else ():
        fails_when_made = wrong.error_on is ModuleErrorEnum.CONSTRUCTION_ERROR
        yield Case(
            kind, wrong.module_error_input, DTYPES[0], True, wrong.error_type, fails_when_made
        )


def difference_of(case: Case) -> str | None:
    """What our layer does differently from PyTorch's, in a line; None where they agree."""
    made = case.sample.constructor_input
    theirs = called(case.theirs, made.args, made.kwargs, copied)
    ours = called(getattr(nn, case.name), made.args, made.kwargs, converted)
    is_made = not any(isinstance(call.result, Exception) for call in (ours, theirs))
    if case.fails_when_made or not is_made:
        if case.error:  # what PyTorch refuses when it computes may be refused before
            return refusal(case.error("in PyTorch's list"), ours.result, case.error)
        return difference(ours, theirs)
    net, their_net = ours.result, theirs.result
    net.to(short(case.dtype)).train(case.training)
    their_net.to(case.dtype).train(case.training)
    given = case.sample.forward_input
    if case.name.startswith("Lazy"):  # both take their sizes from a first input
        called(their_net, given.args, given.kwargs, copied)
        called(net, given.args, given.kwargs, converted)
    state = their_net.state_dict()
    if list(net.state_dict()) != list(state):
        return f"state {list(net.state_dict())}; PyTorch: {list(state)}"
    net.load_state_dict({name: tensor.clone() for name, tensor in state.items()})
    return difference(through(net, case, converted), through(their_net, case, copied), case.error)


def through(net: Any, case: Case, convert: Any) -> Call:
    """What comes of a layer; its parameters and buffers count as tensors that it was given."""
    given = case.sample.forward_input
    call = called(net, given.args, given.kwargs, convert)
    learnt = dict(net.named_parameters())
    others = [tensor for name, tensor in net.state_dict().items() if name not in learnt]
    return Call([*call.tensors, *learnt.values(), *others], call.result)
