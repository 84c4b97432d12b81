"""The questions of a convolution's page, and the cells that answer them."""

from __future__ import annotations

import html
import json

import numpy as np

from ..words import Sentence, as_html
from .numbers import Convolution

Cell = tuple[str, str]  # the name of a grid and an index in it, "n,c,h,w"


def questions(c: Convolution, hints: bool = True) -> dict[str, tuple[Sentence, Sentence, Cell]]:
    """{anchor: (question, answer, the cell that shows it)}.

    ``hints``: whether an answer says which options would show more.
    """
    middle, unreached = _most_covered(c), _unreached(c)
    outside, inside = _output(c, inside=False), _output(c, inside=True)

    stride = _then(Sentence("conv.stride_answer"), "conv.stride_fits", not unreached)
    return {
        "flipped": (
            Sentence("conv.flipped"),
            Sentence("conv.flipped_answer"),
            ("dx", _key(middle)),
        ),
        "channels": (
            Sentence("conv.channels"),
            _then(
                Sentence("conv.channels_answer"),
                "conv.channels_hint",
                hints and c.x.shape[1] == 1,
            ),
            ("y", _key((0, 0, *(inside or (0, 0))))),
        ),
        "plus-equals": (
            Sentence("conv.plus_equals"),
            Sentence("conv.plus_equals_answer"),
            ("col2im", _key(middle)),
        ),
        "stride-does-not-fit": (
            Sentence("conv.stride"),
            _then(stride, "conv.stride_hint", hints and not unreached),
            ("dx", _key(unreached or (0, 0, c.x.shape[2] - 1, c.x.shape[3] - 1))),
        ),
        "padding": (
            Sentence("conv.padding"),
            _then(Sentence("conv.padding_answer"), "conv.padding_hint", hints and not outside),
            ("y", _key((0, 0, *(outside or (0, 0))))),
        ),
    }


def _then(first: Sentence, second: str, wanted: bool) -> Sentence:
    return Sentence("page.two", first=first, second=Sentence(second)) if wanted else first


def shown(anchor: str, question: str, answer: str, cell: Cell) -> str:
    """A question as an item of the page's list."""
    link = as_html(question, f'a href="#{anchor}"')
    place = html.escape(json.dumps(cell))
    return f'<li id="{anchor}" data-cell="{place}">{link}{as_html(answer, "p")}</li>'


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
