"""The tape as steps: ``tape`` reads the nodes that ``minicnn.tensor.apply`` recorded."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.files import write_whole
from minicnn.ops import Operation
from minicnn.tape import in_order_of_computation
from minicnn.tensor import Tensor

from ..words import Sentence
from .picture import draw
from .steps import Argument, Kept, Step, size_text
from .table import table


class Tape:
    """The recorded operations: a notebook shows them as a picture, ``print`` as a table.

    Attributes:
        steps: in the order of computation; ``inputs`` are indices into this list.
        results_bytes: the memory of results that the tape holds though no backward reads them.
        lang: the language, ``"en"``, ``"zh"`` or ``"ja"``; None means English.
    """

    lang: str | None = None

    def __init__(self, steps: Sequence[Step], results_bytes: int):
        self.steps, self.results_bytes = list(steps), results_bytes

    @property
    def kept_bytes(self) -> int:
        """The memory that backward needs in addition to inputs and parameters."""
        return sum(step.kept_bytes for step in self.steps)

    def notes(self) -> list[str]:
        """The lines below table and picture: how many operations, how much memory."""
        count = sum(step.is_operation for step in self.steps)
        kept = size_text(self.kept_bytes)
        lines: list[str] = [Sentence("tape.operations", count=count, size=kept)]
        if self.results_bytes:
            lines.append(Sentence("tape.results", size=size_text(self.results_bytes)))
        if any(kept.bytes is None for step in self.steps for kept in step.kept):
            lines.append(Sentence("tape.without_bytes"))
        return lines

    def __str__(self) -> str:
        return table(self.steps, self.notes(), self.lang)

    def svg(self) -> str:
        """The picture as an SVG file: dark on light or light on dark, as its reader prefers."""
        style = "<style>:root{color-scheme:light dark;color:CanvasText}</style>"
        return draw(self.steps, self.notes(), style, self.lang)

    def save(self, path: str | Path) -> None:
        """Write the picture as an SVG file.

        Raises:
            OSError: the file cannot be written.
        """
        write_whole(path, self.svg())

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:  # part of the notebook's page, in its colours
        picture = draw(self.steps, self.notes(), language=self.lang)
        return f'<div style="overflow-x:auto">{picture}</div>'


# Reading it ---------------------------------------------------------------------------------------


def tape(tensor: Tensor, gradient: Any = None) -> Tape:
    """The tape that leads to ``tensor``, with the length of the gradient that reaches each step.

    ``backward`` runs once to find the gradients. The tape is kept, and every ``grad`` is put back.

    Args:
        tensor: a loss, or anything else computed from tensors that require gradients.
        gradient: the gradient with respect to ``tensor``, as for ``backward``. Without it, a tensor
            of more than one cell is drawn without gradients.

    Raises:
        TypeError: not a tensor.
        RuntimeError: nothing recorded leads to ``tensor``, or ``backward`` has freed the tape.
        ValueError, TypeError: a gradient that ``backward`` refuses.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"tape: tensor is a {type(tensor).__name__}; wanted a Tensor")
    if tensor.node is None and tensor.is_leaf:
        raise RuntimeError(
            "tape: nothing recorded leads to this tensor: no input had requires_grad=True, or it "
            "was computed under no_grad()"
        )
    order = _computed(tensor)
    lengths = {} if gradient is None and tensor.size != 1 else _lengths(tensor, order, gradient)
    return _Reader(order, lengths).read()


def _computed(last: Tensor) -> list[Tensor]:
    """The tensors with a node that ``last`` depends on, each once, inputs first."""
    return [x for x in in_order_of_computation(last, _inputs) if x.node is not None]


def _inputs(tensor: Tensor) -> Sequence[Tensor]:
    """All inputs of a tensor, backwards, so that the first is followed first."""
    if tensor.node is not None:
        return tensor.node.inputs[::-1]
    if not tensor.is_leaf:
        raise RuntimeError(
            "tape: this tape was freed by an earlier backward(); draw it before, or call "
            "backward(retain_graph=True)"
        )
    return ()


