"""From slow to fast: every version computes what the loops of the definition compute."""

from __future__ import annotations

import importlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from benchmarks.slow_to_fast import cuda, layout, race
from benchmarks.slow_to_fast.layer import AWKWARD, LENET, Layer, inputs
from benchmarks.slow_to_fast.version import Version, Work
from benchmarks.slow_to_fast.versions import DIRECTIONS, VERSIONS
from tests import oracle

command: Any = importlib.import_module("benchmarks.slow_to_fast.__main__")

ON_HOST = [
    (op, version) for op, versions in VERSIONS.items() for version in versions if not version.on_gpu
]


@pytest.mark.parametrize(("op", "version"), ON_HOST, ids=lambda part: getattr(part, "name", part))
def test_a_version_computes_what_the_loops_compute(op: str, version: Version) -> None:
    found = race.check(op, AWKWARD[op][0], version)
    assert found == dict.fromkeys(DIRECTIONS[op], race.OK)


@pytest.mark.long
@pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++")
@pytest.mark.parametrize("op", VERSIONS)
def test_the_gpus_version_does(op: str) -> None:
    with cuda.device():
        found = race.check(op, AWKWARD[op][0], VERSIONS[op][-1])
    assert VERSIONS[op][-1].on_gpu
    assert found == dict.fromkeys(DIRECTIONS[op], race.OK)


def test_without_a_gpu_and_without_gcc_nothing_is_said_of_the_gpus_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cuda, "gpu_problem", lambda: "none")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with cuda.device() as where:
        found = race.check_on(where, "conv", AWKWARD["conv"][0], VERSIONS["conv"][-1])
    assert set(found.values()) == {race.UNCHECKED}
    assert race.are_equal({"dW": [race.Found("cuda", "", 1, [], race.UNCHECKED)]})


@pytest.mark.parametrize("layer", AWKWARD["conv"], ids=str)
def test_the_loops_are_the_definition_of_convolution(layer: Layer) -> None:
    arrays = inputs(layer, 2, np.float64)
    works = VERSIONS["conv"][0].make(layer, arrays)
    (y,) = race.results(works["forward"])
    expected = oracle.conv2d(
        arrays.x, arrays.weight, arrays.bias, stride=layer.stride, padding=layer.padding
    )
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    # linear in x and in W: <dx, x> and <dW, W> are both <dy, y without the bias>
    without_bias = (arrays.dy * (y - arrays.bias[:, None, None])).sum()
    for direction, factor in (("dX", arrays.x), ("dW", arrays.weight)):
        (gradient,) = race.results(works[direction])
        assert (gradient * factor).sum() == pytest.approx(without_bias, rel=1e-12)


@pytest.mark.parametrize("layer", AWKWARD["max_pool"], ids=str)
def test_the_loops_are_the_definition_of_max_pooling(layer: Layer) -> None:
    arrays = race.arrays_to_check("max_pool", layer, np.float64)
    works = VERSIONS["max_pool"][0].make(layer, arrays)
    y, index = race.results(works["forward"])
    cells = arrays.x.reshape(*arrays.x.shape[:2], -1)
    np.testing.assert_array_equal(
        np.take_along_axis(cells, index.reshape(*index.shape[:2], -1), 2).reshape(y.shape), y
    )
    for n, c, oh, ow in np.ndindex(y.shape):
        places = window(layer, oh, ow)
        seen = arrays.x[n, c].reshape(-1)[places]
        assert index[n, c, oh, ow] == places[np.argmax(seen)]  # the first largest; a NaN wins
    (dx,) = race.results(works["dX"])
    assert dx.sum() == arrays.dy.sum()


def window(layer: Layer, oh: int, ow: int) -> list[int]:
    """The places h W + w of a window's cells, as far as they are in the picture."""
    (kh, kw), (sh, sw), (ph, pw), (height, width) = (*layer[2:5], layer.size)
    rows = [h for h in range(oh * sh - ph, oh * sh - ph + kh) if 0 <= h < height]
    columns = [w for w in range(ow * sw - pw, ow * sw - pw + kw) if 0 <= w < width]
    return [h * width + w for h in rows for w in columns]


@pytest.mark.parametrize("op", AWKWARD)
def test_the_layers_are_awkward(op: str) -> None:
    """Padding, overlaps, remainders, and for a pooling NaN and windows of -inf."""
    layers = AWKWARD[op]
    assert any(any(layer.padding) for layer in layers)
    assert any(layer.kernel[0] > layer.stride[0] > 1 for layer in layers)
    assert any(
        (layer.size[0] + 2 * layer.padding[0] - layer.kernel[0]) % layer.stride[0]
        for layer in layers
    )
    if op == "max_pool":
        arrays = [race.arrays_to_check(op, layer, np.float64) for layer in layers]
        assert all(np.isnan(x).any() for x, *_ in arrays)
        y, _ = race.results(VERSIONS[op][0].make(layers[0], arrays[0])["forward"])
        assert (y == -np.inf).any()


