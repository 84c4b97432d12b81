"""The code of README and docs runs: every Python block, every ``python -m minicnn...``.

What trains for minutes is shortened: see ``SHORTER``. The records of long runs are left out: see
``RECORDS``. Notebooks: ``test_notebooks``.
"""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from minicnn import train
from minicnn.learn.course import COURSE
from minicnn.learn.options import parser as learn_parser
from minicnn.sweep.options import parser as sweep_parser
from minicnn.sweep.options import runs_of
from minicnn.train.job import KNOBS
from minicnn.train.options import parser
from tests.data import own
from tests.house import lines_of

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [page for page in (ROOT / "README.md", *sorted(DOCS.glob("*.md"))) if page.is_file()]
TRANSLATED = sorted(page for language in ("zh", "ja") for page in (DOCS / language).glob("*.md"))

pytestmark = pytest.mark.skipif(
    not (ROOT / "README.md").is_file(), reason="the tests run outside a checkout"
)

SHORTER = {
    "num_epochs = 5": "num_epochs = 1",
    "lr, num_epochs = 0.9, 10": "lr, num_epochs = 0.9, 1",
    "load_data_fashion_mnist(batch_size)": (
        "load_data_fashion_mnist(batch_size, dataset='fashion-mnist-sample')"
    ),
}


def shortened(code: str) -> str:
    """The code with a small data set and one epoch."""
    for long, short in SHORTER.items():
        code = code.replace(long, short)
    return code


class Block(NamedTuple):
    """A fenced Python block, and the output that the page shows after it, if any."""

    code: str
    output: str | None


def blocks(page: Path) -> list[Block]:
    """The Python blocks, without the indentation of a list they may stand in."""
    pattern = r"^( *)```python\n(.*?)^ *```(?:\n+ *```text\n(.*?)^ *```)?"
    found = re.findall(pattern, page.read_text(), re.M | re.S)
    return [
        Block(re.sub(f"^{indent}", "", code, flags=re.M), output or None)
        for indent, code, output in found
    ]


NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")


