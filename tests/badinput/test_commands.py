"""Each option of each command refuses wrong values: in one line that names it, before any work.

The options are those of the parsers themselves. A new one is found by itself; the tables below say
what a text or a path is for, and a test fails until they do.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import pytest

from minicnn import command
from minicnn.__main__ import COMMANDS
from tests.test_help import FROM_0, PACKAGES, PLACES, parser_of

pytestmark = pytest.mark.long

HUGE = str(10**30)
TYPES = {  # what an option with a type takes: wrong values
    "at_least": [
        "",
        " ",
        "x",
        "1.5",
        "-1",
        "nan",
        "inf",
        "1e3",
        "0x10",
        "²",
        "+-3",
        "三",
        "1,2",
        HUGE,
    ],
    "pair": ["", "x", "3x", "x3", "3x2x1", "-1", "1.5", "nan", "inf", "²", "三", HUGE],
    "integers": ["x", "6,,16", "6,", "0", "6,-1", "1.5", "nan", "inf", "²", "六", HUGE],
    "non_negative": ["", "x", "-1", "-0.5", "nan", "inf", "-inf", "1,5", "½", "1e999"],
    "share": ["", "x", "-1", "1", "1.5", "nan", "inf", "1e30", "0,5", "½"],
}
CHOICE = ["", "nothing", "名前", "1", "-1", "nan", " "]
LONG, NOBODYS = "x" * 300, "~nobody-at-all/x"
PATHS = {  # what a path is for: wrong ones
    "run": ["", "nothing", "没有", "file", "empty", "file/x", LONG, NOBODYS],
    "data": ["", "nothing", "没有", "file", "empty", "file/x", LONG, NOBODYS],
    "course": ["", "nothing", "没有", "file", "empty", "file/x", LONG, NOBODYS],
    "a file to read": ["", "nothing", "没有", "empty", "file", "file/x", LONG, NOBODYS],
    "a folder to read": ["", "nothing", "没有", "file", "file/x", LONG, NOBODYS],
    "a file to write": ["", "empty", "file/x", "nothing/没有", LONG, NOBODYS],
    "a folder to write": ["", "file", "file/x", LONG, NOBODYS],
}
Wrongs = dict[str, str | list[str]]  # a purpose in PATHS, or wrong values
PURPOSES: dict[str, Wrongs] = {  # of the options whose type says nothing
    "train": {
        "device": ["", "nothing", "gpu:x", "gpu:-1", "图形", "cpu:1", f"gpu:{HUGE}"],
        "data_dir": "data",
        "out": "a folder to write",
        "resume": "run",
        "config": "a file to read",
        "tensorboard": "a folder to write",
    },
    "predict": {
        "images": ["", "nothing.png", "没有.png", "empty", "file/x", LONG, NOBODYS],
        "run": "run",
        "show": "a file to write",
        "data_dir": "data",
    },
    "compare": {"runs": "run", "out": "a file to write"},
    "sweep": {
        "grid": ["", "x", "lr", "=1", "lr=", "lr=nan", "没有=没有", "out=a", "model=nothing"],
        "config": "a file to read",
        "out": "a folder to write",
        "scheduler": ["", "nothing", "tcp://nothing", "没有://x:1", "tcp://127.0.0.1:x", HUGE],
    },
    "visualize": {
        "run": "run",
        "out": "a folder to write",
        "classes": ["", "nothing", "没有", "0,", "-1", "2", HUGE],
        "data_dir": "data",
    },
    "explain": {
        "out": "a file to write",
        "svg": ["", "nothing", "grid,", "格子", "-1"],
        "cell": ["", "nothing", "dx", "dx/0", "dx/-1,0,0,0", f"dx/0,0,0,{HUGE}", "dx/x", "格/0"],
        "run": "run",
        "data_dir": "data",
    },
    "learn": {
        "what": ["", "x", "0", "99", "1.5", "²", "三", HUGE],
        "folder": "course",
        "nbgrader": "a folder to write",
    },
    "export": {
        "run": "run",
        "out": "a file to write",
        "name": ["", "1x", "a b", "名", "a-b", "-1"],
        "data_dir": "data",
    },
    "d2l": {
        "chapter": "a file to read",
        "out": "a folder to write",
        "data_dir": "a folder to read",
    },
    "selfcheck": {"device": ["", "nothing", "gpu:x", "gpu:-1", "图形", "cpu:1"]},
}
BEFORE = {  # what else is typed, that the option is looked at
    "train": "--data-dir=data",
    "train --resume": "",
    "train --config": "",
    "predict": "--run=run --index=0",
    "predict images": "--run=run",
    "predict --port": "--run=run --serve",
    "compare": "run",
    "compare runs": "",
    "sweep": "--data-dir=data --grid lr=1",
    "sweep --grid": "--data-dir=data",
    "sweep --config": "--data-dir=data",
    "visualize": "--run=run",
    "explain": "--no-open",
    "explain --layer": "--no-open --run=run",
    "explain --image": "--no-open --run=run",
    "explain --data-dir": "--no-open --run=run",
    "explain --cell": "--no-open --svg=grid",
    "learn": "check 1 --in=course",
    "learn command": "",
    "learn what": "--in=course check",
    "learn --dataset": "train --in=course",
    "learn --nbgrader": "export",
    "export": "--run=run",
    "export --data-dir": "--run=run --quantise=int8",
    "d2l": "chapter.md",
    "d2l chapter": "",
}
NEEDS = {  # packages of an extra, without which a command refuses everything
    "train --tensorboard": ["tensorboardX"],
    "sweep": ["distributed"],
    "d2l": ["IPython", "nbformat"],
}
WORK = (  # what a command begins with, once it has found nothing wrong
    "minicnn.train.job.fit",
    "minicnn.predict.classifier.Classifier.predict",
    "socketserver.BaseServer.serve_forever",
    "minicnn.sweep.job.client_of",
    "minicnn.visualize.options.predict",
    "minicnn.learn.options.judge",
    "minicnn.learn.options.write_notebooks",
    "minicnn.d2l.book.options._run_plan",
    "minicnn.rungs.compare",
    "minicnn.selfcheck.checks",
)


class Wrong(NamedTuple):
    """An option of a command, as it is typed (a positional one: its name), and a wrong value."""

    command: str
    option: str
    value: str

    @property
    def argv(self) -> list[str]:
        """What is typed."""
        place = f"{self.command} {self.option}"
        before = BEFORE.get(place, BEFORE.get(self.command, "")).split()
        is_option = self.option.startswith("--")
        return [*before, f"{self.option}={self.value}" if is_option else self.value]

    @property
    def words(self) -> list[str]:
        """What has to be said: the option and the value; of a positional one the value will do.

        Of an axis of a sweep its name and its value.
        """
        if self.option == "--grid" and "=" in self.value:
            return self.value.split("=")
        return [self.option, self.value] if self.option.startswith("--") else [self.value]


def options_of(name: str) -> list[argparse.Action]:
    """The options of a command that have a value."""
    return [action for action in parser_of(name)._actions if action.nargs != 0]


def called(action: argparse.Action) -> str:
    return action.option_strings[0] if action.option_strings else action.dest


def wrong_values(name: str, action: argparse.Action) -> list[str]:
    """Wrong values of an option.

    Raises:
        KeyError: a kind that nobody has said anything of.
    """
    if action.choices is not None:
        return CHOICE
    if action.type in (None, command.path):
        purpose = PURPOSES[name][action.dest]
        return PATHS[purpose] if isinstance(purpose, str) else purpose
    kind = getattr(action.type, "__qualname__", "").partition(".")[0]
    return [*TYPES[kind], *([] if action.dest in FROM_0 else ["0"])]


def cases(name: str) -> Iterator[Wrong]:
    """Every option of a command with every wrong value."""
    for action in options_of(name):
        for value in wrong_values(name, action):
            if action.option_strings or not value.startswith("-"):  # that would be an option
                yield Wrong(name, called(action), value)


# The places that these values name -----------------------------------------------------------


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, data, a chapter, a course, a text, and an empty folder."""
    root = tmp_path_factory.mktemp("places")
    rng = np.random.default_rng(0)
    (root / "data").mkdir()
    (root / "empty").mkdir()
    (root / "file").write_text("no run, no data, no options\n")
    (root / "chapter.md").write_text("# A chapter\n\n```{.python .input}\nprint(1)\n```\n")
    images, labels = rng.integers(0, 256, (20, 28, 28), np.uint8), np.arange(20) % 2
    np.savez(
        root / "data" / "own.npz", x_train=images, y_train=labels, x_test=images, y_test=labels
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        main_of("train")(["--data-dir=data", "--channels=2,3", "--hidden=4", "--epochs=1",
                          "--no-compile", "--out=run", "--quiet"])  # fmt: skip
        main_of("learn")(["start", "course"])
    return root


def main_of(name: str) -> Callable[[list[str]], int]:
    """The function that a command is."""
    place = f"minicnn.{name}.options" if name in PACKAGES else f"minicnn.{name}"
    main: Callable[[list[str]], int] = importlib.import_module(PLACES.get(name, place)).main
    return main


def contents(root: Path) -> dict[str, int]:
    """Every file and folder, and when it was changed."""
    return {str(path): path.stat().st_mtime_ns for path in root.rglob("*")}


# What is said --------------------------------------------------------------------------------


def began(*_: object, **__: object) -> NoReturn:
    """Instead of a command's work."""
    raise AssertionError("the work has begun")


@pytest.fixture(autouse=True)
def no_work(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder of ``places`` nothing is trained, predicted or drawn."""
    monkeypatch.chdir(places)
    for name in WORK:
        monkeypatch.setattr(name, began)


def fault(wrong: Wrong, capsys: pytest.CaptureFixture[str]) -> str | None:
    """What is wrong with how a command answers a wrong value; None if nothing is."""
    before = contents(Path.cwd())
    try:
        status: object = main_of(wrong.command)(wrong.argv)
    except SystemExit as ended:
        status = ended.code
    except Exception as error:  # what would be a traceback
        status = repr(error)
    printed = capsys.readouterr()
    if contents(Path.cwd()) != before:
        return "it has written something"
    if status != 2 or printed.out or printed.err.count("\n") != 1:
        return f"{status}, {printed}"
    unsaid = [word for word in wrong.words if word not in printed.err]
    return f"{unsaid} not in {printed.err}" if unsaid else None


@pytest.mark.parametrize("name", COMMANDS)
def test_wrong_values_are_refused_by_name_before_any_work(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for wrong in cases(name):
        for package in NEEDS.get(name, []) + NEEDS.get(f"{name} {wrong.option}", []):
            pytest.importorskip(package)
        found[wrong] = fault(wrong, capsys)
    assert found
    assert not {wrong[1:]: said for wrong, said in found.items() if said}


@pytest.mark.parametrize("folder", ["", "file", "file/x", LONG, NOBODYS])
def test_the_folder_of_a_course_is_looked_at_too(
    folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main_of("learn")(["start", folder])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("python -m minicnn.learn: error: ")


@pytest.mark.parametrize("name", COMMANDS)
def test_right_values_get_as_far_as_the_work(name: str) -> None:
    """Or else what is tested above is something else that the command line lacks."""
    before = BEFORE.get(name, "").split()
    if name == "explain":  # its work is done as soon as it is looked at
        assert main_of(name)([*before, "--out=explain.html"]) == 0
    elif name == "export":
        assert main_of(name)([*before, "--out=net.c"]) == 0
    elif name == "compare":
        assert main_of(name)(before) == 0
    else:
        for package in NEEDS.get(name, []):
            pytest.importorskip(package)
        with pytest.raises(AssertionError, match="the work has begun"):
            main_of(name)(before)
