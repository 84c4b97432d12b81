"""Activations by themselves and dropout in a compiled step on a GPU."""

from __future__ import annotations

import numpy as np

from minicnn.kernels import Array
from minicnn.kernels.arrays import NONE

from ..cpu.plan import shapes
from ..record import ACTIVATIONS, Stage
from .program import Lowering, Program, Value, through_activation


class Activation(Lowering):
    """By itself, where no kernel before it takes it along."""

    def __init__(self, stage: Stage, needs_dinput: bool):
        super().__init__(stage, needs_dinput)
        self.kind = ACTIVATIONS[type(stage.operation)]

    def forward(self, program: Program, x: Value) -> Value:
        self.x, y = x, program.value(x.shape, self.kind)
        name = self.operation.name.lower()
        program.over_cells("activate", name, shapes(x.shape), y.array.size, (x.array, y.array),
                           self.kind)  # fmt: skip
        return y

    def backward(self, program: Program, dy: Array) -> Array | None:
        if not self.needs_dinput or self.x.kind == NONE:
            return dy if self.needs_dinput else None
        return through_activation(program, dy, self.x)


class Dropout(Lowering):
    """Draws the mask forward, and the same one again backward."""

    def forward(self, program: Program, x: Value) -> Value:
        self.x, y = x, program.value(x.shape)
        self.mask = program.masks
        program.masks += 1
        self._launch(program, "dropout", x.array, y.array, NONE)
        return y

    def backward(self, program: Program, dy: Array) -> Array | None:
        if not self.needs_dinput:
            return None
        dx = program.value(self.x.shape)
        self._launch(program, "dropout dinput", dy, dx.array, self.x.kind)
        return dx.array

    def _launch(self, program: Program, name: str, x: Array, y: Array, kind: int) -> None:
        key = program.keys[2 * self.mask : 2 * self.mask + 2]
        arguments = x, self.x.array, y, np.int64(y.size), key, program.dtype.type(self.operation.p)
        blocks = program.gpu.blocks(y.size)
        program.launch("dropout", name, shapes(self.x.shape), blocks, *arguments, kind)
