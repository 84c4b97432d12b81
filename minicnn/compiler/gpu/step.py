"""What ``minicnn.compile`` returns for a net on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minicnn import nn, optim
from minicnn.device import on_device
from minicnn.kernels import Array, array_module
from minicnn.tensor import Tensor

from ..accepted import learned_by
from ..compiled import CompiledStep, Predictor
from ..engines import Compiled
from ..means import Means
from ..record import CompileError, Stage
from .engine import GpuEngine


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
        with self._lock, on_device(self.device):
            stream = array_module(self.means.loss).cuda.get_current_stream()
            if self._stream is not None and self._stream.ptr != stream.ptr:
                self._stream.synchronize()
            self._stream = stream
            yield

    def _shape_of(self, x: Array) -> tuple[int, ...]:
        return tuple(x.shape)

    def _settings(self) -> tuple[Any, ...]:
        buffers = [b for module in self.net.modules() for b in module._buffers.values()]
        return tuple(id(buffer.data) for buffer in buffers)  # a launch keeps their addresses

    def _make_engine(self, stages: list[Stage], x: Array, dtype: np.dtype) -> GpuEngine:
        engine = GpuEngine(stages, x, self._like.data, self.loss, self.means, self.graph)
        self._complete(engine)
        engine.compile()
        return engine

    def _complete(self, engine: GpuEngine) -> None:
        """Add what the net itself does not tell."""


class GpuPredictor(_OnGpu, Predictor):
    """``predict(x)``: see ``minicnn.compile``."""

    def __init__(self, net: nn.Module, profile: bool, graph: bool):
        super().__init__(net, profile)
        self._set_up(graph)

    def _predict(self, pixels: Array) -> Array:
        engine = self._engine(pixels)
        engine.set_keys(self._mask_keys(engine))
        engine.set_momenta()
        array_module(pixels).copyto(engine.x, pixels)
        engine.run(self.profile)
        return engine.logits.copy()


class GpuStep(_OnGpu, CompiledStep):
    """``loss, logits = step(x, y)``: see ``minicnn.compile``. x and y are on the net's device.

    The loss and the logits are the step's own memory: read or copy them before the next call.

    In the steady state (the same batch size, optimiser settings and arrays as before) a call copies
    the batch within the device and replays a graph: nothing is allocated, nothing is sent from the
    host, and nobody waits.
    """

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

    def _step(self, pixels: Array, labels: Array, gradient: float) -> tuple[Tensor, Tensor]:
        if labels.shape != (len(pixels),):
            raise ValueError(
                f"compile: y has shape {tuple(labels.shape)}; wanted a class index for each of "
                f"the {len(pixels)} images"
            )
        engine = self._engine(pixels)
        learned = learned_by(self.optimizer, engine.program.gradients)
        parameters = [self.optimizer.params[i] for i in learned]
        # each of these sends only what differs from the last step: usually nothing
        engine.set_settings(self.optimizer, gradient)
        engine.set_table(parameters, [self.optimizer.state_of(i) for i in learned])
        engine.set_keys(self._mask_keys(engine))
        engine.set_momenta()
        copy = array_module(pixels).copyto
        copy(engine.x, pixels)
        copy(engine.loss.labels, labels)
        engine.run(self.profile)  # the loss's kernel adds to the two sums
        self.means.examples += len(pixels)
        for parameter in parameters:  # the tape has to know that they changed
            parameter.increment_version()
        return Tensor(engine.loss.result.reshape(())), Tensor(engine.logits)

    def _settings(self) -> tuple[Any, ...]:
        weight, loss, optimizer = self.loss.weight, self.loss, self.optimizer
        # label smoothing and the optimiser's settings may change: they lie in device memory
        of_loss = None if weight is None else id(weight.data), loss.ignore_index, loss.reduction
        of_update = optimizer.kernel, *map(id, optimizer.params)
        return (*super()._settings(), *of_loss, *of_update)

    def _complete(self, engine: GpuEngine) -> None:
        learned = learned_by(self.optimizer, engine.program.gradients)
        if len({id(self.optimizer.params[i]) for i in learned}) < len(learned):
            raise CompileError("compile: on a GPU, an optimizer cannot list a parameter twice")
        # last, because only now is it known which parameters have a gradient
        engine.add_update([self.optimizer.params[i] for i in learned], self.optimizer.kernel)
