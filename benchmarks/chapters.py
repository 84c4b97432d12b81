"""How much longer does the book's own training loop take than ``minicnn.fit``?

    python -m benchmarks.chapters CHAPTER... [--rounds 5] [--threads 2]

CHAPTER is a LeNet chapter of *Dive into Deep Learning* in the book's Markdown. Its cells run
unmodified on the engine, by way of the tab's facade (``minicnn.d2l.install``), but for the number
of epochs, which is 1. The last cell trains; it is run twice, and the second time is counted: an
epoch of training and one evaluation. The other side is ``minicnn.fit(..., compile=False)`` of the
same net, an epoch and one evaluation, the second time too.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import common
from benchmarks.common import Side
from benchmarks.tables import Row


def loop_seconds(options: argparse.Namespace, chapter: Path, tab: str) -> dict[str, float]:
    """An epoch of the chapter's cells, the imports of which mean this engine."""
    import minicnn
    from minicnn import d2l
    from minicnn.d2l.book.cells import Chapter
    from minicnn.d2l.book.changes import with_epochs
    from minicnn.d2l.book.markdown import cells_of
    from minicnn.d2l.facades import helpers

    minicnn.set_num_threads(options.threads)
    cells = Chapter(chapter, cells_of(chapter, chapter.read_text(encoding="utf-8")), False).of(tab)
    sources = [with_epochs(cell.source, 1)[0] for cell in cells if cell.kind == "code"]
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        d2l.install(tab)
        for source in sources:
            exec(source, names)
        seconds = timed(lambda: exec(sources[-1], names))
    helpers._left.clear()  # a script's figures, which would be written, and said, at its end
    return {"seconds": seconds}


def fit_seconds(options: argparse.Namespace, model: str) -> dict[str, float]:
    """An epoch of ``minicnn.fit``, eager."""
    import minicnn
    from minicnn import data, models, optim

    minicnn.set_num_threads(options.threads)
    net = models.build(model)
    train, test = data.load("fashion-mnist")
    batches, test_batches = data.DataLoader(train, 256, shuffle=True), data.DataLoader(test, 256)

    def epoch() -> None:
        optimizer = optim.SGD(net.parameters(), 0.9)
        minicnn.fit(net, batches, test_batches, optimizer=optimizer, epochs=1, quiet=True)

    epoch()
    return {"seconds": timed(epoch)}


def timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def sides_of(chapters: list[Path]) -> dict[str, Side]:
    """For each chapter ``fit`` on its net and the loop of each of its tabs."""
    from minicnn.d2l.book.cells import Chapter
    from minicnn.d2l.book.markdown import cells_of

    sides = {}
    for path in chapters:
        text = path.read_text(encoding="utf-8")
        model = "lenet-max" if "MaxPool2D(" in text else "lenet"
        tabs = Chapter(path, cells_of(path, text), False).tabs or ["mxnet"]
        sides[f"fit, {model}"] = Side(partial(fit_seconds, model=model))
        for tab in tabs:
            sides[f"{tab}, {model}"] = Side(partial(loop_seconds, chapter=path, tab=tab))
    return sides


def main() -> None:
    parser = common.parser("chapters")
    parser.add_argument("chapters", nargs="+", type=Path, metavar="CHAPTER")
    options = parser.parse_args()
    sides = sides_of(options.chapters)
    if options.worker:
        return common.answer(sides, options)
    report = common.start("chapters", "chapters", "fit", options)
    runs = common.alternate("chapters", sides, report, [str(path) for path in options.chapters])
    report.add(
        [
            Row("An epoch and one evaluation", name.split(", ")[1], side, "s", seconds)
            for name, of_side in runs.items()
            for side, seconds in [(name.split(", ")[0], common.column(of_side, "seconds"))]
        ]
    )
    common.finish(report, options)


if __name__ == "__main__":
    main()
