"""Runs the launches of a plan on a GPU: one by one, or as a graph."""

from __future__ import annotations

from itertools import pairwise
from math import inf
from typing import Any

import numpy as np

from minicnn import ops
from minicnn.kernels import Array
from minicnn.tensor import Tensor

from ..lowering import add_forward
from ..record import Stage
from ..table import shapes
from .chain import form_chain
from .feed import Keys
from .lower import lower
from .program import GpuLowering, Launch, Program, Value
from .told import Told


class GpuEngine:
    """The launches for one batch size, with the memory they use.

    At its first run it launches them one by one, at the second it captures them in a CUDA graph,
    which it replays from then on.

    Args:
        like: a parameter's array.
        images: the batch size.
        stages: the net's operations.
        watched: the tensors whose arrays the launches know by their addresses: parameters, buffers.
        use_graph: capture the launches and replay them.
        keys: on the device: those of the dropout masks; see ``Keys``.
    """

    def __init__(
        self,
        like: Array,
        images: int,
        stages: list[Stage],
        watched: list[Tensor],
        use_graph: bool,
        keys: Keys,
    ):
        # with the arrays: while a plan lives, what its launches read is not freed
        self.watched = [(tensor, tensor.data, tensor.requires_grad) for tensor in watched]
        masks = sum(isinstance(stage.operation, ops.Dropout) for stage in stages)
        self.program = Program(like, images, masks, keys.of(masks).array)
        self.plan, self.use_graph = self.program.plan, use_graph
        self.momenta: list[Told] = []
        self.graph: Any = None
        self.kernels: list[Any] = []  # of each launch
        self.is_warm = False  # whether a run has loaded them

    def add_forward(self, lowerings: list[GpuLowering], pictures: Value) -> Value:
        """Add the launches of the forward pass; returns the net's result.

        Not that of a chain: what it computes last is not the same in training.
        """
        self.chain = form_chain(lowerings, self.program.images)
        # no result is written over: there is nothing to keep
        result = add_forward(lowerings, self.program, [pictures], keep=lambda value: None)
        self.momenta = [Told(array) for _, array in self.program.momenta]
        return result

    def compile(self) -> None:
        """Have the kernels compiled, with this plan's sizes; it has to be complete."""
        self.kernels = self.program.compiled()

    def is_current(self) -> bool:
        """Whether the launches' addresses are those of parameters and buffers, which learn as then.

        An array may be another one: it is where it lies that counts.
        """
        return all(
            (tensor.data is array or _lie_alike(tensor.data, array))
            and tensor.requires_grad is learns
            for tensor, array, learns in self.watched
        )

    fits = is_current

    def gradient_of(self, parameter: Tensor) -> Array | None:
        """The last step's gradient of a parameter of the plan: always the same array."""
        in_parts = self.program.gradients.get(id(parameter))
        return None if in_parts is None else in_parts[0]

    # Running --------------------------------------------------------------------------------------

    def run(self, profile: bool = False) -> None:
        """All launches, in order: one by one at first, then as a graph."""
        if profile:
            self._run_profiled()
        elif self.use_graph and self.is_warm:
            self._captured().launch()
        else:
            self._launch_all()
            self.is_warm = True  # a capture allows neither compiling nor loading

    def _launch_all(self) -> None:
        for launch, kernel in zip(self.plan.launches, self.kernels, strict=True):
            self._launch(launch, kernel)

    def _launch(self, launch: Launch, kernel: Any) -> None:
        # as they lie in memory: a kernel is not asked whether it can read what it is given
        kernel(launch.grid, (launch.block,), launch.passed, shared_mem=launch.shared)

    def _captured(self) -> Any:
        if self.graph is None:
            stream = self.program.xp.cuda.Stream(non_blocking=True)
            with stream:
                stream.begin_capture()
                self._launch_all()
                self.graph = stream.end_capture()
        return self.graph

    def _run_profiled(self) -> None:
        """Each launch between two events; the first step compiles and is not timed."""
        if not self.is_warm:
            self._launch_all()
            self.is_warm = True
            return
        cuda, plan = self.program.xp.cuda, self.plan
        events = [cuda.Event() for _ in range(len(plan.launches) + 1)]
        events[0].record()
        for launch, kernel, done in zip(plan.launches, self.kernels, events[1:], strict=True):
            self._launch(launch, kernel)
            done.record()
        events[-1].synchronize()
        for launch, (begin, end) in zip(plan.launches, pairwise(events), strict=True):
            launch.seconds += cuda.get_elapsed_time(begin, end) / 1e3  # from milliseconds
        plan.runs += 1

    # What the host tells the device, when it changes ----------------------------------------------

    def tell_momenta(self) -> None:
        """The momentum of each batch normalisation; an infinite one averages over all batches."""
        for told, (layer, _) in zip(self.momenta, self.program.momenta, strict=True):
            told.tell((inf if layer.momentum is None else layer.momentum,))


class PredictionEngine(GpuEngine):
    """The forward pass alone.

    Args:
        x: a batch, on the device: its shape and dtype count.
        others: those of ``GpuEngine``.

    Attributes:
        x: where the pictures of a batch go.
        logits: the result of the net.
    """

    def __init__(self, x: Array, like: Array, stages: list[Stage], *others: Any):
        super().__init__(like, len(x), stages, *others)
        self.program.goes_back = False
        # a replay needs the batch at the same address: it is copied there before each run
        self.x = self.program.buffer(*x.shape, dtype=x.dtype)
        self.logits = self.add_forward(lower(stages), self._pictures()).array
        if self.chain is not None:
            # it computes the logits, which no launch has computed so far
            self.chain.add_prediction(self.program)
        self.compile()

    def _pictures(self) -> Value:
        """The batch as numbers: bytes are divided by 255."""
        if self.x.dtype != np.uint8:
            return Value(self.x)
        value = self.program.value(self.x.shape[1:])
        self.program.over_cells("load_pixels", "load pixels", shapes(value.shape),
                                value.array.size, (self.x, value.array), each=4)  # fmt: skip
        return value


def _lie_alike(a: Array, b: Array) -> bool:
    alike = type(a) is type(b) and a.shape == b.shape and a.dtype == b.dtype
    return alike and bool(a.data.ptr == b.data.ptr)
