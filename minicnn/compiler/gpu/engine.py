"""Runs the launches of a compiled step on a GPU."""

from __future__ import annotations

from itertools import pairwise
from math import inf, log
from typing import Any

import numpy as np

from minicnn import nn, optim, random
from minicnn.device import device_of
from minicnn.kernels import Array, array_module
from minicnn.kernels.arrays import NONE
from minicnn.tensor import Tensor

from ..cpu.plan import shapes
from ..record import CompileError, Stage
from .activation import Dropout
from .lower import lower
from .program import Launch, Program, Value, through_activation

SETTINGS = 11  # at most: two of the loss, and those of the update


class Counts:
    """The loss and what was right, summed up over an epoch on the device."""

    def __init__(self, like: Array):
        xp = array_module(like)
        self.loss, self.hits = xp.zeros((), like.dtype), xp.zeros((), np.int64)

    def __copy__(self) -> Counts:
        other = Counts(self.loss)
        other.loss, other.hits = self.now()
        return other

    def reset(self) -> None:
        """Begin anew."""
        self.loss.fill(0)
        self.hits.fill(0)

    def now(self) -> tuple[Array, Array]:
        """Both sums as they stand now: copies on the device; to read them is to wait."""
        return self.loss.copy(), self.hits.copy()


class Engine:
    """The program of one batch size, with what changes from step to step in device memory.

    Args:
        stages: the chain.
        x: a batch, on the device: its shape and dtype count.
        like: a parameter's array.
        loss: None for a prediction.
        counts: where the sums of the epoch go.
        use_graph: capture the launches and replay them.
    """

    def __init__(
        self,
        stages: list[Stage],
        x: Array,
        like: Array,
        loss: nn.CrossEntropyLoss | None,
        counts: Counts,
        use_graph: bool,
    ):
        self.lowered = lower(stages)
        # a launch is given addresses: whoever has another array needs another plan
        self.placed = [(p, p.data.data.ptr, p.requires_grad) for s in stages for p in s.parameters]
        masks = sum(isinstance(lowering, Dropout) for lowering in self.lowered)
        self.program = Program(like, len(x), masks)
        self.settings = self.program.buffer(SETTINGS)
        self.known: dict[str, tuple[Any, ...]] = {}
        self.sent: dict[str, np.ndarray] = {}
        self.loss, self.counts, self.use_graph = loss, counts, use_graph
        self.graph: Any = None
        self.is_warm = False
        self.plan = self.program.plan
        self._emit(x)

    def _emit(self, x: Array) -> None:
        program = self.program
        self.given = program.buffer(*x.shape, dtype=x.dtype)
        value = Value(self.given)
        if x.dtype == np.uint8:
            value = program.value(x.shape[1:])
            program.over_cells("load_pixels", "load pixels", shapes(value.shape),
                               value.array.size, (self.given, value.array))  # fmt: skip
        for lowering in self.lowered:
            value = lowering.forward(program, value)
        self.logits = value.array
        if self.loss is None:
            return
        dy: Array | None = self._emit_loss(value)
        program.plan.backward_from = len(program.plan.launches)
        if value.kind != NONE:
            dy = through_activation(program, dy, value)
        for lowering in reversed(self.lowered):
            if dy is None:
                break
            dy = lowering.backward(program, dy)

    def _emit_loss(self, logits: Value) -> Array:
        program, loss = self.program, self.loss
        assert loss is not None
        (classes,), n = logits.shape, program.images
        self.labels, self.result = program.buffer(n, dtype=np.int64), program.buffer(1)
        weight = self._class_weights(classes)
        dlogits = program.value(logits.shape)
        ignored, is_mean = np.int64(loss.ignore_index), int(loss.reduction == "mean")
        program.launch("loss", "cross-entropy", shapes(logits.shape), 1, logits.array, self.labels,
                       weight, self.settings, dlogits.array, self.result, self.counts.loss,
                       self.counts.hits, n, classes, ignored, is_mean)  # fmt: skip
        return dlogits.array

    def _class_weights(self, classes: int) -> Array:
        program, loss = self.program, self.loss
        if loss is None or loss.weight is None:
            return program.xp.ones(classes, program.dtype)
        weight, device = loss.weight, device_of(self.given)
        if (weight.shape, weight.dtype, weight.device) != ((classes,), program.dtype, device):
            raise TypeError(
                f"compile: the loss's weight is {weight.dtype} of shape {weight.shape} on "
                f"{weight.device}; wanted {program.dtype} of shape ({classes},) on {device}"
            )
        if not weight.data.flags.c_contiguous:
            raise CompileError("compile: wanted a weight of the loss that is C-contiguous")
        return weight.data

    def add_update(self, learned: list[Tensor], kernel: str) -> None:
        """Add the last launch: the optimiser's step, for each parameter that has a gradient."""
        if learned:
            program = self.program
            self.table = program.buffer(len(learned), 7, dtype=np.uint64)
            largest = max(p.size for p in learned)
            grid = (program.gpu.blocks(largest), len(learned))
            name, what = f"update_{kernel}", f"{len(learned)} parameters"
            program.launch(name, "update", what, grid, self.table, self.settings, program.keys,
                           program.masks)  # fmt: skip
            # the kernel finds them by their addresses: p and g are read, p is written
            program.plan.launches[-1].bytes += 3 * sum(p.data.nbytes for p in learned)

    def run(self, profile: bool = False) -> None:
        """All launches, in order: one by one at first, then as a graph."""
        if profile:
            self._run_profiled()
        elif self.use_graph and self.is_warm:
            self._captured().launch()
        else:
            self._launch_all()
            self.is_warm = True  # kernels are compiled and loaded: neither may happen in a capture

    def _kernel(self, launch: Launch) -> Any:
        return self.program.gpu.kernel(launch.kernel, self.program.dtype.name)

    def _launch_all(self) -> None:
        for launch in self.program.plan.launches:
            self._launch(launch)

    def _launch(self, launch: Launch) -> None:
        self._kernel(launch)(launch.grid, (self.program.gpu.BLOCK,), launch.arguments)

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
        cuda, plan = self.program.xp.cuda, self.program.plan
        events = [cuda.Event() for _ in range(len(plan.launches) + 1)]
        events[0].record()
        for launch, done in zip(plan.launches, events[1:], strict=True):
            self._launch(launch)
            done.record()
        events[-1].synchronize()
        for launch, (begin, end) in zip(plan.launches, pairwise(events), strict=True):
            launch.seconds += cuda.get_elapsed_time(begin, end) / 1e3
        plan.runs += 1

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
        return self.program.gradients.get(id(parameter))

    # What the host tells the device, when it changes ----------------------------------------------

    def set_settings(self, optimizer: optim.Optimizer, gradient: float) -> None:
        """What kernels/steps.cu calls settings: the loss's, then those of the update."""
        assert self.loss is not None
        of_loss, of_update = (gradient, self.loss.label_smoothing), optimizer.settings()
        if isinstance(optimizer, optim.Adam):
            lr, beta1, beta2, *others = of_update
            logs = [log(beta) if beta else -inf for beta in (beta1, beta2)]
            of_update = (lr, *logs, 1 - beta1, 1 - beta2, *others)
        elif isinstance(optimizer, optim.Adadelta):
            lr, rho, *others = of_update
            of_update = (lr, 1 - rho, *others)
        unused = SETTINGS - len(of_loss) - len(of_update)
        self._send("settings", (*of_loss, *of_update, *[0.0] * unused), self.settings)

    def set_table(self, learned: list[Tensor], states: list[tuple[list[Array], int]]) -> None:
        """Where each parameter, its gradient and its state lie; its size, and the step's number."""
        gradients = self.program.gradients
        rows = tuple(
            (p.data.data.ptr, gradients[id(p)].data.ptr, *_three_addresses(state), p.size, step)
            for p, (state, step) in zip(learned, states, strict=True)
        )
        if rows:
            self._send("table", rows, self.table)

    def set_keys(self, moves_on: bool) -> None:
        """The keys of the step's dropout masks; ``moves_on``: the step ends with ``update``."""
        masks = self.program.masks
        keys = tuple(n for _ in range(masks) for n in random.next_mask_key())
        if keys:
            self._send("keys", keys, self.program.keys)
        if moves_on:
            self.known["keys"] = tuple(n + masks * (i % 2) for i, n in enumerate(keys))

    def set_momenta(self) -> None:
        """The momentum of each batch normalisation; an infinite one averages over all batches."""
        for i, (layer, array) in enumerate(self.program.momenta):
            momentum = inf if layer.momentum is None else layer.momentum
            self._send(f"momentum {i}", (momentum,), array)

    def _send(self, name: str, numbers: tuple[Any, ...], array: Array) -> None:
        """Copy numbers to the device, if they are others than it has."""
        if self.known.get(name) != numbers:
            self.known[name] = numbers
            self.sent[name] = np.array(numbers, array.dtype)  # kept: the copy may be under way
            array.set(self.sent[name])


def _three_addresses(state: list[Array]) -> list[int]:
    return [array.data.ptr for array in state] + [0] * (3 - len(state))
