"""Up to which size is a compiled step faster than PyTorch's?

    python -m benchmarks.limits [--rounds 5] [--threads 2]

Milliseconds a step of a net of two 3 x 3 convolutions with as many channels each, ReLU, max pooling
and a dense layer of 10 outputs (``two_convolutions`` in ``benchmarks/zoo.py``), measured as in
``benchmarks.nets``. Channels: 4 to 512 of them, on 64 pictures of 16 x 16. Pictures: 8 x 8 to
224 x 224 with 16 channels, 32 a batch. The chart shows PyTorch's time over minicnn's, for eager
mode, for channels_last and for the better of them. Where the last passes 1, the lines of the two
libraries cross.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from benchmarks import common, nets, turns
from benchmarks.tables import Report, Row
from benchmarks.turns import Case, Contender

CHANNELS = [4, 8, 16, 32, 64, 128, 256, 512]
SIZES = [8, 16, 32, 64, 112, 224]
WIDER = "Channels, on 64 pictures of 16 x 16"
LARGER = "Pictures, 32 of them, 16 channels"
CASES = {
    WIDER: {channels: Case(f"{channels}@16", 64) for channels in CHANNELS},
    LARGER: {size: Case(f"16@{size}", 32) for size in SIZES},
}
SIDES = (nets.COMPILED, *nets.EAGER)


def rows(runs: common.Runs) -> list[Row]:
    return [
        Row(question, str(value), row.side, row.unit, row.runs)
        for question, cases in CASES.items()
        for value, case in cases.items()
        for row in turns.rows(runs, [case], question)
    ]


def curves(report: Report, question: str) -> dict[str, dict[int, float]]:
    """Of each side of PyTorch, and of the better one: its time over minicnn's, by value."""
    of_question = [row for row in report.rows if row.question == question]
    found: dict[str, dict[int, float]] = {}
    for case, of_case in nets.medians(of_question).items():
        for side in (*nets.EAGER, nets.BETTER):
            if (ratio := nets.times(of_case, side)) is not None:
                found.setdefault(side, {})[int(case)] = ratio
    return found


def crossings(ratios: dict[int, float]) -> list[float]:
    """The values at which the ratio passes 1, on straight lines between logarithms."""
    points = [(math.log(value), math.log(ratio)) for value, ratio in ratios.items()]
    return [
        math.exp(x - y * (next_x - x) / (next_y - y))
        for (x, y), (next_x, next_y) in pairwise(points)
        if (y > 0) != (next_y > 0)
    ]


def remark(report: Report, question: str) -> str:
    """Where the lines cross, or which library is faster everywhere."""
    ratios = curves(report, question)[nets.BETTER]
    found = crossings(ratios)
    if found:
        return f"{question}: the lines cross at {' and '.join(f'{x:.0f}' for x in found)}."
    faster = "minicnn" if next(iter(ratios.values())) > 1 else "PyTorch"
    low, high = min(ratios.values()), max(ratios.values())
    return (
        f"{question}: the lines do not cross; {faster} is faster everywhere "
        f"(PyTorch's time is {low:.2f} to {high:.2f} of minicnn's)."
    )


# The picture --------------------------------------------------------------------------------------


def draw(report: Report) -> Any:
    """Two panels: over the channels, over the side of the pictures."""
    from benchmarks import figures

    title = "Where the limits are: PyTorch's time over minicnn's compiled step"
    picture = figures.figure(figures.WIDTH, 4.6, title)
    panels = picture.subplots(1, 2, sharey=True)
    labels = ["channels of both convolutions", "height and width of the pictures"]
    every: list[float] = []
    for axes, question, label in zip(panels, CASES, labels, strict=True):
        found = curves(report, question)
        figures.crossing_lines(axes, found, nets.BETTER, label, question)
        for at in crossings(found[nets.BETTER]):
            figures.ring(axes, at, f"{at:.0f}")
        every += [ratio for of_side in found.values() for ratio in of_side.values()]
    panels[0].set_ylim(min(0.5, 0.8 * min(every)), max(2, 1.25 * max(every)))
    figures.legend_of_lines(panels[0])
    return picture


def main() -> None:
    options = common.parser("limits").parse_args()
    report = common.start("limits", "limits", nets.COMPILED, options)
    contenders = common.available({side: Contender(side) for side in SIDES}, report)
    cases = [case for of_question in CASES.values() for case in of_question.values()]
    report.add(rows(turns.alternate(contenders, cases, report)))
    for question in CASES:
        report.remark(remark(report, question))
    common.finish(report, options, draw)


if __name__ == "__main__":
    main()
