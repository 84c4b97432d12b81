"""The chapters themselves, where MINICNN_TEST_CHAPTERS names a folder that has them.

Their cells run unmodified, but with one epoch of a few pictures.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minicnn.d2l.book.options import read

pytest.importorskip("IPython")
pytest.importorskip("nbformat")

ROOT = Path(__file__).parents[2]
FIRST, SECOND = "lenet.first-edition.zh.md", "lenet.second-edition.ja.md"
FEW = """
import sys
from minicnn import data
from minicnn.data import sample
train, test = data.load("fashion-mnist-sample")
sample.load = lambda name, root: (train[:1400], test[:300])
from minicnn.d2l.book.options import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def folder() -> Path:
    named = os.environ.get("MINICNN_TEST_CHAPTERS", "")
    if not Path(named, FIRST).is_file():
        pytest.skip("MINICNN_TEST_CHAPTERS names no folder with the chapters")
    return Path(named)


def test_the_cells_of_the_chapters(folder: Path) -> None:
    first, second = read(folder / FIRST), read(folder / SECOND)
    lines = [cell.line for cell in first.of(None) if cell.kind == "code"]
    assert lines == [23, 44, 59, 66, 81, 96, 124]
    assert second.tabs == ["mxnet", "pytorch", "tensorflow"]
    of_tabs = {tab: [c.line for c in second.of(tab) if c.kind == "code"] for tab in second.tabs}
    assert of_tabs == {
        "mxnet": [24, 86, 116, 128, 168, 299],
        "pytorch": [43, 94, 116, 141, 206, 299],
        "tensorflow": [60, 102, 116, 250, 299],
    }


@pytest.mark.parametrize(
    ("chapter", "options", "printed"),
    [
        (FIRST, [], ["conv0 output shape:\t (1, 6, 24, 24)", "dense2 output shape:\t (1, 10)",
                     "cpu(0)", "training on cpu(0)", "epoch 1, loss 2.", "7 of 7 cells ran"]),
        (SECOND, ["--tab", "mxnet"],
         ["conv0 output shape:\t (1, 6, 28, 28)", "pool1 output shape:\t (1, 16, 5, 5)",
          "loss 2.", "examples/sec on cpu(0)", "cell-06-1.png", "6 of 6 cells ran"]),
        (SECOND, ["--tab", "pytorch"],
         ["Conv2d output shape: \t torch.Size([1, 6, 28, 28])", "training on cpu",
          "loss 2.", "examples/sec on cpu", "cell-06-1.png", "6 of 6 cells ran"]),
        (SECOND, ["--tab", "tensorflow"],
         ["Conv2D output shape: \t (1, 28, 28, 6)",
          "AveragePooling2D output shape: \t (1, 5, 5, 16)",
          "loss 2.", "examples/sec on /CPU:0", "cell-05-1.png", "5 of 5 cells ran"]),
    ],
)  # fmt: skip
def test_every_cell_runs(
    chapter: str, options: list[str], printed: list[str], folder: Path, tmp_path: Path
) -> None:
    given = [str(folder / chapter), *options, "--epochs", "1", "--seed", "1", "--report"]
    done = subprocess.run(
        [sys.executable, "-c", FEW, *given, "--out", str(tmp_path / "kept")],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "LC_ALL": "C.UTF-8",
            "CUDA_VISIBLE_DEVICES": "",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    rest = done.stdout
    for text in printed:  # in this order
        assert text in rest
        rest = rest.partition(text)[2]
