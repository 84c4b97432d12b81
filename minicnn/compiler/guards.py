"""What a recorded chain depended on besides the pictures, so that a change of it is noticed.

The forward of a layer of ours depends on its settings, which are its attributes. For a module of
the user's own, ``watching`` notes during the recording which attributes its forward reads; a
``Guard`` then tells whether all of them are what they were. What it cannot see: global variables,
what a function closes over, and random decisions.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable
from pathlib import PurePath
from types import ModuleType
from typing import Any

import numpy as np

from minicnn import nn
from minicnn.tensor import Tensor

from .record import CompileError

NUMBERS = (bool, int, float, complex, str, bytes, type(None), range, slice, np.generic, np.dtype,
           PurePath)  # fmt: skip
COLLECTIONS = (list, tuple, set, frozenset, deque)
MOST_CELLS = 10_000  # of all lists, arrays and objects in one attribute


class Same:
    """An object that counts as equal to itself alone. It is kept, so that nobody gets its id."""

    def __init__(self, thing: Any):
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)


class Guard:
    """Attributes of modules, and what they were.

    Args:
        attributes: (module, name) pairs.

    Raises:
        CompileError: one whose changes cannot be seen.
    """

    def __init__(self, attributes: Iterable[tuple[nn.Module, str]]):
        self.changes = nn.Module.changes
        self.values = [(m, name, _snapshot(m, name)) for m, name in attributes]
        # of those, what may change without an attribute being set: Module.changes does not count it
        self.loose = [(m, n, v) for m, n, v in self.values if not _is_fixed(m, n)]

    def holds(self) -> bool:
        """Whether all are what they were. Most are looked at only after an attribute was set."""
        changes = nn.Module.changes
        if changes == self.changes:
            return self._hold(self.loose)
        if not self._hold(self.values):
            return False
        self.changes = changes
        return True

    def changed(self) -> str:
        """The first that is no longer what it was, as Class.name; empty if all are."""
        names = (f"{type(m).__name__}.{n}" for m, n, v in self.values if _snapshot(m, n) != v)
        return next(names, "")

    def _hold(self, values: list[tuple[nn.Module, str, Any]]) -> bool:
        return all(_snapshot(module, name) == value for module, name, value in values)


def _snapshot(module: nn.Module, name: str) -> Any:
    """The value of an attribute, in a form that can be compared later."""
    if name == "_modules":
        return *module._modules, *module._modules.values()
    value = _value(module, name)
    try:
        return _frozen(value, [MOST_CELLS])
    except _UnseenError:
        raise CompileError(
            f"compile: the forward of {type(module).__name__} reads its attribute {name}, a "
            f"{type(value).__name__}, whose changes a plan would not see; wanted numbers, strings, "
            f"small lists, arrays or objects of them, layers, tensors, functions"
        ) from None


def _value(module: nn.Module, name: str) -> Any:
    attributes = vars(module)
    return attributes[name] if name in attributes else getattr(type(module), name, None)


class _UnseenError(Exception):
    """A value whose changes cannot be seen."""


def _frozen(value: Any, room: list[int]) -> Any:
    """``value`` by its contents where it has some, otherwise by its identity.

    ``room``: how many cells more there may be.
    """
    room[0] -= value.size if isinstance(value, np.ndarray) else 1
    if room[0] < 0:
        raise _UnseenError
    if isinstance(value, NUMBERS):
        return type(value), value
    if isinstance(value, COLLECTIONS):
        return type(value), *[_frozen(part, room) for part in value]
    if isinstance(value, dict):
        return type(value), *[_frozen(part, room) for pair in value.items() for part in pair]
    if isinstance(value, np.ndarray):
        return Same(value), value.shape, value.dtype, value.tobytes()
    if isinstance(value, nn.Module | Tensor | ModuleType | enum.Enum | type):
        return Same(value)
    if hasattr(value, "__get__") or isinstance(value, np.ufunc):  # functions, properties
        return Same(value)
    if not hasattr(value, "__dict__"):
        raise _UnseenError
    return Same(value), *[_frozen(part, room) for pair in vars(value).items() for part in pair]


def _is_fixed(module: nn.Module, name: str) -> bool:
    """Whether the value is another one only after an attribute of the module was set."""
    value = _value(module, name)
    if name not in vars(module):
        return is_ours(module) and name != "_modules"
    return isinstance(value, (*NUMBERS, nn.Module, Tensor)) or (
        isinstance(value, tuple) and all(isinstance(part, NUMBERS) for part in value)
    )


def is_ours(module: nn.Module) -> bool:
    """Whether the forward is that of a layer of ours, which depends on attributes alone."""
    return type(module).__module__.startswith("minicnn.nn.") and "forward" not in vars(module)
