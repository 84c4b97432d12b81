"""The questions of a convolution's page, and the cells that answer them."""

from __future__ import annotations

import html
import json

import numpy as np

from .numbers import Convolution

Cell = tuple[str, str]  # the name of a grid and an index in it, "n,c,h,w"


def questions(c: Convolution, hints: bool = True) -> dict[str, tuple[str, str, Cell]]:
    """{anchor: (question, answer, the cell that shows it)}.

    ``hints``: whether an answer says which options would show more.
    """
    middle, unreached = _most_covered(c), _unreached(c)
    outside, inside = _output(c, inside=False), _output(c, inside=True)

    def hint(wanted: bool, words: str) -> str:
        return f" {words}" if hints and wanted else ""

    fits = "" if unreached else " Here none are left over."
    return {
        "flipped": (
            "Is the kernel flipped?",
            "Forward: no. Weight (i, j) is multiplied by cell (i, j) of the window. Backward: yes, "
            "seen from a pixel. The further right and down an output lies that the pixel fed, the "
            "further left and up lies the weight between them.",
            ("dx", _key(middle)),
        ),
        "channels": (
            "Which channels are summed?",
            "Forward: each output channel sums over all input channels. Backward: dx sums over the "
            "output channels, dW and db over the images and the places of the window."
            + hint(c.x.shape[1] == 1, "Here there is only one channel; try --channels 2."),
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
            f"gradient is 0.{fits}"
            + hint(not unreached, "With --size 5x6 --stride 2 the last column is."),
            ("dx", _key(unreached or (0, 0, c.x.shape[2] - 1, c.x.shape[3] - 1))),
        ),
        "padding": (
            "What does padding do?",
            "It frames the picture with zeros. They take part in the sums and add nothing; what "
            "col2im adds to the frame is dropped."
            + hint(not outside, "This example has none; try --padding 1."),
            ("y", _key((0, 0, *(outside or (0, 0))))),
        ),
    }


def as_html(anchor: str, question: str, answer: str, cell: Cell) -> str:
    return (
        f'<li id="{anchor}" data-cell="{html.escape(json.dumps(cell))}">'
        f'<a href="#{anchor}">{question}</a><p>{answer}</p></li>'
    )


def _key(index: tuple[int, ...]) -> str:
    return ",".join(map(str, index))


def _most_covered(c: Convolution) -> tuple[int, int, int, int]:
    """The pixel that stands in the most columns; of several the one nearest to the middle."""
    h, w = c.x.shape[2:]
    pixels = [
        (-sum(1 for _ in c.windows_over(i, j)), abs(2 * i - h + 1) + abs(2 * j - w + 1), i, j)
        for i, j in np.ndindex(h, w)
    ]
    return 0, 0, *min(pixels)[2:]


def _unreached(c: Convolution) -> tuple[int, int, int, int] | None:
    """A pixel of the first column (or else row) that the stride leaves over at the end, or None."""
    h, w = c.x.shape[2:]
    last = [size - 1 for size in (*c.output, *c.kernel_size)]
    bottom, right = c.pixel(*last)
    if right + 1 < w:
        return 0, 0, h // 2, right + 1
    return (0, 0, bottom + 1, w // 2) if bottom + 1 < h else None


def _output(c: Convolution, inside: bool) -> tuple[int, int] | None:
    """An output whose window lies in the picture (``inside``), or reaches into the padding.

    Of several the one that sees the most cells other than 0, so that its sum shows something: the
    corners of a picture are often black. None if there is no such output.
    """
    seen = {}
    for h, w in np.ndindex(c.output):
        cells = [c.pixel(h, w, i, j) for i, j in np.ndindex(c.kernel_size)]
        pictured = [cell for cell in cells if c.in_picture(*cell)]
        if (len(pictured) == len(cells)) == inside:
            seen[h, w] = sum(np.count_nonzero(c.x[0, :, row, col]) for row, col in pictured)
    return max(seen, key=lambda output: seen[output], default=None)
