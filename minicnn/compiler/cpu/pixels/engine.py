"""Runs a plan for one image: finds the parameters where they lie; threads take image by image."""

from __future__ import annotations

import time
from operator import attrgetter, is_

import numpy as np

from minicnn.kernels.cpu import jit
from minicnn.kernels.cpu.ready import form_of, make_ready
from minicnn.kernels.cpu.threads import bell, get_num_threads, take_turns
from minicnn.kernels.tiles.instruction import Group, row_of, write
from minicnn.kernels.tiles.program import Op, forms_of, program_of, run_images
from minicnn.tensor import Tensor

from .. import engine
from ..engine import said_if_slow
from ..shares import aligned
from .plan import PixelPlan

ROOM = 64  # numbers that a register may read after the last one of ``weights``

data_of = attrgetter("data")


class PixelEngine:
    """A plan with its memory, ready to run.

    The instructions hold the parameters' places, counted from the beginning of ``weights``, though
    they lie elsewhere: in the net's own arrays. So nothing is copied, and what is written into one
    is seen by the next call. An array that was exchanged (``p.data = ...``) is noticed, and found
    again. One that no kernel can read (not contiguous, say) is copied at each call.

    Attributes:
        weights: the constants, then room for copies.
        rows, memory: of each thread, so far as there were several: its ``Group``, its results.
        tensors, arrays: the net's, as they were found last; no arrays: to be found again.
        copied: of those that have to be copied the numbers among ``tensors``.
    """

    def __init__(self, plan: PixelPlan, result_shape: tuple[int, ...]):
        self.plan, self.result_shape = plan, result_shape
        self.tensors = plan.tensors()
        self.shapes = [tensor.shape for tensor in self.tensors]
        self.arrays: list[np.ndarray] | None = None
        self.copied: list[int] = []
        # seldom used: the copies of arrays that cannot be read where they lie
        starts = plan.constants_size + np.cumsum([0, *(t.size for t in self.tensors)])
        self.starts = [int(start) for start in starts]  # of the room for each copy; then the end
        self.weights = aligned(self.starts[-1] + ROOM, plan.dtype)
        if plan.constants:
            self.weights[: plan.constants_size] = np.concatenate(plan.constants)
        self.flops = sum(line.flops for line in plan.lines)
        self.tables = np.array([*plan.tables, 0], np.int64)  # never empty
        self.no_labels = np.zeros(1, np.int64)
        self.rows: list[np.ndarray] = []
        self.memory: list[np.ndarray] = []
        self._make_rows(1)
        self._compile()
        self._find()

    def _make_rows(self, threads: int) -> None:
        """A ``Group``, with memory of its own, for each thread."""
        arrays = {"weights": self.weights, "tables": self.tables}
        while len(self.rows) < threads:
            self.memory.append(aligned(self.plan.memory, self.plan.dtype))
            row = row_of(Group)
            write(Group, row, memory=self.memory[-1], **arrays)
            self.rows.append(row)

    def _compile(self) -> None:
        """Have the kernels ready: from the disk, or compiled now."""
        no_program, no_pixels = np.zeros((0, 1), np.int64), np.zeros(0, np.uint8)
        row = self.rows[0]
        called = form_of(run_images, no_program, row, row, 0, no_pixels, self.weights, row, 0)
        with said_if_slow():
            make_ready([called, *forms_of(self._ops(), self.plan.dtype)])
            jit.compiled(*called)

    def run(
        self,
        x: np.ndarray,
        labels: np.ndarray,
        results: np.ndarray,
        masks: list[tuple[int, int]],
        profile: bool = False,
    ) -> None:
        """Write the results for the batch ``x`` (N, ...). There are no labels and no masks."""
        if self.arrays is None:
            self._find()
        for number in self.copied:
            self._copy(number)
        pixels, results = x.reshape(-1).view(np.uint8), results.reshape(-1)
        if profile:
            self._run_profiled(pixels, results, len(x))
        else:
            self._run(pixels, results, len(x))

    def _run(self, pixels: np.ndarray, results: np.ndarray, images: int) -> None:
        """The threads take images in turns."""
        # half as much as in a step: there is nothing else to share, and nothing to add up
        worth = 2 * images * self.flops // engine.WORTH_A_THREAD
        threads = max(1, min(get_num_threads(), images, worth))
        self._make_rows(threads)
        program, rows, turns = self.program, self.rows, np.zeros(3, np.int64)

        def task(thread: int) -> bool:
            row = rows[thread]
            return run_images(program, row, turns, images, pixels, results, bell, thread)

        if threads == 1:
            task(0)
        else:
            take_turns(task, threads)

    def _run_profiled(self, pixels: np.ndarray, results: np.ndarray, images: int) -> None:
        """Instruction by instruction, each timed."""
        for image in range(images):
            for k, line in enumerate(self.plan.lines):
                # the images before this one are taken and done
                one, turns = self.program[k : k + 1], np.array([image, image, 0])
                began = time.perf_counter()
                run_images(one, self.rows[0], turns, image + 1, pixels, results, bell, 0)
                line.seconds += time.perf_counter() - began
        self.plan.images_seen += images

    def is_current(self) -> bool:
        """Whether the net's tensors still have the arrays that were found."""
        found = self.arrays
        return found is not None and all(map(is_, map(data_of, self.tensors), found))

    def fits(self) -> bool:
        """Whether the plan is one for the net's tensors as they are now.

        They are found again before the next run: this is asked when something has changed.
        """
        self.arrays, self.tensors = None, self.plan.tensors()
        of_plan = [(shape, self.plan.dtype) for shape in self.shapes]
        return [(tensor.shape, tensor.dtype) for tensor in self.tensors] == of_plan

    def gradient_of(self, parameter: Tensor) -> None:
        """A prediction has none."""

    def _find(self) -> None:
        """Write the places of the net's arrays into the program."""
        arrays, self.copied = [tensor.data for tensor in self.tensors], []
        for number, array in enumerate(arrays):
            away = array.ctypes.data - self.weights.ctypes.data  # bytes
            # a kernel counts cell by cell, in whole numbers
            is_plain = array.flags.c_contiguous and array.flags.aligned
            if is_plain and away % array.itemsize == 0:
                self.plan.places[number] = away // array.itemsize
            else:
                self.plan.places[number] = self.starts[number]
                self.copied.append(number)
        self.program = program_of(self._ops(), self.plan.dtype)
        self.arrays = arrays  # the last thing: from now on they count as found

    def _ops(self) -> list[Op]:
        return [(type(line.op), self.plan.numbers_of(line.op)) for line in self.plan.lines]

    def _copy(self, number: int) -> None:
        room = self.weights[self.starts[number] : self.starts[number + 1]]
        room.reshape(self.shapes[number])[...] = self.tensors[number].data