def check_same(printed: str, shown: str) -> None:
    """The same words, and the same numbers up to the rounding of other machines."""
    assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", shown).split()
    ours, theirs = (
        [float(number.replace(",", "")) for number in NUMBER.findall(text)]
        for text in (printed, shown)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_nothing_is_to_be_installed_from_an_index_that_is_not_there() -> None:
    """The distribution is in no index, and ``minicnn`` there is somebody else's."""
    sources = [*PAGES, *TRANSLATED, *(ROOT / "minicnn").rglob("*.py")]
    for path in sources:
        assert not re.search(r"pip install ['\"]?minicnn", path.read_text()), path
    assert "pip install '.[cuda13-lean]'" in (DOCS / "gpu.md").read_text()


WITH_TESTS = {"README.md"}  # of their own, below
NEEDS = {  # packages from extras
    "sklearn.md": ["sklearn"],
    "exchange.md": ["torch", "onnx", "onnxruntime"],
}
WITH_CODE = [page for page in PAGES if blocks(page) and page.name not in WITH_TESTS]


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
def test_a_page_runs_and_prints_what_it_shows(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for package in NEEDS.get(page.name, []):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    as_written = True  # once something was trained for a shorter time, the numbers are others
    for code, output in blocks(page):
        short = shortened(code)
        as_written = as_written and short == code
        exec(compile(short, str(page), "exec"), names)
        printed = capsys.readouterr().out
        if output is not None and as_written:
            check_same(printed, output)


def test_what_is_long_is_shortened() -> None:
    code = "".join(block.code for block in blocks(DOCS / "lenet.md"))
    assert all(long in code for long in SHORTER)


def test_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code, _ in blocks(ROOT / "README.md"):
        exec(compile(code, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "(1, 6, 28, 28)" in printed
    assert "conv dweight" in printed
    result = re.search(r"^([\d.]+) ([\d.]+)$", printed, re.M)
    assert result
    loss, accuracy = map(float, result.groups())
    assert loss < 2.25  # log(10) = 2.303 is chance
    assert accuracy > 0.2
    assert (tmp_path / "net.safetensors").is_file()


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_a_translated_readme_runs(language: str) -> None:
    """In a process of its own: after ``install`` other modules mean this engine."""
    code = "\n".join(block.code for block in blocks(DOCS / language / "README.md"))
    assert "minicnn.d2l.install" in code
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# Commands -----------------------------------------------------------------------------------------

RECORDS = {"benchmarks.md", "exercises.md", "results.md", "gpu-runs.md"}


def commands() -> list[tuple[str, str]]:
    """(module, arguments) of every command of the pages that names all it needs."""
    found = set()
    for page in (*PAGES, *TRANSLATED):
        if page.name not in RECORDS:
            text = page.read_text()
            lines = re.findall(r"^    (?:.*&& )?python -m (minicnn\.\w+)([^#\n]*)", text, re.M)
            found |= set(lines + re.findall(r"`python -m (minicnn\.\w+)([^`]*)`", text))
    return sorted({(module, " ".join(arguments.split())) for module, arguments in found})


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small training run, for the commands that look at one."""
    folder = tmp_path_factory.mktemp("run") / "run"
    options = "--dataset fashion-mnist-sample --epochs 1 --device cpu --no-compile"
    assert train.main([*shlex.split(options), "--out", str(folder)]) == 0
    return folder


def short_arguments(module: str, arguments: str, run: Path, out: Path) -> list[str]:
    """The command's arguments, with less work and with folders that are there."""
    given = shlex.split(arguments)
    given = [str(run) if word in ("DIR", "runs/lenet") else word for word in given]
    if "--tensorboard" in given:
        pytest.importorskip("tensorboardX")
    if module == "minicnn.train" and "--resume" not in given:
        if "--data-dir" in given:
            mine = own.picture_folder(out / "mine", own.TRAIN_LABELS)
            given[given.index("--data-dir") + 1] = str(mine)
        else:
            given += ["--dataset", "fashion-mnist-sample"]
        given += ["--epochs", "1", "--out", str(out / "run")]
    elif module == "minicnn.explain":
        given += ["--no-open"] if "--out" in given else ["--no-open", "--out", str(out / "x.html")]
    elif module == "minicnn.visualize":
        given += ["--out", str(out / "pictures")]
    elif module == "minicnn.rungs":
        given += ["--images", "2", "--rounds", "1"]
    elif module == "minicnn.selfcheck":
        given = ["--device", "cpu"]
    elif module == "minicnn.learn":
        given += ["--no-open"] if given[0] == "show" else []
        hole = "    raise NotImplementedError\n"
        for number, exercise in COURSE.items():
            text = exercise.answer if number < 4 else exercise.with_hole(hole)
            (out / exercise.file).write_text(text)
    elif module == "minicnn.d2l":
        chapter = out / "chapter.md"
        chapter.write_text("```{.python .input}\nnum_epochs = 10\n```\n")
        given = [str(chapter) if word.endswith(".md") else word for word in given]
    return ["cpu" if word == "gpu" else word for word in given]


def test_the_commands_are_found() -> None:
    assert {("minicnn.train", ""), ("minicnn.visualize", "--run DIR")} < set(commands())


@pytest.mark.parametrize(("module", "arguments"), commands())
def test_a_command_of_the_pages_runs(
    module: str,
    arguments: str,
    run_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    short = short_arguments(module, arguments, run_folder, tmp_path)
    if module == "minicnn.learn" and short[0] == "train":  # tests/learn trains
        assert learn_parser().parse(short)
        return
    if module == "minicnn.sweep":  # tests/sweep starts workers, once
        assert runs_of(sweep_parser().parse(short))
        return
    if "--to" in short and short[short.index("--to") + 1] != "c":  # onnx, torch: extras
        pytest.importorskip(short[short.index("--to") + 1])
    if short[0] == "export" and module == "minicnn.learn":
        pytest.importorskip("nbformat")
    if module == "minicnn.d2l":  # in a process where nobody has imported the real torch
        pytest.importorskip("nbformat")
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-m", module, *short], env=environment, check=True)
        return
    name = f"{module}.__main__" if module in ("minicnn.explain", "minicnn.learn") else module
    main = importlib.import_module(name).main
    try:
        status = main(short)
    except SystemExit as ended:  # --help
        status = ended.code
    assert status == 0


# The rest -----------------------------------------------------------------------------------------


def test_the_rows_of_the_exercises_are_commands() -> None:
    from benchmarks import exercises
    from minicnn import models

    rows = [row for table in exercises.EXERCISES.values() for row in table]
    assert len(set(rows)) > 30
    for row in rows + exercises.ON_MNIST:
        options = parser().parse_args(shlex.split(row))
        knobs = {name: getattr(options, name) for name in KNOBS}
        given = {name: value for name, value in knobs.items() if value is not None}
        models.build(options.model, **given)


def test_the_names_that_are_not_there_are_not_there() -> None:
    import minicnn
    from minicnn import nn

    page = (DOCS / "pytorch.md").read_text().partition("## What is not there")[2]
    owners = [minicnn.Tensor, minicnn, nn, nn.functional]
    lists = [re.findall(r"`(\w+)`", item.partition(":")[2]) for item in page.split("\n- ")[1:]]
    for owner, names in zip(owners, lists, strict=True):
        assert len(names) > 3
        assert [name for name in names if hasattr(owner, name)] == []


CORE = """
    minicnn/tensor.py minicnn/tape.py minicnn/arithmetic.py minicnn/shape.py minicnn/inplace.py
    minicnn/dtypes.py minicnn/ops minicnn/nn minicnn/optim minicnn/models.py minicnn/train/loop.py
    minicnn/data/loader.py kernels/reference.py
"""


def test_the_readme_says_how_large_the_core_is() -> None:
    core = [path for part in CORE.split() for path in (ROOT / part).rglob("*.py")]
    core += [ROOT / part for part in CORE.split() if part.endswith(".py")]
    said = re.search(r"has ([\d,]+) lines of code", (ROOT / "README.md").read_text())
    assert said
    lines = sum(lines_of(path)[0] for path in core)
    assert abs(lines - int(said[1].replace(",", ""))) < 0.05 * lines


ALL_PAGES = sorted({*ROOT.glob("*.md"), *PAGES, *TRANSLATED})


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
