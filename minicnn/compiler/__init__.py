"""``minicnn.compile``: a net's tape as a plan of fused kernels over tiles of 16 images.

``record`` reads the graph of operations off the tape, ``guards`` notices when something that it
depends on changes (``recording`` does both at once), ``accepted`` checks loss and optimiser.
``engines`` finds the engine for a batch, ``compiled`` has what a user calls. ``lowering`` and
``table`` hold what the compilers for CPU and GPU share; the compilers themselves are the folders
``cpu`` (docs/compile.md) and ``gpu`` (docs/gpu.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import overload

from minicnn import kernels, nn, optim
from minicnn.nn.module import device_of_net
from minicnn.tensor import Tensor

from .accepted import check_optimizer, settings_of
from .compiled import CompiledStep, Predictor
from .cpu.plan import Plan
from .record import CompileError

__all__ = ["CompileError", "CompiledStep", "Plan", "Predictor", "compile", "is_available"]


@overload
def compile(
    net: nn.Module, *, profile: bool = ..., graph: bool = ..., winograd: bool = ...
) -> Predictor: ...
@overload
def compile(
    net: nn.Module,
    loss: Callable[..., Tensor],
    optimizer: optim.Optimizer,
    profile: bool = ...,
    graph: bool = ...,
    winograd: bool = ...,
) -> CompiledStep: ...
def compile(
    net: nn.Module,
    loss: Callable[..., Tensor] | None = None,
    optimizer: optim.Optimizer | None = None,
    profile: bool = False,
    graph: bool = True,
    winograd: bool = True,
) -> CompiledStep | Predictor:
    """A fast training step of a net, or without loss and optimiser a fast prediction.

        step = minicnn.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.9))
        loss, logits = step(x, y)         # forward, loss, backward and update

        predict = minicnn.compile(net)
        logits = predict(x)

    The results are those of eager mode up to rounding. The parameters are the net's own, and
    dropout masks and running statistics continue as in eager mode. A step computes in the mode that
    the net is in, a prediction always in evaluation mode (the net's own mode stays as it is). A net
    is a graph of convolutions (no groups), dense layers, pooling, ReLU, sigmoid, tanh, dropout,
    ``BatchNorm2d`` and flattening, in which branches may meet: ``x + f(x)``, ``f(x) + g(x)``, and
    ``minicnn.cat`` along the channels.

    Pictures of uint8 are pixels: a compiled step or prediction divides them by 255 itself.

    The plan is made at the first call, and again for another shape of picture or dtype, and when a
    layer, a setting or anything else that a forward reads has changed. On the CPU it serves any
    batch size. What a plan cannot do is refused by name: a forward that decides by the numbers it
    sees or that does more than compute its result, a dropout or batch normalisation in training
    whose result is not used, forward hooks, a loss or an optimiser with methods of its own. Changes
    of global variables, of variables that a function closes over, and of the classes of ``minicnn``
    themselves go unnoticed.

    Threads may share a prediction or a step: their calls wait for each other. A call that makes a
    plan puts the net into the plan's mode for a moment; no other thread should then train it.

    If the net is on a GPU when this is called, the batches have to be there too. A class index out
    of range then makes the loss nan instead of raising, because looking at it would mean waiting.

    Args:
        loss: ``nn.CrossEntropyLoss`` (or ``F.cross_entropy``) of class indices, reduction
            ``'mean'`` or ``'sum'``.
        optimizer: ``SGD``, ``Adam``, ``AdamW`` or ``Adadelta`` of ``minicnn.optim``, as it is; its
            settings, the learning rate included, may change between steps.
        profile: time each instruction, for ``print(step.plan)``. Slower.
        winograd: on the CPU, compute a convolution with fewer products where that is faster
            (docs/winograd.md); ``print(step.plan)`` shows where. False: every sum as it is defined.
        graph: on a GPU, replay a step's kernels as one CUDA graph instead of launching each.

    Raises:
        CompileError: a loss or optimiser that cannot be compiled (at a call: a net that cannot).
        TypeError: a loss without an optimiser, or the other way round.
        RuntimeError: Numba is missing or switched off, for a net on the CPU.
    """
    if (loss is None) != (optimizer is None):
        raise TypeError("compile: wanted loss and optimizer together, or neither (to predict)")
    if optimizer is not None:
        check_optimizer(optimizer)
    device = device_of_net(net)
    if not is_available(device):
        raise RuntimeError(
            "compile: wanted the kernels 'cpu' (Numba), the reference kernels are on"
        )
    if device != "cpu":
        from .gpu.step import GpuPredictor, GpuStep

        if loss is None or optimizer is None:
            return GpuPredictor(net, profile, graph)
        return GpuStep(net, settings_of(loss), optimizer, profile, graph)
    from .cpu.step import CpuPredictor, CpuStep  # which loads Numba

    if loss is None or optimizer is None:
        return CpuPredictor(net, profile, winograd)
    return CpuStep(net, settings_of(loss), optimizer, profile, winograd)


def is_available(device: str = "cpu") -> bool:
    """Whether the kernels that a plan is made of are installed and switched on."""
    return device != "cpu" or kernels.host_kernels().__name__.endswith(".cpu")
