"""One of two numbers, cell by cell: what frameworks' ``where``, ``maximum`` and ``clip`` need."""

from __future__ import annotations

from minicnn.kernels import Array, array_module
from minicnn.ops.arithmetic import unbroadcast
from minicnn.ops.operation import Operation


class Choose(Operation):
    """y = a where the condition holds, b elsewhere; dy goes to the one that was taken."""

    reads = ()

    def __init__(self, condition: Array):
        self.condition = condition

    def forward(self, a: Array, b: Array) -> Array:
        self.shapes = a.shape, b.shape
        return array_module(a).where(self.condition, a, b)

    def backward(self, dy: Array) -> tuple[Array, Array]:
        where, zero = array_module(dy).where, dy.dtype.type(0)
        to_a, to_b = where(self.condition, dy, zero), where(self.condition, zero, dy)
        return unbroadcast(to_a, self.shapes[0]), unbroadcast(to_b, self.shapes[1])
