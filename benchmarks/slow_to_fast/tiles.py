"""One operation as the compiled step runs it: its instructions, on groups of tiles.

A plan of a single operation, lowered as ``minicnn.compile`` does it. In a step a group's cells stay
in the core's cache from one instruction to the next; so they do here, where all groups of a batch
take their turn in the same memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from minicnn import ops
from minicnn.compiler.cpu.engine import Engine
from minicnn.compiler.cpu.lower import LOWERINGS
from minicnn.compiler.cpu.plan import Buffer, Part, Plan
from minicnn.compiler.cpu.shares import aligned
from minicnn.compiler.record import Stage
from minicnn.kernels.arrays import LANES
from minicnn.kernels.cpu.threads import get_num_threads, together
from minicnn.kernels.tiles.instruction import Group, row_of, write
from minicnn.kernels.tiles.product import ConvDWeight, SumRows
from minicnn.kernels.tiles.program import run
from minicnn.tensor import Tensor

from .layer import Array, Inputs, Layer
from .layout import from_tiles, to_tiles
from .pool import index_of
from .version import Work, Works

GROUP = 2  # tiles, of 16 images each: as in a plan of LeNet


class Worker:
    """What one thread writes into, and the row of ``Group`` where its kernels find everything."""

    def __init__(self, engine: Engine):
        plan = engine.plan
        self.memory = aligned(plan.memory, plan.dtype)
        # 64 places more: the last row of a gradient may be stored to a register's end
        self.gradients = aligned(plan.parameters_size + 64, plan.dtype)
        self.row = row_of(Group)
        write(Group, self.row, memory=self.memory, gradients=self.gradients)
        write(Group, self.row, weights=engine.weights, tables=engine.tables)


class OneOperation:
    """An operation's instructions, a part for each direction; x and dy lie in each thread's memory.

    What a direction computes of the first group can be read; the other groups compute the same.
    """

    def __init__(self, operation: Any, layer: Layer, arrays: Inputs, *parameters: Tensor):
        self.images = len(arrays.x)
        plan = Plan(GROUP, arrays.x.dtype)
        stage = Stage(operation, parameters, layer.x_shape, layer.y_shape)
        self.lowering: Any = LOWERINGS[type(operation)](stage, needs_dinput=True)
        self.x = plan.buffer(layer.x_shape, by_tile=True)
        self.y = self.lowering.forward(plan, self.x)
        forward = list(plan.lines)
        self.dy = plan.buffer(layer.y_shape, by_tile=True)
        self.dx = self.lowering.backward(plan, self.dy)
        backward = plan.lines[len(forward) :]
        of_weight = [line for line in backward if isinstance(line.op, ConvDWeight)]
        of_input = [line for line in backward if not isinstance(line.op, ConvDWeight | SumRows)]
        for buffer in plan.buffers:  # each keeps its place to the end: it is read afterwards
            buffer.first, buffer.last = 0, len(plan.lines)
        plan.parts = [Part(forward), Part(of_weight), Part(of_input)]
        plan.finish()
        self.engine = Engine(plan, layer.y_shape, optimizer=None)
        self.engine.parameters.copy()
        tiles = -(-self.images // LANES)
        self.workers = [self._worker(arrays) for _ in range(min(get_num_threads(), tiles))]
        self.edges = [tiles * i // len(self.workers) for i in range(len(self.workers) + 1)]

    def _worker(self, arrays: Inputs) -> Worker:
        """What a thread writes into, with the first images of x and dy in its memory."""
        worker = Worker(self.engine)
        for buffer, images in ((self.x, arrays.x), (self.dy, arrays.dy)):
            first = to_tiles(images[: GROUP * LANES]).reshape(-1)
            worker.memory[buffer.offset : buffer.offset + first.size] = first
        return worker

    def work(self, number: int, read: Callable[[], Any]) -> Work:
        """The part of this number for all groups, a share of them for each thread."""
        calls = [
            partial(self._run, number, worker, first, last)
            for worker, (first, last) in zip(self.workers, pairwise(self.edges), strict=True)
        ]
        return Work(lambda: together(calls), lambda _: read())

    def _run(self, number: int, worker: Worker, first: int, last: int) -> None:
        worker.gradients.fill(0)  # what it sums up are the gradients of this run
        parts = self.engine.plan.parts
        begin = sum(len(part.lines) for part in parts[:number])
        program = self.engine.program[begin : begin + len(parts[number].lines)]
        batch = 0, np.zeros(0, np.uint8), self.engine.no_labels, self.engine.weights
        memory = worker.memory.ctypes.data, 0, 1  # one for all groups
        run(program, worker.row, *memory, first, last, GROUP, *batch)

    def images_of(self, buffer: Buffer) -> Array:
        """The first group's images in a buffer."""
        cells = self.workers[0].memory[buffer.offset : buffer.offset + buffer.size]
        return from_tiles(cells.reshape(-1, *buffer.shape, LANES), self.images)

    def gradient_of(self, parameter: Tensor) -> Array:
        """The gradient of a parameter, summed over the threads."""
        place = self.engine.plan.parameters[id(parameter)][1]
        total = sum(worker.gradients for worker in self.workers)
        return total[place : place + parameter.size].reshape(parameter.shape)


def conv(layer: Layer, arrays: Inputs) -> Works:
    """See ``kernels/tiles/product.py``: 4 channels by 64 cells of sums in registers."""
    weight, bias = Tensor(arrays.weight, requires_grad=True), Tensor(arrays.bias)
    operation = ops.Conv2d(layer.stride, layer.padding, (1, 1), layer.output)
    one = OneOperation(operation, layer, arrays, weight, bias)
    return {
        "forward": one.work(0, lambda: one.images_of(one.y)),
        "dW": one.work(1, lambda: one.gradient_of(weight)),
        "dX": one.work(2, lambda: one.images_of(one.dx)),
    }


def max_pool(layer: Layer, arrays: Inputs) -> Works:
    """See ``kernels/tiles/pool.py``: four windows of 16 images in registers."""
    operation = ops.MaxPool2d(layer.kernel, layer.stride, layer.padding, (1, 1), layer.output)
    one = OneOperation(operation, layer, arrays)

    def forward() -> tuple[Array, Array]:
        return one.images_of(one.y), index_of(layer, one.images_of(one.lowering.winner))

    works = {
        "forward": one.work(0, forward),
        "dX": one.work(2, lambda: one.images_of(one.dx)),
    }
    works["forward"].run()
    return works
