"""Whether everything that a graph was recorded from is still what it was.

The forward of our own layers depends on their attributes alone. For a module of the user's,
``recording`` notes which attributes its forward reads. A ``Guard`` keeps their values and compares
them later. It does not see global variables, what a function closes over, and random decisions.
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
MOST_CELLS = 10_000  # of all lists, arrays and objects in one attribute: comparing takes time


class Same:
    """Equal only to itself. Keeps the object alive, so that no other object can get its id."""

    def __init__(self, thing: Any):
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)


class Guard:
    """Attributes of modules, and the values that they had.

    Args:
        attributes: (module, name) pairs.

    Raises:
        CompileError: an attribute whose changes could not be noticed.
    """

    def __init__(self, attributes: Iterable[tuple[nn.Module, str]]):
        # before the values are read: what another thread sets meanwhile counts as a change
        self.changes = nn.Module.changes
        self.values = [(m, name, _snapshot(m, name)) for m, name in attributes]
        # Module.changes counts the attributes that are set; a list changes without that
        self.loose = [(m, n, v) for m, n, v in self.values if not _is_fixed(m, n)]

    def holds(self) -> bool:
        """Whether all are what they were. Most are compared only after an attribute was set."""
        # read before comparing, for the same reason as above
        changes = nn.Module.changes
        if changes == self.changes:
            return self._hold(self.loose)
        if not self._hold(self.values):
            return False
        self.changes = changes  # the values are known to be right up to here
        return True

    def changed(self) -> str:
        """The first that is no longer what it was, as Class.name. Empty if all are."""
        names = (f"{type(m).__name__}.{n}" for m, n, v in self.values if _snapshot(m, n) != v)
        return next(names, "")

    def _hold(self, values: list[tuple[nn.Module, str, Any]]) -> bool:
        return all(_snapshot(module, name) == value for module, name, value in values)


def _snapshot(module: nn.Module, name: str) -> Any:
    """The value of an attribute, in a form that can be compared later."""
    if name == "_modules":  # the layers themselves and their order: each has its own attributes
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
    attributes = vars(module)  # without running its properties or its __getattr__
    return attributes[name] if name in attributes else getattr(type(module), name, None)


class _UnseenError(Exception):
    """A value whose changes could not be noticed."""


def _frozen(value: Any, room: list[int]) -> Any:
    """``value`` in a form that can be compared: its contents where it has some, else its identity.

    room: how many cells it may still have, a list of one number that all levels count down.
    """
    room[0] -= value.size if isinstance(value, np.ndarray) else 1
    if room[0] < 0:
        raise _UnseenError
    # with the type, because 1 == True == 1.0
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
    if not hasattr(value, "__dict__"):  # its contents are hidden: a generator, a file
        raise _UnseenError
    return Same(value), *[_frozen(part, room) for pair in vars(value).items() for part in pair]


def _is_fixed(module: nn.Module, name: str) -> bool:
    """Whether the value can change only by setting an attribute of a module."""
    value = _value(module, name)
    if name not in vars(module):  # it is the class's: a method, a default
        return is_ours(module) and name != "_modules"
    return isinstance(value, (*NUMBERS, nn.Module, Tensor)) or (
        isinstance(value, tuple) and all(isinstance(part, NUMBERS) for part in value)
    )


def is_ours(module: nn.Module) -> bool:
    """Whether it is one of our own layers, whose forward depends on their attributes alone."""
    return type(module).__module__.startswith("minicnn.nn.") and "forward" not in vars(module)
