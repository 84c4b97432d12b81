"""What any function asks of an argument: an integer, an object of a class, something to call."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_integer(name: str, value: Any, least: int | None = None) -> None:
    """Refuse what is no integer (TypeError), or less than ``least`` (ValueError)."""
    if not isinstance(value, int | np.integer):
        raise TypeError(f"{name} is {value!r}, of type {type(value).__name__}; wanted an integer")
    if least is not None and value < least:
        raise ValueError(f"{name} is {value}; wanted an integer of at least {least}")


def check_is(name: str, value: Any, kind: Any, wanted: str) -> None:
    """Refuse an object that is of none of the classes ``kind`` (TypeError)."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} is of type {type(value).__name__}; wanted {wanted}")


def check_callable(name: str, value: Any, wanted: str) -> None:
    """Refuse what cannot be called (TypeError)."""
    if not callable(value):
        raise TypeError(f"{name} is of type {type(value).__name__}; wanted {wanted}")


def check_one_of(name: str, value: Any, known: Any) -> None:
    """Refuse a name that is none of ``known`` (ValueError)."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} is {value!r}; wanted one of {', '.join(known)}")
