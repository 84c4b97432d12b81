"""Jupyter notebooks: a reader's own as cells, and the executed one that is kept."""

from __future__ import annotations

import json
import platform
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minicnn import json_files
from minicnn.d2l.book.cells import Cell
from minicnn.d2l.book.outputs import Output
from minicnn.formats import in_short


def cells_of(path: Path, text: str) -> tuple[Cell, ...]:
    """The cells of a notebook of any version; what they once put out is left behind.

    Raises:
        ValueError: not a notebook, one of another language, or one without code.
    """
    notebook = _read(path, text)
    language = _language(notebook)
    if not str(language).lower().startswith(("python", "ipython")):
        raise ValueError(f"{path}: a notebook of {language}; wanted Python")
    cells = tuple(_cell(path, cell) for cell in notebook.cells)
    if not any(cell.kind == "code" and cell.source.strip() for cell in cells):
        raise ValueError(f"{path}: no chapter; this notebook has no code cells")
    return cells


def _read(path: Path, text: str) -> Any:
    import nbformat

    try:
        content = json_files.parsed(text)
    except ValueError as error:
        begins = " ".join(text[:40].split())
        raise ValueError(
            f"{path}: no notebook, which is JSON; it begins with {begins!r} ({error})"
        ) from None
    if not isinstance(content, dict) or not {"cells", "worksheets"} & content.keys():
        raise ValueError(f"{path}: JSON, but no notebook: it has no cells")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is amiss in old notebooks is mended
            return nbformat.reads(text, as_version=4)
    except Exception as error:  # nbformat's many, of files that only look like notebooks
        told = in_short(error)
        raise ValueError(f"{path}: nbformat cannot read this notebook: {told}") from error


def _language(notebook: Any) -> Any:
    """What it says of its language, in one of two places; Python if it says nothing."""
    about = notebook.metadata
    for place, name in (("kernelspec", "language"), ("language_info", "name")):
        said = about.get(place) if isinstance(about, Mapping) else None
        if isinstance(said, Mapping) and said.get(name):
            return said[name]
    return "python"


def _cell(path: Path, cell: Any) -> Cell:
    kinds = [type(cell.get(name)) for name in ("cell_type", "source")]
    if kinds != [str, str]:
        raise ValueError(f"{path}: no notebook: a cell has no cell_type or no source")
    extra = {key: cell[key] for key in ("metadata", "attachments") if key in cell}
    kind = cell.cell_type if cell.cell_type in ("code", "raw") else "markdown"
    return Cell(kind, cell.source.replace("\r\n", "\n"), extra=extra)


def executed(
    cells: Sequence[Cell],
    sources: Mapping[int, str],
    outputs: Mapping[int, Sequence[Output]],
    about: dict[str, Any],
) -> str:
    """A notebook, version 4.5, with text, code and outputs, as the content of a file.

    Args:
        cells: all of it, text included. Code cells that have some code count from 1.
        sources: what was run, by those numbers.
        outputs: what each cell that ran put out.
        about: kept in the notebook's metadata under "minicnn".
    """
    made, number = [], 0
    for position, cell in enumerate(cells, start=1):
        node = {"id": f"cell-{position}", "cell_type": cell.kind, "metadata": {}, **cell.extra}
        node["source"] = cell.source
        if cell.kind == "code":
            node |= {"execution_count": None, "outputs": []}
        if cell.kind == "code" and cell.source.strip():
            number += 1
            if number in outputs:
                shown = [_stored(output, number) for output in outputs[number]]
                node |= {"execution_count": number, "outputs": shown, "source": sources[number]}
        made.append(node)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    language = {"name": "python", "version": platform.python_version()}
    metadata = {"kernelspec": kernel, "language_info": language, "minicnn": about}
    notebook = {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _stored(output: Output, number: int) -> dict[str, Any]:
    """An output as the file format has it."""
    result = {"execution_count": number} if output.kind == "execute_result" else {}
    return {"output_type": output.kind, **output.content, **result}
