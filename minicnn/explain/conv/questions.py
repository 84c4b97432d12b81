"""The questions of a convolution's page, and the cells that answer them."""

from __future__ import annotations

import html
import json

import numpy as np

from .numbers import Convolution

Cell = tuple[str, str]  # the name of a grid and an index in it, "n,c,h,w"


def questions(c: Convolution, hints: bool = True) -> dict[str, tuple[str, str, Cell]]:
    """anchor: (question, answer, the cell that shows it).

    ``hints``: say which options make an example that shows more.
    """
    middle, unreached = _most_covered(c), _unreached(c)
    outside, inside = _output(c, inside=False), _output(c, inside=True)
    return {
        "flipped": (
            "Is the kernel flipped?",
            "Forward: no, weight (i, j) meets cell (i, j) of the window. Backward: yes. As the "
            "outputs that a pixel fed go right and down, their weights go left and up.",
            ("dx", _key(middle)),
        ),
        "channels": (
            "Which channels are summed?",
            "Forward: all input channels, for each output channel again. Backward, dx sums over "
            "the output channels; dW and db over the images and places."
            + (" Here there is one; try --channels 2." if hints and c.x.shape[1] == 1 else ""),
            ("y", _key((0, 0, *(inside or (0, 0))))),
        ),
        "plus-equals": (
            "Why += in col2im?",
            "Windows overlap: a pixel was copied into several columns, so its gradient is the sum "
            "over them. With = the last column would overwrite the others.",
            ("col2im", _key(middle)),
        ),
        "stride-does-not-fit": (
            "What if the stride does not fit?",
            "The cells left over at the end are in no window. No output depends on them: their "
            "gradient is 0."
            + ("" if unreached else " Here every cell is reached.")
            + (" With --size 5x6 --stride 2 the last column is not." if hints and not unreached
               else ""),
            ("dx", _key(unreached or (0, 0, c.x.shape[2] - 1, c.x.shape[3] - 1))),
        ),
        "padding": (
            "What does padding do?",
            "It frames the picture with zeros. They take part in the sums and add nothing; what "
            "col2im adds to the frame is dropped."
            + (" This example has none; try --padding 1." if hints and not outside else ""),
            ("y", _key((0, 0, *(outside or (0, 0))))),
        ),
    }  # fmt: skip


def as_html(anchor: str, question: str, answer: str, cell: Cell) -> str:
    return (
        f'<li id="{anchor}" data-cell="{html.escape(json.dumps(cell))}">'
        f'<a href="#{anchor}">{question}</a><p>{answer}</p></li>'
    )


def _key(index: tuple[int, ...]) -> str:
    return ",".join(map(str, index))


def _most_covered(c: Convolution) -> tuple[int, int, int, int]:
    """A pixel that stands in as many columns as any, the nearest to the middle."""
    h, w = c.x.shape[2:]
    pixels = [
        (-sum(1 for _ in c.windows_over(i, j)), abs(2 * i - h + 1) + abs(2 * j - w + 1), i, j)
        for i, j in np.ndindex(h, w)
    ]
    return 0, 0, *min(pixels)[2:]


def _unreached(c: Convolution) -> tuple[int, int, int, int] | None:
    """The last pixel of the first row or column that the stride leaves over at the end."""
    h, w = c.x.shape[2:]
    last = [size - 1 for size in (*c.output, *c.kernel_size)]
    bottom, right = c.pixel(*last)
    if right + 1 < w:
        return 0, 0, h // 2, right + 1
    return (0, 0, bottom + 1, w // 2) if bottom + 1 < h else None


def _output(c: Convolution, inside: bool) -> tuple[int, int] | None:
    """An output whose window lies inside the picture, or (``inside`` False) one whose does not.

    The one that sees the most cells other than 0, so that its sum shows something: a picture's
    corner is often black. The first of equal ones.
    """
    seen = {}
    for h, w in np.ndindex(c.output):
        cells = [c.pixel(h, w, i, j) for i, j in np.ndindex(c.kernel_size)]
        pictured = [cell for cell in cells if c.in_picture(*cell)]
        if (len(pictured) == len(cells)) == inside:
            seen[h, w] = sum(np.count_nonzero(c.x[0, :, row, col]) for row, col in pictured)
    return max(seen, key=lambda output: seen[output], default=None)
