"""Runs the launches of a compiled step on a GPU; tells the device what changes between steps."""

from __future__ import annotations

from itertools import pairwise
from math import inf, log
from typing import Any

import numpy as np

from minicnn import nn, ops, optim
from minicnn.kernels import Array
from minicnn.tensor import Tensor

from ..lowering import add_backward, add_forward
from ..means import Means
from ..record import Stage
from ..table import shapes
from .chain import form_chain
from .join import sum_of
from .loss import GpuLoss
from .lower import lower
from .products import add_pending
from .program import Launch, Program, Value

SETTINGS = 11  # at most: two of the loss, and those of the update
FEW_PARTS = 8  # of a gradient that a thread adds up, as in kernels/gpu/optim.cu


class GpuEngine:
    """The launches for one batch size, with the memory they use.

    At its first run it launches them one by one, at the second it captures them in a CUDA graph,
    which it replays from then on.

    Args:
        stages: the net's operations.
        x: a batch, on the device: its shape and dtype count.
        like: a parameter's array.
        loss: None for a prediction.
        means: the kernel of the loss adds to their sums.
        use_graph: capture the launches and replay them.

    Attributes:
        x: where the pictures of a batch go.
        logits: the result of the net.
    """

    def __init__(
        self,
        stages: list[Stage],
        x: Array,
        like: Array,
        loss: nn.CrossEntropyLoss | None,
        means: Means,
        use_graph: bool,
    ):
        # a launch keeps addresses: another array of a parameter needs another plan
        self.placed = [(p, p.data.data.ptr, p.requires_grad) for s in stages for p in s.parameters]
        masks = sum(isinstance(stage.operation, ops.Dropout) for stage in stages)
        self.program = program = Program(like, len(x), masks)
        self.plan, self.use_graph = program.plan, use_graph
        self.settings = program.buffer(SETTINGS)
        self.x = program.buffer(*x.shape, dtype=x.dtype)
        self.loss = None if loss is None else GpuLoss(program, loss, means)
        self.graph: Any = None
        self.is_warm = False  # whether a run has loaded its kernels
        self.kernels: list[Any] = []  # of each launch
        self.known: dict[str, tuple[Any, ...]] = {}  # what the device has been told
        self.sent: dict[str, np.ndarray] = {}
        self._add_stages(stages)

    def _add_stages(self, stages: list[Stage]) -> None:
        program, lowerings = self.program, lower(stages)
        chain = form_chain(lowerings, program.images)
        # no result is written over: there is nothing to keep
        result = add_forward(lowerings, program, [self._pictures()], keep=lambda value: None)
        self.logits = result.array
        if self.loss is None:
            if chain is not None:
                chain.add_prediction(program)
            return
        dy = self.loss.add(program, result, self.settings, chain)
        self.plan.backward_from = len(self.plan.launches)
        add_backward(lowerings, program, dy, sum_of)
        add_pending(program)

    def _pictures(self) -> Value:
        """The batch as numbers: bytes are divided by 255."""
        if self.x.dtype != np.uint8:
            return Value(self.x)
        # a replay needs the batch at the same address: it is copied into self.x before each run
        value = self.program.value(self.x.shape[1:])
        self.program.over_cells("load_pixels", "load pixels", shapes(value.shape),
                                value.array.size, (self.x, value.array), each=4)  # fmt: skip
        return value

    def add_update(self, learned: list[Tensor], kernel: str) -> None:
        """Add the last launch, which sums up losses and gradients, and takes the optimiser's step.

        learned: the parameters that the optimiser has, and the net computes a gradient for.
        """
        assert self.loss is not None
        program, ids = self.program, [id(p) for p in learned]
        # the gradients of all others are summed up too
        self.in_parts = [program.gradients[k] for k in ids]
        self.in_parts += [g for k, g in program.gradients.items() if k not in ids]
        self.table = program.buffer(max(1, len(self.in_parts)), 8, dtype=np.uint64)
        places = [
            (row, block)
            for row, parts in enumerate(self.in_parts)
            for block in range(_blocks_of(parts))
        ]
        grid, places = len(places) + 1, places or [(0, 0)]  # the last block has no row
        what = f"{len(learned)} parameters"
        program.launch(f"update_{kernel}", "update", what, grid, self.table,
                       program.constant(places, np.int32), self.settings, program.keys,
                       self.plan.masks, *self.loss.sums(), program.n)  # fmt: skip
        # the kernel finds them by their addresses: p and g are read, p is written
        moved = sum(g.nbytes for g in self.in_parts) + 2 * sum(p.data.nbytes for p in learned)
        self.plan.launches[-1].bytes += moved

    def compile(self) -> None:
        """Have the kernels compiled, with this plan's sizes; it has to be complete."""
        self.kernels = self.program.compiled()

    def fits(self) -> bool:
        """Whether the parameters are where they were, and learn as they did."""
        return all(
            p.data.data.ptr == address and p.requires_grad is learns
            for p, address, learns in self.placed
        )

    def is_current(self) -> bool:
        """Never known for sure: a plan depends on the addresses of parameters and buffers."""
        return False

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

    def set_settings(self, optimizer: optim.Optimizer, gradient: float) -> None:
        """What kernels/gpu/*.cu call settings: two of the loss, then those of the update."""
        assert self.loss is not None
        of_loss, of_update = (gradient, self.loss.loss.label_smoothing), _for_update(optimizer)
        unused = SETTINGS - len(of_loss) - len(of_update)
        self._send("settings", (*of_loss, *of_update, *[0.0] * unused), self.settings)

    def set_table(self, learned: list[Tensor], states: list[tuple[list[Array], int]]) -> None:
        """A row for each gradient: the addresses of the parameter, of the gradient and of up to
        three arrays of the optimiser's state; then the parameter's size, the number of the
        gradient's parts, and that of the step."""
        changes = [(p.data.data.ptr, _three_addresses(state), step)
                   for p, (state, step) in zip(learned, states, strict=True)]  # fmt: skip
        # without a parameter to change there is a gradient to sum up all the same
        changes += [(0, [0, 0, 0], 0)] * (len(self.in_parts) - len(learned))
        rows = tuple(
            (p, g.data.ptr, *state, g[0].size, len(g), step)
            for g, (p, state, step) in zip(self.in_parts, changes, strict=True)
        )
        if rows:
            self._send("table", rows, self.table)

    def set_keys(self, keys: list[tuple[int, int]]) -> None:
        """The keys of the step's dropout masks: seed and number of each.

        The update, with which a step ends, adds the number of masks to each key's number: the next
        step's keys need not be sent, unless somebody else has drawn a mask in between.
        """
        numbers = tuple(number for key in keys for number in key)
        if numbers:
            self._send("keys", numbers, self.program.keys)
        if self.loss is not None:
            self.known["keys"] = tuple(n for seed, mask in keys for n in (seed, mask + len(keys)))

    def set_momenta(self) -> None:
        """The momentum of each batch normalisation; an infinite one averages over all batches."""
        for i, (layer, array) in enumerate(self.program.momenta):
            momentum = inf if layer.momentum is None else layer.momentum
            self._send(f"momentum {i}", (momentum,), array)

    def _send(self, name: str, numbers: tuple[Any, ...], array: Array) -> None:
        """Copy numbers to the device, if they are not what it has."""
        if self.known.get(name) != numbers:
            self.known[name] = numbers
            self.sent[name] = np.array(numbers, array.dtype)  # kept: the copy may be under way
            array.set(self.sent[name])


def _for_update(optimizer: optim.Optimizer) -> tuple[float, ...]:
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


def _three_addresses(state: list[Array]) -> list[int]:
    return [array.data.ptr for array in state] + [0] * (3 - len(state))
