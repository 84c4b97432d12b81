"""Convolution in a compiled step on a GPU, with the activation and the pooling that follow it.

One kernel forward, two backward. How their work is cut up stands in ``tiling``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import ops
from minicnn.device import to_host
from minicnn.kernels import Array
from minicnn.kernels.arrays import NONE

from ..record import Stage
from ..table import shapes
from . import tiling
from .program import GpuLowering, Program, Value

NO_POOLING, AVERAGE, MAXIMUM = range(3)  # as in kernels/gpu/conv.cu


class GpuConv2d(GpuLowering):
    """See ``ops.conv``. Nothing is copied into columns: blocks keep pictures in shared memory.

    Attributes:
        pool: what it does after the activation, with the rows and columns of a window.
    """

    takes_activation = True
    pool: tuple[int, int, int] = NO_POOLING, 1, 1

    def __init__(self, stage: Stage, needs_dinput: bool):
        super().__init__(stage, needs_dinput)
        stride, padding, dilation = self.operation.window
        # a thread's work is cut up by the sizes alone: see tiling
        (self.o, c, kh, kw), output = stage.parameters[0].shape, self.operation.output
        h, w = stage.input_shape[1:]
        self.size = tiling.Geometry(self.o, c, h, w, kh, kw, *stride, *padding, *dilation, *output)

    def take_pooling(self, stage: Stage) -> bool:
        """Do a pooling in the same kernel, if its windows neither overlap nor reach out."""
        pooling: Any = stage.operation
        window, stride, padding = pooling.window[:3]
        if isinstance(pooling, ops.MaxPool2d):
            kind, is_usual = MAXIMUM, pooling.window[3] == (1, 1)
        else:  # a divisor of the user's own is left to avg_pool
            kind, is_usual = (
                AVERAGE,
                bool((to_host(pooling.divisor) == window[0] * window[1]).all()),
            )
        inside = self.size.oh // window[0], self.size.ow // window[1]
        fits = (stride, padding, stage.output_shape[1:]) == (window, (0, 0), inside)
        if not (is_usual and fits) or tiling.forward(self.size, window) is None:
            return False
        self.pool = kind, *window
        return True

    def forward(self, program: Program, x: Value) -> Value:
        self.x, size, (kind, *window) = x, self.size, self.pool
        is_pooled = kind != NO_POOLING
        way = tiling.forward(size, tuple(window) if is_pooled else None)
        assert way is not None
        # what only backward reads: all cells for the slope before an average, or who won a window
        keeps = program.goes_back and (any(self.learns) or self.needs_dinput)
        keeps_cells = not is_pooled or (keeps and kind == AVERAGE and self.kind != NONE)
        keeps_winner = keeps and kind == MAXIMUM
        result = self._result(program)
        y = result.array
        self.y = program.value((self.o, size.oh, size.ow)).array if keeps_cells and is_pooled else y
        winners = y.shape if keeps_winner else (1,)
        self.winner = program.buffer(*winners, dtype=np.uint8)
        w, b, has_bias = self._parameters()
        self.flops = 2 * program.images * self.o * size.oh * size.ow * size.c * size.kh * size.kw
        what = f"{shapes(x.shape, result.shape)}, {size.kh}x{size.kw}"
        blocks = way.blocks(size, program.images, is_pooled)
        program.launch("conv_forward", self.title, what, max(1, blocks), x.array, w, b, self.y, y,
                       self.winner, program.n, has_bias, self.kind,
                       int(keeps_cells or keeps_winner), *self.pool, *size, *way,
                       flops=self.flops, block=way.threads, cells=way.shared(size))  # fmt: skip
        return result

    def _result(self, program: Program) -> Value:
        """Where it goes. The slope at a window's winner is a function of what left the window."""
        kind, rows, columns = self.pool
        shape = self.o, self.size.oh // rows, self.size.ow // columns
        return program.value(shape, NONE if kind == AVERAGE else self.kind)

    @property
    def title(self) -> str:
        """Its name, with those of what follows."""
        return super().title + ("", ", avg pool", ", max pool")[self.pool[0]]

    def backward(self, program: Program, dy: Array) -> Array | None:
        if any(self.learns):
            self._dweight(program, dy)
        return self._dinput(program, dy) if self.needs_dinput else None

    def _dweight(self, program: Program, dy: Array) -> None:
        """The images are shared out among blocks: each leaves a part of every sum."""
        size, (w, _, has_bias) = self.size, self._parameters()
        way = tiling.dweight(size)
        parts = way.parts(size, program.images)
        dw, db = self._gradients(program, parts)
        arrays = self.x.array, dy, self.y, self.winner, dw, db
        program.launch("conv_dweight", "conv dweight, dbias", shapes(dy.shape[1:], w.shape),
                       parts * way.groups(size), *arrays, program.n, has_bias, self.kind,
                       *self.pool, *size, *way, flops=self.flops, block=way.threads,
                       cells=way.shared(size))  # fmt: skip

    def _dinput(self, program: Program, dy: Array) -> Array:
        size, x, dx = self.size, self.x, program.value(self.x.shape)
        way, w = tiling.dinput(size), self._parameters()[0]
        arrays = dy, self.y, self.winner, w, x.array, dx.array
        program.launch("conv_dinput", "conv dinput", shapes(dy.shape[1:], x.shape),
                       max(1, way.blocks(size, program.images)), *arrays, program.n, x.kind,
                       self.kind, *self.pool, *size, *way, flops=self.flops, block=way.threads,
                       cells=way.shared(size))  # fmt: skip
        return dx.array