def test_an_image_comes_back_from_its_tile_and_from_its_lines() -> None:
    images = np.arange(18 * 2 * 3 * 5.0).reshape(18, 2, 3, 5)
    tiles = layout.to_tiles(images)
    assert tiles.shape == (2, 2, 3, 5, 16)
    assert tiles[1, 1, 2, 4, 1] == images[17, 1, 2, 4]
    np.testing.assert_array_equal(layout.from_tiles(tiles, 18), images)
    lines = layout.to_lines(tiles, 3)
    assert lines.shape == (2, 2, 3, 3, 2 * 16)
    assert lines[0, 1, 2, 4 % 3, 4 // 3 * 16 + 7] == images[7, 1, 2, 4]
    np.testing.assert_array_equal(layout.from_lines(lines, 5), tiles)


# What is wrong is seen ----------------------------------------------------------------------------


def changed(version: Version, direction: str, change: Callable[[Any], Any]) -> Version:
    """The version with another result in one direction."""

    def make(layer: Layer, arrays: Any) -> Any:
        works = version.make(layer, arrays)
        read = works[direction].read
        return {**works, direction: Work(works[direction].run, lambda r: change(read(r)))}

    return version._replace(make=make)


def another_winner(result: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    index = result[1].copy()
    index[-1, -1, -1, -1] += 1
    return result[0], index


@pytest.mark.parametrize(
    ("op", "direction", "change", "complaint"),
    [
        ("conv", "dW", lambda dw: dw * (1 + 1e-9), "differs by 1.0e-09"),
        ("conv", "forward", lambda y: y.astype(np.float16).astype(y.dtype), "differs by"),
        ("conv", "dX", lambda dx: dx[:, :, :-1], "differs by inf"),
        ("max_pool", "forward", another_winner, "differs by"),
        ("max_pool", "forward", lambda r: (np.nan_to_num(r[0]), r[1]), "differs by inf"),
        ("max_pool", "dX", lambda dx: dx.astype(np.float16), "differs by inf"),
    ],
)
def test_a_version_that_differs_is_named(
    op: str, direction: str, change: Callable[[Any], Any], complaint: str
) -> None:
    version = changed(VERSIONS[op][1], direction, change)
    found = race.check(op, AWKWARD[op][0], version)
    assert found.pop(direction).startswith(complaint)
    assert set(found.values()) == {race.OK}
    versions = [race.Found("broken", "", 1, [], complaint)]
    assert not race.are_equal({direction: versions})


# The command --------------------------------------------------------------------------------------


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three versions of each operation."""
    for op, versions in VERSIONS.items():
        monkeypatch.setitem(VERSIONS, op, [*versions[:2], versions[-2]])


def test_the_command_prints_a_table_for_each_direction(
    few: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = "--op conv --size 5x4 --channels 2 --out-channels 3 --kernel 2x3 --batch 2 --rounds 2"
    assert command.main([*options.split(), "--png", str(tmp_path / "x.png")]) == 0
    machine, *tables = capsys.readouterr().out.split("\n\n")
    assert re.match(r"\d{4}-\d\d-\d\d: Python .* 2 rounds, load [\d.]+$", machine)
    assert [table.splitlines()[0] for table in tables] == [
        f"conv 2x5x4 -> 3x4x2, 2x3 windows: {direction}" for direction in DIRECTIONS["conv"]
    ]
    head, *rows = tables[0].splitlines()[1:]
    assert head.split()[-3:] == ["loops", "GFLOP/s", "ok"]
    assert [row.split()[0] for row in rows] == [version.name for version in VERSIONS["conv"]]
    assert all(row.split()[-1] == "ok" for row in rows)
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_prints_json(few: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        command.main(
            ["--op", "max_pool", "--layer", "2", "--batch", "2", "--rounds", "3", "--json"]
        )
        == 0
    )
    report = json.loads(capsys.readouterr().out)
    assert [found["direction"] for found in report["found"]] == ["forward", "dX"]
    loops, *others = report["found"][0]["versions"]
    assert (loops["images"], len(loops["microseconds"])) == (1, 1)
    assert all((v["images"], len(v["microseconds"])) == (2, 3) for v in others)


def test_a_version_that_differs_ends_with_status_1(
    few: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, _ = VERSIONS["max_pool"]
    monkeypatch.setitem(VERSIONS, "max_pool", [first, changed(second, "dX", np.negative)])
    options = [
        "--op",
        "max_pool",
        "--size",
        "4x6",
        "--channels",
        "1",
        "--batch",
        "1",
        "--rounds",
        "1",
    ]
    assert command.main(options) == 1
    assert "differs by" in capsys.readouterr().out


def test_rates_and_ratios() -> None:
    """2 x 16 x 10 x 10 x 6 x 25 FLOP an image; 4 bytes of each of 6 x 784 and 6 x 196 cells."""
    conv, pool = LENET["conv"][1], LENET["max_pool"][0]
    assert conv.flops == 480_000
    assert pool.bytes == 4 * (4_704 + 1_176)
    found = [
        race.Found("loops", "all", 1, [480.0], "ok"),
        race.Found("fast", "more", 64, [5.0, 4.0, 30.0], "ok"),
        race.Found("cuda", "less", 64, [], race.EMULATED),
    ]
    assert command.table("conv", conv, found)[1:] == [
        ["loops", "all", "1", "480", "", "1.00", "1.00", "ok"],
        ["fast", "more", "64", "5.00", "96.0", "96.0", "96.0", "ok"],
        ["cuda", "less", "64", "", "", "", "", "ok, emulated"],
    ]
    assert command.rate("max_pool", pool, 23.52) == pytest.approx(1.0)


def test_options_change_lenets_layers() -> None:
    def layer(op: str, text: str) -> Layer:
        layer: Layer = command.layer_of(op, command.parser().parse_args(text.split()))
        return layer

    assert layer("conv", "") == LENET["conv"][1]
    assert layer("conv", "--layer 1 --stride 2") == LENET["conv"][0]._replace(stride=(2, 2))
    assert layer("max_pool", "--kernel 3x2 --out-channels 9").kernel == (3, 2)
    assert layer("max_pool", "--out-channels 9").y_shape[0] == 6


@pytest.mark.parametrize(
    "option",
    [
        *("--kernel 0", "--size 3x4x5", "--batch 0", "--op dense"),
        *("--op conv --size 3", "--op max_pool --padding 2"),
    ],
)
def test_a_wrong_option_is_status_2(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(option.split())
    assert ended.value.code == 2


# The page -----------------------------------------------------------------------------------------

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "slow-to-fast.md"
pages = pytest.mark.skipif(not PAGE.is_file(), reason="the tests run outside a checkout")


def excerpts() -> list[tuple[str, list[str]]]:
    """The page's excerpts of code: the file that each names in its first line, and the others."""
    text = PAGE.read_text() if PAGE.is_file() else ""
    found = re.findall(r"^```(?:py|c)\n(?:#|//) (.*?)\n(.*?)^```", text, re.M | re.S)
    return [(path, stripped(code)) for path, code in found]


def stripped(code: str) -> list[str]:
    """Its lines without indentation, and without those that are comments."""
    lines = [line.strip() for line in code.splitlines()]
    return [line for line in lines if not line.startswith(("#", "//"))]


@pages
@pytest.mark.parametrize(
    ("title", "op"), [("The convolution", "conv"), ("Max pooling", "max_pool")]
)
def test_the_page_goes_through_every_version(title: str, op: str) -> None:
    section = PAGE.read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]
    told = re.findall(r"^\*\*(\w+)\.\*\*", section, re.M)
    assert told == [version.name for version in VERSIONS[op]]


@pages
def test_the_page_shows_the_code_as_it_stands() -> None:
    assert len(excerpts()) >= 10
    for path, excerpt in excerpts():
        source = stripped((ROOT / path).read_text())
        places = range(len(source) - len(excerpt) + 1)
        assert any(source[k : k + len(excerpt)] == excerpt for k in places), (path, excerpt[0])


@pages
def test_new_figures_take_the_place_of_the_old_ones() -> None:
    page = "a\n```text\n2026-01-02: old\n```\nb\n```text\nconv: dW\n1 2\n3\n```\nc"
    found = command.with_texts(page, ["2026-03-04: new", "conv: dW\n4"])
    assert found == "a\n```text\n2026-03-04: new\n```\nb\n```text\nconv: dW\n4\n```\nc"
    with pytest.raises(ValueError, match="0 texts of the page begin with 'conv: dX'"):
        command.with_texts(page, ["2026-03-04: new", "conv: dX\n4"])
    titles = [
        f"{op} {LENET[op][command.USUAL[op] - 1]}: {direction}"
        for op in VERSIONS
        for direction in DIRECTIONS[op]
    ]
    command.with_texts(PAGE.read_text(), ["2026-03-04: new", *titles])
