"""``minicnn.compile``: a net's tape as a plan of fused kernels over tiles of 16 images.

``record`` follows the net's operations, ``lowering`` turns each into instructions forward and
backward, ``plan`` places them in memory and prints them, ``engine`` runs them on threads; the
instructions themselves are in ``kernels.tiles``. ``docs/compile.md`` explains the layout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from minicnn import kernels, nn, optim, random
from minicnn.nn import functional as F
from minicnn.tensor import Tensor, as_tensor

from .plan import Plan
from .record import CompileError, Stage, record

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["CompileError", "CompiledStep", "Plan", "Predictor", "compile", "is_available"]

GROUP_BYTES = 3_200_000  # that a group's memory may take: the size of a core's caches, about
LARGEST_GROUP = 4  # tiles
MOST_ENGINES = 8  # kept; the oldest goes


@overload
def compile(net: nn.Module, *, profile: bool = ...) -> Predictor: ...
@overload
def compile(
    net: nn.Module, loss: Callable[..., Tensor], optimizer: optim.SGD, profile: bool = ...
) -> CompiledStep: ...
def compile(
    net: nn.Module,
    loss: Callable[..., Tensor] | None = None,
    optimizer: optim.SGD | None = None,
    profile: bool = False,
) -> CompiledStep | Predictor:
    """A fast training step of a net on the CPU, or without loss and optimiser a fast prediction.

        step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.9))
        loss, logits = step(x, y)         # forward, loss, backward and update

        predict = minicnn.compile(net)
        logits = predict(x)

    The result is eager's up to rounding, the parameters are the net's own, dropout masks and
    running statistics go on as they would. The plan is made at the first call, and anew for
    another shape of picture, dtype or mode (``net.train()``, ``net.eval()``); any batch size fits.
    Settings of layers (a padding, dropout's p) are read when the plan is made. Forward hooks are
    not called. A net is a chain of convolutions (no groups), dense layers, pooling, ReLU, sigmoid,
    tanh, dropout, ``BatchNorm2d`` and flattening.

    Args:
        net: on the CPU.
        loss: ``nn.CrossEntropyLoss`` (or ``F.cross_entropy``) of class indices, reduction
            ``'mean'`` or ``'sum'``.
        optimizer: its settings, the learning rate included, may change between steps.
        profile: time each instruction, for ``print(step.plan)``; slower.

    Raises:
        CompileError: a loss that cannot be compiled (at the first call: an operation of the net).
        TypeError: a loss without an optimiser, or the other way round.
        RuntimeError: Numba is missing or switched off.
    """
    if not is_available():
        raise RuntimeError(
            "compile: wanted the kernels 'cpu' (Numba), the reference kernels are on"
        )
    if (loss is None) != (optimizer is None):
        raise TypeError("compile: wanted loss and optimizer together, or neither (to predict)")
    if loss is None or optimizer is None:
        return Predictor(net, profile)
    return CompiledStep(net, _settings_of(loss), optimizer, profile)


def is_available() -> bool:
    """Whether the kernels that a plan is made of (Numba's) are installed and switched on."""
    return kernels.host_kernels().__name__.endswith(".cpu")


def _settings_of(loss: Callable[..., Tensor]) -> nn.CrossEntropyLoss:
    if loss is F.cross_entropy:
        return nn.CrossEntropyLoss()
    if not isinstance(loss, nn.CrossEntropyLoss):
        name = getattr(loss, "__name__", type(loss).__name__)
        raise CompileError(f"compile: loss is {name}; wanted nn.CrossEntropyLoss")
    if loss.reduction == "none":
        raise CompileError("compile: the loss's reduction is 'none'; wanted 'mean' or 'sum'")
    return loss


class _Compiled:
    """Keeps an engine for each shape of picture, dtype and mode."""

    loss: nn.CrossEntropyLoss | None = None

    def __init__(self, net: nn.Module, profile: bool):
        self.net, self.profile = net, profile
        self._engines: dict[Any, Engine] = {}
        self._last: Engine | None = None

    @property
    def plan(self) -> Plan:
        """The plan of the last call; ``print`` it.

        Raises:
            RuntimeError: nothing was called yet, so the shape of the pictures is not known.
        """
        return self._engine_of_last_call().plan

    def _engine_of_last_call(self) -> Engine:
        if self._last is None:
            raise RuntimeError("compile: there is a plan after the first call, not before")
        return self._last

    def _engine(self, x: np.ndarray) -> Engine:
        """The engine for such pictures, in the net's present mode."""
        modules = list(self.net.modules())
        parameters = [p for m in modules for p in m._parameters.values()]
        dtype = parameters[0].dtype if parameters else np.dtype(np.float32)
        if x.dtype not in (np.uint8, dtype):
            raise TypeError(f"compile: x is {x.dtype}; wanted uint8 or the net's {dtype}")
        key = (
            x.shape[1:],
            x.dtype,
            dtype,
            *map(id, modules),
            *[m.training for m in modules],
            *map(id, parameters),
            *[p.requires_grad for p in parameters],
        )
        if key not in self._engines:
            if len(self._engines) == MOST_ENGINES:
                del self._engines[next(iter(self._engines))]
            self._engines[key] = self._make_engine(x, dtype)
            self._engines[key].modules = modules  # kept alive, so that nobody gets their ids
        self._last = self._engines[key]
        return self._last

    def _make_engine(self, x: np.ndarray, dtype: np.dtype) -> Engine:
        from .engine import Engine
        from .lowering import lay_out

        stages = record(self.net, x.shape[1:], dtype)
        _check_result(stages, self.loss)
        plan = lay_out(stages, 1, dtype, x.dtype == np.uint8, self.loss)
        group = min(LARGEST_GROUP, GROUP_BYTES // (plan.memory * dtype.itemsize))
        if group > 1:
            plan = lay_out(stages, group, dtype, x.dtype == np.uint8, self.loss)
        return Engine(plan, stages[-1].output_shape, learns=self.loss is not None)

    def _masks(self, engine: Engine) -> list[tuple[int, int]]:
        return [random.next_mask_key() for _ in range(engine.plan.masks)]


class Predictor(_Compiled):
    """``predict(x)``: see ``minicnn.compile``."""

    def __call__(self, x: Any) -> Tensor:
        """``net(x)`` without recording, in the net's present mode.

        x: (N, C, H, W) in the net's dtype, or uint8 (pixels, divided by 255). Returns (N, classes).
        """
        pixels = _array(x)
        engine = self._engine(pixels)
        result = np.empty((len(pixels), *engine.result_shape), engine.plan.dtype)
        engine.run(pixels, engine.no_labels, result, self._masks(engine), self.profile)
        return Tensor(result)


class CompiledStep(_Compiled):
    """``loss, logits = step(x, y)``: see ``minicnn.compile``."""

    loss: nn.CrossEntropyLoss

    def __init__(
        self, net: nn.Module, loss: nn.CrossEntropyLoss, optimizer: optim.SGD, profile: bool
    ):
        super().__init__(net, profile)
        self.loss, self.optimizer = loss, optimizer
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
        pixels, target = _array(x), Tensor(_array(y))
        engine = self._engine(pixels)
        logits = self._room_for_logits(engine, len(pixels))
        settings = (self.loss.weight, self.loss.ignore_index, self.loss.reduction)
        if target.dtype.kind == "f":
            raise TypeError(f"compile: y is {target.dtype}; wanted class indices, integers")
        indices, weights = F.class_indices("compile", Tensor(logits), target, *settings)
        divisor = self._divisor(indices, weights)
        with np.errstate(divide="ignore", invalid="ignore"):  # no label counts: the loss is nan
            self._set_loss(engine, gradient / divisor)
            engine.run(pixels, indices, logits, self._masks(engine), self.profile)
            loss = engine.losses[: len(pixels)].sum() / engine.plan.dtype.type(divisor)
        self._update(engine)
        return Tensor(loss), Tensor(logits)

    def gradients(self) -> dict[str, Tensor]:
        """The gradients of the last step, by the parameters' names; valid until the next."""
        engine = self._engine_of_last_call()
        return {
            name: Tensor(gradient)
            for name, p in self.net.named_parameters()
            if p.requires_grad and (gradient := engine.gradient_of(p)) is not None
        }

    def _divisor(self, indices: np.ndarray, weights: np.ndarray | None) -> np.float64:
        if self.loss.reduction == "sum":
            return np.float64(1)
        return np.float64((indices >= 0).sum() if weights is None else weights.sum())

    def _set_loss(self, engine: Engine, scale: np.float64) -> None:
        settings = engine.constants_at(engine.plan.loss_settings, 2 + engine.result_shape[0])
        settings[0], settings[1] = self.loss.label_smoothing, scale
        settings[2:] = 1 if self.loss.weight is None else self.loss.weight.data

    def _room_for_logits(self, engine: Engine, images: int) -> np.ndarray:
        size = images * engine.result_shape[0]
        if self._logits.dtype != engine.plan.dtype or self._logits.size < size:
            self._logits = np.zeros(size, engine.plan.dtype)
        return self._logits[:size].reshape(images, *engine.result_shape)

    def _update(self, engine: Engine) -> None:
        for i, p in enumerate(self.optimizer.params):
            if p.requires_grad and (gradient := engine.gradient_of(p)) is not None:
                self.optimizer.update(i, gradient)


def _array(x: Any) -> np.ndarray:
    tensor = as_tensor(x)
    if tensor.device != "cpu":
        raise TypeError(f"compile: received an array on {tensor.device}; wanted one on the CPU")
    return np.ascontiguousarray(tensor.data)


def _check_result(stages: list[Stage], loss: nn.CrossEntropyLoss | None) -> None:
    if not stages:
        raise CompileError("compile: the net applies no operation")
    shape = stages[-1].output_shape
    if loss is not None and len(shape) != 1:
        raise CompileError(f"compile: the net gives {shape} an image; wanted (classes,) for a loss")
