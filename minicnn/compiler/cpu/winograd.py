"""Convolution by Winograd's algorithm in a compiled step on the CPU: fewer products.

``kernels/winograd.py`` has the matrices, ``kernels/tiles/winograd.py`` the instructions and the
formulas, docs/winograd.md derives them. At each of a piece's points the convolution is again a sum
over channels (along a row, over channels and the kernel's lines), so the products are the same
``Product`` and ``ConvDWeight`` as in ``conv.py``; only the tables differ.
"""

from __future__ import annotations

import numpy as np

from minicnn.kernels.arrays import LANES
from minicnn.kernels.tiles import winograd as tiles
from minicnn.kernels.tiles.move import SetZero
from minicnn.kernels.tiles.product import ADD, FROM_ZERO, ConvDWeight, Product, SumRows
from minicnn.kernels.tiles.winograd import OUTPUTS, Pieces
from minicnn.kernels.tiles.winograd_weights import WeightGradient, WeightsToPoints

from ..record import Stage
from ..table import shapes
from .conv import Conv2d, strips_of
from .form import Form, best_form
from .plan import Buffer, Constant, CpuLowering, Extra, Plan
from .points import pitched, sixteens, weights_at_points, whole

STRIP_BYTES = 600_000  # of a strip's points, so that they stay in a core's second cache
LINES_BYTES = 200_000  # the same of a strip of lines, of the result alone
SHORTEST = 256  # places of a run: with shorter ones a product takes longer to begin them
ONCE = 100_000  # weights that are taken to the points, and back, in one piece of work


def conv2d(stage: Stage, needs_dinput: bool) -> CpuLowering:
    """The lowering of a convolution, whichever takes less time."""
    form = best_form(stage, needs_dinput)
    if form is None:
        return Conv2d(stage, needs_dinput)
    return WinogradConv2d(stage, needs_dinput, form)


