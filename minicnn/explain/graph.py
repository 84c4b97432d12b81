"""The tape, drawn: what ``backward`` will walk through, and what it has to remember for it.

    from minicnn import explain

    loss = nn.CrossEntropyLoss()(net(x), y)
    explain.tape(loss)  # a notebook shows the picture
    print(explain.tape(loss))  # a terminal the same as a table
    explain.tape(loss).save("tape.svg")

``tape`` reads the nodes that ``minicnn.tensor.apply`` recorded, ``Tape`` holds what it read. The
rest lays the graph out, every operation in a row below those it depends on, and writes it as SVG.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.files import write_whole
from minicnn.ops import Operation
from minicnn.tensor import Tensor

# What is on a tape --------------------------------------------------------------------------------

WITHOUT_BYTES = "without bytes: input, parameter, counted above"


@dataclass(frozen=True)
class Kept:
    """An array that an operation keeps for its backward.

    Attributes:
        name: what the operation calls it.
        bytes: its memory; None if that exists anyway: it belongs to an input or a parameter, or an
            earlier operation of the tape keeps it already.
    """

    name: str
    bytes: int | None

    def __str__(self) -> str:
        return self.name if self.bytes is None else f"{self.name} {size_text(self.bytes)}"


@dataclass(frozen=True)
class Argument:
    """A tensor that an operation takes and that nothing recorded computed: a weight, a target.

    Attributes:
        name: what the operation calls it.
        gradient: the length of its gradient, from all its uses; None if it has none.
        uses: how many operations of the tape take it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    gradient: float | None
    uses: int = 1


@dataclass(frozen=True)
class Step:
    """An operation of the tape, or a tensor that it begins with.

    Attributes:
        name: the operation's, or what the first operation calls the tensor.
        shape, dtype: of the result.
        gradient: the length of the gradient with respect to the result, sqrt(sum(dy²)), or None.
        inputs: the numbers of the steps it computes from.
        arguments: its other inputs.
        kept: what it keeps for backward.
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
        """The memory that is there for this step's backward alone."""
        return sum(kept.bytes or 0 for kept in self.kept)


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
        return _table(self)

    def svg(self) -> str:
        """The picture, a file's content: dark on light or light on dark as its reader prefers."""
        return _svg(self, "<style>:root{color-scheme:light dark;color:CanvasText}</style>")

    def save(self, path: str | Path) -> None:
        """Write the picture as an SVG file.

        Raises:
            OSError: the file cannot be written.
        """
        write_whole(path, self.svg())

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:  # in the page itself, in the colours of the page
        return f'<div style="overflow-x:auto">{_svg(self)}</div>'


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
    order: list[Tensor] = []
    seen: set[int] = set()
    stack = [(last, False)]
    while stack:
        tensor, inputs_are_done = stack.pop()
        if inputs_are_done:
            order.append(tensor)
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            if tensor.node is not None:
                stack.append((tensor, True))
                stack.extend((x, False) for x in reversed(tensor.node.inputs))
            elif not tensor.is_leaf:
                raise RuntimeError(
                    "tape: this tape was freed by an earlier backward(); draw it before, or call "
                    "backward(retain_graph=True)"
                )
    return order


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


# As text ------------------------------------------------------------------------------------------


