"""Runs a plan: places the parameters, cuts a batch into shares, times the instructions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from minicnn import optim
from minicnn.kernels.arrays import LANES
from minicnn.kernels.cpu import jit
from minicnn.kernels.cpu.ready import make_ready
from minicnn.kernels.cpu.threads import get_num_threads, together
from minicnn.kernels.interrupts import held
from minicnn.kernels.tiles import step as tiles
from minicnn.kernels.tiles.instruction import write
from minicnn.kernels.tiles.program import STRIP, STRIPS, forms_of, program_of, run
from minicnn.random import first_row
from minicnn.tensor import Tensor
from minicnn.terminal import remark

from .parameters import Parameters
from .plan import CpuLine, Plan
from .shares import Batch, Phase, Shares, aligned

# FLOPs, 50 to 100 µs of them: with less to do, waking a thread costs more than it saves
WORTH_A_THREAD = 3_000_000


@contextmanager
def said_if_slow() -> Iterator[None]:
    """Say so on stderr when kernels have been compiling inside for more than a moment."""
    before = jit.passes

    def say_so() -> None:
        if jit.passes > before:  # otherwise they are being loaded, by a slow machine
            remark("minicnn: compiling kernels, kept for the next time; 5 to 15 seconds")

    timer = threading.Timer(2, say_so)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def in_strips(lines: list[CpuLine]) -> Iterator[tuple[int, int]]:
    """The numbers of instructions in the order in which they run, and of their strips."""
    k = strip = 0
    while k < len(lines):
        yield k, strip
        back, strips = lines[k].again
        if strip + 1 < strips:
            k, strip = k - back, strip + 1
        else:
            k, strip = k + 1, 0 if strips else strip


class Engine:
    """A plan with its memory, ready to run.

    Attributes:
        images: in the current batch.
        weights: the parameters, then the constants.
        result_shape: of one image.
        shares: of the current batch.
    """

    def __init__(
        self, plan: Plan, result_shape: tuple[int, ...], optimizer: optim.Optimizer | None
    ):
        self.plan, self.result_shape = plan, result_shape
        self.weights = aligned(plan.parameters_size + plan.constants_size, plan.dtype)
        if plan.constants:
            self.weights[plan.parameters_size :] = np.concatenate(plan.constants)
        self.parameters = Parameters(plan, self.weights)
        self.flops = sum(line.flops for line in plan.lines)
        self.tables = np.array([*plan.tables, 0], np.int64)  # never empty
        self.keys = np.zeros((max(1, plan.masks), 3), np.uint64)
        arrays = {"weights": self.weights, "tables": self.tables, "keys": self.keys.reshape(-1)}
        self.shares = Shares(plan, optimizer is not None, **arrays)
        self.gradients: dict[int, np.ndarray] = {}  # by id of the parameter
        self.no_labels = np.zeros(1, np.int64)
        self.images = 0
        self._compile(optimizer)

    def _compile(self, optimizer: optim.Optimizer | None) -> None:
        """Have the kernels ready: from the disk, or compiled now."""
        plan = self.plan
        ops = [(type(line.op), plan.numbers_of(line.op)) for line in plan.lines]
        forms = [*tiles.forms_for(plan.dtype), *self.parameters.forms(optimizer)]
        with said_if_slow():
            make_ready([*forms, *forms_of(ops, plan.dtype)])
            again = {k: line.again for k, line in enumerate(plan.lines)}
            self.program = program_of(ops, plan.dtype, again)
            self.kernel = tiles.kernel_for(plan.dtype)
            if optimizer is not None:
                self.parameters.kernel_of(optimizer)
        self.shares.write(width=self.program.shape[1])
        arrays = {"program": self.program.reshape(-1), "parameters": self.parameters.table}
        write(tiles.Work, self.shares.work, **arrays)

    def run(
        self,
        x: np.ndarray,
        labels: np.ndarray,
        logits: np.ndarray,
        masks: list[tuple[int, int]],
        profile: bool = False,
        optimizer: optim.Optimizer | None = None,
        exchange: Callable[[], None] | None = None,
    ) -> None:
        """One step for the batch ``x`` (N, ...), labels (N,) int64; scores go to ``logits``.

        With an optimiser that of the parameters, too. Before it ``exchange`` may change the
        gradients.
        """
        self.images = len(x)
        copies = self.parameters.look_up()
        self._get_ready(masks)
        self._cut_up()
        batch = len(x), x.reshape(-1).view(np.uint8), labels, logits.reshape(-1)
        # not sooner: a batch that ``_get_ready`` refuses must not count as a step
        phases, last = self._phases(copies, optimizer), self._update(optimizer)
        with held():  # a Ctrl-C waits until the step is whole
            if exchange is None:
                self._do(batch, phases + last, profile)
            else:
                self._do(batch, phases, profile)
                exchange()
                self._do(batch, last, profile)
            for finish in self.plan.after:
                finish(self)
            if optimizer is not None:
                self.parameters.finish(optimizer, self.shares.gradients[0])
        self.plan.images_seen += self.images if profile else 0

    def _do(self, batch: Batch, phases: list[Phase], profile: bool) -> None:
        if profile:
            self._run_profiled(batch, phases)
        else:
            self.shares.take(self.kernel, batch, phases)

    def _get_ready(self, masks: list[tuple[int, int]]) -> None:
        if masks:
            self.keys[:, :2], self.keys[:, 2] = masks, first_row()
        for prepare in self.plan.before:
            prepare(self)

    def _cut_up(self) -> None:
        count = -(-self.images // LANES)  # tiles; the last one may have places without an image
        worth = self.images * self.flops // WORTH_A_THREAD
        threads = max(1, min(get_num_threads(), count, worth))
        self.shares.cut_up(count, LANES * self.flops, threads)

    def _phases(self, copies: bool, optimizer: optim.Optimizer | None) -> list[Phase]:
        """All that is to be done for a batch, but the update."""
        phase, end = self.shares.phase, len(self.program)
        phases = [phase(tiles.COPY)] if copies else []
        phases += self._phases_of_parts()
        if optimizer is not None:  # its gradients
            phases += [phase(tiles.SUM), phase(tiles.ONCE, end - len(self.plan.epilogue), end)]
        return [each for each in phases if each[tiles.PIECES]]

    def _update(self, optimizer: optim.Optimizer | None) -> list[Phase]:
        """The optimiser's step, unless ``Parameters.finish`` takes it."""
        if optimizer is None:
            return []
        op = self.parameters.prepare(optimizer, self.shares.gradients[0])
        if op is None:
            return []
        self.shares.write(update=self.parameters.kernel_of(optimizer), op=op.ctypes.data)
        return [self.shares.phase(tiles.UPDATE)]

    def _phases_of_parts(self) -> list[Phase]:
        phase, start = self.shares.phase, len(self.plan.prologue)
        phases = [phase(tiles.ONCE, 0, start)]
        for number, part in enumerate(self.plan.parts):
            wait = start + len(part.lines)
            end = wait + len(part.once)
            if wait > start:  # the last part may have nothing to do
                phases.append(phase(tiles.SHARES, start, wait, begins=number == 0))
            phases.append(phase(tiles.ONCE, wait, end))
            start = end
        return phases

    def _run_profiled(self, batch: Batch, phases: list[Phase]) -> None:
        """The same with the instructions one by one, each timed."""
        lines = self.plan.lines
        for phase in phases:
            some = lines[phase[tiles.FIRST] : phase[tiles.LAST]]
            if phase[tiles.KIND] == tiles.SHARES:
                threads = range(self.shares.threads)
                together([partial(self._profile, phase, some, thread, batch) for thread in threads])
            elif phase[tiles.KIND] == tiles.ONCE:
                # instructions that see no images, as if there were one group
                row, memory = self.shares.rows[0], self.shares.memory.ctypes.data
                self._time(phase, some, (row, memory, 0, 1, 0, 1, 1, *batch))
            else:
                self.shares.take(self.kernel, batch, [phase])

    def _profile(self, phase: Phase, lines: list[CpuLine], thread: int, batch: Batch) -> None:
        """A thread's shares, group by group."""
        shares, group = self.shares, self.plan.group
        for share in range(thread, shares.count, shares.threads):
            if phase[tiles.BEGINS]:
                shares.forget(share)
            begin, end = map(int, shares.edges[share : share + 2])
            for start in range(begin, end, group):
                memory = shares.address_of(share, (start - begin) // group, thread)
                tiles_of_group = start, min(start + group, end), group
                arguments = shares.rows[share], memory, 0, 1, *tiles_of_group, *batch
                self._time(phase, lines, arguments)

    def _time(self, phase: Phase, lines: list[CpuLine], arguments: tuple[Any, ...]) -> None:
        row, first = arguments[0], phase[tiles.FIRST]
        for k, strip in in_strips(lines):
            one = self.program[first + k : first + k + 1].copy()
            one[:, STRIPS], row[STRIP] = 0, strip
            began = time.perf_counter()
            run(one, *arguments)
            lines[k].seconds += time.perf_counter() - began
        row[STRIP] = 0

    def loss_and_correct(self) -> tuple[float, int]:
        """Of the last batch: the sum of its losses, and the number of correct predictions."""
        place, loss, correct = self.plan.loss_sums, 0.0, 0.0
        for share in range(self.shares.count):  # one after the other, as everywhere
            loss += self.shares.sums.item(share, place)
            correct += self.shares.sums.item(share, place + 1)
        return loss, int(correct)

    def gradients_and(self, room: int) -> np.ndarray:
        """The last step's gradients of all parameters, placed as these, and some places more.

        What lay there (see ``Shares.places``) is no longer needed after a step's last sum.
        """
        return self.shares.gradients[0][: self.plan.parameters_size + room]

    def fits(self) -> bool:
        """Whether the plan is one for the parameters as they are now."""
        return self.parameters.fit()

    def is_current(self) -> bool:
        """Whether the net's parameters are those of the last run, and learn as they did."""
        return self.parameters.are_known()

    def gradient_of(self, parameter: Tensor) -> np.ndarray | None:
        """The last step's gradient of a parameter of the plan: always the same view."""
        if not self.gradients:
            everything = self.shares.gradients[0]
            for number, (tensor, place) in self.plan.parameters.items():
                view = everything[place : place + tensor.size]
                self.gradients[number] = view.reshape(tensor.shape)
        return self.gradients.get(id(parameter))

    def constants_at(self, place: int, size: int) -> np.ndarray:
        """A view of constants."""
        start = self.plan.parameters_size + place
        return self.weights[start : start + size]
