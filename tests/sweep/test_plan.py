"""Which runs are asked for: axes, rows, draws, names; what is refused."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path
from typing import Any

import pytest

from minicnn.sweep.axes import draws_of, typed_axes
from minicnn.sweep.options import parser, runs_of
from minicnn.sweep.plan import LONGEST, Run, name_of, plan
from minicnn.train.options import parser as train_parser


def asked(*argv: str) -> list[Run]:
    """The runs of a command line."""
    return runs_of(parser().parse([*argv]))


def refusal(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The one line with which the options are refused, before anything starts."""
    with pytest.raises((SystemExit, ValueError)) as ended:
        asked(*argv)
    if ended.type is ValueError:
        return str(ended.value)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said.removeprefix("python -m minicnn.sweep: error: ").rstrip("\n")


def written(tmp_path: Path, content: str) -> str:
    file = tmp_path / "sweep.toml"
    file.write_text(content)
    return str(file)


# Grids --------------------------------------------------------------------------------------------


def test_every_combination_is_a_run_and_the_seeds_change_first() -> None:
    runs = asked("--grid", "lr=0.1,0.50", "activation=sigmoid,relu", "--seeds", "2")
    assert [run.name for run in runs] == [
        f"lr={lr},activation={activation},seed={seed}"
        for lr in (0.1, 0.5)
        for activation in ("sigmoid", "relu")
        for seed in (0, 1)
    ]
    assert runs[-1].settings == {"lr": 0.5, "activation": "relu", "seed": 1}
    assert runs[-1].options == {"lr": 0.5, "activation": "relu", "seed": 1}


def test_values_with_commas_stand_in_brackets_and_switches_are_on_or_off() -> None:
    axes = typed_axes(["channels=[6,16],[8,20]", "hidden=[],[84]", "batch-norm=on,off"])
    assert axes == {
        "channels": ["6,16", "8,20"],
        "hidden": ["", "84"],
        "batch_norm": ["on", "off"],
    }
    first, *_, last = plan(axes)
    assert first.options == {"channels": [6, 16], "hidden": [], "batch_norm": True}
    assert first.name == "channels=6-16,hidden=,batch_norm=on"
    assert last.options == {"channels": [8, 20], "hidden": [84]}
    assert last.settings["batch_norm"] is False


def test_options_of_train_hold_for_every_run_and_an_axis_wins() -> None:
    runs = asked("--epochs", "3", "--grid", "lr=0.1,0.2", "--lr=7", "--seed", "5", "--no-compile")
    assert [run.options for run in runs] == [
        {"epochs": 3, "lr": lr, "no_compile": True, "seed": 5} for lr in (0.1, 0.2)
    ]
    assert [run.name for run in runs] == ["lr=0.1,seed=5", "lr=0.2,seed=5"]


def test_a_switch_that_all_runs_share_is_off_where_its_axis_says_so() -> None:
    on, off = asked("--batch-norm", "--grid", "batch-norm=on,off")
    assert (on.options, off.options) == ({"batch_norm": True}, {})
    assert off.settings["batch_norm"] is False


def test_equal_runs_are_one() -> None:
    assert len(asked("--grid", "lr=0.1,.1,1e-1", "dropout=0.20,0.2")) == 1


def test_what_train_makes_of_a_runs_options_is_what_was_asked_for(tmp_path: Path) -> None:
    from minicnn.command import arguments_of

    (run,) = asked("--grid", "hidden=[12,7]", "--data-dir", str(tmp_path), "--image-size", "8x9")
    found = train_parser().parse(arguments_of(run.options))
    assert (found.hidden, found.data_dir, found.image_size) == ((12, 7), tmp_path, (8, 9))


# Files --------------------------------------------------------------------------------------------

FILE = """
seeds = 2
epochs = 4
draws = 3
[grid]
activation = ["relu", "tanh"]
model = "mlp"
[[list]]
lr = 0.1
momentum = 0.9
[[list]]
lr = 0.5
[random]
dropout = {uniform = [0, 0.5]}
hidden = {choice = [[16], [32, 8]]}
"""


def test_a_file_has_a_grid_a_list_and_draws_whose_product_is_run(tmp_path: Path) -> None:
    runs = asked("--config", written(tmp_path, FILE))
    assert len(runs) == 2 * 3 * 2 * 2
    assert all(run.options["epochs"] == 4 for run in runs)
    pairs = {(run.settings["lr"], run.settings.get("momentum")) for run in runs}
    assert pairs == {(0.1, 0.9), (0.5, None)}
    assert len({run.settings["dropout"] for run in runs}) == 3


def test_what_is_typed_wins_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, FILE)
    typed = "--seeds 1 --grid activation=sigmoid,relu --epochs=1 --draws 1"
    runs = asked("--config", file, *typed.split())
    assert len(runs) == 2 * 2
    assert {run.settings["activation"] for run in runs} == {"sigmoid", "relu"}
    assert all(run.options["epochs"] == 1 for run in runs)


# At random ----------------------------------------------------------------------------------------


