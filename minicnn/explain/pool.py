"""Pooling, cell by cell: which cell won a window, or what share each cell gets."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import kernels, nn
from minicnn.tensor import Tensor

from .explained import Explained, check_cells, check_layer
from .notes import Note, Notes, Token, every, joined, key, note, ref
from .numbers import Pair, as_numbers, as_pair
from .page.grid import Grid, labels_of
from .questions import Questions, then
from .words import Sentence

Index = tuple[int, ...]


def check_size(shape: tuple[int, ...], kernel: Pair) -> None:
    """Refuse pictures that are too large for a page."""
    check_cells(4 * int(np.prod(shape, dtype=object)), f"a batch of {shape}")


def max_pool2d(layer: nn.MaxPool2d, x: Any, dy: Any = None) -> Explained:
    """Explain max pooling of the pictures ``x``, forward and backward.

    Args:
        layer: the layer.
        x: (N, C, H, W), or one picture (C, H, W).
        dy: the loss's gradient with respect to the output, of its shape; ones without it.

    Raises:
        TypeError: ``layer`` is not an ``nn.MaxPool2d``.
        ValueError: shapes that do not fit, numbers that are not finite, too many cells.
    """
    check_layer("max_pool2d", layer, nn.MaxPool2d)
    pooled = _Pooled("max_pool2d", layer, x, dy, as_pair(layer.dilation))
    return pooled.explained(
        Sentence("pool.max_title"),
        f"MaxPool2d({layer.extra_repr()})",
        Sentence("pool.max_forward"),
        Sentence("pool.max_backward"),
        _MaxRules(pooled),
    )


def avg_pool2d(layer: nn.AvgPool2d, x: Any, dy: Any = None) -> Explained:
    """Explain average pooling of the pictures ``x``; arguments and errors as in ``max_pool2d``."""
    check_layer("avg_pool2d", layer, nn.AvgPool2d)
    pooled = _Pooled("avg_pool2d", layer, x, dy, (1, 1))
    return pooled.explained(
        Sentence("pool.avg_title"),
        f"AvgPool2d({layer.extra_repr()})",
        Sentence("pool.avg_forward"),
        Sentence("pool.avg_backward"),
        _AvgRules(pooled),
    )


class _Pooled:
    """A pooling layer that the engine ran forward and backward."""

    def __init__(self, function: str, layer: Any, x: Any, dy: Any, dilation: Pair):
        self.x = as_numbers(function, "x", x, 4)
        check_size(self.x.shape, (1, 1))
        self.kernel_size, self.stride = as_pair(layer.kernel_size), as_pair(layer.stride)
        self.padding, self.dilation = as_pair(layer.padding), dilation
        with kernels.by_reference():
            tensor = Tensor(self.x, requires_grad=True)
            y = layer(tensor)
            self.y = y.numpy()
            self.dy = np.ones_like(self.y) if dy is None else as_numbers(function, "dy", dy, 4)
            if self.dy.shape != self.y.shape:
                raise ValueError(
                    f"explain.{function}: dy has shape {self.dy.shape}; wanted {self.y.shape}"
                )
            self.operation: Any = y.node.operation
            y.backward(self.dy)
        self.dx = tensor.grad.numpy()  # type: ignore[union-attr]
        self.covering: dict[Index, list[Index]] = {}  # a cell: the outputs that see it
        for h, w in np.ndindex(self.y.shape[2:]):
            for cell in self.window(h, w):
                self.covering.setdefault(cell, []).append((h, w))

    def window(self, h: int, w: int) -> list[Pair]:
        """The cells of the picture in the window of output (h, w)."""
        (sh, sw), (ph, pw), (dh, dw) = self.stride, self.padding, self.dilation
        cells = (
            (h * sh + i * dh - ph, w * sw + j * dw - pw) for i, j in np.ndindex(self.kernel_size)
        )
        rows, cols = self.x.shape[2:]
        return [(r, q) for r, q in cells if 0 <= r < rows and 0 <= q < cols]

    def over(self, at: Index) -> list[Index]:
        """The outputs (n, c, h, w) whose windows the cell ``at`` is in."""
        n, c, *cell = at
        return [(n, c, *output) for output in self.covering.get(tuple(cell), ())]

    def of_pixel(self, at: Index, key: str, **values: int) -> Note:
        """The note of a cell of x: its windows; a sentence says how it counts in them."""
        windows = [ref("y", *output) for output in self.over(at)]
        tail = Sentence(key, count=len(windows), **values) if windows else Sentence("pool.x_none")
        return note(lit=windows, tail=tail, linked=[ref("dx", *at)])

    def explained(
        self, title: str, layer: str, forward: str, backward: str, rules: _MaxRules | _AvgRules
    ) -> Explained:
        labels = labels_of(*self.x.shape[:2])
        above = [
            Grid("x", "x", Sentence("page.x"), "x", self.x, labels=labels),
            Grid("y", "y", Sentence("page.y"), "x", self.y, labels=labels),
        ]
        below = [
            Grid("dx", "dx", Sentence("page.dx"), "gradient", self.dx, labels=labels),
            Grid("dy", "dy", Sentence("page.dy"), "gradient", self.dy, labels=labels),
        ]
        return Explained(
            *(title, layer, forward, backward, above, below),
            rules.notes(),
            ["y", "0,0,0,0"],
            questions=rules.questions(),
        )


class _MaxRules:
    """What every cell of max pooling is made of: a method for each grid."""

    def __init__(self, pooled: _Pooled):
        self.pooled, self.winners = pooled, pooled.operation.winner

    def notes(self) -> Notes:
        x, y = self.pooled.x.shape, self.pooled.y.shape
        return {
            "x": every(x, self.x),
            "y": every(y, self.y),
            "dx": every(x, self.dx),
            "dy": every(y, self.dy),
        }

    def questions(self) -> Questions:
        """On the gradient's way, on ties, and on windows that overlap."""
        x, outputs = self.pooled.x, [*np.ndindex(self.pooled.y.shape)]
        most = max(np.ndindex(x.shape), key=lambda at: len(self.won(at)))
        tied = next((at for at in outputs if self.is_tied(at)), None)
        ties = then(Sentence("pool.ties_answer"), "pool.ties_hint", tied is None)
        first, overlap = key(*outputs[0]), Sentence("pool.overlap_answer")
        return {
            "routing": (Sentence("pool.routing"), Sentence("pool.routing_answer"), ("dy", first)),
            "ties": (Sentence("pool.ties"), ties, ("y", key(*tied) if tied else first)),
            "overlap": (Sentence("pool.overlap"), overlap, ("dx", key(*most))),
        }

    def is_tied(self, at: Index) -> bool:
        """Whether a window has several largest cells."""
        cells = [self.pooled.x[(*at[:2], *cell)] for cell in self.pooled.window(*at[2:])]
        return cells.count(max(cells)) > 1

    def winner(self, at: Index) -> Index:
        """The cell of x that output ``at`` was taken from: the kernel keeps its flat number."""
        return (*at[:2], *divmod(int(self.winners[at]), self.pooled.x.shape[3]))

    def won(self, at: Index) -> list[Index]:
        """The outputs that were taken from cell ``at``."""
        return [output for output in self.pooled.over(at) if self.winner(output) == at]

    def x(self, *at: int) -> Note:
        return self.pooled.of_pixel(at, "pool.max_x", won=len(self.won(at)))

    def y(self, *at: int) -> Note:
        cells = [ref("x", *at[:2], *cell) for cell in self.pooled.window(*at[2:])]
        words = Sentence("pool.max_y", cell=_name("x", self.winner(at)))
        maximum = "max(", *joined([[cell] for cell in cells], ", "), ")"
        return note(*maximum, words=words, linked=[ref("dx", *self.winner(at))])

    def dx(self, *at: int) -> Note:
        won = [ref("dy", *output) for output in self.won(at)]
        words = Sentence("pool.max_dx" if won else "pool.max_dx_none")
        return note(*joined([[dy] for dy in won]), words=words, linked=[ref("x", *at)])

    def dy(self, *at: int) -> Note:
        return note(
            words=Sentence("pool.max_dy"),
            lit=[ref("dx", *self.winner(at))],
            tail=Sentence("pool.max_dy_tail", cell=_name("dx", self.winner(at))),
            linked=[ref("y", *at)],
        )


