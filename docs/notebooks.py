"""Makes the notebooks docs/*.ipynb of the pages of the same names, and runs them.

    python docs/notebooks.py

A page's Python blocks become cells, its text the cells between; what the page shows as output
(```text after a block) is left out, for the notebook computes it. Needs the extra ``docs``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient

DOCS = Path(__file__).parent
PAGES = ("convolution-backward", "lenet")
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def notebook(page: Path) -> Any:
    """The page as a notebook that was not run yet."""
    text = re.sub(
        r"(^```python\n.*?^```)\n+```text\n.*?^```", r"\1", page.read_text(), flags=re.M | re.S
    )
    made = jupytext.reads(text, fmt="md")
    made.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for number, cell in enumerate(made.cells):
        cell.id = f"cell-{number}"
        cell.metadata = {}
    return made


def run(made: Any, folder: Path, seconds: int = 1200) -> None:
    """Run the cells in ``folder``; their outputs go into the notebook.

    Raises:
        CellExecutionError: a cell fails, or takes more than ``seconds``.
    """
    place = {"metadata": {"path": str(folder)}}
    NotebookClient(made, timeout=seconds, kernel_name="python3", resources=place).execute()
    for cell in made.cells:
        cell.metadata = {}  # the times of a run would change at every run


if __name__ == "__main__":
    for name in PAGES:
        made = notebook(DOCS / f"{name}.md")
        run(made, DOCS)
        nbformat.validate(made)
        nbformat.write(made, DOCS / f"{name}.ipynb")
        print(f"{name}.ipynb: {len(made.cells)} cells")