def test_draws_are_the_same_again_and_neither_more_of_them_nor_other_axes_change_them() -> None:
    lr = {"lr": {"log-uniform": [0.01, 1]}}
    few = draws_of(lr, 5, 0)
    assert draws_of({**lr, "dropout": {"uniform": [0, 0.5]}}, 9, 0)[:5] != few
    assert [row["lr"] for row in draws_of({"dropout": {"uniform": [0, 1]}, **lr}, 9, 0)][:5] == [
        row["lr"] for row in few
    ]
    assert draws_of(lr, 5, 1) != few


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [
        ({"uniform": [0.1, 0.5]}, 0.1, 0.5),
        ({"log-uniform": [0.01, 1]}, 0.01, 1),
        ({"integer": [3, 5]}, 3, 5),
    ],
)
def test_draws_fill_their_range(given: dict[str, Any], low: float, high: float) -> None:
    values = [row["lr"] for row in draws_of({"lr": given}, 400, 0)]
    scale = math.log if "log-uniform" in given else float
    shares = sorted((scale(v) - scale(low)) / (scale(high) - scale(low)) for v in values)
    assert 0 <= shares[0] < 0.02
    assert 0.98 < shares[-1] <= 1
    assert 0.42 < shares[200] < 0.58
    assert all(str(value) in name_of({"lr": value}) for value in values)


# Names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"data_dir": "/home/me/my pictures", "seed": 0},
        {"hidden": [*range(100, 140)], "seed": 0},
        {"data_dir": "../../../etc"},
    ],
)
def test_names_are_short_and_fit_any_file_system(settings: dict[str, Any]) -> None:
    name = name_of(settings)
    assert re.fullmatch(r"[\w.=,+-]+", name, re.ASCII)
    assert len(name) <= LONGEST
    other = {key: [*value, 1] if isinstance(value, list) else f"{value}!"
             for key, value in settings.items()}  # fmt: skip
    assert name_of(other) != name


def test_names_differ_where_upper_and_lower_case_are_the_same(tmp_path: Path) -> None:
    runs = plan({"data_dir": [str(tmp_path / "a"), str(tmp_path / "A")]})
    assert len({run.name.lower() for run in runs}) == 2


# Refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--grid", "lrr=1"], "lrr is no axis; wanted one of device, dataset, .*lr, .*dropout"),
        (["--grid", "lr=fast"], "--lr: 'fast'; wanted a number of at least 0"),
        (["--grid", "activation=rely"], "--activation: invalid choice: 'rely' .*sigmoid.*"),
        (["--grid", "lr=0.1", "lr=0.2"], "--grid: lr is there twice; wanted lr=VALUE,VALUE once"),
        (["--grid", "lr"], "--grid: 'lr' is no axis; wanted NAME=VALUE,VALUE like lr=0.1,0.5"),
        (["--grid", "threads=1,2"], "threads is no axis; wanted one of .*"),
        (["--grid", "batch-norm=maybe"], "batch_norm is 'maybe'; wanted on or off"),
        (["--grid", "seed=1,2", "--seeds", "3"], "--seeds: seed is an axis already; .*"),
        (["--epoch", "3"], "--epoch is no option; did you mean --epochs?.*"),
        (["--resume", "x"], "--resume is no option; see --help$"),
        (["--epochs", "none"], "argument --epochs: 'none'; wanted an integer of at least 1"),
        (["lr=0.1"], "argument unrecognized arguments: lr=0.1"),
    ],
)
def test_a_mistake_is_one_line_that_names_what_is_possible(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert re.match(said, refusal(capsys, *argv))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[grid]\nlr = []", r"\[grid\] lr has no values"),
        ("[random]\nlr = {normal = [0, 1]}", r"\[random\] lr is .*; wanted one of \{uniform = "),
        ("[random]\nlr = {uniform = [0]}", r"\[random\] lr: uniform is \[0\]; wanted something "),
        ("[random]\nlr = {log-uniform = [0, 1]}", r"\[random\] lr: log-uniform is \[0, 1\]; want"),
        ("[random]\nlr = {choice = []}", r"\[random\] lr: choice is \[\]; wanted something"),
        ("grid = 3", r"grid is 3; wanted a table of axes, under \[grid\]"),
        ("random = []", r"random is \[\]; wanted a table of axes, under \[random\]"),
        ("list = 3", "list is no list of settings"),
        ("[grid]\nlr = 1\n[[list]]\nlr = 2", "lr is in grid and in list; wanted it in one of them"),
        ("epoch = 3", r"--config .*sweep.toml: --epoch is no option; did you mean --epochs\?"),
        ("seeds = 0", r"--config .*sweep.toml: argument --seeds: '0'; wanted an integer of at"),
        ("[grid", r"--config .*sweep.toml: "),
    ],
)
def test_a_mistake_in_a_file_is_one_line(
    content: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert re.match(said, refusal(capsys, "--config", written(tmp_path, content)))


def test_the_parser_of_trains_options_is_not_changed_for_train() -> None:
    asked("--grid", "lr=1")
    with pytest.raises(SystemExit):
        train_parser().parse(["--lr", "fast"])
    assert isinstance(parser().parse([]), argparse.Namespace)
