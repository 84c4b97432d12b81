"""How long does a training step of ten different nets take, here and in PyTorch?

    python -m benchmarks.nets [--rounds 5] [--threads 2] [--nets vgg mlp] [--batch 64 256]
    python -m benchmarks.nets --against REVISION
    python -m benchmarks.nets --sides "minicnn compiled" "torch eager"

Milliseconds a step: forward, cross-entropy, backward and SGD, on random float32 pictures that lie
in memory (seed 0). The nets stand in ``benchmarks/zoo.py``, once for both libraries: both LeNets,
PyTorch's and Keras' examples for MNIST, four convolutional nets for pictures of 32 x 32 in colour
(``vgg``, ``wide``, ``bn`` with batch normalisation, ``strided``), a residual net and two dense
layers. In each round every side gets a new process, and at each net the sides take turns; a figure
is the median of the steps of at least 0.4 s, and of three at least. Two steps before them are not
counted.

The measure is the better of PyTorch's eager mode and the same in channels_last, by their medians in
each line. torch.compile is a column of its own, and so is autocast to bfloat16 (in channels_last),
which computes with fewer digits. After a time stands how many times minicnn's compiled step it is:
above 1 minicnn is faster. The last lines are geometric means.

``--against``: minicnn as it was at another revision, which is checked out and takes part as a side.
"""

from __future__ import annotations

import argparse
import statistics
from contextlib import ExitStack
from typing import Any

from benchmarks import against, common, turns, zoo
from benchmarks.tables import Report, Row, as_text, number
from benchmarks.turns import Case, Contender

COMPILED = "minicnn compiled"
EAGER = ("torch eager", "torch channels_last")  # the better of them is the measure
BETTER = "the better of torch eager and channels_last"
APART = ("lenet", "lenet-max", "resnet")  # left out of the second mean
QUESTION = "A training step"


def net_of(case: str) -> str:
    return case.partition(",")[0]


# The summary --------------------------------------------------------------------------------------

Medians = dict[str, dict[str, float]]  # of each case the sides' milliseconds


def medians(rows: list[Row]) -> Medians:
    """The median of each side in each case; under ``BETTER`` that of the faster of ``EAGER``."""
    found: Medians = {}
    for row in rows:
        found.setdefault(row.case, {})[row.side] = row.median
    for of_case in found.values():
        if eager := [of_case[side] for side in EAGER if side in of_case]:
            of_case[BETTER] = min(eager)
    return found


def times(of_case: dict[str, float], side: str) -> float | None:
    """A side's time over the compiled step's."""
    if side in of_case and COMPILED in of_case:
        return of_case[side] / of_case[COMPILED]
    return None


def summary(report: Report) -> list[list[str]]:
    """Cells, a header first: a line a case, and geometric means of the times."""
    found = medians(report.rows)
    sides = list(dict.fromkeys(row.side for row in report.rows))
    others = [side for side in sides if side not in (COMPILED, *EAGER)]
    head = ["net", "PyTorch, ms", "compiled, ms", "times"]
    head += [cell for side in others for cell in (f"{side}, ms", "times")]
    lines = [head]
    for case, of_case in found.items():
        line = [case, number(of_case.get(BETTER)), number(of_case.get(COMPILED))]
        line.append(number(times(of_case, BETTER)))
        for side in others:
            line += [number(of_case.get(side)), number(times(of_case, side))]
        lines.append(line)
    without = [case for case in found if net_of(case) not in APART]
    lines.append(mean_line("all", found, list(found), [BETTER, *others]))
    lines.append(mean_line("neither LeNet nor residual", found, without, [BETTER, *others]))
    return lines


def mean_line(name: str, found: Medians, cases: list[str], sides: list[str]) -> list[str]:
    """The geometric mean of each side's times over these cases."""
    line = [f"geometric mean: {name}", ""]
    for side in sides:
        ratios = [ratio for case in cases if (ratio := times(found[case], side))]
        line += ["", number(statistics.geometric_mean(ratios) if ratios else None)]
    return line


# The picture --------------------------------------------------------------------------------------


def draw(report: Report) -> Any:
    """A panel a batch, a line a net: each other side's time over the compiled step's."""
    from benchmarks import figures

    found = medians(report.rows)
    batches = list(dict.fromkeys(case.partition(", ")[2] for case in found))
    nets = list(dict.fromkeys(map(net_of, found)))
    sides = list(dict.fromkeys(row.side for row in report.rows if row.side != COMPILED))
    title = "A training step: time over minicnn's compiled one; to the right minicnn is faster"
    picture = figures.figure(figures.WIDTH, 1.6 + 0.34 * len(nets), title)
    panels = picture.subplots(1, len(batches), sharey=True, sharex=True, squeeze=False)[0]
    for axes, batch in zip(panels, batches, strict=True):
        ratios = {
            side: {net: times(found.get(f"{net}, {batch}", {}), side) for net in nets}
            for side in sides
        }
        figures.dots(axes, ratios, nets, batch, base=2)
    figures.legend(panels[0], sides, "outside lower center")
    return picture


# The command --------------------------------------------------------------------------------------


def measure(options: argparse.Namespace, report: Report) -> list[Row]:
    contenders = {side: Contender(side) for side in options.sides}
    cases = [Case(net, batch) for net in options.nets for batch in options.batch]
    with ExitStack() as stack:
        if options.against:
            tree = stack.enter_context(against.checkout(options.against))
            contenders[f"revision {options.against}"] = Contender(COMPILED, tree)
        runs = turns.alternate(common.available(contenders, report), cases, report)
    return turns.rows(runs, cases, QUESTION)


def main() -> None:
    parser = common.parser("nets")
    parser.add_argument("--nets", nargs="+", choices=zoo.NETS, default=list(zoo.NETS))
    parser.add_argument("--batch", nargs="+", type=int, default=[64, 256])
    parser.add_argument("--sides", nargs="+", choices=zoo.SIDES, default=list(zoo.SIDES))
    parser.add_argument("--against", metavar="REVISION")
    options = parser.parse_args()
    asked = f"nets --against {options.against}" if options.against else "nets"
    report = common.start("nets", asked, COMPILED, options)
    report.add(measure(options, report))
    print(as_text(summary(report)))
    common.finish(report, options, draw)


if __name__ == "__main__":
    main()
