"""What any function asks of an argument: a number, an object of a class, something to call."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from numbers import Real
from typing import Any

from minicnn.formats import shown


def check_integer(name: str, value: Any, least: int | None = None) -> None:
    """Refuse what is no integer (TypeError), or less than ``least`` (ValueError)."""
    try:
        operator.index(value)  # a tensor or an array of one integer is one too
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {told(value)}; wanted an integer") from None
    if least is not None and value < least:
        raise ValueError(f"{name} is {shown(value, str)}; wanted an integer of at least {least}")


def check_number(name: str, value: Any, at_least: float = -math.inf) -> None:
    """Refuse what is no number (TypeError), not finite or less than ``at_least`` (ValueError)."""
    if not isinstance(value, Real):
        raise TypeError(f"{name} is {told(value)}; wanted a number")
    try:
        number = float(value)
    except OverflowError:  # an integer beyond all floats
        number = math.inf
    if at_least > -math.inf and not number >= at_least:
        raise ValueError(f"{name} is {shown(value, str)}; wanted at least {at_least:g}")
    if not math.isfinite(number):
        raise ValueError(f"{name} is {shown(value, str)}; wanted a finite number")


def check_is(name: str, value: Any, kind: Any, wanted: str) -> None:
    """Refuse an object that is of none of the classes ``kind`` (TypeError)."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} is of type {type(value).__name__}; wanted {wanted}")


def check_callable(name: str, value: Any, wanted: str) -> None:
    """Refuse what cannot be called (TypeError)."""
    if not callable(value):
        raise TypeError(f"{name} is of type {type(value).__name__}; wanted {wanted}")


def check_text(name: str, value: Any) -> None:
    """Refuse what is no text (TypeError)."""
    check_is(name, value, str, "a text")


def check_sequence(name: str, value: Any, wanted: str) -> None:
    """Refuse what is no list, tuple, array... (TypeError): a text, a mapping, a single thing."""
    is_sequence = hasattr(value, "__len__") and hasattr(value, "__getitem__")
    is_one = isinstance(value, str | bytes | Mapping | type) or getattr(value, "ndim", 1) == 0
    if not is_sequence or is_one:
        raise TypeError(f"{name} is {told(value)}; wanted {wanted}")


def texts(name: str, value: Any) -> tuple[str, ...]:
    """The texts of a list, of a mapping's keys, of whatever gives them; numbers are written out.

    Raises:
        TypeError: something else.
    """
    try:
        found = tuple(value)
    except TypeError:
        found = (None,)
    if isinstance(value, bytes) or not all(isinstance(text, str | Real) for text in found):
        raise TypeError(f"{name} is {told(value)}; wanted a list of texts")
    return tuple(map(str, found))


def check_one_of(name: str, value: Any, known: Any) -> None:
    """Refuse a name that is none of ``known`` (ValueError)."""
    if not isinstance(value, str) or value not in known:
        said = shown(value) if isinstance(value, str) else told(value)
        raise ValueError(f"{name} is {said}; wanted one of {', '.join(known)}")


def told(value: Any) -> str:
    """The value, where it takes no more than a line, and its type."""
    said, kind = shown(value), f"of type {type(value).__name__}"
    return said if said.startswith(kind) else f"{said}, {kind}"
