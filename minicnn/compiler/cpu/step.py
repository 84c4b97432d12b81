"""What ``minicnn.compile`` returns for a net on the CPU."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from minicnn import nn, optim
from minicnn.kernels import Array
from minicnn.nn.functional.loss import are_classes, class_indices
from minicnn.tensor import Tensor

from ..compiled import CompiledStep, Predictor
from ..engines import Compiled
from ..means import ROOM, Means
from ..record import Stage
from .engine import Engine
from .lower import lay_out
from .pixels.engine import PixelEngine
from .pixels.lower import lay_out as lay_out_pixels

GROUP_BYTES = 1_300_000  # that a group's memory may take: about a core's second cache
LARGEST_GROUP = 4  # tiles
FEW = 8  # images that are predicted sooner one after the other than in a tile


class _OnCpu(Compiled):
    """What step and prediction share: how their engines are made.

    Attributes:
        winograd: whether a convolution may be computed so, where that is faster.
    """

    winograd = True

    def _array(self, tensor: Tensor) -> Array:
        return np.ascontiguousarray(super()._array(tensor))

    def _make_engine(self, stages: list[Stage], x: Array, dtype: np.dtype) -> Any:
        what = dtype, x.dtype == np.uint8, self.loss, self.winograd
        plan = lay_out(stages, 1, *what)
        # a tile's memory is known now: as many tiles as fit into the cache make a group
        group = min(LARGEST_GROUP, GROUP_BYTES // (plan.memory * dtype.itemsize))
        if group > 1:
            plan = lay_out(stages, group, *what)
        return Engine(plan, stages[-1].output_shape, self.optimizer)


class CpuPredictor(_OnCpu, Predictor):
    """``predict(x)``: see ``minicnn.compile``. The result is an array of its own."""

    def __init__(self, net: nn.Module, profile: bool, winograd: bool = True):
        super().__init__(net, profile)
        self.winograd = winograd

    def _shape_of(self, x: Array) -> tuple[int, ...]:
        """A few images have an engine of their own."""
        return (*x.shape[1:], len(x) <= FEW)

    def _make_engine(self, stages: list[Stage], x: Array, dtype: np.dtype) -> Any:
        # for one image after the other; None if there is no such plan, or the batch is large
        plan = lay_out_pixels(stages, dtype, x.dtype == np.uint8) if len(x) <= FEW else None
        if plan is None:
            return super()._make_engine(stages, x, dtype)
        return PixelEngine(plan, stages[-1].output_shape)

    def _predict(self, pixels: Array) -> Array:
        engine = self._engine(pixels)
        result = np.empty((len(pixels), *engine.result_shape), engine.plan.dtype)
        engine.run(pixels, engine.no_labels, result, self._mask_keys(engine), self.profile)
        return result


class CpuStep(_OnCpu, CompiledStep):
    """``loss, logits = step(x, y)``: see ``minicnn.compile``."""

    def __init__(
        self,
        net: nn.Module,
        loss: nn.CrossEntropyLoss,
        optimizer: optim.Optimizer,
        profile: bool,
        winograd: bool = True,
    ):
        super().__init__(net, loss, optimizer, profile)
        self.winograd = winograd
        self.means = Means()
        self._logits = np.zeros(0)

    def __getstate__(self) -> dict[str, Any]:
        """A copy has scores of its own."""
        return {**super().__getstate__(), "_logits": np.zeros(0)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A pickle of version 0.1 has no means."""
        super().__setstate__({"means": Means(), **state})

    def _step(self, pixels: Array, labels: Array, gradient: float) -> tuple[Tensor, Tensor]:
        engine = self._engine(pixels)
        logits = self._room_for_logits(engine, len(pixels))
        scores = Tensor(logits)
        divisor = self._divisor(scores, labels)
        # a mean's gradient is the sum's over the divisor; 0 / 0 with all labels ignored, as eager's
        self._set_loss(engine, gradient / divisor if divisor else math.nan)
        indices = labels.astype(np.int64, copy=False)
        masks = self._mask_keys(engine)
        exchange = self.exchange and partial(self._exchange, engine, len(labels))
        engine.run(pixels, indices, logits, masks, self.profile, self.optimizer, exchange)
        total, correct = engine.loss_and_correct()
        loss = np.array(total / divisor if divisor else math.nan, logits.dtype)
        if exchange is None:
            self.means.add(float(loss), correct, len(labels))
        return Tensor(loss), scores

    def _exchange(self, engine: Engine, images: int) -> None:
        """Sum gradients and measurements over the ranks; count the whole batch."""
        assert self.exchange is not None
        loss, correct = engine.loss_and_correct()
        self.means.add(*self.exchange(engine.gradients_and(ROOM), (loss, correct, images)))

    def _divisor(self, scores: Tensor, labels: Array) -> float:
        """What the sum of the losses is divided by. Labels that eager refuses are refused."""
        loss, (images, classes) = self.loss, scores.shape
        nothing_ignored = loss.weight is None and not 0 <= loss.ignore_index < classes
        as_usual = nothing_ignored and loss.reduction in ("mean", "sum")
        if as_usual and labels.shape == (images,) and are_classes(labels, classes):
            count: Any = images
        else:
            settings = (loss.weight, loss.ignore_index, loss.reduction)
            indices, weights = class_indices("compile", scores, Tensor(labels), *settings)
            count = np.count_nonzero(indices >= 0) if weights is None else weights.sum()
        return 1.0 if loss.reduction == "sum" else float(count)

    def _set_loss(self, engine: Engine, scale: float) -> None:
        """Write the settings of the loss among the plan's constants, for its instruction."""
        classes, ignored = engine.result_shape[0], self.loss.ignore_index
        settings = engine.constants_at(engine.plan.loss_settings, 3 + classes)
        settings[0], settings[1] = self.loss.label_smoothing, scale
        settings[2] = ignored if 0 <= ignored < classes else -1  # any other is no class's number
        settings[3:] = 1 if self.loss.weight is None else self.loss.weight.data

    def _room_for_logits(self, engine: Engine, images: int) -> np.ndarray:
        # the beginning of one array serves smaller batches too, such as an epoch's last
        size = images * engine.result_shape[0]
        if self._logits.dtype != engine.plan.dtype or self._logits.size < size:
            self._logits = np.zeros(size, engine.plan.dtype)
        return self._logits[:size].reshape(images, *engine.result_shape)
