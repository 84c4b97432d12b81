"""``python -m minicnn.predict``."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from minicnn import data, models, predict
from minicnn.train.run import Run
from tests.predict.pictures import drawn, png, save


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a run that has not learnt anything, on the sample."""
    folder = tmp_path_factory.mktemp("command") / "run"
    config = {"model": "mlp", "model_args": {"hidden": [12]}, "dataset": "fashion-mnist-sample"}
    Run(folder, config, models.mlp(hidden=(12,)))
    return str(folder)


def test_damaged_files_are_reported_one_by_one_and_the_rest_is_done(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = save(tmp_path)
    (tmp_path / "below").mkdir()
    drawn().save(tmp_path / "below/8.png")
    (tmp_path / "notes.txt").write_text("not looked at")
    (tmp_path / "._1.png").write_bytes(b"a Mac's")
    assert predict.main(["--run", run, str(tmp_path), "--json"]) == 1
    said = capsys.readouterr()
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert sorted(row["picture"] for row in rows) == sorted(
        map(str, [*good, tmp_path / "below/8.png"])
    )
    complaints = said.err.splitlines()
    assert len(complaints) == len(bad)
    for path in bad:
        assert any(line.startswith(f"python -m minicnn.predict: {path}: ") for line in complaints)
    for row in rows:
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["class"] == max(row["probabilities"], key=row["probabilities"].get)
        assert row["facts"]


def test_the_table_shows_three_classes_and_what_was_done(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn().save(tmp_path / "a.png")
    drawn().save(tmp_path / "b 2.png")
    pattern = str(tmp_path / "*.png")
    assert predict.main(["--run", run, pattern, "--index", "3", "11"]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith(str(tmp_path / "a.png"))
    assert first.count(" %") == 3
    assert rest[0].startswith("    inverted; cropped to ")
    assert sum(line.startswith("test ") for line in rest) == 2
    test = data.load("fashion-mnist-sample")[1]
    assert any(line.startswith(f"test 3 ({test.classes[test.labels[3]]})") for line in rest)


def test_csv_has_a_column_for_each_class(
    run: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(png(drawn()))))
    assert predict.main(["--run", run, "-", "--csv", "--raw"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row["picture"] == "stdin"
    assert row["facts"] == "stretched to 28 x 28"
    assert "looks inverted" in row["warnings"]
    classes = data.load("fashion-mnist-sample")[1].classes
    assert list(row)[-10:] == list(classes)
    assert float(row[row["class"]]) == max(float(row[name]) for name in classes)


def test_notices_go_to_stderr(
    run: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = predict.Classifier.from_run(run)

    def noting(*arguments: object) -> predict.Classifier:
        print("NOTE: the sample")
        return made

    monkeypatch.setattr(predict.Classifier, "from_run", noting)
    assert predict.main(["--run", run, "--index", "1", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["picture"].startswith("test 1")
    assert said.err == "NOTE: the sample\n"


def test_show_draws_a_row_a_picture(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn().save(tmp_path / "seven.png")
    out = tmp_path / "seen.png"
    command = ["--run", run, str(tmp_path / "seven.png"), "--index", "5", "--show", str(out)]
    assert predict.main(command) == 0
    assert capsys.readouterr().err == f"written {out}\n"
    shown = np.asarray(Image.open(out).convert("L"))
    assert shown.shape[0] > 2 * 250
    assert (shown < 30).mean() > 0.02  # the black of what the net saw


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "no picture to look at; wanted IMAGE..., --index I... or --serve"),
        (["nowhere.png"], "nowhere.png: there is no such file"),
        (["--", "-a.png"], "-a.png: there is no such file"),  # after --, no option
        (["."], ".: no picture in it; wanted .png, .jpg"),
        (["--index", "1000"], "--index is 1000; wanted 0 to 999"),
        (["--index", "1", "--json", "--csv"], "--json and --csv: wanted one of them"),
        (["--index", "1", "--port", "8000"], "--port: wanted with --serve"),
        (["--serve", "--show", "seen.png"], "--show: wanted without --serve"),
        ([""], "IMAGE is an empty name"),
    ],
)
def test_a_slip_is_one_line_and_status_2(
    options: list[str],
    message: str,
    run: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        predict.main(["--run", run, *options])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_pipe_and_a_pattern_of_folders_are_pictures_too(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    drawn().save(tmp_path / "photos/7.png")
    pipe, content = tmp_path / "pipe", png(drawn())
    os.mkfifo(pipe)
    writing = threading.Thread(target=pipe.write_bytes, args=(content,), daemon=True)
    writing.start()
    assert predict.main(["--run", run, str(pipe), str(tmp_path / "pho*/*.png"), "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["picture"] for row in rows] == [str(pipe), str(tmp_path / "photos/7.png")]
    assert rows[0]["facts"] == rows[1]["facts"]


def test_names_with_dollars_are_drawn_as_they_are(run: str, tmp_path: Path) -> None:
    drawn().save(tmp_path / r"7$\frac$.png")
    out = tmp_path / "seen.PNG"
    assert predict.main(["--run", run, str(tmp_path), "--show", str(out)]) == 0
    assert out.exists()


def test_a_folder_that_is_no_run_is_one_line(tmp_path: Path) -> None:
    drawn().save(tmp_path / "a.png")
    command = [sys.executable, "-m", "minicnn.predict", "--run", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "it has no config.json" in line


def test_a_run_whose_data_are_gone_predicts_and_says_what_it_cannot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {
        "model": "mlp",
        "model_args": {"hidden": [4], "image_shape": [3, 9, 7], "classes": 2},
        "dataset": "own",
        "data_kind": "pictures",
        "data_dir": str(tmp_path / "gone"),
        "image_size": None,
        "seed": 0,
        "classes": ["ant", "bee"],
    }
    model: dict[str, Any] = {**config["model_args"]}  # type: ignore[dict-item]
    Run(tmp_path / "run", config, models.mlp(**model))
    drawn().save(tmp_path / "a.png")
    words = ["--run", str(tmp_path / "run"), str(tmp_path / "a.png")]
    assert predict.main([*words, "--json", "--show", str(tmp_path / "show.png")]) == 0
    said = capsys.readouterr()
    (row,) = map(json.loads, said.out.splitlines())
    assert set(row["probabilities"]) == {"ant", "bee"}
    assert row["distance"] is None
    assert said.err.startswith("Pictures are only scaled, and not compared with the training pict")
    for more, wanted in (
        (["--index", "0"], "--index: the data set cannot be had; wanted its folder: --data-dir"),
        (["--data-dir", str(tmp_path / "none")], str(tmp_path / "none")),
    ):
        with pytest.raises(SystemExit, match="2"):
            predict.main([*words, *more])
        assert wanted in capsys.readouterr().err
