"""The dense layer in a compiled step on the CPU: three products with all images of the group.

A group's activations are a matrix (features, images). Forward, y = W x + b, row o of y is w[o, :]
times the rows of x; the input gradient dx = Wᵀ dy takes the same weights by columns. In the weight
gradient dW = dy xᵀ the sum runs over the images; x is turned first, so that its features lie in a
row, as those of dW do.
"""

from __future__ import annotations

from minicnn.kernels.arrays import LANES
from minicnn.kernels.tiles.move import Turn
from minicnn.kernels.tiles.product import (
    ADD,
    FROM_BIAS,
    FROM_ZERO,
    IMAGES,
    Product,
    SumRows,
)

from ..table import shapes
from .layout import as_matrix
from .plan import Buffer, CpuLowering, Plan


class Linear(CpuLowering):
    """See ``ops.linear``. O outputs, K features."""

    def forward(self, plan: Plan, x: Buffer) -> Buffer:
        self.o, self.k = o, k = self.stage.parameters[0].shape
        self.x = as_matrix(plan, x)
        self.places = [plan.parameter(p) for p in self.stage.parameters]
        self.features = plan.table(range(0, k * plan.images, plan.images))  # the rows of x
        self.outputs = plan.table(range(0, o * plan.images, plan.images))  # the rows of y
        self.weight_rows = plan.table(range(0, o * k, k))
        self.weight_columns = plan.table(range(k))
        self.flops = 2 * o * k
        y = plan.buffer((o,), by_tile=False)
        op = Product(
            y=y,
            x=self.x,
            w=self.places[0],
            rows=o,
            y_rows=self.outputs,
            w_rows=self.weight_rows,
            x_taps=self.features,
            w_taps=self.weight_columns,
            lines=1,
            # one line, which begins where y and x begin; its taps are 0 to k - 1
            line_table=plan.table([0, 0, 0, k, IMAGES]),
            begin=FROM_BIAS if len(self.places) > 1 else FROM_ZERO,
            bias=self.places[-1],  # without a bias that of the weights, and not read
        )
        plan.emit(op, "dense", shapes((k,), (o,)), self.flops)
        return y

    def backward(self, plan: Plan, dy: Buffer) -> Buffer | None:
        if self.learns[0]:
            self._dweight(plan, dy)
        if len(self.learns) > 1 and self.learns[1]:
            dbias = SumRows(dy, self.places[1], self.o, plan.images, IMAGES, 0)
            plan.emit(dbias, "dense dbias", shapes((self.o,)), self.o)
        return self._dinput(plan, dy) if self.needs_dinput else None

    def _dinput(self, plan: Plan, dy: Buffer) -> Buffer:
        dx = plan.buffer((self.k,), by_tile=False)
        # forward's tables with rows and taps exchanged: weight (k, o) of Wᵀ is at column k of row o
        op = Product(
            y=dx,
            x=dy,
            w=self.places[0],
            rows=self.k,
            y_rows=self.features,
            w_rows=self.weight_columns,
            x_taps=self.outputs,
            w_taps=self.weight_rows,
            lines=1,
            line_table=plan.table([0, 0, 0, self.o, IMAGES]),
        )
        plan.emit(op, "dense dinput", shapes((self.o,), (self.k,)), self.flops)
        return dx

    def _dweight(self, plan: Plan, dy: Buffer) -> None:
        # a row of x ends in zeros up to a multiple of 16: they add nothing to the next row of dW
        length = -(-self.k // LANES) * LANES
        turned = plan.buffer((length,), by_tile=False)
        turn = Turn(self.x, turned, self.k, plan.images, length)
        plan.emit(turn, "turn", shapes((self.k,)))
        op = Product(
            y=self.places[0],
            x=turned,
            w=dy,
            rows=self.o,
            y_rows=self.weight_rows,
            w_rows=self.outputs,
            # tap i is image i: a row of the turned x, and a column of dy
            x_taps=plan.table(range(0, plan.images * length, length)),
            w_taps=plan.table(range(plan.images)),
            lines=1,
            # the last group may have fewer images than the tables: only theirs are summed
            line_table=plan.table([0, 0, 0, IMAGES, length]),
            begin=ADD,
            is_gradient=1,
        )
        plan.emit(op, "dense dweight", shapes((self.o,), (self.o, self.k)), self.flops)
