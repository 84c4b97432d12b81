"""Convolution in a compiled step on the CPU.

The kernels see a picture in its frame: padding's zeros around it, and the columns of each line
sorted by their remainder modulo the stride. A line of 5 columns, padding 1 and stride 2 lies so
(each number is a column of 16 images):

    picture           0 1 2 3 4
    with padding    . 0 1 2 3 4 .          columns 0 to 6 of the frame
    in its frame    . 1 3 .   0 2 4 -      columns 0 2 4 6, then 1 3 5 and one that nobody reads

Window o (3 columns wide) sees the frame's columns 2o, 2o + 1, 2o + 2. What all windows see through
their column j = 0 is then a run of neighbours, ``. 1 3``; through j = 1 it is ``0 2 4``, through
j = 2 ``1 3 .``: each is a line of im2col's row (c, i, j), without a copy. So a tap (c, i, j) is the
place of its run's first cell, and a line of outputs is a product of runs: ``Product`` in
``kernels/tiles/product.py``.
"""

from __future__ import annotations

from math import prod

from minicnn.kernels.arrays import LANES
from minicnn.kernels.tiles.move import SetZero
from minicnn.kernels.tiles.product import (
    ADD,
    FROM_BIAS,
    FROM_ZERO,
    ConvDWeight,
    Product,
    SumRows,
)

from ..table import shapes
from .layout import Images, frame_of, into_frame, out_of_frame, shape_of
from .plan import Buffer, CpuLowering, Plan


