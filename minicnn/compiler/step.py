"""The objects that ``minicnn.compile`` returns: each keeps an engine for every kind of batch."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn import nn, optim, random
from minicnn.kernels import Array
from minicnn.nn import functional as F
from minicnn.tensor import Tensor, as_tensor

from .plan import Plan
from .record import CompileError, Stage, record

if TYPE_CHECKING:
    from .engine import Engine

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


class Compiled:
    """Keeps an engine for each shape of picture, dtype and mode."""

    loss: nn.CrossEntropyLoss | None = None
    device = "cpu"

    def __init__(self, net: nn.Module, profile: bool):
        self.net, self.profile = net, profile
        self.seconds_preparing = 0.0  # recording, planning and compiling so far
        self._engines: dict[Any, Any] = {}
        self._last: Any = None
        self._seen: Any = None

    @property
    def plan(self) -> Plan:
        """The plan of the last call; ``print`` it.

        Raises:
            RuntimeError: nothing was called yet, so the shape of the pictures is not known.
        """
        return self._engine_of_last_call().plan

    def _engine_of_last_call(self) -> Any:
        if self._last is None:
            raise RuntimeError("compile: there is a plan after the first call, not before")
        return self._last

    def _engine(self, x: Array) -> Any:
        """The engine for such pictures, in the net's present mode."""
        if self._seen != self._state(x) or not self._last.is_current():
            self._last = self._find_engine(x)
            self._seen = self._state(x)  # to look at the net was a change as well, put back
        return self._last

    def _state(self, x: Array) -> tuple[Any, ...]:
        """While this stays as it is, the engine does too, unless a parameter changes."""
        return nn.Module.changes, self.net, self._shape_of(x), x.dtype

    def _find_engine(self, x: Array) -> Any:
        modules = list(self.net.modules())
        parameters = [p for m in modules for p in m._parameters.values()]
        self._check_device(parameters)
        dtype = parameters[0].dtype if parameters else np.dtype(np.float32)
        if x.dtype not in (np.uint8, dtype):
            raise TypeError(f"compile: x is {x.dtype}; wanted uint8 or the net's {dtype}")
        key = (
            self._shape_of(x),
            x.dtype,
            dtype,
            *map(id, modules),
            *[m.training for m in modules],
            *[self._identity(p) for p in parameters],
            *[p.requires_grad for p in parameters],
            *self._settings(),
        )
        engine = self._engines.pop(key, None)
        if engine is None:
            if len(self._engines) == MOST_ENGINES:
                del self._engines[next(iter(self._engines))]
            began = time.perf_counter()
            engine = self._make_engine(x, dtype)
            self.seconds_preparing += time.perf_counter() - began
            engine.modules = modules  # kept alive, so that nobody gets their ids
        self._engines[key] = engine  # behind the others: the first goes first
        return engine

    def _shape_of(self, x: Array) -> tuple[int, ...]:
        """What of the batch's shape an engine depends on."""
        return x.shape[1:]

    def _identity(self, parameter: Tensor) -> int:
        """What of a parameter an engine depends on."""
        return id(parameter)

    def _settings(self) -> tuple[Any, ...]:
        """What else an engine depends on."""
        return ()

    def _make_engine(self, x: Array, dtype: np.dtype) -> Any:
        from .engine import Engine
        from .lowering import lay_out

        stages = self._record(x, dtype)
        plan = lay_out(stages, 1, dtype, x.dtype == np.uint8, self.loss)
        group = min(LARGEST_GROUP, GROUP_BYTES // (plan.memory * dtype.itemsize))
        if group > 1:
            plan = lay_out(stages, group, dtype, x.dtype == np.uint8, self.loss)
        return Engine(plan, stages[-1].output_shape, learns=self.loss is not None)

    def _record(self, x: Array, dtype: np.dtype) -> list[Stage]:
        stages = record(self.net, x.shape[1:], dtype)
        _check_result(stages, self.loss)
        return stages

    def _masks(self, engine: Engine) -> list[tuple[int, int]]:
        return [random.next_mask_key() for _ in range(engine.plan.masks)]

    def _arrays(self, *batch: Any) -> list[Array]:
        """The arrays of a batch, which have to be where the net is; on the CPU C-contiguous."""
        return [self._array(as_tensor(part)) for part in batch]

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
    """``predict(x)``: see ``minicnn.compile``."""

    def __call__(self, x: Any) -> Tensor:
        """``net(x)`` without recording, in the net's present mode.

        x: (N, C, H, W) in the net's dtype, or uint8 (pixels, divided by 255). Returns (N, classes).
        """
        (pixels,) = self._arrays(x)
        engine = self._engine(pixels)
        result = np.empty((len(pixels), *engine.result_shape), engine.plan.dtype)
        engine.run(pixels, engine.no_labels, result, self._masks(engine), self.profile)
        return Tensor(result)


class CompiledStep(Compiled):
    """``loss, logits = step(x, y)``: see ``minicnn.compile``."""

    loss: nn.CrossEntropyLoss

    def __init__(
        self, net: nn.Module, loss: nn.CrossEntropyLoss, optimizer: optim.SGD, profile: bool
    ):
        super().__init__(net, profile)
        self.loss, self.optimizer = loss, optimizer
        self.counts: Any = Counts()
        self._logits = np.zeros(0)

    def __call__(self, x: Any, y: Any, gradient: float = 1.0) -> tuple[Tensor, Tensor]:
        """One step of training.

        Args:
            x: (N, C, H, W) in the net's dtype, or uint8 (pixels, divided by 255).
            y: (N,) class indices.
            gradient: what ``loss.backward(gradient)`` would be given.

        Returns:
            The loss and the logits (N, classes) of before the update, without a past; both are
            valid until the next call.
        """
        pixels, target = self._arrays(x, y)
        if target.dtype.kind == "f":
            raise TypeError(f"compile: y is {target.dtype}; wanted class indices, integers")
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
        if as_usual and target.shape == (images,) and F.are_classes(target, classes):
            count: Any = images
        else:
            settings = (loss.weight, loss.ignore_index, loss.reduction)
            indices, weights = F.class_indices("compile", scores, Tensor(target), *settings)
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
