"""The questions of a convolution's page, and the cells that answer them."""

from __future__ import annotations

import numpy as np

from ..notes import key
from ..questions import Questions, then
from ..words import Sentence
from .grids import is_map
from .numbers import Convolution


def questions(c: Convolution, hints: bool = True) -> Questions:
    """What the page answers. ``hints``: whether an answer says which options would show more."""
    middle, unreached = _most_covered(c), _unreached(c)
    outside, inside = _output(c, inside=False), _output(c, inside=True)

    stride = then(Sentence("conv.stride_answer"), "conv.stride_fits", not unreached)
    return {
        "flipped": (
            Sentence("conv.flipped"),
            Sentence("conv.flipped_answer"),
            ("dx", key(*middle)),
        ),
        "channels": (
            Sentence("conv.channels"),
            then(
                Sentence("conv.channels_answer"),
                "conv.channels_hint",
                hints and c.x.shape[1] == 1,
            ),
            ("y", key(0, 0, *(inside or (0, 0)))),
        ),
        "plus-equals": (
            Sentence("conv.plus_equals"),
            Sentence("conv.plus_equals_answer"),
            ("col2im", key(*middle)),
        ),
        "stride-does-not-fit": (
            Sentence("conv.stride"),
            then(stride, "conv.stride_hint", hints and not unreached),
            ("dx", key(*(unreached or (0, 0, c.x.shape[2] - 1, c.x.shape[3] - 1)))),
        ),
        "padding": (
            Sentence("conv.padding"),
            then(Sentence("conv.padding_answer"), "conv.padding_hint", hints and not outside),
            ("y", key(0, 0, *(outside or (0, 0)))),
        ),
        **_more(c, hints),
    }


def _more(c: Convolution, hints: bool) -> Questions:
    """On the bias, the batch, dilation, and dx as a convolution."""
    n, taps = len(c.x), [k // 2 for k in c.kernel_size]
    middle, dilated = key(0, 0, *_most_covered(c)[2:]), max(c.dilation) > 1
    batch, dilation = Sentence("conv.batch_answer"), Sentence("conv.dilation_answer")
    asked = {
        "batch": (
            Sentence("conv.batch"),
            then(batch, "conv.batch_hint", hints and n == 1),
            ("dweight", key(0, 0, *taps)),
        ),
        "dilation": (
            Sentence("conv.dilation"),
            then(dilation, "conv.dilation_hint", hints and not dilated),
            ("y", key(0, 0, *(_output(c, inside=True) or (0, 0)))),
        ),
    }
    grouped = then(Sentence("conv.groups_answer"), "conv.groups_hint", hints and c.groups == 1)
    last = key(0, len(c.weight) - 1, *(_output(c, inside=True) or (0, 0)))
    asked["groups"] = (Sentence("conv.groups"), grouped, ("y", last))
    if c.bias is not None:
        asked["bias"] = (Sentence("conv.bias_asked"), Sentence("conv.bias_answer"), ("dbias", "0"))
    if not is_map(c):
        transposed = Sentence("conv.transposed_answer")
        asked["transposed"] = (Sentence("conv.transposed"), transposed, ("transposed", middle))
    return asked


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
