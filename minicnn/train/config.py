"""What the files of a run may say. They come from anywhere: what is no run's is refused here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minicnn import json_files, models
from minicnn.formats import shown

ROWS = {"epochs": ("epoch", "seconds"), "curve": ("epoch",)}  # what each row of a history has


def read(path: Path) -> dict[str, Any]:
    """The content of a run's ``config.json``.

    Raises:
        ValueError: it is no JSON, or says something that no run's says; the message names the file.
        OSError: it cannot be read.
    """
    try:
        config = json_files.read(path)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    try:
        if not isinstance(config, dict):
            raise ValueError(f"it is of type {type(config).__name__}")
        for name in ("model", "model_args"):
            if name not in config:
                raise ValueError(f"it lacks {name!r}")
        for name, value in config.items():
            _check(name, value)
    except ValueError as error:
        raise ValueError(f"{path} is not a run's configuration: {error}") from None
    return config


def read_rows(path: Path, needed: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a run's ``metrics.jsonl`` or ``curve.jsonl``.

    Args:
        needed: what every row has to have, a finite number; all else may be None, nan or infinite.

    Raises:
        ValueError: a row has something else; the message names the file.
        OSError: it cannot be read.
    """
    try:
        rows = json_files.read_lines(path)
        check_rows(rows, needed)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    return rows


def check_rows(rows: Sequence[Any], needed: Sequence[str]) -> None:
    """Refuse rows that a ``History`` does not have (ValueError); ``needed``: see ``read_rows``."""
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise ValueError(f"row {number} is {shown(row)}; wanted names and numbers")
        for name, value in {**dict.fromkeys(needed), **row}.items():
            is_needed = name in needed
            good = _is_number(value) and (not is_needed or math.isfinite(value))
            if not good and (is_needed or value is not None):
                raise ValueError(f"row {number}: {name} is {shown(value)}; wanted a number")


# What a value may be ------------------------------------------------------------------------------


def _check(name: str, value: Any) -> None:
    """Refuse a value of another kind than this entry has."""
    if name not in KINDS or (value is None and name not in NEEDED):
        return
    is_kind, wanted = KINDS[name]
    if not is_kind(value):
        raise ValueError(f"{name} is {shown(value)}; wanted {wanted}")


def _is_number(value: Any) -> bool:
    """A number that a float can hold, and NumPy."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) <= 2**53
    return isinstance(value, float) and not math.inf > abs(value) > 1e300


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_size(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_count, value))


def _is_normalise(value: Any) -> bool:
    """A mean and a positive standard deviation for each channel."""
    if not isinstance(value, Mapping) or not {"mean", "std"} <= value.keys():
        return False
    mean, std = value["mean"], value["std"]
    lists = isinstance(mean, list) and isinstance(std, list) and len(mean) == len(std) > 0
    return lists and all(map(_is_number, [*mean, *std])) and all(0 < s < math.inf for s in std)


NEEDED = ("model", "model_args")
KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model": (
        lambda value: _is_text(value) and value in models.PRESETS,
        f"one of {', '.join(models.PRESETS)}",
    ),
    "model_args": (_is_table, "the arguments of the model, by name"),
    "options": (_is_table, "options, by name"),
    "dataset": (_is_text, "the name of a data set"),
    "data_kind": (_is_text, "a text"),
    "data_dir": (_is_text, "a path"),
    "classes": (_are_names, "the names of the classes"),
    "image_size": (_is_size, "[height, width]"),
    "normalise": (_is_normalise, "mean and std, lists of numbers"),
    "epochs": (_is_count, "an integer"),
    "seed": (_is_count, "an integer"),
}
