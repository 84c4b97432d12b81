"""A batch's shares, which the threads take in turns (``kernels/tiles/step.py``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from minicnn.kernels.cpu.threads import bell, take_turns
from minicnn.kernels.tiles import step as tiles
from minicnn.kernels.tiles.instruction import Group, row_of, write

from .plan import Plan

ALIGNMENT = 64  # bytes: a vector register
MOST_SHARES = 4  # of a thread
# FLOPs for each byte of a share's gradients, which are set to zero at its beginning and read again
# when they are added up. A core computes some 50 to 100 FLOPs while it moves a byte to or from its
# second cache, so that this costs a share 2 % of its time or less.
WORTH_A_SHARE = 200
PIECE = 8192  # parameters, at least, that a thread copies or updates at a time

Batch: TypeAlias = tuple[int, np.ndarray, np.ndarray, np.ndarray]
"""images, pictures, labels, logits"""
Phase: TypeAlias = tuple[int, int, int, int, int]  # see ``tiles.KIND``


def aligned(shape: tuple[int, ...] | int, dtype: Any) -> np.ndarray:
    """Zeros, beginning where a vector register's worth of memory begins."""
    size = int(np.prod(shape))
    raw = np.zeros(size * np.dtype(dtype).itemsize + ALIGNMENT, np.uint8)
    # as many bytes as are missing to the next multiple of the alignment
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size * np.dtype(dtype).itemsize].view(dtype).reshape(shape)


