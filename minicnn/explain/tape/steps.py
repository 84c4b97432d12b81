"""The steps of a tape: operations, their inputs and what they keep for backward."""

from __future__ import annotations

from dataclasses import dataclass

from ..words import Sentence


@dataclass(frozen=True)
class Kept:
    """An array that an operation keeps for its backward.

    Attributes:
        name: its name in the operation.
        bytes: its memory; None if it costs nothing more, because it is the memory of an input or a
            parameter, or an earlier operation of the tape keeps it already.
    """

    name: str
    bytes: int | None

    def __str__(self) -> str:
        return self.name if self.bytes is None else f"{self.name} {size_text(self.bytes)}"


@dataclass(frozen=True)
class Argument:
    """An input that no operation of the tape computed: a weight, a bias, a target.

    Attributes:
        name: its name in the operation.
        gradient: the length of its gradient, which all its uses add to; None if it has none.
        uses: how many operations of the tape take it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    gradient: float | None
    uses: int = 1


@dataclass(frozen=True)
class Step:
    """An operation of the tape, or a tensor that the tape begins with.

    Attributes:
        name: the operation's; of a tensor, its name in the first operation that takes it.
        shape, dtype: of the result.
        gradient: the length sqrt(sum(dy²)) of the gradient with respect to the result, or None.
        inputs: the numbers of the steps whose results it takes.
        arguments: its other inputs.
        kept: the arrays that it keeps for backward.
        is_operation: False for a tensor that the tape begins with.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    gradient: float | None
    inputs: tuple[int, ...] = ()
    arguments: tuple[Argument, ...] = ()
    kept: tuple[Kept, ...] = ()
    is_operation: bool = True

    @property
    def kept_bytes(self) -> int:
        """The memory that only this step's backward needs."""
        return sum(kept.bytes or 0 for kept in self.kept)


# As text ------------------------------------------------------------------------------------------


def size_text(count: int) -> str:
    """A number of bytes as text: 384 B, 19.3 kB, 4.82 MB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"


def number_text(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def kept_text(step: Step) -> str:
    return ", ".join(map(str, step.kept)) or Sentence("tape.nothing")


def shape_text(step: Step | Argument) -> str:
    text = str(step.shape) if step.dtype == "float32" else f"{step.shape} {step.dtype}"
    if isinstance(step, Argument) and step.uses > 1:
        return Sentence("tape.uses", shape=text, count=step.uses)
    return text
