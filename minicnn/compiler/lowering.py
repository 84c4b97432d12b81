"""What the CPU's and the GPU's compilers do with the graph: each stage becomes a ``Lowering``.

A lowering adds to a plan what its operation needs, forward and backward. Which lowering belongs to
which operation stands in ``cpu/lower.py`` and ``gpu/lower.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from minicnn import nn, ops

from .record import CompileError, Stage

P = TypeVar("P")  # what is added to: the CPU's Plan, the GPU's Program
X = TypeVar("X")  # where a result lies: a Buffer on the CPU, a Value on the GPU
D = TypeVar("D")  # where a gradient lies: a Buffer on the CPU, an array on the GPU
L = TypeVar("L", bound="Lowering")


class Lowering(Generic[P, X, D]):
    """One stage of the graph, as a plan computes it.

    Attributes:
        needs_dinput: whether a parameter that x was computed from learns, so that dx is needed.
        needs_dinputs: the same for each of several inputs.
        learns: for each of its own parameters, whether it wants a gradient.
        readers: how many stages read its result.
    """

    readers = 1

    def __init__(self, stage: Stage, needs_dinput: bool):
        self.stage, self.needs_dinput = stage, needs_dinput
        self.needs_dinputs = [needs_dinput] * len(stage.inputs)
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

    def join(self, plan: P, xs: Sequence[X], /) -> X:
        """``forward`` of all inputs: of the one that most operations have."""
        return self.forward(plan, *xs)

    def split(self, plan: P, dy: D, /) -> Sequence[D | None]:
        """``backward``, with a dx for each input."""
        return [self.backward(plan, dy)]


def lowerings_of(
    stages: list[Stage],
    lowerings: Mapping[type[ops.Operation], Callable[[Stage, bool], L]],
    where: str = "",
) -> Iterator[L]:
    """The lowering of each stage. Only what was computed from something that learns needs a dx.

    Raises:
        CompileError: an operation that ``lowerings`` does not have; ``where`` says for what.
    """
    readers = readers_of(stages)
    learns = [False]  # whether value k, the pictures or the k-th stage's, depends on what learns
    for number, stage in enumerate(stages, start=1):
        kind = lowerings.get(type(stage.operation))
        if kind is None:
            known = ", ".join(operation.__name__ for operation in lowerings)
            raise CompileError(
                f"compile: {stage.operation.name} cannot be compiled{where}; the compiler knows "
                f"{known}"
            )
        needs = [learns[k] for k in stage.inputs]
        lowering = kind(stage, any(needs))
        lowering.needs_dinputs, lowering.readers = needs, readers[number]
        learns.append(any(needs) or any(p.requires_grad for p in stage.parameters))
        yield lowering


def readers_of(stages: list[Stage]) -> Counter[int]:
    """How often the stages read the pictures, number 0, and the result of the k-th stage."""
    return Counter(number for stage in stages for number in stage.inputs)


def add_forward(
    lowerings: Sequence[Lowering[P, X, D]], plan: P, values: list[X], keep: Callable[[X], None]
) -> X:
    """Add the forward pass. Returns where the net's result will lie.

    Args:
        values: the pictures, and the results of the first stages if they have been added.
        keep: told of a result that several stages read: nothing may be written over it.
    """
    for lowering in lowerings[len(values) - 1 :]:
        values.append(lowering.join(plan, [values[k] for k in lowering.stage.inputs]))
        if lowering.readers > 1:
            keep(values[-1])
    return values[-1]


def add_backward(
    lowerings: Sequence[Lowering[P, X, D]], plan: P, dy: D, add: Callable[[P, D, D], D]
) -> None:
    """Add the backward pass, from the last stage to the first that has something to learn.

    A result that several stages read gets a gradient from each. All these stages come after the one
    that computed it, so when the walk arrives there the sum is complete.

    Args:
        add: adds the sum of two gradients to the plan; returns where it will lie.
    """
    gradients = {len(lowerings): dy}  # with respect to value k
    for number in range(len(lowerings), 0, -1):  # value 0, the pictures, gets no gradient
        if number not in gradients:  # nothing that it was computed from learns
            continue
        lowering, dy = lowerings[number - 1], gradients.pop(number)
        for k, dx in zip(lowering.stage.inputs, lowering.split(plan, dy), strict=True):
            if dx is not None:
                gradients[k] = add(plan, gradients[k], dx) if k in gradients else dx


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