class Conv2d(CpuLowering):
    """See ``ops.conv`` for the formulas. N, C, H, W, O, OH, OW, KH, KW as there."""

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        self._measure()
        self.x = into_frame(plan, x, self.framed) if self.is_framed else x
        return self._forward(plan)

    def forward_of(self, plan: Plan, images: Images) -> Buffer:
        """As the first of a chain: the pictures are loaded into their frame right away."""
        self._measure()
        self.x = images.load(plan, self.framed)
        return self._forward(plan)

    def _forward(self, plan: Plan) -> Buffer:
        c, lines, _ = shape_of(self.framed)
        (o, _, kh, kw), (oh, ow) = self.shape, self.operation.output
        (sh, _), _, (dh, _) = self.operation.window
        self.places = [plan.parameter(p) for p in self.stage.parameters]
        self.taps = c * kh * kw
        # tap (k, i, j): i DH lines below the line's place in channel k, at the run of column j
        self.x_taps = plan.table(
            [
                (k * lines + i * dh) * self.line + self.columns[j]
                for k in range(c)
                for i in range(kh)
                for j in range(kw)
            ]
        )
        y = plan.buffer((o, oh, ow), by_tile=True)
        plane, self.y_line = oh * ow * LANES, ow * LANES
        # row k is channel k of y, and row k of the weights as a matrix (O, C KH KW)
        self.y_rows = plan.table(range(0, o * plane, plane))
        # line r of y begins at line r SH of x, and has all taps
        self.x_line = sh * self.line
        line_table = [(r * self.y_line, r * self.x_line, 0, self.taps) for r in range(oh)]
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
            lines=oh,
            line_table=plan.table([number for line in line_table for number in line]),
            length=self.y_line,
            begin=FROM_BIAS if len(self.places) > 1 else FROM_ZERO,
            bias=self.places[-1],
            y_tile=y.cells * LANES,
            x_tile=self.x.cells * LANES,
        )
        what = f"{shapes(self.stage.input_shape, y.shape)}, {kh}x{kw}"
        plan.emit(op, "conv", what, self.flops)
        return y

    def _measure(self) -> None:
        """The frame, the places of a line in it, and the run of each of the kernel's columns."""
        (sh, sw), (ph, pw), (dh, dw) = self.operation.window
        oh, ow = self.operation.output
        self.shape = self.stage.parameters[0].shape
        (_, _, kh, kw), (_, h, w) = self.shape, self.stage.input_shape
        # what the windows reach; the frame may be larger than the padding, never smaller
        lines = max(h + 2 * ph, (oh - 1) * sh + (kh - 1) * dh + 1)
        columns = max(w + 2 * pw, (ow - 1) * sw + (kw - 1) * dw + 1)
        self.framed = frame_of(self.stage.input_shape, (lines, columns), (ph, pw), sw)
        self.is_framed = sw > 1 or (lines, columns) != (h, w)
        fw = self.framed.columns
        self.line = sw * fw * LANES
        # the first window sees column j DW: number j DW // SW of those with the same remainder
        self.columns = [((j * dw) % sw * fw + (j * dw) // sw) * LANES for j in range(kw)]

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        if self.learns[0]:
            self._dweight(plan, dy)
        if len(self.learns) > 1 and self.learns[1]:
            plane = prod(dy.shape[1:]) * LANES
            op = SumRows(dy, self.places[1], dy.shape[0], plane, plane, dy.cells * LANES)
            plan.emit(op, "conv dbias", shapes(dy.shape, dy.shape[:1]), dy.cells)
        return self._dinput(plan, dy) if self.needs_dinput else None

    def _dweight(self, plan: Plan, dy: Buffer) -> None:
        op = ConvDWeight(
            dy=dy,
            x=self.x,
            dweight=self.places[0],
            rows=self.shape[0],
            y_rows=self.y_rows,
            taps=self.taps,
            x_taps=self.x_taps,
            lines=dy.shape[1],
            length=self.y_line,
            y_line=self.y_line,
            x_line=self.x_line,
            y_tile=dy.cells * LANES,
            x_tile=self.x.cells * LANES,
        )
        plan.emit(op, "conv dweight", shapes(dy.shape, self.shape), self.flops)

    def _dinput(self, plan: Plan, dy: Buffer) -> Buffer:
        """The same product from dy to dx: rows are (c, j), taps are (i, o).

        Line h of dx gets something from each line r of dy with h = r SH + i DH. Those i whose i DH
        has the same remainder modulo SH serve the same lines h: sorted by it, the taps of any line
        stand in a row.
        """
        (sh, _), _, (dh, _) = self.operation.window
        (o, c, kh, kw), (oh, plane) = self.shape, (dy.shape[1], prod(dy.shape[1:]) * LANES)
        lines = self.framed.lines
        dframed = plan.buffer(shape_of(self.framed), by_tile=True)
        plan.emit(SetZero(dframed, dframed.cells * LANES), "zero", shapes(dframed.shape))
        sorted_i = [i for remainder in range(sh) for i in range(kh) if i * dh % sh == remainder]
        # line h: from which line of dy its taps are counted, the first tap, how many
        line_table: list[int] = []
        for h in range(lines):
            used = [
                n
                for n, i in enumerate(sorted_i)
                if i * dh % sh == h % sh and 0 <= h // sh - i * dh // sh < oh
            ]
            if used:
                taps = (used[0] * o, len(used) * o)
                line_table += [h * self.line, h // sh * self.y_line, *taps]
        op = Product(
            y=dframed,
            x=dy,
            w=self.places[0],
            rows=c * kw,
            # row (k, j): column j's run in channel k of dx; w[:, k, :, j]
            y_rows=plan.table([k * lines * self.line + j for k in range(c) for j in self.columns]),
            w_rows=plan.table([k * kh * kw + j for k in range(c) for j in range(kw)]),
            # tap (i, k): in channel k of dy, i DH / SH lines above; w[k, :, i, :]
            x_taps=plan.table(
                [k * plane - i * dh // sh * self.y_line for i in sorted_i for k in range(o)]
            ),
            w_taps=plan.table([(k * c * kh + i) * kw for i in sorted_i for k in range(o)]),
            lines=len(line_table) // 4,
            line_table=plan.table(line_table),
            length=self.y_line,
            begin=ADD,
            y_tile=dframed.cells * LANES,
            x_tile=dy.cells * LANES,
        )
        plan.emit(op, "conv dinput", shapes(dy.shape, self.stage.input_shape), self.flops)
        return out_of_frame(plan, dframed, self.framed) if self.is_framed else dframed
