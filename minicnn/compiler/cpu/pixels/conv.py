"""Convolution of one image: a ``Product`` whose runs are neighbouring pixels.

As in tiles (``compiler/cpu/conv.py``), a row is an output channel and tap (c, i, j) a run of what
the windows see through the kernel's cell (i, j). Here a cell takes one place, and a run can go on
from line to line: if those of y lie as far apart as those of x, one run is a whole channel. With a
kernel of 2 x 2, the taps (0, 0), (0, 1), (1, 0) and (1, 1) see x from A, B, E and F on:

    x   A B C D     y   a b c -     a = w00 A + w01 B + w10 E + w11 F
        E F G H         d e f -     b = w00 B + w01 C + w10 F + w11 G
        I J K L

Where a window would begin in one line and end in the next, y has a cell that means nothing (-). Or
a run is a line of outputs, up to a multiple of 16 cells. The plan takes what computes fewer cells.

A stride needs no other way: it takes each channel apart (``PixelFrame``), and the convolution of
the small pictures has stride 1.
"""

from __future__ import annotations

from minicnn.kernels.tiles.product import FROM_BIAS, FROM_ZERO, Product

from ...table import shapes
from .plan import Picture, PixelLowering, PixelPlan, frame_of, reframed, up


class Conv2d(PixelLowering):
    """See ``ops.conv`` for the formulas and the names O, C, KH, KW, SH, DH..."""

    def forward(self, plan: PixelPlan, x: Picture) -> Picture:
        (o, c, kh, kw), (oh, ow) = self.stage.parameters[0].shape, self.operation.output
        x, taps = self._in_frame(plan, x), c * kh * kw
        # a run is a whole channel, from its first window to its last, or a line of outputs
        whole, of_line = up((oh - 1) * x.line + ow), up(ow)
        if whole <= oh * of_line:
            y = plan.picture((o, oh, ow), x.line, whole)
            lines, length = 1, whole
        else:  # no two lines of y overlap, though each ends in cells that mean nothing
            y = plan.picture((o, oh, ow), of_line, oh * of_line)
            lines, length = oh, of_line
        places = [plan.parameter(p) for p in self.stage.parameters]
        # where a line begins in y and in x, its first tap, its taps, its length
        line_table = [(r * y.line, r * x.line, 0, taps, length) for r in range(lines)]
        op = Product(
            y=y,
            x=x,
            w=places[0],
            rows=o,
            y_rows=plan.table(range(0, o * y.channel, y.channel)),
            # the weights are a matrix (O, C KH KW): row by row, tap by tap
            w_rows=plan.table(range(0, o * taps, taps)),
            x_taps=plan.table(self._runs(x)),
            w_taps=plan.table(range(taps)),
            lines=lines,
            line_table=plan.table([number for line in line_table for number in line]),
            begin=FROM_BIAS if len(places) > 1 else FROM_ZERO,
            bias=places[-1],  # not read from zero
        )
        what = f"{shapes(self.stage.input_shape, y.shape)}, {kh}x{kw}"
        plan.emit(op, "conv", what, 2 * o * oh * ow * taps)
        return y

    def _in_frame(self, plan: PixelPlan, x: Picture) -> Picture:
        """x with its padding or, where the last windows reach further, as far as they do."""
        stride, (ph, pw), (dh, dw) = self.operation.window
        (_, _, kh, kw), (oh, ow) = self.stage.parameters[0].shape, self.operation.output
        lines = max(x.shape[1] + 2 * ph, (oh - 1) * stride[0] + (kh - 1) * dh + 1)
        columns = max(x.shape[2] + 2 * pw, (ow - 1) * stride[1] + (kw - 1) * dw + 1)
        if stride == (1, 1) and (lines, columns) == x.shape[1:]:
            return x
        return reframed(plan, x, frame_of(x.shape, (lines, columns), (ph, pw), stride))

    def _runs(self, x: Picture) -> list[int]:
        """Where the run of each tap begins, counted from the first cell of x in its frame."""
        (sh, sw), _, (dh, dw) = self.operation.window
        _, c, kh, kw = self.stage.parameters[0].shape
        small = x.channel // (sh * sw)  # the size of one of the pictures that a channel became
        # window 0 sees line i DH through the kernel's line i: number i DH // SH of those with its
        # remainder modulo SH; columns likewise
        return [
            channel * x.channel
            + (i * dh % sh * sw + j * dw % sw) * small
            + i * dh // sh * x.line
            + j * dw // sw
            for channel in range(c)
            for i in range(kh)
            for j in range(kw)
        ]
