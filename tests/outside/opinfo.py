"""PyTorch's own samples of its operations, computed by minicnn and by PyTorch, and compared.

PyTorch describes each of its operations by an ``OpInfo``: a generator of inputs, and one of wrong
inputs with the error they must raise. All of them are computed on both sides, for every operation
that minicnn offers (``operations.py``). Compared are value, shape, dtype, whether a gradient is
wanted, the gradients of all inputs by a random cotangent, and what was written into the inputs. A
wrong input must be refused, in one line, by PyTorch's type of exception or by the one that says
more: PyTorch's RuntimeError may be a ValueError, TypeError or IndexError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from inspect import ismodule
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.opinfo.core import OpInfo, SampleInput

import minicnn
from minicnn import Tensor
from minicnn.nn import functional as F

from . import comparing
from .comparing import Call, arguments, called, converted, copied
from .differences import OPERATIONS as DIFFERENCES
from .operations import NOT_COMPARED, OPERATIONS
from .tally import Found

TITLE = "PyTorch's OpInfo"
DTYPES = (torch.float64, torch.float32, torch.int64)

__all__ = ["DIFFERENCES", "TITLE", "found", "overlooked"]


class Case(NamedTuple):
    """A call, as PyTorch's list gives it."""

    name: str  # of the operation
    theirs: Callable[..., Any]
    sample: SampleInput
    error: type[Exception] | None = None  # that it must raise

    def __str__(self) -> str:
        sample = self.sample
        return f"{self.name}({arguments((sample.input, *sample.args), sample.kwargs)})"


def found(names: Sequence[str] = ()) -> Iterator[Found]:
    """All samples of these operations, of all by default."""
    for name, info in operations(names):
        for case in cases(name, info):
            differs = difference(case)
            line = None if differs is None else f"{case}: {differs}"
            yield Found(name, line, is_wrong=case.error is not None)


def operations(names: Sequence[str]) -> Iterator[tuple[str, OpInfo]]:
    """Those of PyTorch's list that are ours; one that works in place ends in _."""
    for info in op_db:
        for name in (full_name(info), f"{full_name(info)}_"):
            if name in OPERATIONS and (not names or name in names):
                yield name, info


def full_name(info: OpInfo) -> str:
    """The operation's name, and that of its variant after a dot."""
    variant = info.variant_test_name
    return f"{info.name}.{variant}" if variant else info.name


def overlooked() -> list[str]:
    """What has a name of ours in PyTorch's list, but stands in neither list of ``operations``."""
    rooms = vars(minicnn), vars(F), {name: getattr(Tensor, name) for name in dir(Tensor)}
    ours = {name for room in rooms for name, value in room.items() if not ismodule(value)}
    names = {
        full_name(info)
        for info in op_db
        for name in (info.name, *(alias.name for alias in info.aliases))
        if name.removeprefix("nn.functional.") in ours
    }
    return sorted(names - OPERATIONS.keys() - NOT_COMPARED.keys())


def cases(name: str, info: OpInfo) -> Iterator[Case]:
    """All samples of an operation, right ones and wrong ones; always the same."""
    in_place = name.endswith("_") and not name.endswith("__")
    theirs = info.inplace_variant if in_place else info.op
    for dtype in DTYPES:
        if dtype in info.dtypes:
            torch.manual_seed(0)
            # a leaf that requires a gradient is not written to: values alone
            learnt = dtype.is_floating_point and info.supports_autograd and not in_place
            more: Any = info.reference_inputs_func
            generate = more or info.sample_inputs_func
            for sample in generate(info, "cpu", dtype, requires_grad=learnt):
                yield Case(name, theirs, sample)
    torch.manual_seed(0)
    errors = getattr(info, "error_inputs_func", None)
    for wrong in errors(info, "cpu") if errors else ():
        yield Case(name, theirs, wrong.sample_input, wrong.error_type)


def difference(case: Case) -> str | None:
    """What minicnn does differently from PyTorch, in a line; None where they agree."""
    sample = case.sample
    args = sample.input, *sample.args
    theirs = called(case.theirs, args, sample.kwargs, copied)
    ours = called(OPERATIONS[case.name], args, sample.kwargs, converted)
    computed = not (isinstance(theirs.result, Exception) or isinstance(ours.result, Exception))
    if computed and case.name == "nn.functional.dropout" and sample.kwargs.get("training", True):
        return dropped(ours, sample.kwargs.get("p", 0.5))
    if computed and case.name == "randn":  # other numbers than PyTorch's
        return comparing.kind_of(ours.result, theirs.result)
    return comparing.difference(ours, theirs, case.error)


def dropped(ours: Call, p: float) -> str | None:
    """Dropout draws other masks than PyTorch's: what must hold of any mask."""
    x, y = ours.tensors[0], ours.result
    kept = (y.numpy() != 0) | (x.numpy() == 0)
    scale = 0 if p == 1 else 1 / (1 - p)
    wanted = np.where(kept, x.numpy() * scale, 0).astype(x.dtype)
    differs = comparing.far("value", y.numpy(), wanted)
    if differs or not y.requires_grad:
        return differs
    n, share = kept.size, kept.mean() if kept.size else 1 - p
    if abs(share - (1 - p)) > 5 * np.sqrt(p * (1 - p) / max(n, 1)):
        return f"{share:.3f} of {n} cells kept; p is {p}"
    u = np.random.default_rng(9).standard_normal(y.shape).astype(y.dtype)
    y.backward(Tensor(u))
    dx = np.where(kept, u * scale, 0).astype(u.dtype)
    return comparing.far("gradient of input 0", x.grad.numpy(), dx)
