"""Convolution of one image: a ``Product`` whose runs are neighbouring pixels.

As in tiles (``compiler/cpu/conv.py``), a row is an output channel and tap (c, i, j) a run of what
the windows see through the kernel's cell (i, j). Here a cell takes one place, and a run goes on
from line to line, so that one run is a whole channel of y. For that x is copied once for each
column j of the kernel: of each line what the windows of that line see through column j. With a
kernel of 2 x 2:

    x   A B C D     j = 0   A B C     j = 1   B C D     y   a b c
        E F G H             E F G             F G H         d e f
        I J K L             I J K             J K L

The taps (0, 0), (0, 1), (1, 0) and (1, 1) see runs from A, B, E and F on: of the first copy from
its line i = 0 or 1 on, or of the second. So a is w00 A + w01 B + w10 E + w11 F, and d, three cells
further on, w00 E + w01 F + w10 I + w11 J. A stride is one of the copies, too: see ``PixelFrame``.

Where a line of y fills registers (16 cells or a multiple), and the stride along it is 1, there is
no need: a run is a line, and column j of the kernel sees x from its cell j on.
"""

from __future__ import annotations

from minicnn.kernels.arrays import LANES
from minicnn.kernels.tiles.pixels import PixelFrame
from minicnn.kernels.tiles.product import FROM_BIAS, FROM_ZERO, Product

from ...table import shapes
from .plan import Picture, PixelLowering, PixelPlan, reframed, up


class Conv2d(PixelLowering):
    """See ``ops.conv`` for the formulas and the names O, C, KH, KW, SH, DH..."""

    def forward(self, plan: PixelPlan, x: Picture) -> Picture:
        (o, c, kh, kw), (oh, ow) = self.stage.parameters[0].shape, self.operation.output
        taps, frame = c * kh * kw, self._frame(x)
        if (frame.copies, frame.stride_down, frame.lines, frame.columns) != (1, 1, *x.shape[1:]):
            x = reframed(plan, x, frame)
        y = plan.picture((o, oh, ow), up(oh * ow))
        lines, length = (oh, ow) if self._by_line() else (1, y.channel)
        places = [plan.parameter(p) for p in self.stage.parameters]
        # where a line begins in y and in x, its first tap, its taps, its length
        line_table = [(r * ow, r * frame.columns, 0, taps, length) for r in range(lines)]
        op = Product(
            y=y,
            x=x,
            w=places[0],
            rows=o,
            y_rows=plan.table(range(0, o * y.channel, y.channel)),
            # the weights are a matrix (O, C KH KW): row by row, tap by tap
            w_rows=plan.table(range(0, o * taps, taps)),
            x_taps=plan.table(self._runs(frame, x.channel)),
            w_taps=plan.table(range(taps)),
            lines=lines,
            line_table=plan.table([number for line in line_table for number in line]),
            begin=FROM_BIAS if len(places) > 1 else FROM_ZERO,
            bias=places[-1],  # not read from zero
        )
        what = f"{shapes(self.stage.input_shape, y.shape)}, {kh}x{kw}"
        plan.emit(op, "conv", what, 2 * o * oh * ow * taps)
        return y

    def _by_line(self) -> bool:
        (_, sw), _, _ = self.operation.window
        return sw == 1 and self.operation.output[1] % LANES == 0

    def _frame(self, x: Picture) -> PixelFrame:
        """How x lies where the runs are read: its lines, framed, and the columns that a run has."""
        (sh, sw), (ph, pw), (_, dw) = self.operation.window
        (_, _, _, kw), (_, ow) = self.stage.parameters[0].shape, self.operation.output
        channels, height, width = x.shape
        columns = ow + (kw - 1) * dw if self._by_line() else ow
        copies, small = 1 if self._by_line() else kw, (-(-(height + 2 * ph) // sh), columns)
        return PixelFrame(channels, height, width, ph, pw, sh, sw, *small, copies, dw)

    def _runs(self, frame: PixelFrame, channel: int) -> list[int]:
        """Where the run of each tap begins, counted from the first cell of x in its frame."""
        _, _, (dh, dw) = self.operation.window
        _, c, kh, kw = self.stage.parameters[0].shape
        sh, small = frame.stride_down, frame.lines * frame.columns
        # window 0 sees line i DH through the kernel's line i: number i DH // SH of those with its
        # remainder modulo SH
        return [
            number * channel
            + (j * dw if self._by_line() else j * sh * small)
            + i * dh % sh * small
            + i * dh // sh * frame.columns
            for number in range(c)
            for i in range(kh)
            for j in range(kw)
        ]
