"""What ``minicnn.compile`` returns for a net on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minicnn import nn, optim
from minicnn.device import on_device_of
from minicnn.kernels import Array, array_module
from minicnn.tensor import Tensor

from ..accepted import check_optimizer
from ..compiled import CompiledStep, Predictor
from ..engines import Compiled
from ..means import Means
from ..record import Stage
from .engine import PredictionEngine
from .feed import Feed, Keys, Rows, check_rows, check_scale
from .training import Task, TrainingEngine


class _OnGpu(Compiled):
    """What step and prediction share: an engine for each batch size."""

    graph: bool
    _stream: Any

    def _set_up(self, graph: bool) -> None:
        # some parameter: its dtype and device are those of the net
        self.graph, self._like = graph, next(self.net.parameters())
        self.device = self._like.device
        self._stream = None  # of the last call
        self.means = Means(self.device, self._like.dtype)

    def __getstate__(self) -> dict[str, Any]:
        """A stream belongs to this process."""
        return {**super().__getstate__(), "_stream": None}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """On the net's device, while no other call uses the engines' memory.

        What a call launches may still run after it has returned. The next call's launches wait for
        it in the stream; if they go to another stream, the call itself waits here.
        """
        with self._lock, on_device_of(self.means.loss):
            stream = array_module(self.means.loss).cuda.get_current_stream()
            if self._stream is not None and self._stream.ptr != stream.ptr:
                self._stream.synchronize()
            self._stream = stream
            yield

    def _shape_of(self, x: Array) -> tuple[int, ...]:
        return tuple(x.shape)

    def _buffers(self) -> list[Tensor]:
        return [b for module in self.net.modules() for b in module._buffers.values()]

    def _settings(self) -> tuple[Any, ...]:
        return tuple(id(buffer.data) for buffer in self._buffers())  # launches know their addresses

    def _watched(self, stages: list[Stage]) -> list[Tensor]:
        """The tensors of a plan whose arrays its launches know by their addresses."""
        return [*(p for stage in stages for p in stage.parameters), *self._buffers()]


class GpuPredictor(_OnGpu, Predictor):
    """``predict(x)``: see ``minicnn.compile``."""

    def __init__(self, net: nn.Module, profile: bool, graph: bool):
        super().__init__(net, profile)
        self._set_up(graph)
        self._keys = Keys(self.device)  # of dropouts, for a net that has them in evaluation too

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_keys": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "_keys": Keys(state["device"])})

    def _predict(self, pixels: Array) -> Array:
        engine = self._engine(pixels)
        self._keys.tell(self._mask_keys(engine))
        engine.tell_momenta()
        array_module(pixels).copyto(engine.x, pixels)
        engine.run(self.profile)
        return engine.logits.copy()

    def _make_engine(self, stages: list[Stage], x: Array, dtype: np.dtype) -> PredictionEngine:
        like, watched = self._like.data, self._watched(stages)
        return PredictionEngine(x, like, stages, watched, self.graph, self._keys)


class GpuStep(_OnGpu, CompiledStep):
    """``loss, logits = step(x, y)``: see ``minicnn.compile``. x and y are on the net's device.

    The loss and the logits are the step's own memory: read or copy them before the next call.

    In the steady state (the same batch size, optimiser settings and arrays as before) a call copies
    the batch within the device and replays a graph: nothing is allocated, nothing is sent from the
    host, and nobody waits. With ``read_from`` and ``take`` the graph finds the batch by itself.
    """

    gathers = True

    def __init__(
        self,
        net: nn.Module,
        loss: nn.CrossEntropyLoss,
        optimizer: optim.Optimizer,
        profile: bool,
        graph: bool,
    ):
        super().__init__(net, loss, optimizer, profile)
        self._set_up(graph)
        self._feed = Feed(self.device)
        self._rows: Rows | None = None  # of ``read_from``

    def __getstate__(self) -> dict[str, Any]:
        """A copy counts its own steps."""
        return {**super().__getstate__(), "_feed": None, "_rows": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "_feed": Feed(state["device"]), "_rows": None})

    def _step(self, pixels: Array, labels: Array, gradient: float) -> tuple[Tensor, Tensor]:
        if labels.shape != (len(pixels),):
            raise ValueError(
                f"compile: y has shape {tuple(labels.shape)}; wanted a class index for each of "
                f"the {len(pixels)} images"
            )
        # the graph knows one place only, and it may still be read: the copies wait in the stream
        engine, copy = self._engine(pixels), array_module(pixels).copyto
        copy(engine.own.pictures, pixels)
        copy(engine.own.labels, labels)
        return self._take(engine, engine.own, gradient)

    def read_from(
        self,
        pictures: Array,
        labels: Array,
        order: Array | None,
        size: int,
        batch: int = 0,
        scale: Array | None = None,
    ) -> None:
        """Let ``take`` gather the batches of an epoch from a data set on the net's device.

        Args:
            pictures: (M, ...), uint8 or the net's dtype, C-contiguous.
            labels: int64 (M,), C-contiguous.
            order: int64, C-contiguous, the rows of the epoch one after the other, each below M,
                which is not checked; None: they come as they lie.
            size: of all batches but perhaps the last; 0: each begins with the first row.
            batch: the number of the first that is taken.
            scale: float32 (2, C, 1, 1), what pixels are multiplied by and what is added then; None:
                they are divided by 255.

        Raises:
            TypeError, ValueError: arrays of another device, dtype or shape; see ``check_rows``.
        """
        check_rows(pictures, labels, order, size, batch, self.device)
        if scale is not None:
            check_scale(scale, pictures, self.device)
        self._rows = Rows(pictures, labels, order, size, batch, scale)

    def take(self, images: int, gradient: float = 1.0) -> tuple[Tensor, Tensor]:
        """``step(x, y, gradient)`` with the next batch, of this many images: see ``read_from``.

        It is one launch of a graph: pictures and labels are gathered within it.

        Raises:
            RuntimeError: ``read_from`` has not been called.
            ValueError: fewer images are left of the epoch.
        """
        rows = self._rows
        if rows is None:
            raise RuntimeError("compile: take is called after read_from, not before")
        with self._alone():
            check_optimizer(self.optimizer)  # it may have got a method of its own since
            return self._take(self._engine(rows.like(images)), rows, gradient)

    def batch(self) -> tuple[Tensor, Tensor]:
        """The last batch, pictures as numbers and labels; valid until the next."""
        return self._engine_of_last_call().batch

    def _take(self, engine: TrainingEngine, rows: Rows, gradient: float) -> tuple[Tensor, Tensor]:
        engine.take(rows, self._task(), gradient, self._mask_keys(engine), self.profile)
        self.means.examples += engine.plan.images
        return Tensor(engine.result), Tensor(engine.logits)

    def _task(self) -> Task:
        return Task(self.loss, self.optimizer, self.means, self._feed)

    def _compared(self) -> tuple[Any, ...]:
        return self.optimizer.kernel, *map(id, self.optimizer.params)

    def _settings(self) -> tuple[Any, ...]:
        # label smoothing and the optimiser's settings may change: they lie in device memory
        weight, loss = self.loss.weight, self.loss
        of_loss = None if weight is None else id(weight.data), loss.ignore_index, loss.reduction
        return (*super()._settings(), *of_loss, *self._compared())

    def _make_engine(self, stages: list[Stage], x: Array, dtype: np.dtype) -> TrainingEngine:
        like, watched = self._like.data, self._watched(stages)
        return TrainingEngine(x, like, stages, watched, self.graph, self._task())
