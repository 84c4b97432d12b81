"""MXNet's contexts, where arrays live: ``mx.cpu()``, ``mx.gpu(0)``; and its error."""

from __future__ import annotations

import threading
from typing import Any

from minicnn.device import gpu_problem


class MXNetError(RuntimeError):
    """What MXNet raises where its engine refuses something."""

    __module__ = "mxnet.base"


class Context:
    """A place for arrays: ``Context("gpu", 1)`` prints as gpu(1).

    ``with mx.gpu():`` makes it the one that functions use when none is named.

    Raises:
        ValueError: neither ``"cpu"`` nor ``"gpu"``; a CPU of another number than 0.
    """

    __module__ = "mxnet.context"

    device_type: str
    device_id: int

    def __init__(self, device_type: Context | str, device_id: int = 0):
        if isinstance(device_type, Context):
            device_id = device_type.device_id
            device_type = device_type.device_type
        if device_type not in ("cpu", "gpu"):
            raise ValueError(f"Context: device_type is {device_type!r}; wanted 'cpu' or 'gpu'")
        if device_type == "cpu" and device_id != 0:
            raise ValueError(f"Context: cpu({device_id}) is not here; write cpu(), the only one")
        self.device_type, self.device_id = device_type, int(device_id)

    def __repr__(self) -> str:
        return f"{self.device_type}({self.device_id})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __enter__(self) -> Context:
        _chosen.contexts.append(self)
        return self

    def __exit__(self, *exception: object) -> None:
        _chosen.contexts.pop()


class _Chosen(threading.local):
    def __init__(self) -> None:
        self.contexts: list[Context] = []


_chosen = _Chosen()


def cpu(device_id: int = 0) -> Context:
    """The CPU."""
    return Context("cpu", device_id)


def gpu(device_id: int = 0) -> Context:
    """GPU number ``device_id``; whether there is one shows when an array is put there."""
    return Context("gpu", device_id)


def num_gpus() -> int:
    """How many GPUs can be used here."""
    number = 0
    while gpu_problem(number) is None:
        number += 1
    return number


def current_context() -> Context:
    """The context of the innermost ``with``; the CPU outside."""
    return _chosen.contexts[-1] if _chosen.contexts else cpu()


def device_of(ctx: Any) -> str:
    """The engine's name of a context; None is the current one, a list of one context that one.

    Raises:
        MXNetError: a GPU that cannot be used here.
        TypeError, ValueError: no context, or several.
    """
    if isinstance(ctx, list | tuple):
        if len(ctx) != 1:
            raise ValueError(f"ctx is {ctx}; wanted one context: a net is on one device here")
        ctx = ctx[0]
    ctx = current_context() if ctx is None else ctx
    if not isinstance(ctx, Context):
        raise TypeError(f"ctx is {ctx!r}; wanted a context: mx.cpu() or mx.gpu(0)")
    if ctx.device_type == "cpu":
        return "cpu"
    problem = gpu_problem(ctx.device_id)
    if problem:
        raise MXNetError(f"{ctx} cannot be used: {problem}; mx.cpu() can")
    return f"gpu:{ctx.device_id}"


def context_of(device: str) -> Context:
    """The context of the engine's ``"cpu"`` or ``"gpu:1"``."""
    kind, _, number = device.partition(":")
    return Context(kind, int(number or 0))
