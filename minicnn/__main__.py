"""``python -m minicnn``: which commands there are."""

from __future__ import annotations

import sys

import minicnn
from minicnn import command
from minicnn.terminal import complain, say

COMMANDS = {
    "train": "train LeNet on Fashion-MNIST; keep what came of it in a folder",
    "predict": "say what a trained net takes pictures of your own for",
    "compare": "curves of several runs in one picture, settings and results in a table",
    "sweep": "many trainings with other settings each, on all cores or a Dask cluster",
    "visualize": "draw what a trained net sees, and where it errs",
    "explain": "show a layer forward and backward, cell by cell, on a page",
    "learn": "write the backward passes yourself, and be told which slip a wrong one has",
    "export": "hand a trained net over: one C file, ONNX, PyTorch",
    "d2l": "run a chapter of the book, cell by cell",
    "rungs": "prove four implementations of convolution equal and time them",
    "selfcheck": "check that this machine computes what the formulas say",
}
STATUSES = {
    0: "done",
    1: "it ran, and something is not right: the training diverged, a check or a cell failed",
    2: "a mistake in what was typed, or a file, device or package that is missing; one line",
    130: "interrupted by Ctrl-C; what was done so far is kept",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments == ["--version"]:
        say(f"minicnn {minicnn.__version__}")
    elif arguments and arguments[0] in COMMANDS:
        complain(f"python -m minicnn: error: write python -m minicnn.{' '.join(arguments)}")
        return 2
    elif arguments and arguments not in (["--help"], ["-h"]):
        complain(
            f"python -m minicnn: error: {arguments[0]} is no command; wanted {', '.join(COMMANDS)}"
        )
        return 2
    else:
        say(f"minicnn {minicnn.__version__}: a convolutional network engine from scratch\n")
        for name, what in COMMANDS.items():
            say(f"python -m minicnn.{name:10} {what}")
        say("\n--help after any of them lists its options, with examples\n\nexit status:")
        for status, what in STATUSES.items():
            say(f"  {status:3}  {what}")
    return 0


if __name__ == "__main__":
    command.process(main)