class Shares:
    """What the shares of a batch write into, and where their kernels find everything.

    Attributes:
        count: how many there are.
        threads: how many take them.
        edges: the first tile of each, and the number of tiles, (count + 1,).
        gradients: of each share, placed as the parameters; in the end the first's are the batch's.
        sums: over the images of each share, (count, plan.sums) float64.
        rows: a ``Group`` for each share.
        memory: a row for each thread, or for each group where groups wait for each other.
        slots: the row of each share's first group, or none.
        work: the row of ``Work``, from which a thread learns all this.
    """

    def __init__(self, plan: Plan, learns: bool, **arrays: np.ndarray):
        """``arrays``: those of ``Group`` that are the same for all shares."""
        self.plan, self.arrays = plan, arrays
        # 64 places more: the last row of a gradient may be stored to a register's end
        self.places = plan.parameters_size + plan.extras_size + 64 if learns else 1
        self.cut = -1, -1
        self.count = self.threads = 0
        self.gradients: list[np.ndarray] = []
        self.memory = aligned((0, plan.memory), plan.dtype)
        self.work = row_of(tiles.Work)
        write(tiles.Work, self.work, bell=bell, weights=arrays["weights"])

    def cut_up(self, count: int, flops: int, threads: int) -> None:
        """Cut a batch of ``count`` tiles.

        The cut depends on these numbers only, so that each step sums in the same order.

        Args:
            flops: of a tile.
            threads: that take the shares; each is to have one at least, if there are enough tiles.
        """
        if (count, threads) == self.cut:
            return
        self.cut = -1, -1  # until all is written: memory may run out, and a Ctrl-C may come
        self.threads = threads
        self.count = threads * self._shares_of_a_thread(count, flops)
        # sizes differ by one tile at most
        self.edges = np.array([count * i // self.count for i in range(self.count + 1)])
        groups = -(-np.diff(self.edges) // self.plan.group)  # of each share
        if len(self.plan.parts) > 1:  # groups that wait for each other keep their memory
            self.slots, rows = np.cumsum(groups) - groups, int(groups.sum())
        else:  # a thread's memory serves all its groups in turn
            self.slots, rows = np.zeros(0, np.int64), threads
        if len(self.memory) < rows:
            self.memory = aligned((rows, self.plan.memory), self.plan.dtype)
        self._make_rows()
        self._write_work()
        self._set_pieces()
        self.cut = count, threads

    def _shares_of_a_thread(self, tiles: int, flops: int) -> int:
        """The more, the less a share's gradients cost in comparison with its images."""
        threads = self.threads
        if threads == 1:
            return 1
        bytes_of_gradients = self.places * self.plan.dtype.itemsize
        worth = tiles * flops // (WORTH_A_SHARE * bytes_of_gradients * threads)
        groups = tiles // (self.plan.group * threads)  # whole ones
        return max(1, min(MOST_SHARES, worth, groups))

    def _make_rows(self) -> None:
        while len(self.gradients) < self.count:
            self.gradients.append(aligned(self.places, self.plan.dtype))
        self.sums = np.zeros((self.count, max(1, self.plan.sums)))
        self.rows = np.zeros((self.count, tiles.WIDTH), np.int64)
        for row, gradients, sums in zip(self.rows, self.gradients, self.sums, strict=False):
            write(Group, row, gradients=gradients, sums=sums, **self.arrays)
            write(Group, row, sums_of_all=self.sums)
            write(Group, row, memory=self.memory[:1])  # ``run`` goes on from row to row

    def _write_work(self) -> None:
        """All but what the caller knows: the parameters, the program, the batch."""
        arrays = {"edges": self.edges, "rows": self.rows, "sums": self.sums, "slots": self.slots}
        write(tiles.Work, self.work, **{name: a.reshape(-1) for name, a in arrays.items()})
        memory = {"memory": self.memory.ctypes.data, "step": self.memory.strides[0]}
        self.write(shares=self.count, group=self.plan.group, **memory)
        self.team = [tiles.new_thread(number) for number in range(self.threads)]

    def _set_pieces(self) -> None:
        """How many pieces the phases of each kind have; one of ONCE has its instructions."""
        plan, most = self.plan, MOST_SHARES * self.threads
        parameters, gradients = plan.parameters_size, plan.parameters_size + plan.extras_size
        self.pieces = {
            tiles.COPY: max(1, min(most, parameters // PIECE)),
            tiles.SHARES: self.count,
            tiles.SUM: max(1, min(most, gradients // PIECE)) if self.count > 1 else 0,
            tiles.UPDATE: max(1, min(most, parameters // PIECE)),
        }
        self.write(parameters_size=parameters, gradients_size=gradients)

    def write(self, **numbers: int) -> None:
        """Write numbers into the row of ``Work``."""
        for name, number in numbers.items():
            self.work[tiles.COLUMNS[name]] = number

    def forget(self, share: int) -> None:
        """Set gradients and sums of a share to zero."""
        self.gradients[share].fill(0)
        self.sums[share] = 0

    def address_of(self, share: int, group: int, thread: int) -> int:
        """The memory of a group, which counts from its share's first."""
        row = int(self.slots[share]) + group if len(self.slots) else thread
        return self.memory.ctypes.data + row * self.memory.strides[0]

    def phase(self, kind: int, first: int = 0, last: int = 0, begins: bool = False) -> Phase:
        """A phase; of ONCE and SHARES with the instructions from ``first`` to before ``last``."""
        pieces = last - first if kind == tiles.ONCE else self.pieces[kind]
        return kind, pieces, first, last, int(begins)

    def take(self, kernel: int, batch: Batch, phases: Sequence[Phase]) -> None:
        """Have the threads do these phases of the work.

        kernel: the address of ``tiles.take_part``.
        """
        images, pictures, labels, logits = batch
        # new in each call, and in one array: a thread that is late keeps those of its own call
        begin = len(self.work)
        end = begin + tiles.TAKEN + 2 * len(phases)
        own = np.zeros(end + tiles.COLUMNS_OF_PHASE * len(phases), np.int64)
        work, turns, rows = own[:begin], own[begin:end], own[end:]
        work[:] = self.work
        rows.reshape(-1, tiles.COLUMNS_OF_PHASE)[:] = phases
        tiles.set_batch(work, turns, rows, images, pictures, labels, logits)

        def take_part(thread: int) -> bool:
            # if it comes too late, ``turns`` says that nothing is left
            row, _ = team[thread]
            finished = True
            try:
                finished = tiles.take_turns(kernel, work, row, turns)
            except BaseException as error:
                errors.append(error)
                turns[tiles.FINISHED] = 1  # what is left will not be done
            if errors and thread == 0:
                raise errors[0]  # ``threads.take_turns`` waits for those that are still at work
            return finished

        team, errors = self.team, list[BaseException]()
        take_turns(take_part, self.threads)
