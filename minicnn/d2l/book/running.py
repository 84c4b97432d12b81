"""The cells of a chapter, one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minicnn.d2l.book.cells import Cell
from minicnn.d2l.book.changes import names_set, with_epochs, without_installs
from minicnn.d2l.book.failures import Failure
from minicnn.d2l.book.notebook import executed
from minicnn.d2l.book.outputs import Outputs
from minicnn.files import make_folder, write_whole
from minicnn.language import notice
from minicnn.terminal import say

if TYPE_CHECKING:
    from minicnn.d2l.book.shell import Shell


@dataclass(frozen=True)
class Plan:
    """What to run, and where what comes of it is kept.

    Attributes:
        cells: of one tab, text included.
        in_file: whether messages count the lines of the file; otherwise those of each cell.
        folder: for figures; made when there is one.
        notebook: the executed notebook; None: none is kept.
        epochs: instead of the numbers that the cells give ``num_epochs``.
        about: what the executed notebook says of the run.
    """

    cells: list[Cell]
    in_file: bool
    folder: Path
    notebook: Path | None = None
    epochs: int | None = None
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> dict[int, Cell]:
        """The code cells by their numbers, which begin at 1; empty ones have none."""
        code = [c for c in self.cells if c.kind == "code" and c.source.strip()]
        return dict(enumerate(code, start=1))

    def line(self, number: int, line: int) -> int:
        """The number by which messages call a line of a cell."""
        return line + self.code[number].line - 1 if self.in_file else line

    def place(self, number: int, line: int | None) -> str:
        """ "cell 7, line 124"."""
        return f"cell {number}" + (f", line {self.line(number, line)}" if line else "")


@dataclass
class Ran:
    """A cell that was run: for how long, and what stopped it."""

    number: int
    seconds: float
    failure: Failure | None


class Runner:
    """Runs a plan in a shell; prints what the cells show, keeps figures and the notebook."""

    def __init__(self, plan: Plan, shell: Shell):
        self.plan, self.shell = plan, shell
        self.start = Path.cwd()  # a cell may change to another folder
        self.sources: dict[int, str] = {}
        self.outputs: dict[int, Outputs] = {}
        self.written: dict[Path, bytes] = {}
        self.epochs_set = False
        self.seconds = 0.0  # of the last cell
        self.now = 0  # the number of the cell that is running, or ran last

    def run(self, keep_going: bool = False) -> Iterator[Ran]:
        """Run cell after cell, to the end or, unless ``keep_going``, to the first that fails.

        Raises:
            KeyboardInterrupt: Ctrl-C. What ran before is kept.
            OSError: a figure or the notebook cannot be written.
        """
        failed: dict[int, Failure] = {}
        for number, cell in self.plan.code.items():
            self.now = number
            say(f"[{number}]" + (f" line {cell.line}" if self.plan.in_file else ""))
            failure = self._run(number, cell.source)
            if failure is not None:
                failure.because = [
                    other
                    for other in failed
                    if failure.missing in names_set(self.plan.code[other].source)
                ]
                failed[number] = failure
            yield Ran(number, self.seconds, failure)
            if failure is not None and not keep_going:
                return

    def _run(self, number: int, source: str) -> Failure | None:
        if self.plan.epochs is not None:
            source, places = with_epochs(source, self.plan.epochs)
            self.epochs_set = self.epochs_set or bool(places)
            for line, old in places:
                say(
                    f"{self.plan.place(number, line)}: num_epochs {old} -> {self.plan.epochs}"
                    + notice("fewer_epochs")
                )
        self.sources[number] = source
        source, skipped = without_installs(source)
        for line in skipped:
            told = self.sources[number].split("\n")[line - 1].strip()
            say(f"{self.plan.place(number, line)}{notice('skipped', line=told)}")
        start = time.perf_counter()
        try:
            self.outputs[number], failure = self.shell.run(number, source)
            self.seconds = time.perf_counter() - start
        except KeyboardInterrupt:
            self.outputs[number] = self.shell.outputs
            raise
        finally:
            self._keep()
        return failure

    def _keep(self) -> None:
        """Write the figures that are new or have changed, and the notebook as far as it is."""
        for number, outputs in self.outputs.items():
            for k, (suffix, content) in enumerate(outputs.pictures(), start=1):
                path = self.plan.folder / f"cell-{number:02}-{k}{suffix}"
                if self.written.get(path) != content:
                    make_folder(self.start / self.plan.folder)
                    write_whole(self.start / path, content)
                    if path not in self.written:
                        say(f"figure: {path}")
                    self.written[path] = content
        self.write_notebook()

    def write_notebook(self) -> None:
        """Write the notebook, if one is wanted."""
        if self.plan.notebook is not None:
            outputs = {number: outputs.shown for number, outputs in self.outputs.items()}
            text = executed(self.plan.cells, self.sources, outputs, self.plan.about)
            write_whole(self.start / self.plan.notebook, text)
