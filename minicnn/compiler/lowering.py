"""What the CPU's and the GPU's compilers do with the chain: each stage becomes a ``Lowering``.

A lowering adds to a plan what its operation needs, forward and backward. Which lowering belongs to
which operation stands in ``cpu/lower.py`` and ``gpu/lower.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from minicnn import nn, ops

from .record import CompileError, Stage

P = TypeVar("P")  # what is added to: the CPU's Plan, the GPU's Program
X = TypeVar("X")  # where a result lies: a Buffer on the CPU, a Value on the GPU
D = TypeVar("D")  # where a gradient lies: a Buffer on the CPU, an array on the GPU
L = TypeVar("L", bound="Lowering")


class Lowering(Generic[P, X, D]):
    """One stage of the chain, as a plan computes it.

    Attributes:
        needs_dinput: whether a parameter of an earlier stage learns, so that dx is needed.
        learns: for each of its own parameters, whether it wants a gradient.
    """

    def __init__(self, stage: Stage, needs_dinput: bool):
        self.stage, self.needs_dinput = stage, needs_dinput
        self.operation: Any = stage.operation
        self.learns = [p.requires_grad for p in stage.parameters]

    def forward(self, plan: P, x: X, /) -> X:
        """Add what computes the result from x. Returns where the result will lie."""
        raise NotImplementedError

    def backward(self, plan: P, dy: D, /) -> D | None:
        """Add what computes dx and the parameters' gradients from dy.

        Returns where dx will lie, or None if nobody needs it.
        """
        raise NotImplementedError


def lowerings_of(
    stages: list[Stage],
    lowerings: Mapping[type[ops.Operation], Callable[[Stage, bool], L]],
    where: str = "",
) -> Iterator[L]:
    """The lowering of each stage. Only stages after the first one that learns need dx.

    Raises:
        CompileError: an operation that ``lowerings`` does not have; ``where`` says for what.
    """
    learns = False  # whether a stage before this one does
    for stage in stages:
        kind = lowerings.get(type(stage.operation))
        if kind is None:
            known = ", ".join(operation.__name__ for operation in lowerings)
            raise CompileError(
                f"compile: {stage.operation.name} cannot be compiled{where}; the compiler knows "
                f"{known}"
            )
        yield kind(stage, learns)
        learns = learns or any(p.requires_grad for p in stage.parameters)


def add_forward(chain: Sequence[Lowering[P, X, D]], plan: P, x: X) -> X:
    """Add the forward pass of the chain, from x on. Returns where its result will lie."""
    for lowering in chain:
        x = lowering.forward(plan, x)
    return x


def add_backward(chain: Sequence[Lowering[P, X, D]], plan: P, dy: D | None) -> None:
    """Add the backward pass, from the last stage to the first that has something to learn."""
    for lowering in reversed(chain):
        if dy is None:
            return
        dy = lowering.backward(plan, dy)


def norm_layer_of(stage: Stage) -> nn.BatchNorm2d:
    """The layer that keeps the running statistics of a batch normalisation.

    Raises:
        CompileError: the operation was not applied by an ``nn.BatchNorm2d``.
    """
    if stage.module is None:
        raise CompileError(f"compile: {stage.operation.name} outside of nn.BatchNorm2d")
    return stage.module


def check_batch_statistics(count: int) -> None:
    """Refuse a batch with a single value in each channel: its variance would be 0.

    Raises:
        ValueError: ``count``, the values in a channel, is 1.
    """
    if count == 1:
        raise ValueError(
            "batch_norm: 1 value a channel; the statistics of a batch need two or more"
        )
