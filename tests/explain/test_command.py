"""``python -m minicnn.explain``: its options, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minicnn import Tensor, data, explain, models, nn
from minicnn.explain.__main__ import main
from minicnn.explain.conv.grids import is_map
from minicnn.explain.examples import DEFAULTS
from minicnn.train.run import Run
from tests.explain.examples import CASES, data_of, example


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """What training leaves behind, of an untrained net."""
    config = {"model": "lenet", "model_args": {}, "dataset": "fashion-mnist-sample"}
    return Run(tmp_path / "run", config, models.lenet()).folder


def error_of(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(list(argv))
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_the_default_page_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.chdir(tmp_path)
    assert main([]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["explain.html"]
    html = (tmp_path / "explain.html").read_text()
    assert html.rstrip().endswith("</html>")
    assert len(html) < 500_000
    assert opened == [(tmp_path / "explain.html").as_uri()]


def test_no_open_and_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webbrowser.open", lambda url: pytest.fail("opened"))
    out = tmp_path / "page.html"
    out.write_text("old")
    assert main(["--no-open", "--out", str(out)]) == 0
    assert "conv" in out.read_text()


def test_options_make_the_example(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    options = (
        "--size 7x8 --kernel 3x2 --stride 2x1 --padding 1,2 --dilation 1x2 --channels 3 "
        "--out-channels 4 --batch 2 --seed 5 --no-open --out"
    )
    assert main([*options.split(), str(out)]) == 0
    assert data_of(out.read_text())["geometry"] == {
        "n": 2, "c": 3, "h": 7, "w": 8, "o": 4, "kh": 3, "kw": 2, "sh": 2, "sw": 1,
        "ph": 1, "pw": 2, "dh": 1, "dw": 2, "oh": 4, "ow": 10, "groups": 1, "bias": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "grids"),
    [
        ("conv", {"x": (1, 1, 6, 5), "weight": (1, 1, 3, 3), "y": (1, 1, 4, 3)}),  # x is framed
        ("max-pool", {"x": (1, 1, 5, 6), "y": (1, 1, 2, 2)}),
        ("avg-pool", {"x": (1, 1, 5, 6), "y": (1, 1, 2, 3)}),
        ("dense", {"x": (1, 1, 2, 4), "weight": (1, 1, 3, 4), "y": (1, 1, 2, 3)}),
        ("softmax", {"logits": (1, 1, 2, 5), "loss": (1, 1, 1, 1)}),
        ("receptive-field", {"x": (1, 1, 7, 8), "weight1": (1, 1, 3, 3), "y2": (1, 1, 3, 4)}),
    ],
)
def test_the_example_has_the_sizes_that_the_help_names(
    kind: str, grids: dict[str, tuple[int, ...]], tmp_path: Path
) -> None:
    out = tmp_path / "page.html"
    assert main(["--op", kind, "--no-open", "--out", str(out)]) == 0
    found = {
        grid["grid"]: (*grid["planes"], grid["rows"], grid["columns"])
        for grid in data_of(out.read_text())["grids"]
    }
    assert {name: found[name] for name in grids} == grids
    assert DEFAULTS["receptive-field"]["dilation"] == DEFAULTS["max-pool"]["dilation"] == (1, 1)


def test_the_seed_decides_the_numbers(tmp_path: Path) -> None:
    pages = []
    for seed in ("0", "0", "1"):
        main(["--no-open", "--seed", seed, "--out", str(tmp_path / "page.html")])
        pages.append((tmp_path / "page.html").read_text())
    assert pages[0] == pages[1] != pages[2]


def test_text_writes_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for kind in DEFAULTS:
        assert main(["--text", "--op", kind]) == 0
        assert "dx" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [kind for kind in DEFAULTS if kind != "conv"])
def test_pages_of_the_smaller_layers(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert main(["--op", kind, "--no-open", "--out", str(out)]) == 0
    held = data_of(out.read_text())
    for grid in held["grids"]:  # every cell has a note, and every reference leads to a cell
        count = np.prod(grid["planes"]) * grid["rows"] * grid["columns"]
        assert len(held["notes"][grid["grid"]]) == count
    known = {grid: set(notes) for grid, notes in held["notes"].items()}
    for notes in held["notes"].values():
        for note in notes.values():
            tokens = [t for line in note["lines"] for t in line["tokens"] if isinstance(t, list)]
            for grid, key in tokens + note.get("lit", []) + note.get("linked", []):
                assert key in known[grid]


@pytest.mark.parametrize("kind", DEFAULTS)
def test_the_guide_lists_the_grids_of_each_page(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    main(["--op", kind, "--no-open", "--out", str(out)])
    guide = (Path(__file__).parents[2] / "docs/explorer.md").read_text(encoding="utf-8")
    table = guide[guide.index("| page | `data-grid` |") :].split("\n\n")[0]
    page = "convolution" if kind == "conv" else f"`{kind}`"
    row = next(line for line in table.splitlines() if page in line.split("|")[1])
    listed = row.split("|")[2].replace("`", "").split()
    assert sorted(listed) == sorted(g["grid"] for g in data_of(out.read_text())["grids"])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--size 60x60", "size is 60x60 with padding 1x0"),
        ("--size 30x30 --channels 16 --out-channels 16", "cells; a page shows at most"),
        ("--size 30x30 --channels 2 --kernel 7", "columns of 61,152 cells"),
        ("--batch 1000000000", "cells; a page shows at most"),
        ("--size 4x4 --kernel 7", "larger than the padded picture"),
        ("--size 4x4x4", "wanted a number of at least 1, or two like 3x2"),
        ("--kernel 0", "wanted a number of at least 1"),
        ("--padding -1", "wanted a number of at least 0"),
        ("--stride two", "'two'"),
        ("--channels 4 --groups 3", "groups is 3; wanted a divisor of"),
        ("--op dense --stride 2", "--stride does not apply to --op dense"),
        ("--op max-pool --size 90x90", "makes 32,400 cells"),
        ("--layer 0", "--layer needs --run DIR"),
        ("--run nowhere", "nowhere"),
        ("--out missing/folder/page.html", "missing"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_the_reason(
    argv: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in error_of(capsys, *argv.split(), "--no-open")


def test_a_trained_layer_on_a_real_picture(run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    for layer, shape in (("0", (1, 28)), ("3", (6, 14))):
        argv = ["--run", str(run_folder), "--layer", layer, "--image", "3", "--no-open"]
        assert main([*argv, "--out", str(out)]) == 0
        held = data_of(out.read_text())
        assert (held["geometry"]["c"], held["geometry"]["h"]) == shape
        assert held["map"]
    main(["--run", str(run_folder), "--no-open", "--out", str(out)])
    grids = {grid["grid"]: grid for grid in data_of(out.read_text())["grids"]}
    test = data.load("fashion-mnist-sample")[1]
    pixels = np.array(grids["x"]["values"]).reshape(32, 32)[2:-2, 2:-2]
    np.testing.assert_allclose(pixels, test.images[0] / 255, rtol=1e-6)
    assert np.abs(grids["dy"]["values"]).max() > 0


def test_a_runs_layer_and_image_are_checked(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ("--run", str(run_folder), "--no-open")
    assert "--layer is 1, no convolution; wanted one of 0, 3" in error_of(
        capsys, *run, "--layer", "1"
    )
    assert "--image is 1000; wanted one of 0..999" in error_of(capsys, *run, "--image", "1000")
    assert "--stride does not apply to --run" in error_of(capsys, *run, "--stride", "2")


def test_the_command_needs_no_numba() -> None:
    code = (
        "import sys; from minicnn.explain.__main__ import main; main(['--text']); "
        "assert not {'numba', 'matplotlib'} & set(sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def test_sizes_between_numbers_and_refusal_are_drawn_as_colours(rng: np.random.Generator) -> None:
    assert not is_map(explain.conv2d(*example(rng, **CASES["everything"])))
    assert is_map(explain.conv2d(*example(rng, (20, 20), (3, 3))))


def test_sequences_of_one_are_explained_as_numbers(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 5, 6))
    conv = nn.Conv2d(1, 2, 3, stride=(2,), padding=[1]).to("float64")
    assert explain.conv2d(conv, x).y.shape == conv(Tensor(x[None])).shape
    one, two = (explain.max_pool2d(nn.MaxPool2d(size), x).grids["y"] for size in (2, (2,)))
    np.testing.assert_array_equal(one, two)
