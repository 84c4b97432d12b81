"""Convolution in a compiled step on the CPU.

The kernels see a picture in its frame: with the padding's zeros around it, and the columns of each
line sorted by their remainder modulo the stride. A line of 5 columns, padding 1 and stride 2, where
a letter is a column of 16 images and a dot is a zero:

    picture         A B C D E
    with padding    . A B C D E .         columns 0 1 2 3 4 5 6
    in its frame    . B D .  A C E -      columns 0 2 4 6, then 1 3 5; the last place is not used

A kernel of 3 columns finds three windows: ``. A B``, ``B C D``, ``D E .``. Through the kernel's
column j = 0 they see ``. B D``, through j = 1 ``A C E``, through j = 2 ``B D .``: in the frame each
of these is a *run*, columns that lie next to each other. It is a line of im2col's row (c, i, j),
and it need not be copied. So a line of outputs is a sum of runs, each times a weight: a ``Product``
(``kernels/tiles/product.py``). Its tables say where the runs begin; this file makes them.

A kernel of 1 x 1 with a stride sees some lines and columns only. They are *picked*, and on what is
picked the kernel has no stride.
"""

from __future__ import annotations

from math import prod

from minicnn.kernels.arrays import LANES
from minicnn.kernels.tiles.move import Picked, SetZero
from minicnn.kernels.tiles.product import (
    ADD,
    FROM_BIAS,
    FROM_ZERO,
    ConvDWeight,
    KernelGradient,
    Product,
    SumRows,
)
from minicnn.kernels.tiles.winograd import TurnPoints

from ..table import shapes
from .layout import (
    Images,
    frame_of,
    into_frame,
    out_of_frame,
    pick_from,
    shape_of,
    spread_out,
)
from .plan import Buffer, CpuLowering, Plan

STRIP = 64 * LANES  # numbers of a channel in a strip of ``ConvDWeight``
ONCE = 40_000  # weights whose gradients are put in order in one piece of work


