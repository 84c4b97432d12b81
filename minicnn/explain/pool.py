"""Pooling, cell by cell: which cell won a window, or what share every cell gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn import kernels, nn
from minicnn.tensor import Tensor

from .explained import Explained, check_cells, check_layer
from .notes import Notes, Reference, Token, joined, key, note, ref
from .numbers import Pair, as_numbers, as_pair
from .page.grid import Grid


def check_size(shape: tuple[int, ...], kernel: Pair) -> None:
    """Refuse pictures that no page can show."""
    check_cells(4 * int(np.prod(shape, dtype=object)), f"a batch of {shape}")


def max_pool2d(layer: nn.MaxPool2d, x: Any, dy: Any = None) -> Explained:
    """Explain max pooling of the pictures ``x``, given the gradient ``dy`` by its output.

    Args:
        layer: the layer.
        x: (N, C, H, W), or one picture (C, H, W).
        dy: of the output's shape; ones without it.

    Raises:
        TypeError: ``layer`` is none of max pooling.
        ValueError: shapes that do not fit, numbers that are not finite, too many cells.
    """
    check_layer("max_pool2d", layer, nn.MaxPool2d)
    pooled = _Pooled("max_pool2d", layer, x, dy, as_pair(layer.dilation))
    winners = pooled.operation.winner
    notes: Notes = {"x": {}, "y": {}, "dx": {}, "dy": {}}
    for at in np.ndindex(pooled.y.shape):
        cells = [ref("x", *at[:2], *cell) for cell in pooled.window(*at[2:])]
        won = divmod(int(winners[at]), pooled.x.shape[3])
        winner = ref("dx", *at[:2], *won)
        place = f"x[{', '.join(map(str, (*at[:2], *won)))}]"
        words = f"{place} is the largest, the first of equal ones: it alone decided this output."
        notes["y"][key(*at)] = note(
            "max(", *joined([[c] for c in cells], ", "), ")", words=words, linked=[winner]
        )
        notes["dy"][key(*at)] = note(
            words="All of it goes to the cell that won the window; the others get nothing.",
            lit=[winner], tail=f"goes to d{place}", linked=[ref("y", *at)],
        )  # fmt: skip
    for at in np.ndindex(pooled.x.shape):
        over = [ref("y", *at[:2], *window) for window in pooled.windows_over(*at[2:])]
        flat = at[2] * pooled.x.shape[3] + at[3]
        won_by = [ref("dy", *r) for r in _indices(over) if winners[r] == flat]
        notes["x"][key(*at)] = _of_pixel(over, f"wins {len(won_by)} of them", at)
        words = (
            "The sum over the windows that it won." if won_by else "It won no window: no output "
            "depends on it, its gradient is 0."
        )  # fmt: skip
        notes["dx"][key(*at)] = note(*joined([[r] for r in won_by]), words=words,
                                     linked=[ref("x", *at)])  # fmt: skip
    return pooled.explained(
        "Max pooling, forward and backward",
        f"MaxPool2d({layer.extra_repr()})",
        "y = max over the window",
        "dx = Σ dy of the windows that the cell won",
        notes,
    )


def avg_pool2d(layer: nn.AvgPool2d, x: Any, dy: Any = None) -> Explained:
    """Explain average pooling of the pictures ``x``; arguments as in ``max_pool2d``."""
    check_layer("avg_pool2d", layer, nn.AvgPool2d)
    pooled = _Pooled("avg_pool2d", layer, x, dy, (1, 1))
    divisor = pooled.operation.divisor
    notes: Notes = {"x": {}, "y": {}, "dx": {}, "dy": {}}
    for at in np.ndindex(pooled.y.shape):
        window = pooled.window(*at[2:])
        cells = [ref("x", *at[:2], *cell) for cell in window]
        over = f"{float(divisor[at[2:]]):g}"
        notes["y"][key(*at)] = note(
            "(", *joined([[c] for c in cells]), f") / {over}", words="The mean of the window."
        )
        notes["dy"][key(*at)] = note(
            words=f"Every cell of the window gets the same share, dy / {over}.",
            lit=[ref("dx", *at[:2], *cell) for cell in window],
            tail=f"is shared by {len(window)} cells", linked=[ref("y", *at)],
        )  # fmt: skip
    for at in np.ndindex(pooled.x.shape):
        over_it = [ref("y", *at[:2], *window) for window in pooled.windows_over(*at[2:])]
        notes["x"][key(*at)] = _of_pixel(over_it, "a share of each", at)
        shares: list[list[Token]] = [
            [ref("dy", *r), f" / {float(divisor[r[2:]]):g}"] for r in _indices(over_it)
        ]
        words = "A share of every window that it is in." if shares else "No window reaches it."
        notes["dx"][key(*at)] = note(*joined(shares), words=words, linked=[ref("x", *at)])
    return pooled.explained(
        "Average pooling, forward and backward",
        f"AvgPool2d({layer.extra_repr()})",
        "y = Σ of the window / its cells",
        "dx = Σ dy / cells, over the windows that the cell is in",
        notes,
    )


def _indices(references: list[Reference]) -> list[tuple[int, ...]]:
    return [tuple(map(int, k.split(","))) for _, k in references]


def _of_pixel(windows: list[Reference], how: str, at: tuple[int, ...]) -> dict[str, Any]:
    count = len(windows)
    tail = f"is in {count} window{'s' * (count != 1)}" + (f", {how}" if count else "")
    return note(words="", lit=windows, tail=tail, linked=[ref("dx", *at)])


class _Pooled:
    """A pooling layer run forward and backward by the engine."""

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

    def window(self, h: int, w: int) -> list[Pair]:
        """The cells of the picture that output (h, w) sees."""
        (sh, sw), (ph, pw), (dh, dw) = self.stride, self.padding, self.dilation
        cells = (
            (h * sh + i * dh - ph, w * sw + j * dw - pw) for i, j in np.ndindex(self.kernel_size)
        )
        rows, cols = self.x.shape[2:]
        return [(r, q) for r, q in cells if 0 <= r < rows and 0 <= q < cols]

    def windows_over(self, row: int, col: int) -> Iterator[Pair]:
        """The outputs that see a cell."""
        for h, w in np.ndindex(self.y.shape[2:]):
            if (row, col) in self.window(h, w):
                yield h, w

    def explained(
        self, title: str, layer: str, forward: str, backward: str, notes: Notes
    ) -> Explained:
        labels = [
            ", ".join([f"image {n}"] * (len(self.x) > 1) + [f"channel {c}"] * (self.x.shape[1] > 1))
            for n, c in np.ndindex(self.x.shape[:2])
        ]
        above = [
            Grid("x", "x", "the picture", "x", self.x, labels=labels),
            Grid("y", "y", "the output", "x", self.y, labels=labels),
        ]
        below = [
            Grid("dx", "dx", "the picture’s gradient", "gradient", self.dx, labels=labels),
            Grid("dy", "dy", "the gradient from above", "gradient", self.dy, labels=labels),
        ]
        return Explained(title, layer, forward, backward, above, below, notes, ["y", "0,0,0,0"])
