"""Runs a plan: places the parameters, shares the groups among threads, times the instructions."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from minicnn import optim
from minicnn.kernels.arrays import LANES
from minicnn.kernels.cpu import jit
from minicnn.kernels.cpu.ready import form_of, make_ready
from minicnn.kernels.cpu.threads import get_num_threads, together
from minicnn.kernels.tiles.program import forms_of, new_row, program_of, run, write
from minicnn.tensor import Tensor
from minicnn.terminal import remark

from .parameters import Parameters
from .plan import Part, Plan

ALIGNMENT = 64  # bytes: a vector register
WORTH_A_THREAD = 8_000_000  # FLOPs: with less to do, waking a thread costs more than it saves


def aligned(shape: tuple[int, ...] | int, dtype: Any) -> np.ndarray:
    """Zeros, beginning where a vector register's worth of memory begins."""
    size = int(np.prod(shape))
    raw = np.zeros(size * np.dtype(dtype).itemsize + ALIGNMENT, np.uint8)
    # as many bytes as are missing to the next multiple of the alignment
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size * np.dtype(dtype).itemsize].view(dtype).reshape(shape)


@contextmanager
def said_if_slow() -> Iterator[None]:
    """Say so on stderr when kernels have been compiling inside for more than a moment."""
    before = jit.passes

    def say_so() -> None:
        if jit.passes > before:  # otherwise they are being loaded, by a slow machine
            remark("minicnn: compiling kernels, kept for the next time; 3 to 10 seconds")

    timer = threading.Timer(2, say_so)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


# images, pictures, labels, logits
Batch: TypeAlias = tuple[int, np.ndarray, np.ndarray, np.ndarray]


class Worker:
    """What one thread writes into, and where its kernels find everything."""

    def __init__(self, engine: Engine):
        plan = engine.plan
        self.memory = aligned((0, plan.memory), plan.dtype)  # a row for each group
        self.address = self.memory.ctypes.data
        # 64 places more: the last row of a gradient may be stored to a register's end
        size = plan.parameters_size + plan.extras_size + 64
        self.gradients = aligned(size if engine.learns else 1, plan.dtype)
        self.sums = np.zeros(max(1, plan.sums))
        self.group_row = new_row()  # see ``Group``
        write(self.group_row, gradients=self.gradients, sums=self.sums)
        write(self.group_row, weights=engine.weights, tables=engine.tables, keys=engine.keys)

    def make_room(self, slots: int) -> None:
        """Memory for at least ``slots`` groups."""
        if len(self.memory) < slots:
            self.memory = aligned((slots, self.memory.shape[1]), self.memory.dtype)
            self.address = self.memory.ctypes.data
            write(self.group_row, memory=self.memory[:1])  # ``run`` goes on from slot to slot

    def forget(self) -> None:
        """Set gradients and sums to zero."""
        self.gradients.fill(0)
        self.sums.fill(0)


