"""The options of ``python -m minicnn.predict``, and what it does with them."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from minicnn import command, plots
from minicnn.data.own.picture_files import KINDS
from minicnn.files import check_file, expand, write_whole
from minicnn.predict.classifier import Classifier, Prediction
from minicnn.predict.draw import MOST, draw
from minicnn.predict.reading import Picture, PictureError, channels_last, read
from minicnn.predict.report import REPORTS
from minicnn.predict.serve import serve
from minicnn.terminal import complain, say
from minicnn.train.run import load_run

EXAMPLES = {
    "--run runs/lenet seven.jpg": "what a photo shows, with probabilities, and what was done to it",
    "--run runs/lenet photos --csv": "every picture of a folder, for a spreadsheet",
    "--run runs/lenet seven.jpg --show seen.png": "and draw what the net saw",
    "--run runs/lenet --index 0 7 12": "pictures of the data set's test part",
    "--run runs/lenet --serve": "a page to draw on, which says what the net sees",
}


def parser() -> command.Parser:
    """The options of ``python -m minicnn.predict``."""
    about = "Say what a trained net takes pictures of your own for."
    p = command.Parser("predict", about, EXAMPLES)
    p.usage = f"{p.prog} --run DIR IMAGE... [options]"
    p.add(
        "images",
        "IMAGE",
        "files (PNG, JPEG, BMP, GIF, TIFF, WebP), folders of them, patterns such as '*.png', or - "
        "for stdin",
        nargs="*",
    )
    p.add("--run", "DIR", "the folder of a training run", type=command.path, required=True)
    p.add(
        "--index",
        "I",
        "the data set's test pictures of these numbers",
        "none",
        type=command.at_least(0),
        nargs="+",
    )
    p.add(
        "--show",
        "FILE",
        f"draw the first {MOST} pictures, what the net saw of them and the nearest training "
        "pictures, as a PNG",
        "nothing is drawn",
        type=command.path,
    )
    p.add("--raw", None, "only stretch a picture to the net's size, do not prepare it")
    p.add("--json", None, "print a JSON object a picture, one a line")
    p.add("--csv", None, "print a table with commas, and its heading")
    p.add(
        "--serve",
        None,
        "open a page to draw on, or to drop pictures on, for this computer only; Ctrl-C ends it "
        "(status 130)",
    )
    p.add("--port", "N", "of that page", "any that is free", type=command.at_least(0))
    p.add("--no-open", None, "do not open that page in the browser")
    p.add(
        "--data-dir",
        "DIR",
        "look for the data set's files here only",
        "where the training found them",
        type=command.path,
    )
    return p


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status: 1 where a picture was damaged."""
    return command.run(parser(), _predict, argv)


def _predict(options: argparse.Namespace) -> int:
    if options.json and options.csv:
        raise ValueError("--json and --csv: wanted one of them")
    if options.serve and (options.images or options.index):
        raise ValueError("--serve: the page asks for pictures; wanted neither IMAGE nor --index")
    for name in ("port", "no_open") if not options.serve else ("show", "raw", "json", "csv"):
        if getattr(options, name) not in (None, False):
            serves = "without" if options.serve else "with"
            raise ValueError(f"--{name.replace('_', '-')}: wanted {serves} --serve")
    paths = list(_paths(options.images))
    if not paths and not options.index and not options.serve:
        raise ValueError("no picture to look at; wanted IMAGE..., --index I... or --serve")
    if options.show is not None:
        with command.naming(options, "show"):
            check_file(options.show)
    with command.naming(options, "run"):
        _, config = load_run(options.run)  # before the data set, which takes longer
    notices = contextlib.redirect_stdout(sys.stderr)  # stdout is for the answers
    with notices, command.naming(options, "data_dir"):
        classifier = Classifier.from_run(options.run, options.data_dir)
    if options.serve:
        title = f"{options.run.name}: {config['model']} on {config['dataset']}"
        serve(classifier, title, options.port or 0, not options.no_open)
        return 0
    return _answer(options, classifier, paths)


def _answer(options: argparse.Namespace, classifier: Classifier, paths: Sequence[Path]) -> int:
    """Print, and draw, what the net says of the pictures; the exit status."""
    damaged: list[Path] = []
    shown: list[Picture] = []
    stored = list(_stored(classifier, options.index or ()))
    pictures = chain(_read(paths, damaged), stored)
    found = classifier.predict(_keeping(pictures, shown), raw=options.raw)
    report = REPORTS["json" if options.json else "csv" if options.csv else "table"]
    if found:
        say("\n".join(report(found, classifier.classes)))
    if options.show is not None and found:
        _show(options.show, classifier, shown, found)
    return 1 if damaged else 0


def _paths(names: Sequence[str]) -> Iterator[Path]:
    """The files that these names mean, in order.

    Raises:
        FileNotFoundError: there is none of a name.
        ValueError: a name is empty.
    """
    for name in names:
        if not name:  # of a shell's variable that is not set; as a path it would be this folder
            raise ValueError("IMAGE is an empty name")
        path = expand(name)
        if name == "-" or (path.exists() and not path.is_dir()):  # a pipe too
            yield path
            continue
        root = Path(path.anchor)
        pattern = str(path.relative_to(root))
        inside = path.rglob("*") if path.is_dir() else root.glob(pattern)
        files = sorted(file for file in inside if file.suffix.lower() in KINDS and file.is_file())
        # ._1.png and the like are what a Mac writes next to 1.png
        files = [file for file in files if not file.name.startswith(".")]
        if not files:
            if path.is_dir():
                raise FileNotFoundError(f"{name}: no picture in it; wanted {', '.join(KINDS)}")
            raise FileNotFoundError(f"{name}: there is no such file")
        yield from files


def _read(paths: Sequence[Path], damaged: list[Path]) -> Iterator[Picture]:
    """The pictures that can be read; of the others each is reported, and added to ``damaged``."""
    for path in paths:
        try:
            stdin = str(path) == "-"
            yield read(sys.stdin.buffer.read(), "stdin") if stdin else read(path)
        except (PictureError, OSError) as error:
            damaged.append(path)
            complain(f"python -m minicnn.predict: {command.in_a_line(error)}")


def _keeping(pictures: Iterable[Picture], shown: list[Picture]) -> Iterator[Picture]:
    """The same pictures; the first of them, which may be drawn, are kept in ``shown``."""
    for picture in pictures:
        if len(shown) < MOST:
            shown.append(picture)
        yield picture


def _stored(classifier: Classifier, numbers: Sequence[int]) -> Iterator[Picture]:
    """Test pictures of the data set; their names say what they are."""
    test = classifier.test
    for number in numbers:
        if test is None:
            raise ValueError("--index: the data set cannot be had; wanted its folder: --data-dir")
        if number >= len(test):
            raise ValueError(f"--index is {number}; wanted 0 to {len(test) - 1}, a test picture")
        picture = read(channels_last(test.images[number]))
        picture.name = f"test {number} ({test.classes[test.labels[number]]})"
        yield picture


def _show(
    path: Path, classifier: Classifier, pictures: Sequence[Picture], found: Sequence[Prediction]
) -> None:
    with plots.own_style():
        write_whole(path, plots.png(draw(classifier, pictures, found)))
    complain(f"written {path}")