class WinogradConv2d(CpuLowering):
    """See ``ops.conv`` for the names O, C, KH, KW, OH...; dilation is 1.

    Attributes:
        across: pieces in a line, each 16 places long at one point.
        x_plane, y_plane, dx_plane: of a channel's pieces in a strip, at one point, in places.
        strips: that a picture is cut into, so that a strip's points stay in the cache.
        x_cells: the input.
        x, dy: the input and its result's gradient at a strip's points: (point, channel, piece).
            With a stride x has several values at a point. Of several strips those of x are computed
            again on the way back: that takes less time than to keep them meanwhile, outside of the
            caches.
        direct: what computes the sums as they are defined, if another stage uses the weight with
            another stride.
    """

    def __init__(self, stage: Stage, needs_dinput: bool, form: Form):
        super().__init__(stage, needs_dinput)
        self.form = form
        self.direct: Conv2d | None = None

    def _measure(self) -> None:
        self.shape = self.o, self.c, kh, kw = self.stage.parameters[0].shape
        self.padding = ph, _ = self.operation.window[1]
        (_, h, _), (oh, ow) = self.stage.input_shape, self.operation.output
        self.across = -(-ow // OUTPUTS)
        if self.form.is_square:
            pieces = -(-oh // OUTPUTS) * self.across
            numbers = self.c * len(self.form.values) + self.o * self.form.points
            a_piece = numbers * LANES * self.stage.parameters[0].dtype.itemsize
            fitting = [n for n in (4, 2) if n * a_piece <= STRIP_BYTES]
            number = min(pieces, *fitting[:1] or [1])
            self.strips = -(-pieces // number)
            self.x_plane = self.y_plane = self.dx_plane = number * LANES
            of_stride = ", stride 2" if self.form.stride == 2 else ""
            self.name = f"F({OUTPUTS}x{OUTPUTS}, {kh}x{kw}{of_stride})"
        else:
            line = self.across * LANES
            self.strips = self._strips_of_lines(line)
            self.x_plane, self.y_plane = (h + 2 * ph) * line, oh // self.strips * line
            self.dx_plane, self.name = h * line, f"F({OUTPUTS}, {kw})"
        self.taps = self.c * self.form.lines
        # of the kernel, that a number at the points is made of
        self.cells = kh * kw // self.form.lines
        self.x_point, self.dx_point = (
            pitched(self.c * self.x_plane),
            pitched(self.c * self.dx_plane),
        )
        self.y_point = pitched(self.o * self.y_plane)

    def _strips_of_lines(self, line: int) -> int:
        """A row's strip has some lines of the result. x is at its points as a whole.

        dx would need the neighbouring strips' dy: one strip, then.
        """
        oh, itemsize = self.operation.output[0], self.stage.parameters[0].dtype.itemsize
        a_line = self.o * self.form.points * line * itemsize
        strips = [n for n in range(1, oh + 1) if oh % n == 0 and oh // n * line >= SHORTEST]
        fitting = [n for n in strips if oh // n * a_line <= LINES_BYTES]
        return 1 if self.needs_dinput else min(fitting, default=max(strips, default=1))

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        # a weight that several stages share: all in the form of the first of them
        form = plan.shared.setdefault(("form", id(self.stage.parameters[0])), self.form)
        if form.stride != self.form.stride:  # that form's values are not those of this stage
            self.direct = Conv2d(self.stage, self.needs_dinput)
            return self.direct.forward(plan, x)
        self.form = form
        self._measure()
        points, line = self.form.points, self.across * LANES
        values = self.form.values
        self.places = [plan.parameter(p) for p in self.stage.parameters]
        self._weights_to_points(plan)
        # tap (c, i), counted from the line of channel 0 at a point
        x_taps = [
            c * self.x_plane + i * line for c in range(self.c) for i in range(self.form.lines)
        ]
        self.x_taps = plan.table(x_taps)
        # a row is an output channel: of the result, and of dy, at a point
        self.y_rows = plan.table(range(0, self.o * self.y_plane, self.y_plane))
        # a line for each point: all of a channel's pieces in one run; the taps of all its values
        counts = np.bincount(values) * self.taps
        lines = [
            (p * self.y_point, 0, last - count, count, self.y_plane)
            for p, (count, last) in enumerate(zip(counts, np.cumsum(counts), strict=True))
        ]
        in_order = sorted(range(len(values)), key=values.__getitem__)
        y, self.x_cells = plan.buffer(self.stage.output_shape, by_tile=True), x
        if not self.form.is_square:
            self.x = self._x_to_points(plan, "conv to points")
        with plan.strips(self.strips):
            if self.form.is_square:
                self.x = self._x_to_points(plan, "conv to points")
            at_points = plan.buffer((points, self.y_point // LANES), True, self.strips)
            op = Product(
                y=at_points,
                x=self.x,
                w=self.weights,
                rows=self.o,
                y_rows=self.y_rows,
                w_rows=plan.table(sixteens(self.o, self.taps)),
                x_taps=plan.table([v * self.x_point + tap for v in in_order for tap in x_taps]),
                w_taps=plan.table(weights_at_points(in_order, self.o, self.taps)),
                lines=points,
                line_table=plan.table([number for line in lines for number in line]),
                begin=FROM_ZERO,
                y_tile=at_points.cells * LANES,
                x_tile=self.x.cells * LANES,
                in_sixteens=1,
                x_strip=0 if self.form.is_square else self.y_plane,
            )
            of_points = len(values) * self.o * self.y_plane // LANES
            self.flops = 2 * of_points * self.strips * self.taps
            what = f"{shapes(self.stage.input_shape, self.stage.output_shape)}, {self.name}"
            plan.emit(op, "conv", what, self.flops)
            self._from_points(plan, at_points, y, tiles.Y, self._pieces_of_y(), "conv from points")
        return y

    def _weights_to_points(self, plan: Plan) -> None:
        """G w, for both products: once a step."""
        points = len(self.form.values)
        self.weights = plan.constant(np.zeros(points * whole(self.o) * self.taps))
        # the steps from one output channel, channel and line of the kernel to the next
        of_o, of_c, of_i = self.taps * self.cells, self.form.lines * self.cells, self.cells
        taps = self.c, of_c, self.form.lines, of_i
        self._emit_weights(plan, self.weights, (self.o, of_o, *taps))
        # those of dX, with rows and taps exchanged
        turned = points * whole(self.c) * self.form.lines * self.o
        self.turned = plan.constant(np.zeros(turned if self.needs_dinput else 0))
        if self.needs_dinput:
            taps = self.form.lines, of_i, self.o, of_o
            self._emit_weights(plan, self.turned, (self.c, of_c, *taps))

    def _emit_weights(self, plan: Plan, out: Constant, layout: tuple[int, ...]) -> None:
        for first, last in self._some(layout[0], LANES):
            numbers = (*layout, first, last)
            op = WeightsToPoints._make(
                (self.places[0], out, tiles.way_of(tiles.W, self.form.points), *numbers)
            )
            plan.emit_once(plan.prologue, op, "conv weights", f"{shapes(self.shape)}, to points")

    def _some(self, rows: int, multiple: int) -> list[tuple[int, int]]:
        """Rows that a thread takes at a time, where the kernels are many."""
        some = max(1, ONCE * rows // self.stage.parameters[0].size // multiple) * multiple
        return [(first, min(rows, first + some)) for first in range(0, rows, some)]

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        if self.direct is not None:
            return self.direct.backward(plan, dy)
        if len(self.learns) > 1 and self.learns[1]:
            plane = dy.cells // self.o * LANES
            op = SumRows(dy, self.places[1], self.o, plane, plane, dy.cells * LANES)
            plan.emit(op, "conv dbias", shapes(dy.shape, dy.shape[:1]), dy.cells)
        dx = plan.buffer(self.stage.input_shape, by_tile=True) if self.needs_dinput else None
        if dx is not None and self._leaves_out():
            plan.emit(SetZero(dx, dx.cells * LANES), "zero", shapes(dx.shape))
        with plan.strips(self.strips):
            if self.learns[0] or self.needs_dinput:
                pieces = self._pieces_of_y()
                self.dy = self._to_points(
                    plan, dy, tiles.DY, pieces, self.strips, "conv dy to points"
                )
            if self.learns[0]:
                if self.form.is_square and self.strips > 1:
                    self.x = self._x_to_points(plan, "conv x to points")
                self._dweight(plan)
            if dx is not None:
                self._dinput(plan, dx)
        return dx

    def _dweight(self, plan: Plan) -> None:
        """At each point; once a step, dW from that. Long runs are summed by ``ConvDWeight``.

        A square's strip has few pieces. There it pays to turn x, and the sum is a ``Product`` as
        that of a dense layer: rows are output channels, taps images of pieces, and runs channels.
        """
        pitch = whole(self.taps)
        weight, size = self.stage.parameters[0], len(self.form.values) * self.o * pitch
        sums, is_first = plan.sums_for(weight, "sums at points", size)
        if self.form.is_square:
            self._product_dweight(plan, sums, pitch)
        else:
            self._row_dweight(plan, sums, pitch)
        places = sums, self.places[0], tiles.way_of(tiles.DW, self.form.points)
        for first, last in self._some(self.o, 1) if is_first else []:
            once = WeightGradient(*places, self.o, self.taps, pitch, first, last)
            what = f"{shapes(self.shape)}, from points"
            plan.emit_once(plan.epilogue, once, "conv dweight", what)

    def _row_dweight(self, plan: Plan, sums: Extra, pitch: int) -> None:
        # each point has a dW of its own: its place, and the runs that are summed for it
        strip_table: list[int] = []
        lines: list[tuple[int, int, int]] = []
        for p in range(self.form.points):
            strips, pieces = strips_of([(p * self.y_point, p * self.x_point, self.y_plane)])
            for first, number in strips:
                strip_table += [p * self.o * pitch, len(lines) + first, number]
            lines += pieces
        op = ConvDWeight(
            dy=self.dy,
            x=self.x,
            dweight=sums,
            pitch=pitch,
            rows=self.o,
            y_rows=self.y_rows,
            taps=self.taps,
            x_taps=self.x_taps,
            strips=len(strip_table) // 3,
            strip_table=plan.table(strip_table),
            line_table=plan.table([number for line in lines for number in line]),
            y_tile=self.dy.cells * LANES,
            x_tile=self.x.cells * LANES,
            x_strip=self.y_plane,
        )
        plan.emit(op, "conv dweight", shapes(self.stage.output_shape, self.shape), self.flops)

    def _product_dweight(self, plan: Plan, sums: Extra, pitch: int) -> None:
        values, images = self.form.values, self.x_plane
        # images of all pieces of a strip; of each all channels, side by side
        turned = plan.buffer((len(values), images // LANES, pitch), True, self.strips)
        tile, turned_tile = self.x.cells * LANES, turned.cells * LANES
        of_x = len(values), self.c, self.x_plane, self.x_point, pitch
        plan.slack = max(
            plan.slack, LANES * self.x_plane
        )  # sixteen channels, though there are fewer
        turn = tiles.TurnPoints(self.x, turned, *of_x, tile, turned_tile)
        plan.emit(turn, "turn", shapes(self.x.shape, turned.shape))
        # at each point: its place in dW and in x, its first tap and its taps, the length of a row
        lines = [
            (v * self.o * pitch, v * images * pitch, v * images, images, pitch)
            for v in range(len(values))
        ]
        op = Product(
            y=sums,
            x=turned,
            w=self.dy,
            rows=self.o,
            y_rows=plan.table(range(0, self.o * pitch, pitch)),
            w_rows=self.y_rows,
            x_taps=plan.table([*range(0, images * pitch, pitch)] * len(values)),
            w_taps=plan.table([p * self.y_point + k for p in values for k in range(images)]),
            lines=len(values),
            line_table=plan.table([number for line in lines for number in line]),
            begin=ADD,
            x_tile=turned_tile,
            is_gradient=1,
            w_tile=self.dy.cells * LANES,
        )
        plan.emit(op, "conv dweight", shapes(self.stage.output_shape, self.shape), self.flops)

    def _leaves_out(self) -> bool:
        """Whether no window sees the picture's last line or column, as with a stride: no dx is
        put there."""
        stride, (oh, ow), (_, _, kh, kw) = self.form.stride, self.operation.output, self.shape
        (_, h, w), (ph, pw) = self.stage.input_shape, self.padding
        return (oh - 1) * stride + kh < h + ph or (ow - 1) * stride + kw < w + pw

    def _dinput(self, plan: Plan, dx: Buffer) -> None:
        """A ``Product`` with channels of dx as rows and (i, output channel) as taps."""
        values, taps, line = self.form.values, self.form.lines * self.o, self.across * LANES
        runs = self._runs_of_dx()
        # at each point: its place in dx and in dy, its first tap and its taps, its length
        lines = [
            (
                v * self.dx_point + h * line,
                p * self.y_point + dy_line * line,
                v * taps + first * self.o,
                count * self.o,
                length,
            )
            for v, p in enumerate(values)
            for h, dy_line, length, first, count in runs
        ]
        x_taps = [
            output * self.y_plane - i * line
            for i in range(self.form.lines)
            for output in range(self.o)
        ]
        # dx at the points, without the padding, for which nobody asks
        at_points = plan.buffer((len(values), self.dx_point // LANES), True, self.strips)
        op = Product(
            y=at_points,
            x=self.dy,
            w=self.turned,
            rows=self.c,
            y_rows=plan.table(range(0, self.c * self.dx_plane, self.dx_plane)),
            w_rows=plan.table(sixteens(self.c, taps)),
            x_taps=plan.table(x_taps * len(values)),
            w_taps=plan.table(weights_at_points(range(len(values)), self.c, taps)),
            lines=len(lines),
            line_table=plan.table([number for line in lines for number in line]),
            begin=FROM_ZERO,
            y_tile=at_points.cells * LANES,
            x_tile=self.dy.cells * LANES,
            in_sixteens=1,
        )
        cells = sum(length // LANES * count for _, _, length, _, count in runs) * self.strips
        what = shapes(self.stage.output_shape, self.stage.input_shape)
        plan.emit(op, "conv dinput", what, 2 * len(values) * self.c * self.o * cells)
        pieces = self._pieces_of_x(self.dx_plane)
        if not self.form.is_square:  # a line of pieces is a line of dx, not of the padded one
            pieces = pieces._replace(top=0)
        self._from_points(plan, at_points, dx, tiles.DX, pieces, "conv dinput from points")

    def _runs_of_dx(self) -> list[tuple[int, int, int, int, int]]:
        """Lines of dx that get something through the same lines i of the kernel, in one run.

        Of each the first line, the line of dy from which its taps count back, its length; its first
        i, and how many i. Line h gets line h + PH - i of dy through the kernel's line i.
        """
        if self.form.is_square:
            return [(0, 0, self.dx_plane, 0, 1)]
        runs: list[tuple[int, int, int, int, int]] = []
        ph, line = self.padding[0], self.across * LANES
        for h in range(self.dx_plane // line):
            inside = [i for i in range(self.form.lines) if 0 <= h + ph - i < self.y_plane // line]
            through = inside[0], len(inside)
            if runs and runs[-1][3:] == through:
                first, dy_line, length, *_ = runs.pop()
                runs.append((first, dy_line, length + line, *through))
            else:
                runs.append((h, h + ph, line, *through))
        return runs

    # Pieces ---------------------------------------------------------------------------------------

    def _pieces_of_x(self, plane: int) -> Pieces:
        (c, h, w), (ph, pw) = self.stage.input_shape, self.padding
        apart = OUTPUTS * self.form.stride
        return Pieces(c, h, w, self.across, plane // LANES, ph, pw, apart)

    def _pieces_of_y(self) -> Pieces:
        (o, oh, ow), number = self.stage.output_shape, self.y_plane // LANES
        return Pieces(o, oh, ow, self.across, number, 0, 0, OUTPUTS)

    def _x_to_points(self, plan: Plan, name: str) -> Buffer:
        # along a row x is at its points as a whole
        pieces, strips = self._pieces_of_x(self.x_plane), self.strips if self.form.is_square else 1
        return self._to_points(plan, self.x_cells, tiles.X, pieces, strips, name)

    def _to_points(
        self, plan: Plan, x: Buffer, what: int, pieces: Pieces, strips: int, name: str
    ) -> Buffer:
        way = tiles.way_of(what, self.form.points)
        shape = way.points, pitched(pieces.channels * pieces.number * LANES) // LANES
        out = plan.buffer(shape, True, strips)
        op = tiles.ToPoints(x, out, pieces, way, x.cells * LANES, out.cells * LANES, plan.zeros())
        plan.emit(op, name, shapes(x.shape, shape))
        return out

    def _from_points(
        self, plan: Plan, x: Buffer, y: Buffer, what: int, pieces: Pieces, name: str
    ) -> None:
        way, bias = tiles.way_of(what, self.form.points), self.places[-1]
        has_bias = int(len(self.places) > 1 and what == tiles.Y)
        op = tiles.FromPoints(x, y, pieces, way, x.cells * LANES, y.cells * LANES, bias, has_bias)
        plan.emit(op, name, shapes(x.shape, y.shape))
