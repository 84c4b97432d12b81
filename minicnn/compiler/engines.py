"""Finds the engine for a batch (a plan with its memory), or has one made.

How an engine is made and run stands in ``cpu/step.py`` and ``gpu/step.py``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import numpy as np

from minicnn import nn, optim, random
from minicnn.kernels import Array
from minicnn.tensor import Tensor, as_tensor

from .guards import Guard
from .record import CompileError, Stage, graph_of, one_at_a_time
from .recording import follow, images_that_count

MOST_ENGINES = 8  # that are kept; the one unused for longest goes first


class Engine(Protocol):
    """What the CPU's and the GPU's engines have in common."""

    plan: Any

    def fits(self) -> bool:
        """Whether it can compute with the parameters as they are now."""

    def is_current(self) -> bool:
        """Whether nothing about the parameters has changed since the last run."""

    def gradient_of(self, parameter: Tensor) -> Array | None:
        """The last step's gradient of a parameter; None if the plan computes none."""


class _Entry(NamedTuple):
    """An engine, and the batches and the state of the net that it is right for.

    Attributes:
        kind: shape and dtype of the pictures, and what else ``Compiled._find`` compares.
        graph: all that the plan takes from the net: see ``graph_of``.
        guard: tells whether the graph still holds.
        images: the batch sizes that the graph was recorded with; None stands for all.
    """

    kind: tuple[Any, ...]
    graph: list[Any]
    guard: Guard
    images: set[int | None]
    engine: Any

    def fits(self, x: Array) -> bool:
        """Whether its graph is that of the net as it is now, for a batch like ``x``."""
        # a forward of the user's own may branch on the batch size
        is_known = None in self.images or images_that_count(x) in self.images
        return is_known and self.guard.holds()


