"""PyTorch's own samples of its operations, computed by minicnn and by PyTorch, and compared.

    python -m tests.outside.opinfo [operation ...] [--quick] [--list]

PyTorch describes each of its operations by an ``OpInfo``: a generator of inputs, and one of wrong
inputs with the error they must raise. For every operation that minicnn offers (``operations.py``)
this command computes all of them on both sides. Compared are value, shape, dtype, whether a
gradient is wanted, the gradients of all inputs by a random cotangent, and what was written into the
inputs. A wrong input must be refused, in one line, by PyTorch's type of exception or by the one
that says more: PyTorch's RuntimeError may be a ValueError, TypeError or IndexError.

Where the two differ on purpose, ``differences.py`` says so: a pattern, how often, and why. What
differs without being listed there fails the command; so does a line of the list that no longer
describes exactly as many samples as it says.

Needs PyTorch, from the extra 'parity'.
"""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.opinfo.core import OpInfo, SampleInput

from minicnn import Tensor

from .differences import DIFFERENCES, Difference
from .operations import OPERATIONS

DTYPES = (torch.float64, torch.float32, torch.int64)
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
QUICK = 6  # samples of each operation, then in float64 alone
# arguments that change no value: how the result lies in memory, whether max pooling's comes alone
LEFT_OUT = ("memory_format", "return_indices", "non_blocking")


class Case(NamedTuple):
    """A call, as PyTorch's list gives it."""

    name: str  # of the operation
    theirs: Callable[..., Any]
    sample: SampleInput
    error: type[Exception] | None = None  # that it must raise

    def __str__(self) -> str:
        sample = self.sample
        given = [described(a) for a in (sample.input, *sample.args)]
        given += [f"{key}={described(value)}" for key, value in sample.kwargs.items()]
        return f"{self.name}({', '.join(given)})"


def described(value: Any) -> str:
    """An argument on a line: of a tensor its dtype and shape."""
    if isinstance(value, torch.Tensor):
        return f"{short(value.dtype)}{list(value.shape)}"
    if isinstance(value, tuple | list):
        inside = ", ".join(described(part) for part in value)
        return f"({inside})" if isinstance(value, tuple) else f"[{inside}]"
    return repr(value)


def short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


# The samples --------------------------------------------------------------------------------------


def operations(names: Sequence[str]) -> Iterator[tuple[str, OpInfo]]:
    """Those of PyTorch's list that are ours."""
    for info in op_db:
        variant = info.variant_test_name
        name = f"{info.name}.{variant}" if variant else info.name
        if name in OPERATIONS and (not names or name in names):
            yield name, info


