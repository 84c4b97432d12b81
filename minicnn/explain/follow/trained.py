"""The net of a run on a picture of the test set, at the states that the run has kept."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from minicnn import command, load_run
from minicnn.tensor import Tensor
from minicnn.train.kept import KeptState, read_state, state_files

from ..examples import OPTIONS
from ..trained import picture_of
from ..words import Sentence
from .net import layers_of
from .numbers import Followed, follow
from .page import page_of
from .states import State, entries, how_many_fit, spread


class FollowedRun:
    """The page of a run: its states, each followed on the same picture.

    Attributes:
        states: those that are shown.
        classes: the names of the classes.
        of: how many states the run has kept.
        lang: see ``Followed``.
    """

    lang: str | None = None

    def __init__(self, states: list[State], classes: list[str], of: int):
        self.states, self.classes, self.of = states, classes, of

    def html(self, about: str = "") -> str:
        """The page."""
        return page_of(self.states, about, self.classes, self.of, self.lang)


def from_run(options: argparse.Namespace) -> tuple[FollowedRun, str]:
    """What ``--follow`` shows of ``--run``, and a sentence about the picture."""
    _check(options)
    with command.naming(options, "run"):
        net, config = load_run(options.run)
    _check_net(net, options.run)
    picture, labels, classes, names = picture_of(options, config)
    label = int(labels.item())
    last = follow(net, picture, label)
    files = state_files(options.run)
    states = [_state(net, picture, label, read_state(path)) for path in _shown(last, files)] or [
        State(last)
    ]
    about = Sentence("follow.about", **names)
    return FollowedRun(states, list(classes), len(files)), about


def _check(options: argparse.Namespace) -> None:
    if options.run is None:
        raise ValueError("--follow needs --run DIR, the folder of a training")
    for name in (*OPTIONS, "seed", "layer", "svg"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')} does not apply to --follow")
    for name in ("op", "text"):
        if getattr(options, name) not in ("conv", False):
            raise ValueError(f"--{name} does not apply to --follow, which writes the page of a net")


def _check_net(net: Any, run: str) -> None:
    try:
        layers_of(net)
    except TypeError as error:
        what = str(error).removeprefix("explain.follow: ")
        raise ValueError(f"--run is {run}, whose {what}") from error


def _shown(last: Followed, files: dict[int, Path]) -> list[Path]:
    """The states that fit on a page, evenly."""
    if not files:
        return []
    first = read_state(next(iter(files.values())))
    layout = entries(last, bool(first.gradient), bool(first.step.get("momentum")))
    return spread([*files.values()], how_many_fit(layout))


def _state(net: Any, picture: Tensor, label: int, kept: KeptState) -> State:
    net.load_state_dict({name: Tensor(array) for name, array in kept.net.items()})
    return State(follow(net, picture, label), kept)