def _lengths(last: Tensor, order: Sequence[Tensor], gradient: Any) -> dict[int, float]:
    """{id of a tensor on the tape: the length of its gradient}, by calling ``backward``."""
    tensors = {id(x): x for t in order for x in (t, *(t.node.inputs if t.node else ()))}
    before = [(tensor, tensor._grad, tensor._keeps_grad) for tensor in tensors.values()]
    try:
        for tensor in tensors.values():
            tensor._grad, tensor._keeps_grad = None, True
        last.backward(gradient, retain_graph=True)
        return {key: _length(t.grad) for key, t in tensors.items() if t.grad is not None}
    finally:
        for tensor, grad, keeps_grad in before:
            tensor._grad, tensor._keeps_grad = grad, keeps_grad


def _length(gradient: Tensor) -> float:
    return float(np.linalg.norm(gradient.numpy().astype(np.float64)))


class _Reader:
    """Turns the tensors of a tape into numbered steps, and counts every piece of memory once."""

    def __init__(self, order: Sequence[Tensor], lengths: dict[int, float]):
        self.order, self.lengths = order, lengths
        self.numbers: dict[int, int] = {}
        self.steps: list[Step] = []
        computed = {id(tensor) for tensor in order}
        inputs = [x for tensor in order if tensor.node for x in tensor.node.inputs]
        self.uses = Counter(map(id, inputs))
        self.counted = {_owner(x.data)[0] for x in inputs if id(x) not in computed}

    def read(self) -> Tape:
        """All of the tape."""
        for tensor in self.order:
            self._add(tensor)
        results = dict(_owner(tensor.data) for tensor in self.order[:-1])  # not the caller's own
        unread = sum(size for owner, size in results.items() if owner not in self.counted)
        return Tape(self.steps, unread)

    def _add(self, tensor: Tensor) -> None:
        assert tensor.node is not None
        operation, inputs = tensor.node.operation, tensor.node.inputs
        names = _argument_names(operation, len(inputs))
        source = self._source(inputs)
        if source is not None:
            self._append(inputs[source], names[source], is_operation=False)
        arguments = [
            Argument(name, x.shape, str(x.dtype), self.lengths.get(id(x)), self.uses[id(x)])
            for name, x in zip(names, inputs, strict=True)
            if id(x) not in self.numbers
        ]
        before = dict.fromkeys(self.numbers[id(x)] for x in inputs if id(x) in self.numbers)
        self._append(
            tensor,
            operation.name,
            inputs=tuple(before),
            arguments=tuple(arguments),
            kept=tuple(sorted(self._kept(operation), key=lambda kept: kept.bytes is None)),
        )

    def _append(self, tensor: Tensor, name: str, **more: Any) -> None:
        self.numbers[id(tensor)] = len(self.steps)
        gradient = self.lengths.get(id(tensor))
        self.steps.append(Step(name, tensor.shape, str(tensor.dtype), gradient, **more))

    def _source(self, inputs: Sequence[Tensor]) -> int | None:
        """The input that gets a step of its own, for the tape begins here; or None.

        None if an input is on the tape already. Otherwise the first with more than one cell.
        """
        if any(id(x) in self.numbers for x in inputs):
            return None
        return next((i for i, x in enumerate(inputs) if x.size > 1), 0)

    def _kept(self, operation: Operation) -> Iterator[Kept]:
        for name, array in _arrays(operation):
            owner, size = _owner(array)
            yield Kept(name, None if owner in self.counted else size)
            self.counted.add(owner)


def _argument_names(operation: Operation, count: int) -> list[str]:
    """The names that ``operation.forward`` has for its ``count`` inputs."""
    parameters = list(inspect.signature(operation.forward).parameters.values())
    if parameters and parameters[-1].kind is inspect.Parameter.VAR_POSITIONAL:
        stem = parameters.pop().name
        many = [f"{stem}[{i}]" for i in range(count - len(parameters))]
        return [*(p.name for p in parameters), *many]
    return [p.name for p in parameters[:count]]


def _arrays(operation: Operation) -> Iterator[tuple[str, Any]]:
    """The arrays among an operation's attributes, also those in tuples and lists."""
    for name, value in vars(operation).items():
        for part in value if isinstance(value, tuple | list) else (value,):
            if hasattr(part, "nbytes") and part.ndim:
                yield name, part


def _owner(array: Any) -> tuple[int, int]:
    """(id, bytes) of the array that owns the memory: this one, or the one it is a view of."""
    while hasattr(getattr(array, "base", None), "nbytes"):
        array = array.base
    return id(array), int(array.nbytes)
