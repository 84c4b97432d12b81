"""The runs of a sweep: their settings, the options of train that these mean, their names."""

from __future__ import annotations

import argparse
import functools
import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from minicnn.command import arguments_of, typed
from minicnn.compare import shown
from minicnn.sweep.axes import Axes
from minicnn.train import options as train

# options of train that the sweep has itself, or gives each run
NO_AXES = (
    *("config", "resume", "out", "threads", "quiet", "json", "help", "version"),
    *("distributed", "rank_timeout"),
)
LONGEST = 100  # characters of a name


class Run(NamedTuple):
    """A run that is wanted.

    Attributes:
        name: of its folder, made of its settings.
        settings: its value on each axis, the seed too.
        options: of ``python -m minicnn.train``: all that are not the usual ones.
    """

    name: str
    settings: dict[str, Any]
    options: dict[str, Any]


def plan(
    grid: Axes,
    rows: Sequence[Mapping[str, Any]] = (),
    draws: Sequence[Mapping[str, Any]] = (),
    shared: Sequence[str] = (),
) -> list[Run]:
    """The runs: each row with each draw at each point of the grid; equal ones once.

    Args:
        grid: the values of each axis.
        rows, draws: settings that belong together; none at all are as a single one of no settings.
        shared: options of train, as typed, that all runs have.

    Raises:
        ValueError: an axis that is no option of train, or is in two of the three; a value that
            train refuses.
    """
    parts = {"grid": [*grid], "list": _names(rows), "random": _names(draws)}
    for (one, names), (other, others) in itertools.combinations(parts.items(), 2):
        for name in names:
            if name in others:
                raise ValueError(f"{name} is in {one} and in {other}; wanted it in one of them")
    for name in itertools.chain(*parts.values()):
        check_axis(name)
    runs: dict[str, Run] = {}
    for row, draw, point in itertools.product(rows or [{}], draws or [{}], _points(grid)):
        run = _run({**row, **draw, **point}, shared)
        runs.setdefault(json.dumps(run.options, sort_keys=True), run)
    return _with_names_that_differ([*runs.values()])


def _names(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """All axes that any of the points has."""
    return [*dict.fromkeys(name for point in points for name in point)]


def _points(grid: Axes) -> Iterator[dict[str, Any]]:
    """The points of a grid; the axis that comes last changes first."""
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _run(settings: Mapping[str, Any], shared: Sequence[str]) -> Run:
    """The run with these settings, still without a name; the values as train reads them."""
    switches = {name: _is_on(name, value) for name, value in settings.items() if is_switch(name)}
    others = [word for word in shared if word not in map(typed, switches)]  # or an off stays on
    found = parsed([*others, *arguments_of({**settings, **switches})])
    values = {name: as_json(getattr(found, name)) for name in settings}
    return Run("", values | switches, options_of(found))


def check_axis(name: str) -> None:
    """Refuse what is no option of train, or no option of a single run."""
    axes = [known for known in usual() if known not in NO_AXES]
    if name not in axes:
        raise ValueError(f"{name} is no axis; wanted one of {', '.join(axes)}")


def is_switch(name: str) -> bool:
    """Whether train has this option without a value."""
    return parser()._option_string_actions[typed(name)].nargs == 0


def _is_on(name: str, value: Any) -> bool:
    words = {"on": True, "true": True, "off": False, "false": False}
    if str(value).lower() not in words:
        raise ValueError(f"{name} is {value!r}; wanted on or off")
    return words[str(value).lower()]


# Train's options ----------------------------------------------------------------------------------


@functools.cache
def parser() -> train.Parser:
    """Train's parser, which raises a ValueError instead of ending the process."""
    made = train.parser()
    setattr(made, "error", _refuse)  # noqa: B010 (a method)
    return made


def _refuse(message: str) -> NoReturn:
    raise ValueError(message.removeprefix("argument "))


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Arguments as train reads them.

    Raises:
        ValueError: it refuses them.
    """
    return parser().parse_args([*arguments])


@functools.cache
def usual() -> dict[str, Any]:
    """The options of train where nothing is typed."""
    return vars(parsed([]))


def options_of(found: argparse.Namespace) -> dict[str, Any]:
    """Those that are not the usual ones, as JSON has them."""
    values = vars(found).items()
    return {name: as_json(value) for name, value in values if value != usual()[name]}


def as_json(value: Any) -> Any:
    """A path as the text of the whole path, a tuple as a list."""
    if isinstance(value, Path):
        return str(value.resolve())
    return [*value] if isinstance(value, tuple) else value


# Names --------------------------------------------------------------------------------------------


def name_of(settings: Mapping[str, Any]) -> str:
    """``lr=0.1,channels=6-16,seed=0``: a name for any file system.

    What is left out of a value, or of a name that would be too long, stands for itself in a digest.
    """
    texts = {name: shown(value) for name, value in settings.items()}
    whole = ",".join(f"{name}={text}" for name, text in texts.items())
    plain = ",".join(f"{name}={_plain(text)}" for name, text in texts.items())
    is_told = plain.replace("-", ",") == whole.replace("-", ",") and len(plain) <= LONGEST
    return plain if is_told else f"{plain[: LONGEST - 9]}-{digest(whole)}"


def _plain(text: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", text, flags=re.ASCII)


def digest(text: str) -> str:
    """8 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _with_names_that_differ(runs: list[Run]) -> list[Run]:
    """The runs with their names, which differ where upper and lower case are the same, too."""
    names = [name_of(run.settings) for run in runs]
    lower = [name.lower() for name in names]
    return [
        run._replace(name=name if lower.count(name.lower()) == 1 else _with_digest(name, run))
        for name, run in zip(names, runs, strict=True)
    ]


def _with_digest(name: str, run: Run) -> str:
    return f"{name}-{digest(json.dumps(run.settings))}"


def axes_of(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Each axis and its values, in the order in which the runs have them."""
    axes: dict[str, list[Any]] = {}
    for run in runs:
        for name, value in run.settings.items():
            values = axes.setdefault(name, [])
            if value not in values:
                values.append(value)
    return axes
