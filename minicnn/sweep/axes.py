"""The axes of a sweep: as they are typed, as a file has them, and values drawn at random."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

DIGITS = 4  # that count, of a drawn number: its run's name has it whole
Axes = dict[str, list[Any]]


def typed_axes(words: Iterable[str]) -> Axes:
    """``["lr=0.1,0.5", "channels=[6,16],[8,20]"]`` as {"lr": ["0.1", "0.5"], "channels": [...]}.

    Raises:
        ValueError: another form, or an axis that is there twice.
    """
    axes: Axes = {}
    for word in words:
        name, equals, values = word.partition("=")
        if not name or not equals:
            raise ValueError(f"{word!r} is no axis; wanted NAME=VALUE,VALUE like lr=0.1,0.5")
        name = name.replace("-", "_")
        if name in axes:
            raise ValueError(f"{name} is there twice; wanted {name}=VALUE,VALUE once")
        # a bracket holds a value that has commas itself
        axes[name] = re.findall(r"(?<=\[)[^]]*(?=])|[^],[]+", values) or [""]
    return axes


def grid_of(table: Mapping[str, Any]) -> Axes:
    """The table ``[grid]`` of a file; a value without a list is a list of one.

    Raises:
        ValueError: no table, or a list without values.
    """
    _check_table("grid", table)
    grid = {_name(n): v if isinstance(v, list) else [v] for n, v in table.items()}
    for name, values in grid.items():
        if not values:
            raise ValueError(f"[grid] {name} has no values; wanted a list of them")
    return grid


def rows_of(table: Any) -> list[dict[str, Any]]:
    """The tables ``[[list]]`` of a file: the settings of a run each.

    Raises:
        ValueError: something else.
    """
    if not isinstance(table, list) or not all(isinstance(row, dict) for row in table):
        raise ValueError("list is no list of settings; wanted tables, each under [[list]]")
    return [{_name(name): value for name, value in row.items()} for row in table]


def _check_table(name: str, table: Any) -> None:
    if not isinstance(table, Mapping):
        raise ValueError(f"{name} is {table!r}; wanted a table of axes, under [{name}]")


def _name(name: str) -> str:
    return name.replace("-", "_")


# Drawn at random ----------------------------------------------------------------------------------


def draws_of(table: Mapping[str, Any], count: int, seed: int) -> list[dict[str, Any]]:
    """``count`` times a value of each axis of the table ``[random]``.

    A value depends on the seed, its axis and its number alone: with a larger ``count`` the first
    ones stay, and another axis changes none.

    Raises:
        ValueError: no table, or an axis that is no distribution.
    """
    _check_table("random", table)
    columns = {_name(name): _draw(name, given, count, seed) for name, given in table.items()}
    if not columns:
        return []
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _draw(name: str, given: Any, count: int, seed: int) -> list[Any]:
    """The values of an axis, whose distribution is ``given``: {"uniform": [0, 0.5]}."""
    if not isinstance(given, Mapping) or len(given) != 1 or not given.keys() <= DRAWN.keys():
        raise ValueError(
            f"[random] {name} is {given!r}; wanted one of "
            + ", ".join(f"{{{kind} = {example}}}" for kind, (_, example) in DRAWN.items())
        )
    ((kind, limits),) = given.items()
    value_at, example = DRAWN[kind]
    shares = np.random.default_rng([seed, zlib.crc32(_name(name).encode())]).random(count)
    try:
        return [value_at(float(share), *limits) for share in shares]
    except (TypeError, ValueError, ArithmeticError, IndexError):
        raise ValueError(
            f"[random] {name}: {kind} is {limits!r}; wanted something like {example}"
        ) from None


def _uniform(share: float, low: float, high: float) -> float:
    return _rounded(low + share * (high - low))


def _log_uniform(share: float, low: float, high: float) -> float:
    return _rounded(low * math.exp(share * math.log(high / low)))


def _integer(share: float, low: int, high: int) -> int:
    """From ``low`` to ``high``, both of them too."""
    return low + math.floor(share * (high + 1 - low))


def _choice(share: float, *values: Any) -> Any:
    return values[math.floor(share * len(values))]


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


DRAWN: dict[str, tuple[Callable[..., Any], str]] = {
    "uniform": (_uniform, "[0, 0.5]"),
    "log-uniform": (_log_uniform, "[0.01, 1]"),
    "integer": (_integer, "[16, 128]"),
    "choice": (_choice, '["relu", "tanh"]'),
}