def size_text(count: int) -> str:
    """Bytes as a person reads them: 384 B, 19.3 kB, 4.82 MB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"


def _number_text(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _kept_text(step: Step) -> str:
    return ", ".join(map(str, step.kept)) or "nothing"


def _shape_text(step: Step | Argument) -> str:
    text = str(step.shape) if step.dtype == "float32" else f"{step.shape} {step.dtype}"
    if isinstance(step, Argument) and step.uses > 1:
        text += f", {step.uses} uses"
    return text


def _table(drawn: Tape) -> str:
    """A line a step, a line below it for each argument."""
    rows = [("", "operation", "shape", "kept for backward", "|gradient|")]
    for number, step in enumerate(drawn.steps):
        follows = step.inputs in ((number - 1,), ())
        origin = "" if follows else " of " + ", ".join(str(i) for i in step.inputs)
        kept = _kept_text(step) if step.is_operation else ""
        gradient = _number_text(step.gradient)
        rows.append((str(number), step.name + origin, _shape_text(step), kept, gradient))
        rows += [
            ("", f"  {a.name}", _shape_text(a), "", _number_text(a.gradient))
            for a in step.arguments
        ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *middle, last in rows:
        cells = [cell.ljust(width) for cell, width in zip(middle, widths[1:-1], strict=True)]
        lines.append("  ".join([first.rjust(widths[0]), *cells, last]).rstrip())
    return "\n".join([*lines, *drawn.notes()])


# As a picture: where everything goes --------------------------------------------------------------

FONT, LETTER, LINE = 12, 7.5, 19  # size, width of a letter, distance of lines
PADDING, GAP, ROW_GAP, LANE = 10, 28, 30, 14
MARGIN = 8
SWEEPS = 8


@dataclass(eq=False)
class _Slot:
    """A place in the picture: a step's box, or a lane on which a line passes a row.

    ``x`` is its middle. ``above`` and ``below``: the slots that lines come from and go to.
    """

    row: int
    width: float
    height: float
    step: int | None = None
    x: float = 0.0
    y: float = 0.0
    above: list[_Slot] = field(default_factory=list)
    below: list[_Slot] = field(default_factory=list)


def _rows(steps: Sequence[Step]) -> list[int]:
    """The row of each step: below all its inputs; a beginning just above its first use."""
    rows: list[int] = []
    for step in steps:
        rows.append(1 + max((rows[i] for i in step.inputs), default=-1))
    for number, step in enumerate(steps):
        if not step.is_operation:
            rows[number] = min(rows[k] for k, s in enumerate(steps) if number in s.inputs) - 1
    return rows


def _slots(steps: Sequence[Step], sizes: Sequence[tuple[float, float]]) -> list[_Slot]:
    """A slot for each step, and one in every row that a line has to pass.

    All lines from one step share their lanes: they part where they leave it.
    """
    rows = _rows(steps)
    boxes = [_Slot(rows[k], *sizes[k], step=k) for k in range(len(steps))]
    slots = list(boxes)
    users: list[list[int]] = [[] for _ in steps]
    for number, step in enumerate(steps):
        for i in step.inputs:
            users[i].append(number)
    for number, box in enumerate(boxes):
        tail, passing = box, {box.row: box}
        for row in range(box.row + 1, max((rows[k] for k in users[number]), default=0)):
            lane = _Slot(row, LANE, 0)
            _link(tail, lane)
            tail = passing[row] = lane
            slots.append(lane)
        for k in users[number]:
            _link(passing[rows[k] - 1], boxes[k])
    return slots


def _link(above: _Slot, below: _Slot) -> None:
    above.below.append(below)
    below.above.append(above)


def _lay_out(slots: Sequence[_Slot], least: float) -> tuple[float, float]:
    """Give every slot its place; returns width (``least`` or more) and height of the whole."""
    grid: list[list[_Slot]] = [[] for _ in range(1 + max(slot.row for slot in slots))]
    for slot in slots:
        grid[slot.row].append(slot)
    y = float(MARGIN)
    for row in grid:
        height = max(slot.height for slot in row)
        for slot in row:
            slot.y = y
            slot.height = slot.height if slot.step is not None else height
        y += height + ROW_GAP
    for _ in range(SWEEPS):
        for row in grid:
            _align(row, lambda slot: slot.above)
        for row in reversed(grid):
            _align(row, lambda slot: slot.below)
    left = min(slot.x - slot.width / 2 for slot in slots)
    right = max(slot.x + slot.width / 2 for slot in slots)
    width = max(right - left, least) + 2 * MARGIN
    for slot in slots:
        slot.x += (width - left - right) / 2
    return width, y - ROW_GAP + MARGIN


def _align(row: list[_Slot], neighbours: Callable[[_Slot], list[_Slot]]) -> None:
    """Move each slot of a row towards the middle of its neighbours, in their order, apart."""

    def wish(slot: _Slot) -> float:
        there = neighbours(slot)
        return sum(n.x for n in there) / len(there) if there else slot.x

    wishes = {id(slot): wish(slot) for slot in row}
    row.sort(key=lambda slot: wishes[id(slot)])
    right = -np.inf
    for slot in row:
        slot.x = max(wishes[id(slot)], right + slot.width / 2)
        right = slot.x + slot.width / 2 + GAP
    shift = sum(wishes[id(slot)] - slot.x for slot in row) / len(row)
    for slot in row:
        slot.x += shift


# As a picture: drawing it -------------------------------------------------------------------------


def _svg(drawn: Tape, style: str = "") -> str:
    """The picture. All colours are the text's (currentColor), so it suits a light or dark page."""
    texts = [_lines(step) for step in drawn.steps]
    letters = max(len(left) + len(right) + 3 for lines in texts for left, right in lines)
    width = letters * LETTER + 2 * PADDING
    sizes = [(width, len(lines) * LINE + 2 * PADDING - 5) for lines in texts]
    slots = _slots(drawn.steps, sizes)
    notes = drawn.notes()
    width, height = _lay_out(slots, max(map(len, notes)) * LETTER)
    shapes = [_line(slot, below) for slot in slots for below in slot.below]
    shapes += [
        _box(slot, drawn.steps[slot.step], texts[slot.step])
        for slot in slots
        if slot.step is not None
    ]
    for note in notes:
        height += LINE
        shapes.append(_text(MARGIN, height, note, "start", 0.75))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(_spoken(drawn))}" '
        f'viewBox="0 0 {width:.0f} {height + MARGIN:.0f}" width="{width:.0f}" '
        f'style="max-width:100%;height:auto" font-size="{FONT}" fill="currentColor" '
        'font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace">'
        f"{style}\n" + "\n".join(shapes) + "\n</svg>"
    )


