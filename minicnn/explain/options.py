"""``python -m minicnn.explain``: a page that shows a layer forward and backward, cell by cell."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path
from typing import Any

from minicnn import command
from minicnn.files import check_file, write_whole
from minicnn.terminal import say

from .examples import DEFAULTS, example
from .follow.trained import from_run as followed_run
from .trained import from_run
from .words import LANGUAGES

EXAMPLES = {
    "": "a convolution of small whole numbers: its page opens in the browser",
    "--op max-pool --size 5x6 --text": "max pooling, printed",
    "--run runs/plus --layer 0 --image 7 --out layer.html": "a trained layer on a real picture",
    "--svg grid,sum --cell dx/0,0,1,2 --out dx.svg": "a figure for slides",
    "--run runs/plus --follow": "a whole net: any number, and where it comes from",
}


def parser() -> command.Parser:
    """The options of ``python -m minicnn.explain``."""
    about = "Show a layer forward and backward, cell by cell, on a page."
    p = command.Parser("explain", about, EXAMPLES)
    natural, positive = command.at_least(0), command.at_least(1)
    kinds = list(DEFAULTS)
    p.add("--op", "NAME", ", ".join(kinds), choices=kinds, default="conv")
    p.add("--out", "FILE", "the page", "explain.html", type=command.path)
    p.add("--no-open", None, "write the page, do not open it")
    p.add("--text", None, "print the numbers, write no page")
    p.add(
        "--svg",
        "PARTS",
        "a figure for slides instead of the page: grid, sum or grid,sum",
        "none; its --out is explain.svg",
    )
    p.add("--cell", "CELL", "of the figure, as dx/0,0,1,2", "the one the page begins with")
    p.add(
        "--lang",
        "LANG",
        "en, zh or ja",
        "the page follows the browser, --text is English",
        choices=list(LANGUAGES),
    )
    p.group("an example of small whole numbers")
    p.add(
        "--size",
        "HxW",
        "of the picture",
        "4x5; pooling 5x6, receptive-field 7x8",
        type=command.pair(1),
    )
    p.add("--kernel", "K", "3x2: 3 rows and 2 columns", "3; avg-pool 2", type=command.pair(1))
    p.add("--stride", "S", "in rows and columns", "1; pooling 2", type=command.pair(1))
    p.add(
        "--padding",
        "P",
        "1x0: a row above and below, no columns",
        "1x0; pooling 0",
        type=command.pair(0),
    )
    p.add("--dilation", "D", "in rows and columns", "1", type=command.pair(1))
    p.add(
        "--channels",
        "N",
        "of the input",
        "1; dense 4 features; softmax 5 classes",
        type=positive,
    )
    p.add("--out-channels", "N", "of the output", "1; dense 3", type=positive)
    p.add("--groups", "N", "of channels, each convolved by itself", "1", type=positive)
    p.add("--batch", "N", "images", "1; dense, softmax 2 rows", type=positive)
    p.add("--seed", "N", "of the numbers", "0", type=natural)
    p.group("a trained layer on a real picture")
    p.add(
        "--run",
        "DIR",
        "the folder of python -m minicnn.train",
        "none: the example",
        type=command.path,
    )
    p.add("--layer", "K", "net[K], a convolution", "the first one", type=natural)
    p.add(
        "--follow",
        None,
        "the whole net instead of a layer: any number followed to those it comes from, at the "
        "states that training kept (--keep-states)",
    )
    p.add("--image", "I", "of the test images", "0", type=natural)
    p.add(
        "--data-dir",
        "DIR",
        "look for the data set's files here only",
        command.DATA,
        type=command.path,
    )
    return p


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return command.run(parser(), _explain, argv)


def _explain(options: argparse.Namespace) -> int:
    if options.cell is not None and options.svg is None:
        raise ValueError("--cell needs --svg, the figure of this cell")
    svg = options.svg is not None
    path = options.out or Path("explain.svg" if svg else "explain.html")
    with command.naming(options, "out"):
        check_file(path)
    explained, about = _explained(options)
    explained.lang = options.lang
    if options.text:
        if svg:
            raise ValueError("--text prints and writes no figure; wanted it without --svg")
        if options.out:
            raise ValueError("--text prints and writes no page; wanted it without --out")
        say(str(explained).rstrip("\n"))
        return 0
    write_whole(path, _figure(explained, options) if svg else explained.html(about))
    say(f"written to {path}")
    if not options.no_open:
        webbrowser.open(path.resolve().as_uri())
    return 0


def _figure(explained: Any, options: argparse.Namespace) -> str:
    """The figure of ``--svg`` and ``--cell``; their mistakes name them."""
    with command.naming(options, "cell", "svg"):
        figure: str = explained.svg(options.cell, options.svg.split(","))
        return figure


def _explained(options: argparse.Namespace) -> tuple[Any, str]:
    """What is to be shown, and a sentence about the picture."""
    if options.follow:
        return followed_run(options)
    return from_run(options) if options.run else (example(options), "")
