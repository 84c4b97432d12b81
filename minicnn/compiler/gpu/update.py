"""The last launch of a compiled step on a GPU: the optimiser's step for all parameters at once."""

from __future__ import annotations

from math import inf, log
from operator import is_

import numpy as np

from minicnn import optim
from minicnn.kernels import Array

from ..accepted import learned_by
from ..record import CompileError
from .feed import WORD, Feed
from .loss import GpuLoss
from .program import Program
from .told import Told

FEW_PARTS = 8  # of a gradient that a thread adds up, as in kernels/gpu/optim.cu
MOST_SETTINGS = 9  # of an optimiser
MOST_ARRAYS = 3  # that one keeps for a parameter


class GpuUpdate:
    """One kernel for all gradients: a row of a table says where each lies, and its parameter.

    It adds up the parts of each gradient, takes the optimiser's step for those parameters that the
    optimiser has, and sums up the losses.

    Args:
        settings: on the device; those of the optimiser begin at the third number.

    Attributes:
        parameters: those that the step changes.

    Raises:
        CompileError: the optimiser lists one of them twice.
    """

    def __init__(
        self,
        program: Program,
        loss: GpuLoss,
        optimizer: optim.Optimizer,
        settings: Array,
        feed: Feed,
    ):
        self.numbers = learned_by(optimizer, program.gradients)
        self.parameters = [optimizer.params[i] for i in self.numbers]
        ids = {id(p) for p in self.parameters}
        if len(ids) < len(self.parameters):
            raise CompileError("compile: on a GPU, an optimizer cannot list a parameter twice")
        # those of the parameters come first; all others are summed up too
        self.gradients = [program.gradients[id(p)] for p in self.parameters]
        self.gradients += [g for number, g in program.gradients.items() if number not in ids]
        # what the optimiser keeps for each, as the device has it; None: nothing has been told yet
        self.states: list[list[Array]] | None = None
        self.firsts: list[int] = []  # the number of each one's step, less the number of ours
        rows = max(1, len(self.gradients))
        self.table = Told(program.buffer(rows, 5 + MOST_ARRAYS, dtype=np.uint64))
        places = [(row, k) for row, g in enumerate(self.gradients) for k in range(_blocks_of(g))]
        blocks, places = len(places) + 1, places or [(0, 0)]  # the last block has no row
        # whatever is learned, this is the last launch: it counts the step
        what = f"{len(self.parameters)} parameters"
        program.launch(f"update_{optimizer.kernel}", "update", what, blocks, self.table.array,
                       program.constant(places, np.int32), settings, program.keys,
                       program.plan.masks, feed.clock.array, *loss.sums(), program.n)  # fmt: skip
        # the kernel finds them by their addresses: p and g are read, p is written
        moved = sum(g.nbytes for g in self.gradients) + 2 * sum(
            p.data.nbytes for p in self.parameters
        )
        program.plan.launches[-1].bytes += moved

    def tell(self, optimizer: optim.Optimizer, steps: int) -> None:
        """Have the table right for the step to come, which ``count`` has the optimiser count.

        steps: how many the device has counted. It goes on counting, so a number of the optimiser's
        that goes on too need not be sent again.
        """
        if self.states is None or not self._are(self.states, optimizer):
            found = self._kept(optimizer)
            states = [state for state, _ in found]
            self._send(states, [number - steps for _, number in found])
        elif isinstance(optimizer, optim.Adam):  # whose formula wants the number
            firsts = [optimizer.steps[i] + 1 - steps for i in self.numbers]
            if firsts != self.firsts:
                self._send(self.states, firsts)

    def count(self, optimizer: optim.Optimizer) -> None:
        """Have the optimiser count the step: it has been launched."""
        if isinstance(optimizer, optim.Adam):
            for i in self.numbers:
                optimizer.steps[i] += 1

    def _kept(self, optimizer: optim.Optimizer) -> list[tuple[list[Array], int]]:
        """What the optimiser keeps, and the numbers of the steps to come, which it does not count.

        ``state_of`` would have counted a step that may never be launched.
        """
        if not isinstance(optimizer, optim.Adam):
            return [optimizer.state_of(i) for i in self.numbers]
        # restored too if it fails halfway, at a state of a wrong shape
        steps = [*optimizer.steps]
        try:
            return [optimizer.state_of(i) for i in self.numbers]
        finally:
            optimizer.steps[:] = steps

    def _are(self, states: list[list[Array]], optimizer: optim.Optimizer) -> bool:
        """Whether the optimiser keeps these arrays still."""
        if not optimizer.keeps_state:
            return not any(states)  # there may have been a momentum
        return all(
            len(state) == len(now := optimizer.kept(i)) and all(map(is_, state, now))
            for i, state in zip(self.numbers, states, strict=True)
        )

    def _send(self, states: list[list[Array]], firsts: list[int]) -> None:
        # the step's first kernel will have counted it when the last one adds the count: hence - 1
        changes = [
            (p.data.data.ptr, _three_addresses(state), (first - 1) % WORD)
            for p, state, first in zip(self.parameters, states, firsts, strict=True)
        ]
        # without a parameter to change there is a gradient to sum up all the same
        changes += [(0, [0] * MOST_ARRAYS, 0)] * (len(self.gradients) - len(changes))
        rows = tuple(
            (p, g.data.ptr, *state, g[0].size, len(g), first)
            for g, (p, state, first) in zip(self.gradients, changes, strict=True)
        )
        if rows:
            self.table.tell(rows)
        # noted at the end: an interruption before has everything told again
        self.states, self.firsts = states, firsts


def _three_addresses(state: list[Array]) -> list[int]:
    return [array.data.ptr for array in state] + [0] * (MOST_ARRAYS - len(state))


def settings_for(optimizer: optim.Optimizer) -> tuple[float, ...]:
    """The optimiser's settings as its kernel wants them, with what can be computed once."""
    settings = optimizer.settings()
    if isinstance(optimizer, optim.Adam):
        lr, beta1, beta2, *others = settings
        # 1 - beta^step = -expm1(step log beta): subtracted in float32, few digits would be left
        logs = [log(beta) if beta else -inf for beta in (beta1, beta2)]
        return (lr, *logs, 1 - beta1, 1 - beta2, *others)
    if isinstance(optimizer, optim.Adadelta):
        lr, rho, *others = settings
        return (lr, 1 - rho, *others)
    return settings


def _blocks_of(gradient: Array) -> int:
    """How many blocks of the update take the cells of a gradient: see kernels/gpu/optim.cu."""
    cells = 256 if len(gradient) <= FEW_PARTS else 32
    return -(-gradient[0].size // cells)