class Compiled:
    """Keeps an engine for each shape of picture, dtype and state of the net.

    An engine's memory serves one call at a time: calls from several threads wait for each other.

    Attributes:
        training: the mode to compute in; None: the net's own.
        seconds_preparing: spent on recording, planning and compiling so far.
    """

    loss: nn.CrossEntropyLoss | None = None
    optimizer: optim.Optimizer | None = None
    device = "cpu"
    training: bool | None = None

    def __init__(self, net: nn.Module, profile: bool):
        self.net, self.profile = net, profile
        self.seconds_preparing = 0.0
        self._lock = threading.RLock()
        self._entries: list[_Entry] = []  # the one unused for longest first
        self._now: _Entry | None = None  # that of the last call
        # for each kind of batch what its last call compared, and its entry
        self._known: dict[Any, tuple[Any, _Entry]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: without the engines, whose tables hold addresses."""
        return {**vars(self), "_entries": [], "_now": None, "_known": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # what version 0.1 pickled has no ``_known``
        vars(self).update({"_known": {}, **state}, _lock=threading.RLock())

    @property
    def plan(self) -> Any:
        """The plan of the last call. ``print`` it.

        Raises:
            RuntimeError: there was no call yet, so the shape of the pictures is not known.
        """
        return self._engine_of_last_call().plan

    def _engine_of_last_call(self) -> Any:
        if self._now is None:
            raise RuntimeError("compile: there is a plan after the first call, not before")
        return self._now.engine

    def _engine(self, x: Array) -> Any:
        """The engine for such pictures and the net as it is now."""
        # this runs in every call: as long as nothing was set, comparing these few is enough
        kind = (self._shape_of(x), x.dtype)
        state = nn.Module.changes, self.net, self.loss, *self._compared()
        before, entry = self._known.get(kind, (None, None))
        if entry is not None and before == state and entry.engine.is_current() and entry.fits(x):
            if entry is not self._now:  # batches of two kinds take turns
                self._use(entry)
            return entry.engine
        entry = self._find(x)
        self._use(entry)
        kept = {id(entry) for entry in self._entries}
        known = {kind: pair for kind, pair in self._known.items() if id(pair[1]) in kept}
        self._known = {**known, kind: (state, entry)}  # at once: an interruption leaves pairs whole
        return entry.engine

    def _use(self, entry: _Entry) -> None:
        """Note that this one serves the call; the one unused for longest may have to go."""
        others = [e for e in self._entries if e.engine is not entry.engine]  # one entry an engine
        self._entries = [*others, entry][-MOST_ENGINES:]
        self._now = entry

    def _find(self, x: Array) -> _Entry:
        parameters = [p for m in self.net.modules() for p in m._parameters.values()]
        self._check_device(parameters)
        self._check()
        dtype = self._dtype(x, parameters)
        kind = (self._shape_of(x), x.dtype, dtype, *self._settings())
        alike = [e for e in reversed(self._entries) if e.kind == kind and e.engine.fits()]
        entry = next((entry for entry in alike if entry.fits(x)), None)
        if entry is None:  # no graph still holds: record the net; the graph may be a known one
            began = time.perf_counter()
            entry = self._record(x, dtype, kind, alike)
            self.seconds_preparing += time.perf_counter() - began
        return entry

    def _record(
        self, x: Array, dtype: np.dtype, kind: tuple[Any, ...], alike: list[_Entry]
    ) -> _Entry:
        """Record the net. Its entry gets the engine of one with the same graph, or a new one."""
        stages, guard, images = follow(self.net, x, dtype, self.training)
        _check_result(stages, self.loss)
        graph = graph_of(stages)
        for entry in alike:
            if entry.graph == graph:
                # batch sizes seen before count only if nothing else has changed since
                others = entry.images if entry.guard.holds() else set()
                return _Entry(kind, graph, guard, {images, *others}, entry.engine)
        engine = self._make_engine(stages, x, dtype)
        return _Entry(kind, graph, guard, {images}, engine)

    def _check(self) -> None:
        """Refuse what a plan would not do, though it was added to the net after compiling."""
        with one_at_a_time:  # another thread's recording sets hooks of its own
            hooked = [type(m).__name__ for m in self.net.modules() if m._forward_hooks]
        if hooked:
            raise CompileError(
                f"compile: a {hooked[0]} of the net has a forward hook, which a plan would not "
                "call; remove it, or call the net itself"
            )

    def _dtype(self, x: Array, parameters: Sequence[Tensor]) -> np.dtype:
        """In which to compute: the dtype of the parameters, or without any, of the pictures."""
        first: Any = parameters[0] if parameters else x
        # a net of integers, or a net without parameters on bytes, computes in float32
        dtype = first.dtype if first.dtype.kind == "f" else np.dtype(np.float32)
        if x.dtype not in (np.uint8, dtype):
            raise TypeError(f"compile: x is {x.dtype}; wanted uint8 or the net's {dtype}")
        return dtype

    def _shape_of(self, x: Array) -> tuple[int, ...]:
        """The part of the batch's shape that an engine is made for."""
        return x.shape[1:]

    def _compared(self) -> tuple[Any, ...]:
        """What else is compared in every call."""
        return ()

    def _settings(self) -> tuple[Any, ...]:
        """What else an engine is made for."""
        return ()

    def _make_engine(self, stages: list[Stage], x: Array, dtype: np.dtype) -> Engine:
        """The engine of a graph, for such a batch."""
        raise NotImplementedError

    def _alone(self) -> AbstractContextManager[Any]:
        """Inside ``with``, no other call uses the engines' memory."""
        return self._lock

    def _mask_keys(self, engine: Engine) -> list[tuple[int, int]]:
        """The keys of the dropout masks that one call draws, in the order of the graph."""
        return [random.next_mask_key() for _ in range(engine.plan.masks)]

    def _arrays(self, x: Any, *labels: Any) -> list[Array]:
        """The arrays of a batch, which have to be where the net is."""
        # labels may be a list of numbers, which as a tensor would become float32
        arrays = [y if hasattr(y, "dtype") else np.asarray(y) for y in labels]
        return [self._array(as_tensor(part)) for part in (x, *arrays)]

    def _array(self, tensor: Tensor) -> Array:
        if tensor.device != self.device:
            self._check_device([*self.net.parameters()])
            raise TypeError(
                f"compile: received an array on {tensor.device}; wanted one on {self.device}, "
                "where the net is"
            )
        return tensor.data

    def _check_device(self, parameters: Sequence[Tensor]) -> None:
        here = parameters[0].device if parameters else self.device
        if here != self.device:
            raise RuntimeError(
                f"compile: the net has moved from {self.device} to {here}; compile it there"
            )


def _check_result(stages: list[Stage], loss: nn.CrossEntropyLoss | None) -> None:
    if not stages:
        raise CompileError("compile: the net applies no operation")
    shape = stages[-1].output_shape
    if loss is not None and len(shape) != 1:
        raise CompileError(f"compile: the net gives {shape} an image; wanted (classes,) for a loss")
