"""A chapter as cells: which of them belong to a tab, which frameworks they import."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minicnn.d2l.facades.installing import FRAMEWORKS

# What a reader imports, and the framework that it belongs to.
PACKAGES = {
    "mxnet": "mxnet",
    "d2lzh": "mxnet",
    "torch": "pytorch",
    "torchvision": "pytorch",
    "tensorflow": "tensorflow",
    "keras": "tensorflow",
}
IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+(\w+)(?:\.(\w+)|[ \t]+import[ \t]+(\w+))?", re.M)


@dataclass(frozen=True)
class Cell:
    """A cell of a chapter.

    Attributes:
        kind: "code", "markdown" or "raw".
        source: its text.
        line: the line of the file on which ``source`` begins; 1 in a notebook.
        tabs: the tabs that it belongs to; None: all.
        extra: what a notebook keeps with the cell (metadata, attachments).
    """

    kind: str
    source: str
    line: int = 1
    tabs: frozenset[str] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Chapter:
    """A file of cells; ``is_notebook`` says which lines its messages count."""

    path: Path
    cells: tuple[Cell, ...]
    is_notebook: bool

    @property
    def tabs(self) -> list[str]:
        """The tabs that its code cells name: this engine's first."""
        found = {tab for cell in self.cells if cell.kind == "code" for tab in cell.tabs or ()}
        return [t for t in FRAMEWORKS if t in found] + sorted(found - FRAMEWORKS.keys())

    def of(self, tab: str | None) -> list[Cell]:
        """The cells of a tab, text included; all if the chapter has no tabs."""
        return [cell for cell in self.cells if cell.tabs is None or tab in cell.tabs]


def choose_tab(chapter: Chapter, wanted: str | None) -> str | None:
    """The tab to run: ``wanted``, or the first that the engine has; None in a chapter without tabs.

    Raises:
        ValueError: the chapter has no cells for it.
    """
    tabs = chapter.tabs
    if not tabs:
        return None
    known = [tab for tab in tabs if tab in FRAMEWORKS]
    if wanted is None and known:
        return known[0]
    if wanted not in tabs:
        asked = f"--tab {wanted}" if wanted else f"wanted one of {', '.join(FRAMEWORKS)}"
        raise ValueError(f"{asked}: {chapter.path} has cells for {', '.join(tabs)}")
    return wanted


def frameworks_of(chapter: Chapter, tab: str | None, wanted: str | None) -> list[str]:
    """The frameworks to install: the tab's; in a chapter without tabs those that it imports.

    Raises:
        ValueError: ``wanted`` is another one than the chapter imports.
    """
    if tab is not None:
        return [tab]
    found = imported([cell.source for cell in chapter.cells if cell.kind == "code"])
    if wanted is not None and found and wanted not in found:
        raise ValueError(
            f"--tab {wanted}: {chapter.path} has no tabs, and imports {', '.join(found)}"
        )
    return found or ([wanted] if wanted else [])


def imported(sources: Sequence[str]) -> list[str]:
    """The frameworks that cells import, as ``install`` calls them."""
    found, bare = set(), False
    for package, module, name in IMPORT.findall("\n".join(sources)):
        framework = PACKAGES.get((module or name) if package == "d2l" else package)
        found |= {framework} if framework else set()
        bare = bare or (package == "d2l" and framework is None)
    if bare and not found:
        found = {"mxnet"}  # ``import d2l``, as of 2019, when the book had one framework
    return [framework for framework in FRAMEWORKS if framework in found]
