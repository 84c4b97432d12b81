"""In which form a convolution takes the least work: as it is defined, or one of Winograd's."""

from __future__ import annotations

from typing import Any, NamedTuple

from minicnn.kernels.tiles.winograd import OUTPUTS
from minicnn.kernels.winograd import STRIDED

from ..record import Stage

WORTH = 0.95  # of the direct sums' work: less is not worth the rounding


class Form(NamedTuple):
    """How a convolution is cut.

    Attributes:
        is_square: F(4 x 4, 3 x 3); otherwise F(4, 3) or F(4, 5) along each line.
        points: of a piece of y and dy.
        lines: of the kernel, among the taps: KH, and 1 of a square.
        steps: vector operations of a piece: x to its points, dy to them, y from them, dx from them.
        stride: 1 or 2.
        values: of a piece of x, of dx and of the kernel, each by its point. With a stride some
            points have several: their products are added up there.
    """

    is_square: bool
    points: int
    lines: int
    steps: tuple[int, int, int, int]
    stride: int
    values: tuple[int, ...]


STRIDED_VALUES = tuple(5 * i + j for i in STRIDED for j in STRIDED)


def forms_of(kernel_size: tuple[int, int], stride: tuple[int, int]) -> list[Form]:
    """Those that such a kernel can take."""
    kh, kw = kernel_size
    if stride == (2, 2) and kh == kw == 3:
        return [Form(True, 25, 1, (1500, 400, 600, 2000), 2, STRIDED_VALUES)]
    if stride != (1, 1):
        return []
    rows = {
        3: [Form(False, 6, kh, (30, 22, 22, 32), 1, tuple(range(6)))],
        5: [Form(False, 8, kh, (46, 28, 30, 50), 1, tuple(range(8)))],
    }
    squares = [Form(True, 36, 1, (300, 160, 160, 320), 1, tuple(range(36)))]
    return rows.get(kw, []) + (squares if kh == kw == 3 else [])


def best_form(stage: Stage, needs_dinput: bool) -> Form | None:
    """The form with the least work, or None where that is to compute the sums as they are defined.

    Work is counted in vector operations for a tile, as in training. A row of a product costs about
    four more than it has taps.
    """
    operation: Any = stage.operation
    stride, _, dilation = operation.window
    if dilation != (1, 1):
        return None
    (o, c, kh, kw), (oh, ow) = stage.parameters[0].shape, operation.output
    passes = 3 if needs_dinput else 2
    # the direct sums: a multiplication for each weight of each output
    best, least = None, WORTH * passes * o * (c * kh * kw + 4) * oh * ow
    for form in forms_of((kh, kw), stride):
        pieces = (-(-oh // OUTPUTS) if form.is_square else oh) * -(-ow // OUTPUTS)
        # of each value a row for each output channel (for dX as much the other way round)
        products = passes * o * (c * form.lines + 4) * len(form.values)
        of_x, of_dy, of_y, of_dx = form.steps
        there_and_back = c * (of_x + of_dx * needs_dinput) + o * (of_dy + of_y)
        work = pieces * (products + there_and_back)
        if work < least:
            best, least = form, work
    return best