def cases(name: str, info: OpInfo, quick: bool) -> Iterator[Case]:
    """All samples of an operation, right ones and wrong ones; always the same."""
    for dtype in DTYPES[:1] if quick else DTYPES:
        if dtype in info.dtypes:
            torch.manual_seed(0)
            learnt = dtype.is_floating_point and info.supports_autograd
            more = None if quick else info.reference_inputs_func
            generate = more or info.sample_inputs_func
            samples = list(generate(info, "cpu", dtype, requires_grad=learnt))
            step = max(1, len(samples) // QUICK) if quick else 1
            yield from (Case(name, info.op, sample) for sample in samples[::step])
    torch.manual_seed(0)
    errors = getattr(info, "error_inputs_func", None)
    for wrong in errors(info, "cpu") if errors else ():
        yield Case(name, info.op, wrong.sample_input, wrong.error_type)


# One sample ---------------------------------------------------------------------------------------


def difference(case: Case) -> str | None:
    """What minicnn does differently from PyTorch, in a line; None where they agree."""
    theirs = called(case.theirs, case.sample, copied)
    ours = called(OPERATIONS[case.name], case.sample, converted)
    if isinstance(theirs.result, Exception):
        return refusal(theirs.result, ours.result, case.error)
    if isinstance(ours.result, Exception):
        error = ours.result
        return f"{type(error).__name__}: {error}"
    if case.name == "nn.functional.dropout" and case.sample.kwargs.get("training", True):
        return dropped(ours, case.sample.kwargs.get("p", 0.5))
    return values(ours, theirs) or written(ours, theirs) or gradients(ours, theirs)


class Call(NamedTuple):
    """What came of a call."""

    tensors: list[Any]  # that it was given
    result: Any  # or the exception


def called(function: Callable[..., Any], sample: SampleInput, convert: Callable) -> Call:
    tensors: list[Any] = []
    try:
        args = convert((sample.input, *sample.args), tensors)
        kwargs = convert(sample.kwargs, tensors)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return Call(tensors, function(*args, **kwargs))
    except Exception as error:
        return Call(tensors, error)


def copied(value: Any, tensors: list[Any]) -> Any:
    """A sample's argument for PyTorch: tensors of its own."""
    if isinstance(value, torch.Tensor):
        tensors.append(value.detach().clone().requires_grad_(value.requires_grad))
        return tensors[-1]
    return inside(value, tensors, copied)


def converted(value: Any, tensors: list[Any]) -> Any:
    """A sample's argument for minicnn."""
    if isinstance(value, torch.Tensor):
        tensors.append(Tensor(value.detach().clone().numpy(), value.requires_grad))
        return tensors[-1]
    if isinstance(value, torch.dtype):
        return short(value)
    if isinstance(value, torch.device):
        return value.type
    if isinstance(value, dict):
        value = {key: part for key, part in value.items() if key not in LEFT_OUT}
    return inside(value, tensors, converted)


def inside(value: Any, tensors: list[Any], convert: Callable) -> Any:
    if isinstance(value, tuple | list):
        kind = list if isinstance(value, list) else tuple
        return kind(convert(part, tensors) for part in value)
    if isinstance(value, dict):
        return {key: convert(part, tensors) for key, part in value.items()}
    return value


def refusal(theirs: Exception, ours: Any, wanted: type[Exception] | None) -> str | None:
    """PyTorch refuses; how we do not, or not well."""
    if not isinstance(ours, Exception):
        return f"computed; PyTorch refuses: {type(theirs).__name__}: {first_line(theirs)}"
    kind = wanted or type(theirs)
    good = (ValueError, TypeError, IndexError) if kind is RuntimeError else ()
    if not isinstance(ours, (kind, *good)):
        return f"refused by {type(ours).__name__}: {first_line(ours)}; PyTorch by {kind.__name__}"
    if "\n" in str(ours) or not str(ours):
        return f"refused in {len(str(ours).splitlines())} lines: {first_line(ours)}"
    return None


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def values(ours: Call, theirs: Call) -> str | None:
    """How the results differ."""
    y, expected = all_of(ours.result), all_of(theirs.result)
    if isinstance(ours.result, tuple) and len(y) != len(expected):
        return f"{len(y)} results; PyTorch: {len(expected)}"
    found = (differing(a, b) for a, b in zip(y, expected, strict=False))
    return next((line for line in found if line), None)


def all_of(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]


def differing(y: Any, expected: Any) -> str | None:
    """How one result differs."""
    if not isinstance(expected, torch.Tensor):
        return None if same(y, expected) else f"{y!r}; PyTorch: {expected!r}"
    if not isinstance(y, Tensor):
        return f"a {type(y).__name__}; PyTorch: a tensor"
    if y.shape != tuple(expected.shape):
        return f"shape {y.shape}; PyTorch: {tuple(expected.shape)}"
    if str(y.dtype) != short(expected.dtype):
        return f"dtype {y.dtype}; PyTorch: {short(expected.dtype)}"
    if y.requires_grad != expected.requires_grad:
        return f"requires_grad {y.requires_grad}; PyTorch: {expected.requires_grad}"
    return far("value", y.numpy(), expected.detach().numpy())


def same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and (a == b or a != a)


def written(ours: Call, theirs: Call) -> str | None:
    """How what was written into the inputs differs: running statistics."""
    for i, (x, z) in enumerate(zip(ours.tensors, theirs.tensors, strict=True)):
        found = far(f"input {i} afterwards", x.numpy(), z.detach().numpy())
        if found:
            return found
    return None


def gradients(ours: Call, theirs: Call) -> str | None:
    """How the gradients for a random cotangent differ."""
    y, expected = all_of(ours.result)[0], all_of(theirs.result)[0]
    if not (isinstance(y, Tensor) and y.requires_grad):
        return None
    u = np.random.default_rng(9).standard_normal(y.shape).astype(y.dtype)
    expected.backward(torch.from_numpy(u))
    try:
        with np.errstate(all="ignore"):
            y.backward(Tensor(u))
    except Exception as error:
        return f"backward: {type(error).__name__}: {error}"
    for i, (x, z) in enumerate(zip(ours.tensors, theirs.tensors, strict=True)):
        if z.requires_grad:
            dx, dz = (np.zeros(x.shape) if t.grad is None else t.grad.numpy() for t in (x, z))
            found = far(f"gradient of input {i}", dx, dz)
            if found:
                return found
    return None


def far(what: str, ours: np.ndarray, theirs: np.ndarray) -> str | None:
    """Whether two arrays differ by more than rounding; of a gradient, ten times as much."""
    tolerance = TOLERANCE.get(str(theirs.dtype), 0.0) * (10 if "gradient" in what else 1)
    if np.allclose(ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=True):
        return None
    where = ~np.isclose(ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=True)
    a, b = ours[where].flat[0], theirs[where].flat[0]
    return f"{what}: {a} for {b} in {where.sum()} of {where.size} cells"


def dropped(ours: Call, p: float) -> str | None:
    """Dropout draws other masks than PyTorch's: what must hold of any mask."""
    x, y = ours.tensors[0], ours.result
    kept = (y.numpy() != 0) | (x.numpy() == 0)
    scale = 0 if p == 1 else 1 / (1 - p)
    found = far("value", y.numpy(), np.where(kept, x.numpy() * scale, 0).astype(x.dtype))
    if found or not y.requires_grad:
        return found
    n, share = kept.size, kept.mean() if kept.size else 1 - p
    if abs(share - (1 - p)) > 5 * np.sqrt(p * (1 - p) / max(n, 1)):
        return f"{share:.3f} of {n} cells kept; p is {p}"
    u = np.random.default_rng(9).standard_normal(y.shape).astype(y.dtype)
    y.backward(Tensor(u))
    return far("gradient of input 0", x.grad.numpy(), np.where(kept, u * scale, 0).astype(u.dtype))


# All of them --------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What a run found."""

    compared: Counter[str]  # samples, by operation
    refused: Counter[str]  # wrong inputs, by operation
    listed: Counter[Difference]
    unlisted: list[str]


def compare(names: Sequence[str] = (), quick: bool = False) -> Outcome:
    """Compute all samples of these operations (of all by default)."""
    outcome = Outcome(Counter(), Counter(), Counter(), [])
    for name, info in operations(names):
        for case in cases(name, info, quick):
            (outcome.refused if case.error else outcome.compared)[name] += 1
            found = difference(case)
            if found is None:
                continue
            line = f"{case}: {found}"
            listed = next((d for d in DIFFERENCES if re.search(d.pattern, line)), None)
            if listed:
                outcome.listed[listed] += 1
            else:
                outcome.unlisted.append(line)
    return outcome


def stale(differences: Sequence[Difference], listed: Counter[Difference]) -> list[str]:
    """The lines of the list that describe another number of samples than they say."""
    return [
        f"differences.py: {d.pattern!r} describes {listed[d]} samples; listed are {d.samples}"
        for d in differences
        if listed[d] != d.samples
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.outside.opinfo")
    parser.add_argument("operations", nargs="*", metavar="operation", help="all by default")
    parser.add_argument("--quick", action="store_true", help="a few samples of each operation")
    parser.add_argument("--list", action="store_true", help="print the listed differences too")
    options = parser.parse_args(arguments)
    outcome = compare(options.operations, options.quick)

    for name in outcome.compared | outcome.refused:
        print(f"{name:30} {outcome.compared[name]:5} samples {outcome.refused[name]:3} errors")
    if options.list:
        for d, count in outcome.listed.items():
            print(f"{count:5} {d.pattern}: {d.reason}")
    whole = not (options.operations or options.quick)
    problems = outcome.unlisted + (stale(DIFFERENCES, outcome.listed) if whole else [])
    for problem in problems:
        print(problem)
    print(
        f"PyTorch {torch.__version__}: {len(outcome.compared | outcome.refused)} operations, "
        f"{outcome.compared.total()} samples, {outcome.refused.total()} wrong inputs; "
        f"{outcome.listed.total()} differ as listed, {len(problems)} failures"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