def _spoken(drawn: Tape) -> str:
    """The picture for a reader who hears it."""
    return f"The tape: {', '.join(step.name for step in drawn.steps)}. {'; '.join(drawn.notes())}."


def _lines(step: Step) -> list[tuple[str, str]]:
    """A box's lines, each a text at the left and one at the right."""
    lines = [(step.name, _shape_text(step))]
    sign = "|dy|" if step.is_operation else f"|d{step.name}|"
    dy = "" if step.gradient is None else f"{sign} {_number_text(step.gradient)}"
    if step.is_operation:
        lines.append((f"keeps {_kept_text(step)}", dy))
    elif dy:
        lines.append(("", dy))
    for a in step.arguments:
        length = "" if a.gradient is None else f"|d{a.name}| {_number_text(a.gradient)}"
        lines.append((f"{a.name} {_shape_text(a)}", length))
    return lines


def _box(slot: _Slot, step: Step, lines: Sequence[tuple[str, str]]) -> str:
    left, right = slot.x - slot.width / 2 + PADDING, slot.x + slot.width / 2 - PADDING
    round_ = 6 if step.is_operation else slot.height / 2
    parts = [
        f'<rect x="{left - PADDING:.1f}" y="{slot.y:.1f}" width="{slot.width:.1f}" '
        f'height="{slot.height:.1f}" rx="{round_:.1f}" fill-opacity=".06" stroke="currentColor" '
        f'stroke-opacity=".45"/>'
    ]
    for i, (text, number) in enumerate(lines):
        y = slot.y + PADDING + FONT - 2 + i * LINE
        parts.append(_text(left, y, text, "start", 0.85 if i else 1, bold=i == 0))
        parts.append(_text(right, y, number, "end", 0.85 if i else 1))
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str, opacity: float, bold: bool = False) -> str:
    if not text:
        return ""
    weight = ' font-weight="700"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill-opacity="{opacity:g}"{weight}>'
        f"{escape(text)}</text>"
    )


def _line(above: _Slot, below: _Slot) -> str:
    """From the bottom of a slot to the top of another, an arrow where that is a box."""
    entries = sorted(below.above, key=lambda slot: slot.x)
    x = below.x + 24 * (entries.index(above) - (len(entries) - 1) / 2)
    top, start = below.y - ROW_GAP, above.y + above.height
    tip = below.y - (6 if below.step is not None else 0)
    middle = (top + below.y) / 2
    path = f"M{above.x:.1f} {start:.1f}V{top:.1f}C{above.x:.1f} {middle:.1f}"
    path += f" {x:.1f} {middle:.1f} {x:.1f} {tip:.1f}"
    if below.step is None:
        path += f"V{below.y + below.height:.1f}"
    line = f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity=".6"/>'
    if below.step is None:
        return line
    return f'{line}<path d="M{x - 4:.1f} {tip - 2:.1f}h8l-4 8z" fill-opacity=".7"/>'
