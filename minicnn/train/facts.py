"""Whether what a file says of a training is what trainings keep: a file may be forged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minicnn.formats import in_short, shown
from minicnn.train.config import ROWS, check_rows

COUNTS = ("epoch", "batch", "epochs")


def check_beginning(facts: Any) -> None:
    """Refuse what says neither of what kind the training is, nor how far it is (ValueError)."""
    kinds, history = facts.get("kinds"), facts.get("history")
    if not isinstance(kinds, dict) or not isinstance(history, dict):
        raise ValueError("it lacks kinds or history")
    for name in COUNTS:
        if type(facts.get(name)) is not int or facts[name] < 0:
            raise ValueError(f"{name} is {shown(facts.get(name))}; wanted a number of them")
    if not isinstance(history.get("epochs"), list) or not isinstance(history.get("curve"), list):
        raise ValueError("its history lacks epochs or curve")


def check_facts(then: Any, now: Mapping[str, Any], batches: int) -> None:
    """Refuse facts that have not the form of ``now``, those of a training of the same kind.

    Args:
        then: of a file.
        now: as ``state.state_of`` gives them.
        batches: of an epoch.

    Raises:
        ValueError: with the name of what is wrong.
    """
    _check_form("state", now, then)
    if then["batch"] > batches:
        raise ValueError(f"batch is {shown(then['batch'])}; an epoch has {batches}")
    for name, needed in ROWS.items():
        check_rows(then["history"][name], needed)
    if (sums := then["sums"]) is not None and [type(n) for n in sums] != [float, int, int]:
        raise ValueError(f"sums are {shown(sums)}; wanted the sum of losses and two counts")
    _check_stream(then["streams"])
    if then["drawn_from"]:
        _check_form("drawn_from", now["streams"], then["drawn_from"])
        _check_stream(then["drawn_from"])


def _check_stream(streams: Mapping[str, Any]) -> None:
    """Refuse a random generator's state that NumPy does not take."""
    epoch, stream = streams["loader"], streams["random"]
    if not all(type(n) is int and n >= 0 for n in (epoch or 0, stream["masks_drawn"])):
        raise ValueError("streams holds a count that is none")
    if type(stream["seed"]) is not int or not 0 <= stream["seed"] < 2**64:
        raise ValueError(f"seed is {shown(stream['seed'])}; wanted an integer in 0..2**64 - 1")
    try:
        np.random.PCG64().state = stream["generator"]
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise ValueError(f"generator is no state of one: {in_short(error)}") from None


def _check_form(name: str, now: Any, then: Any) -> None:
    """Refuse another kind of thing: the keys of tables, lists, texts, numbers."""
    if isinstance(now, Mapping) and name != "drawn_from":
        if not isinstance(then, Mapping) or (now and now.keys() != then.keys()):
            has = sorted(then) if isinstance(then, Mapping) else type(then).__name__
            raise ValueError(f"{name} has {shown(has, str)}; wanted {sorted(now)}")
        for key, value in now.items():
            _check_form(key, value, then[key])
    elif isinstance(now, list | tuple) and not isinstance(then, list | tuple):
        if name == "sums" and then is None:  # before the first update
            return
        raise ValueError(f"{name} is of type {type(then).__name__}; wanted a list")
    elif isinstance(now, str) != isinstance(then, str) and then is not None:
        raise ValueError(f"{name} is {shown(then)}; wanted something like {now!r}")
    elif isinstance(now, float | int) and not isinstance(then, float | int | None):
        raise ValueError(f"{name} is of type {type(then).__name__}; wanted a number")
