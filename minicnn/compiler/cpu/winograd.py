"""Convolution by Winograd's algorithm in a compiled step on the CPU: fewer products along a line.

``kernels/winograd.py`` has the matrices, ``kernels/tiles/winograd.py`` the instructions and the
formulas, docs/winograd.md derives them. At each of a piece's N points the convolution is again a
sum over channels and the kernel's lines, so the products are the same ``Product`` and
``ConvDWeight`` as in ``conv.py``; only the tables differ.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minicnn.kernels.arrays import LANES
from minicnn.kernels.tiles.product import FROM_ZERO, ConvDWeight, Product, SumRows
from minicnn.kernels.tiles.winograd import (
    FromPoints,
    Pieces,
    ToPoints,
    WeightGradient,
    WeightsToPoints,
)
from minicnn.kernels.winograd import matrices

from ..record import Stage
from ..table import shapes
from .conv import Conv2d, strips_of
from .plan import Buffer, CpuLowering, Plan

# By the kernel's columns, the outputs of a piece that are tried. Their number is bounded by what is
# lost to rounding (docs/winograd.md).
OUTPUTS = {3: (4, 6), 5: (4, 2), 7: (2,)}
WORTH = 0.9  # of the direct sums' work: less is not worth the rounding
POINT_ONE = 1  # the number of the point 1: there A dy is the sum of a piece


class Cut(NamedTuple):
    """Lines cut into ``pieces`` pieces of ``outputs`` outputs and ``points`` points each."""

    outputs: int
    points: int
    pieces: int


def best_cut(stage: Stage, needs_dinput: bool) -> Cut | None:
    """The cut that takes the fewest multiplications, or None where all sums as they are do.

    Counted for an image, as in training. Going to the points and back takes twice as long as its
    multiplications: a number is loaded and stored for a few of them.
    """
    operation: Any = stage.operation
    stride, _, dilation = operation.window
    (o, c, kh, kw), (oh, ow) = stage.parameters[0].shape, operation.output
    h = stage.input_shape[1]
    if stride != (1, 1) or dilation != (1, 1):
        return None
    passes = 3 if needs_dinput else 2
    best, least = None, WORTH * passes * o * c * kh * kw * oh * ow
    for outputs in OUTPUTS.get(kw, ()):
        points, count = outputs + kw - 1, -(-ow // outputs)
        there_and_back = 2 * o * oh * points * outputs + (passes - 1) * c * h * points * points
        products = passes * o * c * kh * oh * points
        work = count * (products + 2 * there_and_back)
        if work < least:
            best, least = Cut(outputs, points, count), work
    return best


def conv2d(stage: Stage, needs_dinput: bool) -> CpuLowering:
    """The lowering of a convolution, whichever takes less time."""
    cut = best_cut(stage, needs_dinput)
    return Conv2d(stage, needs_dinput) if cut is None else WinogradConv2d(stage, needs_dinput, cut)


class WinogradConv2d(CpuLowering):
    """See ``ops.conv`` for the names O, C, KH, KW, OH...; stride and dilation are 1.

    Attributes:
        cut: how lines are cut; ``length`` is that of a line's pieces at one point.
        x_plane, y_plane: of a channel at one point, in places.
        x, dy: the input and its result's gradient, at the points.
    """

    def __init__(self, stage: Stage, needs_dinput: bool, cut: Cut):
        super().__init__(stage, needs_dinput)
        self.cut, self.length = cut, cut.pieces * LANES
        self.shape = self.o, self.c, self.kh, self.kw = stage.parameters[0].shape
        self.ph, self.pw = self.operation.window[1]
        self.h, self.w = stage.input_shape[1:]
        self.oh, self.ow = self.operation.output
        self.x_lines = self.h + 2 * self.ph
        self.x_plane, self.y_plane = self.x_lines * self.length, self.oh * self.length
        self.matrices = matrices(cut.outputs, self.kw)

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        points, taps = self.cut.points, self.c * self.kh
        self.places = [plan.parameter(p) for p in self.stage.parameters]
        self.weights_to_points(plan)
        pieces = self._pieces_of_x(self.ph, self.x_lines)
        self.x = self._to_points(plan, x, self.matrices.inputs, pieces, "conv to points")
        # tap (c, i), counted from the line of channel 0 at a point
        self.x_taps = plan.table(
            [
                c * points * self.x_plane + i * self.length
                for c in range(self.c)
                for i in range(self.kh)
            ]
        )
        # a row is an output channel: of the result, and of dy, at a point
        self.y_rows = plan.table(range(0, self.o * points * self.y_plane, points * self.y_plane))
        at_points = plan.buffer((self.o * points, self.oh, self.cut.pieces), by_tile=True)
        # a line for each point: all of a channel's lines in one run
        lines = [
            (p * self.y_plane, p * self.x_plane, p * taps, taps, self.y_plane)
            for p in range(points)
        ]
        # the weights at a point; those at the next one follow
        w_size = -(-self.o // 4) * 4 * taps
        op = Product(
            y=at_points,
            x=self.x,
            w=self.weights,
            rows=self.o,
            y_rows=self.y_rows,
            w_rows=plan.table(_fours(self.o, taps)),
            x_taps=plan.table(plan.tables[self.x_taps : self.x_taps + taps] * points),
            w_taps=plan.table([p * w_size + 4 * k for p in range(points) for k in range(taps)]),
            lines=points,
            line_table=plan.table([number for line in lines for number in line]),
            begin=FROM_ZERO,
            y_tile=at_points.cells * LANES,
            x_tile=self.x.cells * LANES,
        )
        y = plan.buffer((self.o, self.oh, self.ow), by_tile=True)
        self.flops = 2 * at_points.cells * taps
        form = f"{self.kh}x{self.kw}, F({self.cut.outputs}, {self.kw})"
        plan.emit(op, "conv", f"{shapes(self.stage.input_shape, y.shape)}, {form}", self.flops)
        pieces = self._pieces_of_y()
        self._from_points(plan, at_points, y, self.matrices.outputs, pieces, "conv from points")
        return y

    def weights_to_points(self, plan: Plan) -> None:
        """G w, for both products: once a step."""
        o, c, kh, kw = self.shape
        points = self.cut.points
        self.g = plan.constant(_numbers(self.matrices.weights))
        self.weights = plan.constant(np.zeros(points * -(-o // 4) * 4 * c * kh))
        # rows in fours: the last four may not be complete
        size = points * -(-c // 4) * 4 * kh * o if self.needs_dinput else 0
        self.turned = plan.constant(np.zeros(size))
        op = WeightsToPoints(
            self.places[0],
            self.weights,
            self.turned,
            int(self.needs_dinput),
            self.g,
            points,
            *self.shape,
        )
        plan.emit_once(
            plan.prologue, op, "conv weights", f"{shapes(self.shape)}, F({self.cut.outputs}, {kw})"
        )

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        learns_bias = len(self.learns) > 1 and self.learns[1]
        matrix = self.matrices.outputs.T
        self.dy = self._to_points(plan, dy, matrix, self._pieces_of_y(), "conv dy to points")
        if self.learns[0]:
            self._dweight(plan)
        if learns_bias:
            pitch, first = self.cut.points * self.y_plane, POINT_ONE * self.y_plane
            tile = self.dy.cells * LANES
            op = SumRows(self.dy, self.places[1], self.o, pitch, self.y_plane, tile, first)
            plan.emit(
                op, "conv dbias", shapes(dy.shape, dy.shape[:1]), self.dy.cells // self.cut.points
            )
        return self._dinput(plan) if self.needs_dinput else None

    def _dweight(self, plan: Plan) -> None:
        points, rows = self.cut.points, self.o * self.c * self.kh
        sums = plan.extra(points * rows)
        # each point has a dW of its own: its place, and the runs of a strip
        cuts = [
            (p * rows, *strips_of([(p * self.y_plane, p * self.x_plane, self.y_plane)]))
            for p in range(points)
        ]
        lines = [line for _, _, pieces in cuts for line in pieces]
        dweights = [dweight for dweight, strips, _ in cuts for _ in strips]
        op = ConvDWeight(
            dy=self.dy,
            x=self.x,
            dweight=sums,
            rows=self.o,
            y_rows=self.y_rows,
            taps=self.c * self.kh,
            x_taps=self.x_taps,
            strips=len(lines),
            strip_table=plan.table(
                [n for k, dweight in enumerate(dweights) for n in (dweight, k, 1)]
            ),
            line_table=plan.table([number for line in lines for number in line]),
            y_tile=self.dy.cells * LANES,
            x_tile=self.x.cells * LANES,
        )
        plan.emit(op, "conv dweight", shapes((self.o, self.oh, self.ow), self.shape), self.flops)
        once = WeightGradient(sums, self.places[0], self.g, points, rows, self.kw)
        plan.emit_once(plan.epilogue, once, "conv dweight", f"{shapes(self.shape)}, from points")

    def _dinput(self, plan: Plan) -> Buffer:
        """Rows are channels of dx, taps (i, output channel): line h gets line h + PH - i of dy.

        Where a line has all i, so have its neighbours: one run goes through all of them.
        """
        points, taps, plane = self.cut.points, self.kh * self.o, self.h * self.length
        # its first line, how many lines, their first i, how many i
        runs: list[list[int]] = []
        for h in range(self.h):
            inside = [i for i in range(self.kh) if 0 <= h + self.ph - i < self.oh]
            i = [inside[0], len(inside)]
            if runs and runs[-1][2:] == i:
                runs[-1][1] += 1
            else:
                runs.append([h, 1, *i])
        # at each point: its place in dx and in dy, its first tap and its taps, its length
        lines = [
            (
                p * plane + h * self.length,
                p * self.y_plane + (h + self.ph) * self.length,
                p * taps + first * self.o,
                count * self.o,
                n * self.length,
            )
            for p in range(points)
            for h, n, first, count in runs
        ]
        # dx at the points, without the padding, for which nobody asks
        at_points = plan.buffer((self.c * points, self.h, self.cut.pieces), by_tile=True)
        w_size = -(-self.c // 4) * 4 * taps
        op = Product(
            y=at_points,
            x=self.dy,
            w=self.turned,
            rows=self.c,
            y_rows=plan.table(range(0, self.c * points * plane, points * plane)),
            w_rows=plan.table(_fours(self.c, taps)),
            x_taps=plan.table(
                [
                    output * points * self.y_plane - i * self.length
                    for i in range(self.kh)
                    for output in range(self.o)
                ]
                * points
            ),
            w_taps=plan.table([p * w_size + 4 * k for p in range(points) for k in range(taps)]),
            lines=len(lines),
            line_table=plan.table([number for line in lines for number in line]),
            begin=FROM_ZERO,
            y_tile=at_points.cells * LANES,
            x_tile=self.dy.cells * LANES,
        )
        products = points * self.cut.pieces * self.c * self.o
        flops = 2 * products * sum(n * count for _, n, _, count in runs)
        plan.emit(
            op, "conv dinput", shapes((self.o, self.oh, self.ow), self.stage.input_shape), flops
        )
        dx = plan.buffer(self.stage.input_shape, by_tile=True)
        matrix, pieces = self.matrices.inputs.T, self._pieces_of_x(0, self.h)
        self._from_points(plan, at_points, dx, matrix, pieces, "conv dinput from points")
        return dx

    # Pieces ---------------------------------------------------------------------------------------

    def _pieces_of_x(self, top: int, lines: int) -> Pieces:
        cut = self.cut
        return Pieces(
            self.c, self.h, self.w, cut.pieces, cut.outputs, self.pw, top, lines, cut.points
        )

    def _pieces_of_y(self) -> Pieces:
        cut = self.cut
        return Pieces(self.o, self.oh, self.ow, cut.pieces, cut.outputs, 0, 0, self.oh, cut.points)

    def _to_points(
        self, plan: Plan, x: Buffer, matrix: np.ndarray, pieces: Pieces, name: str
    ) -> Buffer:
        out = plan.buffer((pieces.channels * pieces.points, pieces.lines, pieces.number), True)
        cells = max(4, matrix.shape[1])  # two cells are taken as four, two of them times zero
        numbers = np.zeros((len(matrix), cells))
        numbers[:, : matrix.shape[1]] = matrix
        constant, tiles = plan.constant(numbers), (x.cells * LANES, out.cells * LANES)
        op = ToPoints(x, out, constant, cells, pieces, *tiles, plan.zeros())
        plan.emit(op, name, shapes(x.shape, out.shape))
        return out

    def _from_points(
        self, plan: Plan, x: Buffer, y: Buffer, matrix: np.ndarray, pieces: Pieces, name: str
    ) -> None:
        is_result = len(matrix) == pieces.step  # only the forward result has a bias
        has_bias = is_result and len(self.places) > 1
        constant, tiles = plan.constant(_numbers(matrix)), (x.cells * LANES, y.cells * LANES)
        op = FromPoints(x, y, constant, len(matrix), pieces, *tiles, self.places[-1], int(has_bias))
        plan.emit(op, name, shapes(x.shape, y.shape))


def _fours(rows: int, taps: int) -> list[int]:
    """Where each row's weights begin: four rows lie next to each other, tap by tap."""
    return [row // 4 * 4 * taps + row % 4 for row in range(rows)]


def _numbers(matrix: Any) -> np.ndarray:
    return np.asarray(matrix, np.float64)
