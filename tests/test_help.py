"""What ``--help`` of each command shows: every default, and examples that work."""

from __future__ import annotations

import argparse
import importlib
import shlex

import pytest

from minicnn import command
from minicnn.__main__ import COMMANDS, main

PLACES = {"d2l": "minicnn.d2l.book.options"}  # of parser(), where it is not the usual one
PACKAGES = (
    "explain",
    "export",
    "learn",
    "predict",
    "sweep",
    "train",
    "visualize",
)  # whose parser() stands in options

DEFAULTS = {  # of the options that have a value of their own where nothing is typed
    "train": {"device": "auto", "model": "lenet", "seed": 0, "rank_timeout": 300},
    "sweep": {"draws": 10, "draw_seed": 0},
    "visualize": {"mistakes": 12},
    "explain": {"op": "conv"},
    "learn": {"model": "lenet", "seconds": 10},
    "export": {"to": "c"},
    "rungs": {"images": 64, "rounds": 5},
    "selfcheck": {"device": "auto"},
}
FROM_0 = {"seed", "draw_seed", "padding", "layer", "image", "index", "port", "lr"}
FROM_0 |= {"momentum", "weight_decay", "dropout"}  # every other number begins with 1


def parser_of(name: str) -> command.Parser:
    place = f"minicnn.{name}.options" if name in PACKAGES else f"minicnn.{name}"
    return importlib.import_module(PLACES.get(name, place)).parser()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_with_a_value_says_what_it_is_by_default(name: str) -> None:
    for action in parser_of(name)._actions:
        if action.option_strings and action.nargs != 0 and not action.required:
            assert "(default: " in (action.help or ""), action.option_strings
            if action.default is not None:
                assert f"(default: {action.default})" in (action.help or "")


@pytest.mark.parametrize("name", COMMANDS)
def test_where_nothing_is_typed_a_command_does_the_usual(name: str) -> None:
    defaults = {action.dest: action.default for action in parser_of(name)._actions}
    unusual = {k: v for k, v in defaults.items() if v not in (None, argparse.SUPPRESS)}
    assert {k: v for k, v in unusual.items() if v is not False} == DEFAULTS.get(name, {})


@pytest.mark.parametrize("name", COMMANDS)
def test_a_number_is_0_or_more_or_1_or_more(name: str) -> None:
    for action in parser_of(name)._actions:
        if action.type in (None, command.path) or action.dest in ("channels", "hidden"):
            continue
        take, least = action.type, int(action.dest not in FROM_0)
        assert callable(take)
        assert take(str(least)) in (least, (least, least)), action.dest
        with pytest.raises(argparse.ArgumentTypeError, match=f"'{least - 1}'; wanted"):
            take(str(least - 1))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches_by_examples_that_can_be_typed_and_fits_a_terminal(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    parser = parser_of(name)
    help = parser.format_help()
    assert max(map(len, help.splitlines())) <= 80
    assert len(parser.examples) >= 3
    for typed in parser.examples:
        assert f"  python -m minicnn.{name} {typed}".rstrip() in help
        words = [word for word in shlex.split(typed) if not word.startswith((">", "<"))]
        assert parser.parse_args(words)


def test_the_package_says_what_each_exit_status_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    for status in ("0", "1", "2", "130"):
        assert f"\n  {status:>3}  " in said
