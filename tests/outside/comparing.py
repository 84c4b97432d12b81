"""The same call in minicnn and in PyTorch: results, gradients, what was written, refusals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from minicnn import Tensor

torch.set_num_threads(1)  # small arrays; several threads would wait for each other

TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
# arguments that change no value: how the result lies in memory, whether max pooling's comes alone
LEFT_OUT = ("memory_format", "return_indices", "non_blocking")


class Call(NamedTuple):
    """What came of a call."""

    tensors: list[Any]  # that it was given
    result: Any  # or the exception


def described(value: Any) -> str:
    """An argument on a line: of a tensor its dtype and shape."""
    if isinstance(value, torch.Tensor):
        return f"{short(value.dtype)}{list(value.shape)}"
    if isinstance(value, tuple | list):
        inside = ", ".join(described(part) for part in value)
        return f"({inside})" if isinstance(value, tuple) else f"[{inside}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {described(part)}' for key, part in value.items())}}}"
    return repr(value)


def arguments(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """All arguments of a call on a line."""
    named = [f"{key}={described(value)}" for key, value in kwargs.items()]
    return ", ".join([*map(described, args), *named])


def short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


# Calling ------------------------------------------------------------------------------------------


def called(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], convert: Callable
) -> Call:
    """The result of a call with arguments that ``convert`` (``copied``, ``converted``) makes."""
    tensors: list[Any] = []
    try:
        args, kwargs = convert(tuple(args), tensors), convert(dict(kwargs), tensors)
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


# Comparing ----------------------------------------------------------------------------------------


def difference(ours: Call, theirs: Call, wanted: type[Exception] | None = None) -> str | None:
    """What minicnn does differently from PyTorch, in a line; None where they agree.

    Args:
        wanted: the exception that PyTorch's list names for a wrong input.
    """
    if isinstance(theirs.result, Exception):
        return refusal(theirs.result, ours.result, wanted)
    if isinstance(ours.result, Exception):
        error = ours.result
        return f"{type(error).__name__}: {error}"
    return values(ours, theirs) or written(ours, theirs) or gradients(ours, theirs)


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
    return kind_of(y, expected) or far("value", y.numpy(), expected.detach().numpy())


def kind_of(y: Tensor, expected: torch.Tensor) -> str | None:
    """How shape, dtype or the wish for a gradient differ."""
    if y.shape != tuple(expected.shape):
        return f"shape {y.shape}; PyTorch: {tuple(expected.shape)}"
    if str(y.dtype) != short(expected.dtype):
        return f"dtype {y.dtype}; PyTorch: {short(expected.dtype)}"
    if y.requires_grad != expected.requires_grad:
        return f"requires_grad {y.requires_grad}; PyTorch: {expected.requires_grad}"
    return None


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
