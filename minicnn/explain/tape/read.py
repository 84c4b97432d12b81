"""Reading the tape: the nodes that ``minicnn.tensor.apply`` recorded, as steps."""

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

from .picture import svg
from .steps import Argument, Kept, Step, size_text
from .table import table

WITHOUT_BYTES = "without bytes: input, parameter, counted above"


class Tape:
    """The recorded graph of a computation: shows itself in a notebook, prints as a table.

    Attributes:
        steps: in the order of computation; ``inputs`` are indices into this list.
        results_bytes: memory of results that lie on the tape although no backward reads them.
    """

    def __init__(self, steps: Sequence[Step], results_bytes: int):
        self.steps, self.results_bytes = list(steps), results_bytes

    @property
    def kept_bytes(self) -> int:
        """The memory that all backwards need, besides inputs and parameters."""
        return sum(step.kept_bytes for step in self.steps)

    def notes(self) -> list[str]:
        """What stands below the table and the picture: how long the tape is, what it holds."""
        count = sum(step.is_operation for step in self.steps)
        operations = "1 operation" if count == 1 else f"{count} operations"
        lines = [f"{operations}, {size_text(self.kept_bytes)} kept for backward"]
        if self.results_bytes:
            lines.append(f"{size_text(self.results_bytes)} of results that no backward reads")
        if any(kept.bytes is None for step in self.steps for kept in step.kept):
            lines.append(WITHOUT_BYTES)
        return lines

    def __str__(self) -> str:
        return table(self.steps, self.notes())

    def svg(self) -> str:
        """The picture, a file's content: dark on light or light on dark as its reader prefers."""
        return svg(
            self.steps,
            self.notes(),
            "<style>:root{color-scheme:light dark;color:CanvasText}</style>",
        )

    def save(self, path: str | Path) -> None:
        """Write the picture as an SVG file.

        Raises:
            OSError: the file cannot be written.
        """
        write_whole(path, self.svg())

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:  # in the page itself, in the colours of the page
        return f'<div style="overflow-x:auto">{svg(self.steps, self.notes())}</div>'


# Reading it ---------------------------------------------------------------------------------------


def tape(tensor: Tensor, gradient: Any = None) -> Tape:
    """The tape that leads to ``tensor``, with the lengths of the gradients that run back on it.

    It runs ``backward`` once for the gradients; the tape stays, and every ``grad`` is as before.

    Args:
        tensor: a loss, or anything else computed from tensors that require gradients.
        gradient: that with respect to ``tensor``, as for ``backward``. Without it a tensor of more
            than one cell is drawn without gradients.

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
    """id of each tensor on the tape to the length of its gradient, by ``backward`` itself."""
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
    """Turns tensors into steps: numbers them, and counts every piece of memory once."""

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

    def _append(self, tensor: Tensor, name: str, **rest: Any) -> None:
        self.numbers[id(tensor)] = len(self.steps)
        gradient = self.lengths.get(id(tensor))
        self.steps.append(Step(name, tensor.shape, str(tensor.dtype), gradient, **rest))

    def _source(self, inputs: Sequence[Tensor]) -> int | None:
        """Which input the tape begins with here: none if one of them is on it already."""
        if any(id(x) in self.numbers for x in inputs):
            return None
        return next((i for i, x in enumerate(inputs) if x.size > 1), 0)

    def _kept(self, operation: Operation) -> Iterator[Kept]:
        for name, array in _arrays(operation):
            owner, size = _owner(array)
            yield Kept(name, None if owner in self.counted else size)
            self.counted.add(owner)


def _argument_names(operation: Operation, count: int) -> list[str]:
    """What ``operation.forward`` calls its ``count`` inputs."""
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
    """(id, bytes) of the array whose memory this one shows a view of, or its own."""
    while hasattr(getattr(array, "base", None), "nbytes"):
        array = array.base
    return id(array), int(array.nbytes)
