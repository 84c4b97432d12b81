"""How far a sweep is, and how long the remainder of it takes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from minicnn.sweep.outcome import progress
from minicnn.sweep.plan import Run
from minicnn.terminal import is_terminal


class Progress:
    """Shows how far the runs are, on a terminal in a line that changes.

    Attributes:
        open: the runs that have not ended.
    """

    def __init__(self, folder: Path, runs: Sequence[Run], quiet: bool):
        from tqdm import tqdm

        self.folder, self.open = folder, {run.name for run in runs}
        self.total, self.start = len(runs), time.monotonic()
        self.first = self.done()
        self.bar = tqdm(
            total=len(runs),
            bar_format="{percentage:3.0f}%|{bar:24}| {desc}",
            leave=False,
            disable=quiet or not is_terminal(sys.stderr),
        )

    def done(self) -> float:
        """How many runs are done, parts of them too."""
        return self.total - sum(1 - progress(self.folder / name) for name in self.open)

    def left(self) -> str:
        """The time for what is left, as far as one can know."""
        if not self.open:
            return ""
        done, seconds = self.done(), time.monotonic() - self.start
        if done <= self.first:
            return ""
        return duration(seconds / (done - self.first) * (self.total - done))

    def look(self) -> None:
        """Bring the line up to date."""
        if not self.bar.disable:
            left = self.left()
            self.bar.n = self.done()
            self.bar.set_description_str(
                f"{self.total - len(self.open)} of {self.total} runs"
                + (f", about {left} left" if left else "")
            )

    def end(self, run: Run) -> None:
        """A run has ended."""
        self.open.discard(run.name)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Inside, lines are printed where the changing one stood, which then follows them."""
        self.bar.clear()
        yield
        self.look()


def duration(seconds: float) -> str:
    """40 s, 12 min, 3 h 20 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
