"""The objects that ``minicnn.compile`` returns: each keeps an engine for every kind of batch."""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minicnn import nn, optim, random
from minicnn.kernels import Array
from minicnn.nn.functional.loss import are_classes, class_indices
from minicnn.tensor import Tensor, as_tensor

from .accepted import check_optimizer, settings_of
from .cpu.plan import Plan
from .guards import Guard, follow, images_that_count
from .record import CompileError, Stage, chain_of, one_at_a_time

if TYPE_CHECKING:
    from .cpu.engine import Engine

GROUP_BYTES = 1_300_000  # that a group's memory may take: about a core's second cache
LARGEST_GROUP = 4  # tiles
MOST_ENGINES = 8  # kept; the longest unused goes


class Counts:
    """The loss and what was right, summed up over an epoch."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.loss, self.hits = 0.0, 0

    def now(self) -> tuple[Any, Any]:
        """Both sums as they stand now."""
        return self.loss, self.hits


class _Entry(NamedTuple):
    """An engine, and for which batches and which state of the net it is the right one.

    Attributes:
        kind: shape and dtype of the pictures, and the like.
        chain: all that the plan takes from the net: see ``chain_of``.
        guard: what the chain depended on when it was recorded.
        images: the sizes of batch that it was recorded with; None stands for all.
    """

    kind: tuple[Any, ...]
    chain: list[Any]
    guard: Guard
    images: set[int | None]
    engine: Any

    def fits(self, x: Array) -> bool:
        """Whether it serves such a batch, with the net as it is now."""
        is_known = None in self.images or images_that_count(x) in self.images
        return is_known and self.guard.holds()


class Compiled:
    """Keeps an engine for each shape of picture, dtype and state of the net.

    An engine's memory serves one call at a time: calls from several threads queue at the lock.
    """

    loss: nn.CrossEntropyLoss | None = None
    optimizer: optim.Optimizer | None = None
    device = "cpu"
    training: bool | None = None  # the mode to compute in; None: the net's

    def __init__(self, net: nn.Module, profile: bool):
        self.net, self.profile = net, profile
        self.seconds_preparing = 0.0  # recording, planning and compiling so far
        self._lock = threading.RLock()
        self._entries: list[_Entry] = []  # the longest unused first
        self._now: tuple[Any, _Entry] | None = None  # what the last call found, and where
        self._stream: Any = None  # of the last call on a GPU

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: without the engines, whose tables hold addresses."""
        return {**vars(self), "_entries": [], "_now": None, "_lock": None, "_stream": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.RLock())

    @property
    def plan(self) -> Plan:
        """The plan of the last call; ``print`` it.

        Raises:
            RuntimeError: nothing was called yet, so the shape of the pictures is not known.
        """
        return self._engine_of_last_call().plan

    def _engine_of_last_call(self) -> Any:
        if self._now is None:
            raise RuntimeError("compile: there is a plan after the first call, not before")
        return self._now[1].engine

    def _engine(self, x: Array) -> Any:
        """The engine for such pictures and the net as it is now."""
        state = nn.Module.changes, self.net, self.loss, self._shape_of(x), x.dtype
        if self._now is not None:
            before, entry = self._now
            if before == state and entry.engine.is_current() and entry.fits(x):
                return entry.engine
        entry = self._find(x)
        self._now = state, entry  # at once: an interruption leaves the old pair or the new one
        return entry.engine

    def _find(self, x: Array) -> _Entry:
        parameters = [p for m in self.net.modules() for p in m._parameters.values()]
        self._check_device(parameters)
        self._check()
        dtype = self._dtype(x, parameters)
        kind = (self._shape_of(x), x.dtype, dtype, *self._settings())
        alike = [e for e in reversed(self._entries) if e.kind == kind and e.engine.fits()]
        entry = next((entry for entry in alike if entry.fits(x)), None)
        if entry is None:
            began = time.perf_counter()
            entry = self._record(x, dtype, kind, alike)
            self.seconds_preparing += time.perf_counter() - began
        others = [e for e in self._entries if e.engine is not entry.engine]
        self._entries = [*others, entry][-MOST_ENGINES:]
        return entry

    def _record(
        self, x: Array, dtype: np.dtype, kind: tuple[Any, ...], alike: list[_Entry]
    ) -> _Entry:
        """The entry of the net as it is now: with the engine of one that is alike, or a new one."""
        stages, guard, images = follow(self.net, x, dtype, self.training)
        _check_result(stages, self.loss)
        chain = chain_of(stages)
        for entry in alike:
            if entry.chain == chain:
                others = entry.images if entry.guard.holds() else set()
                return _Entry(kind, chain, guard, {images, *others}, entry.engine)
        engine = self._make_engine(stages, x, dtype)
        return _Entry(kind, chain, guard, {images}, engine)

    def _check(self) -> None:
        """Refuse what has been changed in a way that a plan would not follow."""
        with one_at_a_time:  # a recording has hooks of its own
            hooked = [type(m).__name__ for m in self.net.modules() if m._forward_hooks]
        if hooked:
            raise CompileError(
                f"compile: a {hooked[0]} of the net has a forward hook, which a plan would not "
                "call; remove it, or call the net itself"
            )

    def _dtype(self, x: Array, parameters: Sequence[Tensor]) -> np.dtype:
        """In which to compute: the parameters' or, where there are none, that of the pictures."""
        first: Any = parameters[0] if parameters else x
        dtype = first.dtype if first.dtype.kind == "f" else np.dtype(np.float32)
        if x.dtype not in (np.uint8, dtype):
            raise TypeError(f"compile: x is {x.dtype}; wanted uint8 or the net's {dtype}")
        return dtype

    def _shape_of(self, x: Array) -> tuple[int, ...]:
        """What of the batch's shape an engine depends on."""
        return x.shape[1:]

    def _settings(self) -> tuple[Any, ...]:
        """What else an engine depends on."""
        return ()

    def _make_engine(self, stages: list[Stage], x: Array, dtype: np.dtype) -> Any:
        from .cpu.engine import Engine
        from .cpu.lower import lay_out

        plan = lay_out(stages, 1, dtype, x.dtype == np.uint8, self.loss)
        group = min(LARGEST_GROUP, GROUP_BYTES // (plan.memory * dtype.itemsize))
        if group > 1:
            plan = lay_out(stages, group, dtype, x.dtype == np.uint8, self.loss)
        return Engine(plan, stages[-1].output_shape, self.optimizer)

    def _masks(self, engine: Engine) -> list[tuple[int, int]]:
        return [random.next_mask_key() for _ in range(engine.plan.masks)]

    def _arrays(self, x: Any, *labels: Any) -> list[Array]:
        """The arrays of a batch, which have to be where the net is; on the CPU C-contiguous."""
        arrays = [y if hasattr(y, "dtype") else np.asarray(y) for y in labels]  # a list of classes
        return [self._array(as_tensor(part)) for part in (x, *arrays)]

    def _array(self, tensor: Tensor) -> Array:
        if tensor.device != self.device:
            self._check_device([*self.net.parameters()])
            raise TypeError(
                f"compile: received an array on {tensor.device}; wanted one on {self.device}, "
                "where the net is"
            )
        return np.ascontiguousarray(tensor.data) if self.device == "cpu" else tensor.data

    def _check_device(self, parameters: Sequence[Tensor]) -> None:
        here = parameters[0].device if parameters else self.device
        if here != self.device:
            raise RuntimeError(
                f"compile: the net has moved from {self.device} to {here}; compile it there"
            )


class Predictor(Compiled):
    """``predict(x)``: see ``minicnn.compile``. Threads may share it."""

    training = False

    def __call__(self, x: Any) -> Tensor:
        """``net(x)`` in evaluation mode and without recording; the net's own mode stays.

        x: (N, C, H, W) in the net's dtype, or uint8 (pixels, divided by 255). Returns (N, classes).
        """
        (pixels,) = self._arrays(x)
        with self._lock:
            engine = self._engine(pixels)
            result = np.empty((len(pixels), *engine.result_shape), engine.plan.dtype)
            engine.run(pixels, engine.no_labels, result, self._masks(engine), self.profile)
        return Tensor(result)


class CompiledStep(Compiled):
    """``loss, logits = step(x, y)``: see ``minicnn.compile``."""

    loss: nn.CrossEntropyLoss
    optimizer: optim.Optimizer

    def __init__(
        self, net: nn.Module, loss: nn.CrossEntropyLoss, optimizer: optim.Optimizer, profile: bool
    ):
        super().__init__(net, profile)
        self.loss, self.optimizer = loss, optimizer
        self.counts: Any = Counts()
        self._logits = np.zeros(0)

    def __getstate__(self) -> dict[str, Any]:
        """A copy counts for itself, and has scores of its own."""
        return {**super().__getstate__(), "counts": copy.copy(self.counts), "_logits": np.zeros(0)}

    def __call__(self, x: Any, y: Any, gradient: float = 1.0) -> tuple[Tensor, Tensor]:
        """One step of training.

        Args:
            x: (N, C, H, W) in the net's dtype, or uint8 (pixels, divided by 255).
            y: (N,) class indices.
            gradient: what ``loss.backward(gradient)`` would be given.

        Returns:
            The loss and the logits (N, classes) of before the update, without a past; both are
            valid until the next call.

        A step of another thread waits until this one has ended, and is the next call.
        """
        pixels, target = self._arrays(x, y)
        if target.dtype.kind == "f":
            raise TypeError(
                f"compile: y is {target.dtype}; wanted class indices, integers: "
                "minicnn.Tensor(y).to('int64')"
            )
        with self._lock:
            return self._step(pixels, target, gradient)

    def _step(self, pixels: Array, target: Array, gradient: float) -> tuple[Tensor, Tensor]:
        check_optimizer(self.optimizer)
        engine = self._engine(pixels)
        logits = self._room_for_logits(engine, len(pixels))
        scores = Tensor(logits)
        divisor = self._divisor(scores, target)
        self._set_loss(engine, gradient / divisor if divisor else math.nan)
        labels = target.astype(np.int64, copy=False)
        engine.run(pixels, labels, logits, self._masks(engine), self.profile)
        total, hits = engine.loss_and_hits()
        loss = np.array(total / divisor if divisor else math.nan, logits.dtype)
        self.counts.loss += float(loss) * len(labels)
        self.counts.hits += hits
        engine.step(self.optimizer)
        return Tensor(loss), scores

    def _check(self) -> None:
        super()._check()
        settings_of(self.loss)

    def gradients(self) -> dict[str, Tensor]:
        """The gradients of the last step, by the parameters' names; valid until the next."""
        engine = self._engine_of_last_call()
        return {
            name: Tensor(gradient)
            for name, p in self.net.named_parameters()
            if p.requires_grad and (gradient := engine.gradient_of(p)) is not None
        }

    def _divisor(self, scores: Tensor, target: Array) -> float:
        """What the sum of the losses is divided by. A target that eager refuses is refused."""
        loss, (images, classes) = self.loss, scores.shape
        nothing_ignored = loss.weight is None and not 0 <= loss.ignore_index < classes
        as_usual = nothing_ignored and loss.reduction in ("mean", "sum")
        if as_usual and target.shape == (images,) and are_classes(target, classes):
            count: Any = images
        else:
            settings = (loss.weight, loss.ignore_index, loss.reduction)
            indices, weights = class_indices("compile", scores, Tensor(target), *settings)
            count = np.count_nonzero(indices >= 0) if weights is None else weights.sum()
        return 1.0 if loss.reduction == "sum" else float(count)

    def _set_loss(self, engine: Engine, scale: float) -> None:
        classes, ignored = engine.result_shape[0], self.loss.ignore_index
        settings = engine.constants_at(engine.plan.loss_settings, 3 + classes)
        settings[0], settings[1] = self.loss.label_smoothing, scale
        settings[2] = ignored if 0 <= ignored < classes else -1  # others are no class anyway
        settings[3:] = 1 if self.loss.weight is None else self.loss.weight.data

    def _room_for_logits(self, engine: Engine, images: int) -> np.ndarray:
        size = images * engine.result_shape[0]
        if self._logits.dtype != engine.plan.dtype or self._logits.size < size:
            self._logits = np.zeros(size, engine.plan.dtype)
        return self._logits[:size].reshape(images, *engine.result_shape)


def _check_result(stages: list[Stage], loss: nn.CrossEntropyLoss | None) -> None:
    if not stages:
        raise CompileError("compile: the net applies no operation")
    shape = stages[-1].output_shape
    if loss is not None and len(shape) != 1:
        raise CompileError(f"compile: the net gives {shape} an image; wanted (classes,) for a loss")
