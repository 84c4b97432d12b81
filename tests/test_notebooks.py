"""The notebooks are the pages they are made of, and run. They need the extra ``docs``."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from tests.test_docs import DOCS, blocks, pytestmark, shortened

__all__ = ["pytestmark"]  # outside a checkout there are no pages

nbformat = pytest.importorskip("nbformat")
for package in ("jupytext", "nbclient", "ipykernel"):
    pytest.importorskip(package)

NAMES = ["convolution-backward", "lenet"]


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> Any:
    """docs/notebooks.py."""
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("notebooks")


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_its_page_and_was_run(name: str, maker: Any) -> None:
    stored = nbformat.read(DOCS / f"{name}.ipynb", as_version=4)
    made = maker.notebook(DOCS / f"{name}.md")
    assert [(cell.cell_type, cell.source) for cell in stored.cells] == [
        (cell.cell_type, cell.source) for cell in made.cells
    ]
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert list(maker.PAGES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_what_its_notebook_printed(name: str) -> None:
    stored = nbformat.read(DOCS / f"{name}.ipynb", as_version=4)
    printed = {
        cell.source: "".join(output.get("text", "") for output in cell.outputs)
        for cell in stored.cells
        if cell.cell_type == "code"
    }
    shown = [block for block in blocks(DOCS / f"{name}.md") if block.output]
    assert shown
    for code, output in shown:
        assert without_times(printed[code.strip()]) == without_times(output or "")


def without_times(text: str) -> list[str]:
    """Its words; a time, or a speed, is another one at every run."""
    return re.sub(r"[\d.,]+ (ms|sec|examples/sec)\b", r"# \1", text).split()


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name: str, maker: Any, tmp_path: Path) -> None:
    made = maker.notebook(DOCS / f"{name}.md")
    for cell in made.cells:
        if cell.cell_type == "code":
            cell.source = shortened(cell.source)
    maker.run(made, tmp_path, seconds=600)
    outputs = [output for cell in made.cells for output in cell.get("outputs", [])]
    assert not [o for o in outputs if o.output_type == "error"]
    pictures = sum("image/png" in o.get("data", {}) for o in outputs)
    assert pictures >= (2 if name == "lenet" else 0)
