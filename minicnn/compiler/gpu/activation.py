"""Activations and dropout in a compiled step on a GPU, each by a kernel of its own."""

from __future__ import annotations

import numpy as np

from minicnn.kernels import Array
from minicnn.kernels.arrays import NONE

from ..record import ACTIVATIONS, Stage
from ..table import shapes
from .chain import Link
from .program import GpuLowering, Program, Value, through_activation


class GpuActivation(GpuLowering):
    """An activation by itself (after a pooling, say), unless the kernel before it applies it."""

    def __init__(self, stage: Stage, needs_dinput: bool):
        super().__init__(stage, needs_dinput)
        self.kind = ACTIVATIONS[type(stage.operation)]

    def forward(self, program: Program, x: Value) -> Value:
        self.x = x
        if self.is_applied:
            return x
        y = program.value(x.shape, self.kind)
        name = self.operation.name.lower()
        program.over_cells("activate", name, shapes(x.shape), y.array.size, (x.array, y.array),
                           self.kind, each=4)  # fmt: skip
        return y

    def backward(self, program: Program, dy: Array) -> Array | None:
        if not self.needs_dinput:
            return None
        # its own slope is in dy already; what is left is that of the activation before it
        return dy if self.is_applied else through_activation(program, dy, self.x)


class GpuDropout(GpuLowering):
    """Draws the mask forward, and the same one again backward: it is a function of its key."""

    link: Link

    def forward(self, program: Program, x: Value) -> Value:
        self.x, y = x, program.value(x.shape)
        self.key = program.mask_key()
        if self.chain is not None:
            self.link = self.chain.add(self, x, y, None, self.key, self.operation.p)
            return y
        self._launch(program, "dropout", x.array, y.array, NONE)
        return y

    def backward(self, program: Program, dy: Array) -> Array | None:
        if self.chain is not None:
            return self.link.dx
        if not self.needs_dinput:
            return None
        dx = program.value(self.x.shape)
        self._launch(program, "dropout dinput", dy, dx.array, self.x.kind)
        return dx.array

    def _launch(self, program: Program, name: str, x: Array, y: Array, kind: int) -> None:
        p = program.dtype.type(self.operation.p)
        # forward (kind NONE) it is y = x * mask; backward x is dy, y is dx, and the slope counts
        arguments = x, self.x.array, y, np.int64(y.size), self.key, p, kind
        blocks = program.gpu.blocks(-(-y.size // 4))  # a thread takes four cells
        program.launch("dropout", name, shapes(self.x.shape), blocks, *arguments)
