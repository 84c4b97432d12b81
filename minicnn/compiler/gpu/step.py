"""What ``minicnn.compile`` returns for a net on a GPU."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minicnn import nn, optim
from minicnn.device import on_device
from minicnn.kernels import Array, array_module
from minicnn.tensor import Tensor

from ..accepted import check_optimizer
from ..record import CompileError, Stage
from ..step import CompiledStep, Predictor
from .engine import Counts, Engine


class _OnGpu:
    """What step and prediction share: an engine for each batch size."""

    net: nn.Module
    loss: Any
    graph: bool
    _lock: threading.RLock
    _stream: Any

    def _set_up(self, net: nn.Module, graph: bool) -> None:
        self.graph, self._like = graph, next(net.parameters())
        self.device = self._like.device
        with on_device(self.device):
            self.counts = Counts(self._like.data)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """On the net's device, while no other call uses the engines' memory.

        What a call launches may run on after it has returned. The next one is queued behind it,
        unless it comes on another stream.
        """
        with self._lock, on_device(self.device):
            stream = array_module(self.counts.loss).cuda.get_current_stream()
            if self._stream is not None and self._stream.ptr != stream.ptr:
                self._stream.synchronize()
            self._stream = stream
            yield

    def _shape_of(self, x: Array) -> tuple[int, ...]:
        return tuple(x.shape)

    def _settings(self) -> tuple[Any, ...]:
        buffers = [b for module in self.net.modules() for b in module._buffers.values()]
        return tuple(id(buffer.data) for buffer in buffers)  # which a launch keeps

    def _make_engine(self, stages: list[Stage], x: Array, dtype: np.dtype) -> Engine:
        return Engine(stages, x, self._like.data, self.loss, self.counts, self.graph)


class GpuPredictor(_OnGpu, Predictor):
    """``predict(x)``: see ``minicnn.compile``."""

    def __init__(self, net: nn.Module, profile: bool, graph: bool):
        Predictor.__init__(self, net, profile)
        self._set_up(net, graph)

    def __call__(self, x: Any) -> Tensor:
        """``net(x)`` in evaluation mode and without recording. x: as for ``Predictor``."""
        (pixels,) = self._arrays(x)
        with self._alone():
            engine = self._engine(pixels)
            engine.set_keys(moves_on=False)
            engine.set_momenta()
            array_module(pixels).copyto(engine.given, pixels)
            engine.run(self.profile)
            return Tensor(engine.logits.copy())


class GpuStep(_OnGpu, CompiledStep):
    """``loss, logits = step(x, y)``: see ``minicnn.compile``.

    The loss and the logits are the step's own memory: read or copy them before the next call.

    In the steady state (the same batch size, optimiser settings and arrays as before) a call copies
    the batch within the device and replays a graph: nothing is allocated, nothing is sent from the
    host, and nobody waits.
    """

    def __init__(
        self, net: nn.Module, loss: nn.CrossEntropyLoss, optimizer: optim.Optimizer, profile: bool,
        graph: bool,
    ):  # fmt: skip
        CompiledStep.__init__(self, net, loss, optimizer, profile)
        self._set_up(net, graph)

    def __call__(self, x: Any, y: Any, gradient: float = 1.0) -> tuple[Tensor, Tensor]:
        """One step of training: see ``CompiledStep``. x and y are on the net's device."""
        pixels, labels = self._arrays(x, y)
        if labels.dtype.kind not in "iu":
            raise TypeError(
                f"compile: y is {labels.dtype}; wanted class indices, integers: "
                "minicnn.Tensor(y).to('int64')"
            )
        if labels.shape != (len(pixels),):
            raise ValueError(
                f"compile: y has shape {tuple(labels.shape)}; wanted a class index for each of "
                f"the {len(pixels)} images"
            )
        with self._alone():
            check_optimizer(self.optimizer)
            engine = self._engine(pixels)
            learned = self._learned(engine)
            engine.set_settings(self.optimizer, gradient)
            engine.set_table(
                [self.optimizer.params[i] for i in learned],
                [self.optimizer.state_of(i) for i in learned],
            )
            engine.set_keys(moves_on=bool(learned))  # the update counts the masks on
            engine.set_momenta()
            copy = array_module(pixels).copyto
            copy(engine.given, pixels)
            copy(engine.labels, labels)
            engine.run(self.profile)
        for i in learned:
            self.optimizer.params[i].increment_version()
        return Tensor(engine.result.reshape(())), Tensor(engine.logits)

    def _settings(self) -> tuple[Any, ...]:
        weight, loss, optimizer = self.loss.weight, self.loss, self.optimizer
        of_loss = None if weight is None else id(weight.data), loss.ignore_index, loss.reduction
        of_update = optimizer.kernel, *map(id, optimizer.params)
        return (*super()._settings(), *of_loss, *of_update)

    def _make_engine(self, stages: list[Stage], x: Array, dtype: np.dtype) -> Engine:
        engine = super()._make_engine(stages, x, dtype)
        learned = [self.optimizer.params[i] for i in self._learned(engine)]
        if len(set(map(id, learned))) < len(learned):
            raise CompileError("compile: on a GPU, an optimizer cannot list a parameter twice")
        engine.add_update(learned, self.optimizer.kernel)
        return engine

    def _learned(self, engine: Engine) -> list[int]:
        """The numbers of the optimiser's parameters that have a gradient here."""
        return [
            i
            for i, p in enumerate(self.optimizer.params)
            if p.requires_grad and engine.gradient_of(p) is not None
        ]