class _AvgRules:
    """What every cell of average pooling is made of: a method for each grid."""

    def __init__(self, pooled: _Pooled):
        self.pooled, self.divisors = pooled, pooled.operation.divisor

    def notes(self) -> Notes:
        x, y = self.pooled.x.shape, self.pooled.y.shape
        return {
            "x": every(x, self.x),
            "y": every(y, self.y),
            "dx": every(x, self.dx),
            "dy": every(y, self.dy),
        }

    def questions(self) -> Questions:
        """On the gradient's way, and on windows that overlap."""
        pooled = self.pooled
        most = max(np.ndindex(pooled.x.shape), key=lambda at: len(pooled.over(at)))
        overlaps = len(pooled.over(most)) > 1
        overlap = then(Sentence("pool.shared_answer"), "pool.shared_hint", not overlaps)
        return {
            "shares": (Sentence("pool.routing"), Sentence("pool.shares_answer"), ("dy", "0,0,0,0")),
            "overlap": (Sentence("pool.shared"), overlap, ("dx", key(*most))),
        }

    def divisor(self, at: Index) -> str:
        return f"{float(self.divisors[at[2:]]):g}"

    def x(self, *at: int) -> Note:
        return self.pooled.of_pixel(at, "pool.avg_x")

    def y(self, *at: int) -> Note:
        cells = [ref("x", *at[:2], *cell) for cell in self.pooled.window(*at[2:])]
        mean = "(", *joined([[cell] for cell in cells]), f") / {self.divisor(at)}"
        return note(*mean, words=Sentence("pool.avg_y"))

    def dx(self, *at: int) -> Note:
        shares: list[list[Token]] = [
            [ref("dy", *output), f" / {self.divisor(output)}"] for output in self.pooled.over(at)
        ]
        words = Sentence("pool.avg_dx" if shares else "pool.avg_dx_none")
        return note(*joined(shares), words=words, linked=[ref("x", *at)])

    def dy(self, *at: int) -> Note:
        cells = [ref("dx", *at[:2], *cell) for cell in self.pooled.window(*at[2:])]
        return note(
            words=Sentence("pool.avg_dy", divisor=self.divisor(at)),
            lit=cells,
            tail=Sentence("pool.avg_dy_tail", count=len(cells)),
            linked=[ref("y", *at)],
        )


def _name(grid: str, at: Index) -> str:
    return f"{grid}[{', '.join(map(str, at))}]"