def strips_of(
    lines: list[tuple[int, int, int]],
) -> tuple[list[tuple[int, int]], list[tuple[int, int, int]]]:
    """Lines in strips of about ``STRIP`` numbers: of each its first line and its lines; the lines.

    lines: the place of each in dy and in x, and its length. One that is longer is cut, each piece a
    strip of its own.
    """
    pieces = [
        (y + start, x + start, min(STRIP, length - start))
        for y, x, length in lines
        for start in range(0, length, STRIP)
    ]
    cut = len(pieces) > len(lines)
    together = 1 if cut else max(1, STRIP // lines[0][2])
    firsts = range(0, len(pieces), together)
    return [(first, min(together, len(pieces) - first)) for first in firsts], pieces


class Conv2d(CpuLowering):
    """See ``ops.conv`` for the formulas and the names O, C, KH, KW, SH, DH...

    Attributes:
        picked: the lines and columns that are picked, if the kernel is one of 1 x 1 with a stride.
        stride: of lines; 1 if they are picked.
        framed: the frame; ``line`` is the distance from one of its lines to the next.
        runs: for each column j of the kernel, where its run begins in a line of the frame.
        x_line, y_line: from what one line of outputs sees, or is, to the next line's.
        lines: of outputs, each its place in y, in x, its length. Where y and x go on alike from one
            line to the next, all are one.
    """

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        self._measure()
        if self.picked is not None:
            x = pick_from(plan, x, self.picked)
        self.x = into_frame(plan, x, self.framed) if self.is_framed else x
        return self._forward(plan)

    def forward_of(self, plan: Plan, images: Images) -> Buffer:
        """If it is the net's first layer: the pictures are loaded into their frame right away."""
        self._measure()
        if self.picked is not None:
            return self.forward(plan, images.load(plan))
        self.x = images.load(plan, self.framed)
        return self._forward(plan)

    def _forward(self, plan: Plan) -> Buffer:
        c, lines, _ = shape_of(self.framed)
        (o, _, kh, kw), (oh, ow) = self.shape, self.operation.output
        dh = self.operation.window[2][0]
        self.places = [plan.parameter(p) for p in self.stage.parameters]
        self.taps = c * kh * kw
        # tap (channel, i, j), counted from the line of channel 0 where a line of windows begins
        self.x_taps = plan.table(
            [
                (channel * lines + i * dh) * self.line + self.runs[j]
                for channel in range(c)
                for i in range(kh)
                for j in range(kw)
            ]
        )
        y = plan.buffer((o, oh, ow), by_tile=True)
        plane, self.y_line = oh * ow * LANES, ow * LANES
        # a row is an output channel: of y, and of the weights as a matrix (O, C KH KW)
        self.y_rows = plan.table(range(0, o * plane, plane))
        # the windows of the next line of outputs begin SH lines further down in the frame
        self.x_line = self.stride * self.line
        self.lines = [(r * self.y_line, r * self.x_line, self.y_line) for r in range(oh)]
        if self.x_line == self.y_line:  # as with a kernel of one column, no stride and no padding
            self.lines = [(0, 0, plane)]
        line_table = [(y_place, x_place, 0, self.taps, n) for y_place, x_place, n in self.lines]
        self.flops = 2 * y.cells * self.taps
        op = Product(
            y=y,
            x=self.x,
            w=self.places[0],
            rows=o,
            y_rows=self.y_rows,
            w_rows=plan.table(range(0, o * self.taps, self.taps)),
            x_taps=self.x_taps,
            w_taps=plan.table(range(self.taps)),
            lines=len(self.lines),
            line_table=plan.table([number for line in line_table for number in line]),
            begin=FROM_BIAS if len(self.places) > 1 else FROM_ZERO,
            bias=self.places[-1],  # not read from zero
            y_tile=y.cells * LANES,
            x_tile=self.x.cells * LANES,
        )
        what = f"{shapes(self.stage.input_shape, y.shape)}, {kh}x{kw}"
        plan.emit(op, "conv", what, self.flops)
        return y

    def _measure(self) -> None:
        """Find the frame, and the run of each of the kernel's columns in it."""
        (sh, sw), (ph, pw), (dh, dw) = self.operation.window
        oh, ow = self.operation.output
        self.shape = self.stage.parameters[0].shape
        (_, _, kh, kw), (c, h, w) = self.shape, self.stage.input_shape
        self.picked = None
        # what is picked is a picture as large as the result
        if kh == kw == 1 and (ph, pw) == (0, 0) and (sh, sw) != (1, 1):
            self.picked = Picked(c, h, w, oh, ow, sh, sw)
            h, w, sh, sw = oh, ow, 1, 1
        self.stride = sh
        # the picture with its padding or, where the last windows reach further, as far as they do
        lines = max(h + 2 * ph, (oh - 1) * sh + (kh - 1) * dh + 1)
        columns = max(w + 2 * pw, (ow - 1) * sw + (kw - 1) * dw + 1)
        self.framed = frame_of((c, h, w), (lines, columns), (ph, pw), sw)
        self.is_framed = sw > 1 or (lines, columns) != (h, w)
        fw = self.framed.columns
        self.line = sw * fw * LANES
        # window 0 sees column j DW through j: number j DW // SW of those with its remainder
        self.runs = [((j * dw) % sw * fw + (j * dw) // sw) * LANES for j in range(kw)]

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        if self.learns[0]:
            self._dweight(plan, dy)
        if len(self.learns) > 1 and self.learns[1]:
            plane = prod(dy.shape[1:]) * LANES
            op = SumRows(dy, self.places[1], dy.shape[0], plane, plane, dy.cells * LANES)
            plan.emit(op, "conv dbias", shapes(dy.shape, dy.shape[:1]), dy.cells)
        return self._dinput(plan, dy) if self.needs_dinput else None

    def _dweight(self, plan: Plan, dy: Buffer) -> None:
        """A sum over cells. Where the channels fill registers, it pays to turn x."""
        outputs, channels = self.shape[:2]
        # what another stage sums at points is added to the same weight's gradient once a step; two
        # kinds of sums would be added there at the same time
        at_points = ("form", id(self.stage.parameters[0])) in plan.shared
        if outputs >= LANES and channels % LANES == 0 and not at_points:
            self._product_dweight(plan, dy)
        else:
            self._dots_dweight(plan, dy)

    def _dots_dweight(self, plan: Plan, dy: Buffer) -> None:
        strips, lines = strips_of(self.lines)
        op = ConvDWeight(
            dy=dy,
            x=self.x,
            dweight=self.places[0],  # gradients lie as the weights do
            pitch=self.taps,
            rows=self.shape[0],
            y_rows=self.y_rows,
            taps=self.taps,
            x_taps=self.x_taps,
            strips=len(strips),
            strip_table=plan.table([number for strip in strips for number in (0, *strip)]),
            line_table=plan.table([number for line in lines for number in line]),
            y_tile=dy.cells * LANES,
            x_tile=self.x.cells * LANES,
        )
        plan.emit(op, "conv dweight", shapes(dy.shape, self.shape), self.flops)

    def _product_dweight(self, plan: Plan, dy: Buffer) -> None:
        """A ``Product`` as a dense layer's dW: a row is an output channel, a tap an image of a cell
        of dy, and a run all channels of x there.

        For that x is turned: an image of a cell has its channels side by side. A line is a cell
        (i, j) of the kernel. So the sums lie as (i, j, o, c), which is put in order once a step.
        """
        (o, c, kh, kw), (oh, ow) = self.shape, dy.shape[1:]
        framed_plane, tile = self.x.cells // c * LANES, self.x.cells * LANES
        turned = plan.buffer((self.x.cells // c, c), by_tile=True)
        turn = TurnPoints(self.x, turned, 1, c, framed_plane, 0, c, tile, tile)
        plan.emit(turn, "turn", shapes(self.x.shape, turned.shape))
        weight, size = self.stage.parameters[0], kh * kw * o * c
        sums, is_first = plan.sums_for(weight, "sums of the kernel's cells", size)
        # a place p in the framed picture's first channel is p C in the turned one
        dh, plane = self.operation.window[2][0], oh * ow * LANES
        # where the kernel's cell (i, j) sees the first window
        seen = [i * dh * self.line + run for i in range(kh) for run in self.runs]
        lines = [(n * o * c, place * c, 0, plane, c) for n, place in enumerate(seen)]
        # where cell (i, j) = (0, 0) sees image k of line r: one place for each number of dy's plane
        taps = [r * self.x_line + k for r in range(oh) for k in range(self.y_line)]
        # all tiles are added to the same sums: y has no step from tile to tile, x and w have
        op = Product(
            y=sums,
            x=turned,
            w=dy,
            rows=o,
            y_rows=plan.table(range(0, o * c, c)),
            w_rows=self.y_rows,
            x_taps=plan.table([place * c for place in taps]),
            w_taps=plan.table(range(plane)),
            lines=len(lines),
            line_table=plan.table([number for line in lines for number in line]),
            begin=ADD,
            x_tile=tile,
            is_gradient=1,
            w_tile=dy.cells * LANES,
        )
        plan.emit(op, "conv dweight", shapes(dy.shape, self.shape), self.flops)
        some = max(1, ONCE // self.taps)  # output channels
        for first in range(0, o, some) if is_first else []:
            once = KernelGradient(sums, self.places[0], kh * kw, o, c, first, min(o, first + some))
            plan.emit_once(plan.epilogue, once, "conv dweight", f"{shapes(self.shape)}, in order")

    def _dinput(self, plan: Plan, dy: Buffer) -> Buffer:
        """A ``Product`` that adds lines of dy to lines of the framed dx.

        Its rows are (channel, j): each is added to that channel of dx, at the run of column j. Its
        taps are (i, output channel). Line h of dx gets something through the kernel's line i if a
        line r of dy has h = r SH + i DH. So h and i DH have the same remainder modulo SH, and
        r = h // SH - i DH // SH has to be one of dy's lines. The taps are sorted by that remainder:
        then those of a line h come one after the other.

        With KH = 3, SH = 2, DH = 1: i = 0 and 2 serve even h, i = 1 odd ones; the order is 0, 2, 1.
        """
        sh, (dh, _) = self.stride, self.operation.window[2]
        (o, c, kh, kw), (oh, plane) = self.shape, (dy.shape[1], prod(dy.shape[1:]) * LANES)
        lines = self.framed.lines
        dframed = plan.buffer(shape_of(self.framed), by_tile=True)
        # then each line of dx is one of dy's, and nothing is added to it
        is_cell = kh == kw == 1 and not self.is_framed
        if not is_cell:
            plan.emit(SetZero(dframed, dframed.cells * LANES), "zero", shapes(dframed.shape))
        sorted_i = [i for remainder in range(sh) for i in range(kh) if i * dh % sh == remainder]
        # line h of dx; line h // SH of dy, from where its taps count back (it need not exist
        # itself); its first tap, and how many it has; the length of its runs
        line_table: list[int] = [0, 0, 0, o, plane] if is_cell else []
        # nobody asks for the lines of padding
        for h in () if is_cell else range(self.framed.top, self.framed.top + self.framed.height):
            used = [
                n
                for n, i in enumerate(sorted_i)
                if i * dh % sh == h % sh and 0 <= h // sh - i * dh // sh < oh
            ]
            if used:
                taps = (used[0] * o, len(used) * o)
                line_table += [h * self.line, h // sh * self.y_line, *taps, self.y_line]
        op = Product(
            y=dframed,
            x=dy,
            w=self.places[0],
            rows=c * kw,
            # row (channel k, j) and tap (i, output) share the weight [output, k, i, j]
            y_rows=plan.table([k * lines * self.line + run for k in range(c) for run in self.runs]),
            w_rows=plan.table([k * kh * kw + j for k in range(c) for j in range(kw)]),
            x_taps=plan.table(
                [
                    output * plane - i * dh // sh * self.y_line
                    for i in sorted_i
                    for output in range(o)
                ]
            ),
            w_taps=plan.table(
                [(output * c * kh + i) * kw for i in sorted_i for output in range(o)]
            ),
            lines=len(line_table) // 5,
            line_table=plan.table(line_table),
            begin=FROM_ZERO if is_cell else ADD,
            y_tile=dframed.cells * LANES,
            x_tile=dy.cells * LANES,
        )
        without_frame = c, self.framed.height, self.framed.width
        plan.emit(op, "conv dinput", shapes(dy.shape, without_frame), self.flops)
        dx = out_of_frame(plan, dframed, self.framed) if self.is_framed else dframed
        return dx if self.picked is None else spread_out(plan, dx, self.picked)