class Engine:
    """A plan with its memory, ready to run.

    Attributes:
        images: in the current batch.
        weights: the parameters, then the constants.
        result_shape: of one image.
        active: the workers of the current batch.
    """

    def __init__(
        self, plan: Plan, result_shape: tuple[int, ...], optimizer: optim.Optimizer | None
    ):
        self.plan, self.result_shape, self.learns = plan, result_shape, optimizer is not None
        self.weights = aligned(plan.parameters_size + plan.constants_size, plan.dtype)
        if plan.constants:
            self.weights[plan.parameters_size :] = np.concatenate(plan.constants)
        self.parameters = Parameters(plan, self.weights)
        self.programs: list[np.ndarray] = []  # of each part
        self.prologue = self.epilogue = np.zeros((0, 1), np.int64)
        self.flops = sum(line.flops for line in plan.lines)
        self.tables = np.array([*plan.tables, 0], np.int64)  # never empty
        self.step_in_memory = plan.memory * plan.dtype.itemsize  # bytes of a group
        self.workers: list[Worker] = []
        self.active: list[Worker] = []
        self.gradients: dict[int, np.ndarray] = {}  # by id of the parameter
        self.keys = np.zeros(2 * max(1, plan.masks), np.uint64)
        self.no_labels = np.zeros(1, np.int64)
        self.images = 0
        self._compile(optimizer)

    def _compile(self, optimizer: optim.Optimizer | None) -> None:
        """Have the kernels ready: from the disk, or compiled now."""
        plan = self.plan
        # no instructions, no tiles: a call that does nothing
        nothing = 0, np.zeros(0, np.uint8), self.no_labels, self.weights
        called = [
            form_of(run, np.zeros((0, 1), np.int64), new_row(), 0, 1, 1, 0, 0, 1, *nothing),
            *self.parameters.forms(optimizer),
        ]
        parts = [*plan.parts, plan.prologue, plan.epilogue]
        kinds = [type(line.op) for part in parts for line in part.lines]
        with said_if_slow():
            make_ready([*called, *forms_of(kinds, plan.dtype)])
            for form in called:
                jit.compiled(*form)
            self.programs = [self._program_of(part) for part in plan.parts]
            self.prologue = self._program_of(plan.prologue)
            self.epilogue = self._program_of(plan.epilogue)

    def _program_of(self, part: Part) -> np.ndarray:
        ops = [(type(line.op), self.plan.numbers_of(line.op)) for line in part.lines]
        return program_of(ops, self.plan.dtype)

    def run(
        self,
        x: np.ndarray,
        labels: np.ndarray,
        logits: np.ndarray,
        masks: list[tuple[int, int]],
        profile: bool = False,
    ) -> None:
        """One step for the batch ``x`` (N, ...), labels (N,) int64; scores go to ``logits``."""
        self.images = len(x)
        self.parameters.take()
        self._get_ready(masks)
        count = -(-self.images // LANES)  # tiles; the last one may have places without an image
        worth = self.images * self.flops // WORTH_A_THREAD
        threads = max(1, min(get_num_threads(), count, worth))
        edges = [count * i // threads for i in range(threads + 1)]  # thread i's first tile
        # groups that wait for each other keep their memory; otherwise one memory serves all in turn
        slots = 1 if len(self.plan.parts) == 1 else -(-int(max(np.diff(edges))) // self.plan.group)
        while len(self.workers) < threads:
            self.workers.append(Worker(self))
        for worker in self.workers[:threads]:
            worker.make_room(slots)
        self.active = self.workers[:threads]
        batch = len(x), x.reshape(-1).view(np.uint8), labels, logits.reshape(-1)
        self._run_once(self.plan.prologue, self.prologue, batch)
        for program, part in zip(self.programs, self.plan.parts, strict=True):
            run_part = self._run_profiled if profile else self._run
            together(
                [
                    partial(run_part, worker, program, part, first, last, batch)
                    for worker, (first, last) in zip(self.active, pairwise(edges), strict=True)
                ]
            )
            if part.afterwards is not None:
                part.afterwards(self)
        for worker in self.active[1:]:
            self.active[0].gradients += worker.gradients
        self._run_once(self.plan.epilogue, self.epilogue, batch)
        self.plan.images_seen += self.images if profile else 0

    def _run_once(self, part: Part, program: np.ndarray, batch: Batch) -> None:
        """Instructions that do not look at images, as if there were one group. Each is timed."""
        worker = self.active[0]
        for k, line in enumerate(part.lines):
            began = time.perf_counter()
            run(program[k : k + 1], worker.group_row, worker.address, 0, 1, 0, 1, 1, *batch)
            line.seconds += time.perf_counter() - began

    def _get_ready(self, masks: list[tuple[int, int]]) -> None:
        self.keys[: 2 * len(masks)] = np.array(masks, np.uint64).reshape(-1)
        for prepare in self.plan.before:
            prepare(self)

    def _run(
        self, worker: Worker, program: np.ndarray, part: Part, first: int, last: int, batch: Batch
    ) -> None:
        """The tiles from ``first`` to before ``last``."""
        if part is self.plan.parts[0]:
            worker.forget()
        step, slots, group = self.step_in_memory, len(worker.memory), self.plan.group
        run(program, worker.group_row, worker.address, step, slots, first, last, group, *batch)

    def _run_profiled(
        self, worker: Worker, program: np.ndarray, part: Part, first: int, last: int, batch: Batch
    ) -> None:
        """Group by group and instruction by instruction, each timed."""
        if part is self.plan.parts[0]:
            worker.forget()
        group, step = self.plan.group, self.step_in_memory
        for slot, start in enumerate(range(first, last, group)):
            address = worker.address + slot % len(worker.memory) * step
            end = min(start + group, last)
            for k, line in enumerate(part.lines):
                began = time.perf_counter()
                one = program[k : k + 1]
                run(one, worker.group_row, address, step, 1, start, end, group, *batch)
                line.seconds += time.perf_counter() - began

    def loss_and_correct(self) -> tuple[float, int]:
        """Of the last batch: the sum of its losses, and the number of correct predictions."""
        place, loss, correct = self.plan.loss_sums, 0.0, 0.0
        for worker in self.active:
            loss += worker.sums.item(place)
            correct += worker.sums.item(place + 1)
        return loss, int(correct)

    def step(self, optimizer: optim.Optimizer) -> None:
        """Take the optimiser's step with the last batch's gradients."""
        self.parameters.step(optimizer, self.workers[0].gradients)

    def fits(self) -> bool:
        """Whether the plan is one for the parameters as they are now."""
        return self.parameters.fit()

    def is_current(self) -> bool:
        """Whether the net's parameters are those of the last run, and learn as they did."""
        return self.parameters.are_known()

    def gradient_of(self, parameter: Tensor) -> np.ndarray | None:
        """The last step's gradient of a parameter of the plan: always the same view."""
        if not self.gradients:
            everything = self.workers[0].gradients
            for number, (tensor, place) in self.plan.parameters.items():
                view = everything[place : place + tensor.size]
                self.gradients[number] = view.reshape(tensor.shape)
        return self.gradients.get(id(parameter))

    # For what happens between the parts -----------------------------------------------------------

    def sums_of_threads(self, place: int, kinds: int, channels: int) -> np.ndarray:
        """Sums of ``kinds`` kinds, as each thread has them: (kinds, threads, channels) float64."""
        part = slice(place, place + kinds * channels)
        sums = [worker.sums[part].reshape(kinds, channels) for worker in self.active]
        return np.stack(sums, axis=1)

    def constants_at(self, place: int, size: int) -> np.ndarray:
        """A view of constants."""
        start = self.plan.parameters_size + place
        return self.weights[start : start + size]

    def add_gradient(self, place: int, gradient: np.ndarray) -> None:
        """Add to the gradient of the parameter at ``place``."""
        self.active[0].gradients[place : place + gradient.size] += gradient
