"""Calling a public function with one wrong value, and judging what it says."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from minicnn.device import DeviceError
from tests.badinput.calls import FILES, OBJECTS, OWN, THEN, USUAL, files
from tests.badinput.rooms import Parameter, functions, owner, parameters, things
from tests.badinput.values import ALIASES, ANYS, FINE, RANGES, WRONG, parts_of, wrong_for

# what a user's value may raise; and nothing else
ERRORS = TypeError, ValueError, IndexError, KeyError, OSError, MemoryError, DeviceError
LONGEST = 400


class Case(NamedTuple):
    """A function, one of its parameters, and what it gets."""

    parameter: Parameter
    label: str
    value: Any


def cases(only: str | None = None) -> Iterator[Case]:
    """Every parameter of every public function with every wrong value.

    Raises:
        KeyError: an annotation, or the name of a number, that nobody has said anything of.
    """
    for name, function in functions().items():
        if only is not None and name != only:
            continue
        for parameter in parameters(name, function):
            wrong = wrong_for(parameter.annotation)
            if (name, parameter.name) in ANYS:
                taken = ANYS[name, parameter.name]
                wrong = {label: value for label, value in WRONG.items() if label not in taken}
            fine = FINE.get((name, parameter.name), set())
            yield from (
                Case(parameter, label, value) for label, value in wrong.items() if label not in fine
            )
            is_number = {"int", "float", "IntOrPair"} & {*parts_of(parameter.annotation)}
            if is_number or parameter.name in RANGES:
                yield from (
                    Case(parameter, repr(value), value)
                    for value in RANGES[parameter.name]
                    if repr(value) not in fine
                )


def fault(case: Case) -> str | None:
    """What is wrong with how a function answers a wrong value; None if nothing is."""
    function = functions()[case.parameter.function]
    arguments = right_arguments(case.parameter.function, function)
    arguments[case.parameter.name] = case.value
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            called(case.parameter.function, function, arguments)
    except ERRORS as error:
        return _judged(case, error)
    except Exception as error:
        return f"raises {type(error).__name__}: {str(error)[:150]}"
    return "accepted"


def _judged(case: Case, error: Exception) -> str | None:
    said = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if "\n" in said or len(said) > LONGEST:
        return f"more than a line: {said[:150]!r}"
    words = [case.parameter.name, *ALIASES.get(case.parameter.name, "").split("|")]
    if not any(word and re.search(rf"\b{word}\b", said) for word in words):
        return f"does not name it: {type(error).__name__} {said[:150]}"
    return None


def right_arguments(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    """Arguments for all parameters that have no default."""
    found = {}
    others = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    for p in inspect.signature(function).parameters.values():
        own = OWN.get((name, p.name))
        if own is not None:
            found[p.name] = own()
        elif p.name in ("path", "folder", "file"):
            found[p.name] = files() / FILES[name]
        elif p.default is p.empty and p.name != "self" and p.kind not in others:
            found[p.name] = USUAL[p.name]()
    return found


def called(name: str, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """The call; a method's first argument is an object of its class."""
    signature = inspect.signature(function)
    positional = [
        arguments.pop(p.name)
        for p in signature.parameters.values()
        if p.kind is p.POSITIONAL_ONLY and p.name in arguments
    ]
    kind = owner(name)
    first = [] if kind is None else [object_of(kind)]
    made = function(*first, *positional, **arguments)
    return THEN[name](made) if name in THEN else made


def object_of(kind: str) -> Any:
    """An object of a class: from ``OBJECTS``, or made by a right call."""
    if kind in OBJECTS:
        return OBJECTS[kind]()
    made = things()[kind]
    return called(kind, made, right_arguments(kind, made))
