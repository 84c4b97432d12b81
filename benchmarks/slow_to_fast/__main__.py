"""``python -m benchmarks.slow_to_fast``: every version checked, timed, in a table.

    python -m benchmarks.slow_to_fast
    python -m benchmarks.slow_to_fast --op max_pool --layer 2 --batch 64
    python -m benchmarks.slow_to_fast --docs
    python -m benchmarks.slow_to_fast --op conv --size 9x12 --channels 3 --kernel 3x2 --stride 2

Microseconds an image are medians of the rounds; in each, every version has its turn. GFLOP/s count
a product and a sum for each weight of each window, GB/s the bytes that a pooling has to move: x and
y (backward dx and dy), once each.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import minicnn
from benchmarks import tables
from minicnn.command import at_least
from minicnn.files import write_whole
from minicnn.plots import png

from .layer import LENET, Layer, Pair
from .picture import picture
from .race import Found, Race, are_equal, race

DATE = r"\d{4}-\d\d-\d\d: "
PAGE = Path(__file__).parents[2] / "docs" / "slow-to-fast.md"
USUAL = {"conv": 2, "max_pool": 1}  # the layers of LeNet that take the most time


def parser() -> argparse.ArgumentParser:
    """The options."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.slow_to_fast")
    positive = at_least(1)
    p.add_argument("--op", choices=list(LENET), help="both by default")
    p.add_argument("--layer", type=int, choices=[1, 2], help="of LeNet; conv: 2, max_pool: 1")
    p.add_argument("--size", type=pair(1), metavar="HxW", help="another size of the picture")
    p.add_argument("--channels", type=positive, metavar="N", help="of the input")
    p.add_argument("--out-channels", type=positive, metavar="N", help="of a convolution")
    p.add_argument("--kernel", type=pair(1), metavar="K", help="5, or 3x2: 3 rows, 2 columns")
    p.add_argument("--stride", type=pair(1), metavar="S")
    p.add_argument("--padding", type=pair(0), metavar="P")
    p.add_argument("--batch", type=positive, default=256, metavar="N", help="images; 256")
    p.add_argument("--rounds", type=positive, default=11, metavar="N", help="11 by default")
    p.add_argument("--threads", type=positive, default=min(2, os.cpu_count() or 1), metavar="N")
    p.add_argument("--json", action="store_true", help="print JSON in place of the tables")
    p.add_argument("--png", type=Path, metavar="FILE", help="draw a picture as well")
    p.add_argument("--docs", action="store_true", help="write tables and picture into the page")
    return p


def pair(least: int) -> Callable[[str], Pair]:
    """An argument type: "5" as (5, 5), "3x2" as (3, 2)."""

    def two(text: str) -> Pair:
        numbers = [int(part) if part.isdigit() else -1 for part in text.split("x")]
        if len(numbers) > 2 or min(numbers) < least:
            raise argparse.ArgumentTypeError(f"{text!r}; wanted a number like 5, or two like 3x2")
        return numbers[0], numbers[-1]

    return two


def layer_of(op: str, options: argparse.Namespace) -> Layer:
    """LeNet's layer, with whatever the options change."""
    layer = LENET[op][(options.layer or USUAL[op]) - 1]
    names = [name for name in Layer._fields if name != "out_channels" or op == "conv"]
    chosen = {name: getattr(options, name) for name in names}
    return layer._replace(**{name: value for name, value in chosen.items() if value is not None})


def problem_of(op: str, layer: Layer) -> str | None:
    """Why there is no such layer, if there is none."""
    if min(layer.output) < 1:
        return f"the kernel {layer.kernel} is larger than the padded picture"
    too_wide = [2 * p > k for p, k in zip(layer.padding, layer.kernel, strict=True)]
    if op == "max_pool" and any(too_wide):
        return f"padding {layer.padding} is more than half of the window {layer.kernel}"
    return None


# Printing -----------------------------------------------------------------------------------------


def rate(op: str, layer: Layer, microseconds: float | None) -> float | None:
    """GFLOP/s of a convolution, GB/s of a pooling."""
    work = layer.flops if op == "conv" else layer.bytes
    return None if microseconds is None else work / microseconds / 1e3


def table(op: str, layer: Layer, found: list[Found]) -> list[list[str]]:
    """Cells of a direction, a header first."""
    unit = "GFLOP/s" if op == "conv" else "GB/s"
    head = ["version", "what changed", "batch", "µs an image", "× before", "× loops", unit, "ok"]
    lines = [head]
    before: float | None = None
    for version in found:
        ours, loops = version.median, found[0].median
        numbers = [ours, ratio(before, ours), ratio(loops, ours), rate(op, layer, ours)]
        text = [version.version, version.changed, str(version.images)]
        lines.append([*text, *map(tables.number, numbers), version.ok])
        before = ours
    return lines


def ratio(before: float | None, after: float | None) -> float | None:
    """How many times as fast."""
    return None if before is None or after is None else before / after


def as_json(races: dict[str, tuple[Layer, Race]], about: dict[str, Any]) -> str:
    """Everything that was found."""
    found = [
        {
            "op": op,
            "layer": str(layer),
            "direction": direction,
            "versions": [version._asdict() for version in versions],
        }
        for op, (layer, of_op) in races.items()
        for direction, versions in of_op.items()
    ]
    return json.dumps({**about, "found": found}, indent=1, ensure_ascii=False)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status: 0, or 1 where a version differs."""
    options = parser().parse_args(argv)
    layers = {op: layer_of(op, options) for op in ([options.op] if options.op else LENET)}
    for op, layer in layers.items():
        if problem := problem_of(op, layer):
            parser().error(problem)
    minicnn.set_num_threads(options.threads)
    about = machine(options)
    texts = ["{date}: {versions}; {threads} threads, {rounds} rounds, load {load}".format(**about)]
    races: dict[str, tuple[Layer, Race]] = {}
    for op, layer in layers.items():
        races[op] = layer, race(op, layer, options.batch, options.rounds)
        for direction, found in races[op][1].items():
            texts.append(f"{op} {layer}: {direction}\n{tables.as_text(table(op, layer, found))}")
    print(as_json(races, about) if options.json else "\n\n".join(texts))
    if options.docs:
        write_whole(PAGE, with_texts(PAGE.read_text(), texts))
        write_whole(PAGE.parent / "pictures" / "slow-to-fast.png", png(picture(races)))
    if options.png:
        write_whole(options.png, png(picture(races)))
    return 0 if all(are_equal(of_op) for _, of_op in races.values()) else 1


def machine(options: argparse.Namespace) -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "versions": tables.versions(),
        "threads": options.threads,
        "rounds": options.rounds,
        "load": round(os.getloadavg()[0], 1),
    }


def with_texts(page: str, texts: list[str]) -> str:
    """The page with new texts in the place of those that begin alike: with a date, or a title."""
    for text in texts:
        title = text.partition("\n")[0]
        begins = DATE if re.match(DATE, title) else f"{re.escape(title)}\n"
        found = list(re.finditer(rf"^```text\n({begins}.*?)\n?^```$", page, re.M | re.S))
        if len(found) != 1:
            raise ValueError(f"{len(found)} texts of the page begin with {title!r}; wanted one")
        page = page[: found[0].start(1)] + text + "\n" + page[found[0].end() - 3 :]
    return page


if __name__ == "__main__":
    sys.exit(main())
