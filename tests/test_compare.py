"""``python -m minicnn.compare``: settings that differ, results, curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minicnn import compare, train
from tests.train.command import FAST


def make_run(folder: Path, accuracies: list[float], **config: Any) -> str:
    """A run's folder with an epoch for each test accuracy, as training writes it; its path."""
    folder.mkdir()
    usual = {"model": "lenet", "model_args": {}, "lr": 0.9, "epochs": 3, "seed": 0}
    names = ("epoch", "loss", "train_acc", "test_acc", "seconds")
    values = [(k, 2 / k, 0.1 * k, accuracy, 1.25) for k, accuracy in enumerate(accuracies, start=1)]
    rows = [dict(zip(names, row, strict=True)) for row in values]
    points = [
        {"epoch": row["epoch"] - part, **row_of(row, part)} for row in rows for part in (0.5, 0)
    ]
    (folder / "config.json").write_text(json.dumps({**usual, **config}))
    for name, found in (("metrics", rows), ("curve", points)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    return str(folder)


def row_of(row: dict[str, Any], part: float) -> dict[str, Any]:
    """A point of the curve: the last of an epoch has the test accuracy."""
    running = {"loss": row["loss"] + part, "train_acc": row["train_acc"]}
    return running if part else {**running, "test_acc": row["test_acc"]}


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    relu = {"activation": "relu", "channels": [4, 7], "batch_norm": True}
    return [
        make_run(tmp_path / "a", [0.2, 0.6, 0.55]),
        make_run(tmp_path / "bb", [0.3, 0.71], lr=0.05, model_args=relu, numpy="2.0"),
        make_run(tmp_path / "c", [0.4, 0.5, 0.7], model="mlp", seed=0, compiled=True),
    ]


def test_the_table_has_what_differs_and_what_came_of_it(
    folders: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.main(folders[:2]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = max(map(len, folders[:2]))
    assert [line[:names].rstrip() for line in lines] == ["run", *folders[:2]]
    assert [line[names + 2 :] for line in lines] == [
        "lr    activation  channels  batch_norm  epochs   loss  train acc  test acc  seconds",
        "0.9   sigmoid     6,16      off              3  0.667      0.300     0.550      3.8",
        "0.05  relu        4,7       on          2 of 3  1.000      0.200     0.710      2.5",
    ]


def test_a_setting_that_only_one_model_has_does_not_differ(folders: list[str]) -> None:
    a, _, c = (compare.read(Path(folder)) for folder in folders)
    # channels, pool, padding... are no settings of an MLP, whose other defaults are its own
    assert compare.differing([a, c]) == ["model", "activation", "hidden"]
    assert compare.differing([a]) == []


def test_json_has_the_shared_settings_too_and_says_the_rest_on_stderr(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "curves.png"
    assert compare.main([*folders[:2], "--json", "--out", str(picture)]) == 0
    printed = capsys.readouterr()
    assert printed.err == f"written to {picture}\n"
    found = json.loads(printed.out)
    first, second = found["runs"]
    assert (first["run"], second["run"]) == tuple(folders[:2])
    assert second["settings"] == {
        "lr": 0.05,
        "channels": [4, 7],
        "activation": "relu",
        "batch_norm": True,
    }
    assert second["results"] == {
        "epochs": 2, "planned": 3, "loss": 1.0, "train_acc": 0.2, "val_acc": None,
        "best_epoch": None, "test_acc": 0.71, "seconds": 2.5,
    }  # fmt: skip
    assert found["shared"]["hidden"] == [120, 84]
    assert (found["shared"]["seed"], found["shared"]["numpy"]) == (0, "2.0")
    assert not {"lr", "epochs", "model_args"} & set(found["shared"])


def test_the_best_epoch_is_chosen_on_the_validation_set_alone(tmp_path: Path) -> None:
    folder = Path(make_run(tmp_path / "a", [0.9, 0.6, 0.5]))
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row, accuracy in zip(rows, (0.3, 0.8, 0.4), strict=True):
        row["val_acc"] = accuracy
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = compare.results(compare.read(folder))
    assert (found["best_epoch"], found["val_acc"]) == (2, 0.4)


def test_the_picture_shows_each_run_by_what_differs(folders: list[str], tmp_path: Path) -> None:
    runs = [compare.read(Path(folder)) for folder in folders[:2]]
    figure = compare.draw(runs)
    left, right = figure.axes
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == [
        "lr 0.9, activation sigmoid, channels 6,16, batch_norm off",
        "lr 0.05, activation relu, channels 4,7, batch_norm on",
    ]
    assert [list(line.get_xdata()) for line in left.lines] == [
        [0.5, 1, 1.5, 2, 2.5, 3],
        [0.5, 1, 1.5, 2],
    ]
    assert list(right.lines[2].get_ydata()) == [0.3, 0.71]  # a's test, a's train, b's test...
    colours = [line.get_color() for line in (*left.lines, *right.lines)]
    assert colours[0] == colours[2] == colours[3] != colours[1] == colours[4]
    assert left.get_xlim() == (0, 3)


def test_runs_that_are_alike_are_told_by_their_names(folders: list[str], tmp_path: Path) -> None:
    a, b = (compare.read(Path(folder)) for folder in folders[:2])
    assert compare.labels([a]) == [folders[0]]
    assert compare.labels([a, a]) == [folders[0]] * 2
    assert (
        compare.labels([a, a, b])[0]
        == f"{folders[0]}: lr 0.9, activation sigmoid, channels 6,16, batch_norm off"
    )
    many = compare.draw([a] * 9)
    looks = {(line.get_color(), str(line.get_linestyle())) for line in many.axes[0].lines}
    assert len(looks) == 9


def test_a_label_fits_below_the_curves(folders: list[str]) -> None:
    """One with all the settings that differ may be wider than the picture."""
    a, b = (compare.read(Path(folder)) for folder in folders[:2])
    a = a._replace(settings={"lr": 0.5, "init": None})
    b = b._replace(settings={"lr": 0.1, "init": "normal"})
    assert compare.labels([a, b]) == ["lr 0.5", "lr 0.1, init normal"]
    wide = a._replace(settings={f"setting_{i}": "long" for i in range(8)})
    other = a._replace(name="other", settings={f"setting_{i}": "longer" for i in range(8)})
    assert compare.labels([wide, other]) == [a.name, "other"]


def test_a_run_without_an_epoch_is_compared_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, picture = make_run(tmp_path / "a", []), tmp_path / "curves.png"
    assert compare.main([folder, "--out", str(picture)]) == 0
    assert capsys.readouterr().out.splitlines()[1] == f"{folder}  0 of 3"
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (None, "there is no folder {folder}; wanted that of a training run"),
        ("curve.jsonl", "{folder}/curve.jsonl is damaged: Extra data: line 1 column 3 (char 2)"),
        ("config.json", "{folder}/config.json is damaged: Extra data: line 1 column 3 (char 2)"),
        ("no model", "{folder}/config.json is not a run's configuration: model is 'resnet'; wanted "
         "one of lenet, lenet-max, lenet-plus, mlp"),
        ("empty", "{folder} is not the folder of a training run: it has no config.json"),
    ],
)  # fmt: skip
def test_a_folder_that_is_no_run_is_one_line(
    damage: str | None,
    said: str,
    folders: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "other"
    if damage == "empty":
        folder.mkdir()
    elif damage is not None:
        make_run(folder, [0.5], **({"model": "resnet"} if damage == "no model" else {}))
        if damage != "no model":
            (folder / damage).write_text("{}{}")
    with pytest.raises(SystemExit) as ended:
        compare.main([folders[0], str(folder)])
    assert ended.value.code == 2
    printed = capsys.readouterr()
    wanted = said.format(folder=folder)
    assert printed.err == f"python -m minicnn.compare: error: {wanted}\n"
    assert printed.out == ""


def test_a_picture_that_cannot_be_written_names_the_option(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        compare.main([folders[0], "--out", str(tmp_path / "none" / "curves.png")])
    assert ended.value.code == 2
    assert "error: --out: " in capsys.readouterr().err


def test_runs_of_the_command_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, more in (("1", []), ("2", ["--validation", "70"])):
        one = [*FAST, "--epochs", "1", "--seed", seed, *more, "--out", str(tmp_path / seed)]
        assert train.main([*one, "--quiet"]) == 0
    capsys.readouterr()
    assert compare.main([str(tmp_path / "1"), str(tmp_path / "2")]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[:4] == ["run", "seed", "validation", "epochs"]
    assert lines[0].split()[1:3] == ["1", "1"]
    assert lines[1].split()[1:4] == ["2", "70", "1"]
