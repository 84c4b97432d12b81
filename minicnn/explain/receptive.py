"""Two convolutions, one after the other, cell by cell: what one output of the second sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import nn
from minicnn.formats import shown

from .conv.arguments import example_of
from .conv.grids import kernel_labels
from .conv.notes import note_of
from .conv.ways import ComparedConvolution
from .explained import Explained, check_cells, check_layer
from .notes import Note, Notes, Reference, every, key, ref
from .numbers import Pair, as_numbers
from .page.grid import Grid, labels_of
from .questions import Questions
from .words import Sentence

Index = tuple[int, ...]
FUNCTION = "receptive_field"
# What the arrays of each convolution are called on the page: the second one reads y1.
FIRST = {"x": "x", "weight": "weight1", "bias": "bias1", "y": "y1", "dx": "dx", "dy": "dy1"}
SECOND = {"x": "y1", "weight": "weight2", "bias": "bias2", "y": "y2", "dx": "dy1", "dy": "dy2"}


def check_size(x: Index, first: Index, second: Index) -> None:
    """Refuse pictures ``x`` and outputs of the two layers that are too large for a page."""
    cells = sum(2 * int(np.prod(shape, dtype=object)) for shape in (x, first, second))
    check_cells(cells, f"a batch of {x}")


def receptive_field(first: nn.Conv2d, second: nn.Conv2d, x: Any, dy: Any = None) -> Explained:
    """Explain two convolutions without padding, ``y1 = first(x)`` and ``y2 = second(y1)``.

    Args:
        first, second: the layers.
        x: (N, C, H, W), or one picture (C, H, W).
        dy: the loss's gradient with respect to y2; ones without it.

    Raises:
        TypeError: no ``nn.Conv2d``.
        ValueError: shapes that do not fit, padding, numbers that are not finite, too many cells.
    """
    for name, layer in (("first", first), ("second", second)):
        check_layer(FUNCTION, layer, nn.Conv2d, name)
        if layer.padding not in (0, (0, 0), "valid"):
            raise ValueError(
                f"explain.{FUNCTION}: padding is {shown(layer.padding)}; wanted layers without"
            )
    picture = as_numbers(FUNCTION, "x", x, 4)
    below = ComparedConvolution(*example_of(first, picture))
    above = ComparedConvolution(*example_of(second, below.y, dy))
    check_size(below.x.shape, below.y.shape, above.y.shape)
    below = ComparedConvolution(*example_of(first, picture, above.dx))
    return _Field(below, above).explained()


class _Field:
    """The two convolutions, and the notes of their cells."""

    def __init__(self, first: ComparedConvolution, second: ComparedConvolution):
        self.first, self.second = first, second

    def explained(self) -> Explained:
        first, second = self.first, self.second
        return Explained(
            Sentence("field.title"),
            f"{first.describe()}, {second.describe()}",
            "y1 = b1 + Σ W1 · x &emsp; y2 = b2 + Σ W2 · y1",
            "dy1 = Σ W2 · dy2 &emsp; dx = Σ W1 · dy1",
            self._above(),
            self._below(),
            self._notes(),
            ["y2", key(*self._middle(second.y))],
            questions=self._questions(),
        )

    def _above(self) -> list[Grid]:
        first, second = self.first, self.second
        (n, ins), outs, last = first.x.shape[:2], len(first.weight), len(second.weight)
        pictures, hidden = labels_of(n, ins), labels_of(n, outs)
        kernels = [kernel_labels(*c.weight.shape[:2]) for c in (first, second)]
        w = Sentence("conv.weight_grid")
        grids = [
            Grid("x", "x", Sentence("page.x"), "x", first.x, labels=pictures),
            Grid("weight1", "W1", w, "weight", first.weight, labels=kernels[0]),
            Grid("y1", "y1", Sentence("page.y"), "x", first.y, labels=hidden),
            Grid("weight2", "W2", w, "weight", second.weight, labels=kernels[1]),
            Grid("y2", "y2", Sentence("page.y"), "x", second.y, labels=labels_of(n, last)),
        ]
        for place, name, bias in ((2, "1", first.bias), (-1, "2", second.bias)):
            if bias is not None:
                vector = bias[None, None, None]
                title = Sentence("page.bias")
                grid = Grid(f"bias{name}", f"b{name}", title, "weight", vector, axes="j")
                grids.insert(place, grid)
        return grids

    def _below(self) -> list[Grid]:
        first, second = self.first, self.second
        n, outs, last = len(first.x), len(first.weight), len(second.weight)
        pictures = labels_of(n, first.x.shape[1])
        hidden, final = labels_of(n, outs), labels_of(n, last)
        return [
            Grid("dx", "dx", Sentence("page.dx"), "gradient", first.dx, labels=pictures),
            Grid("dy1", "dy1", Sentence("follow.dy"), "gradient", first.dy, labels=hidden),
            Grid("dy2", "dy2", Sentence("page.dy"), "gradient", second.dy, labels=final),
        ]

    def _notes(self) -> Notes:
        first, second = self.first, self.second
        rules: dict[str, tuple[Index, Callable[..., Note]]] = {
            "x": (first.x.shape, self.x),
            "weight1": (first.weight.shape, self._of(first, "weight", FIRST)),
            "y1": (first.y.shape, self.y1),
            "weight2": (second.weight.shape, self._of(second, "weight", SECOND)),
            "y2": (second.y.shape, self.y2),
            "dx": (first.x.shape, self.dx),
            "dy1": (first.y.shape, self.dy1),
            "dy2": (second.y.shape, self._of(second, "dy", SECOND)),
        }
        for name, c, names in (("bias1", first, FIRST), ("bias2", second, SECOND)):
            if c.bias is not None:
                rules[name] = (c.bias.shape, self._of(c, "bias", names))
        return {grid: every(shape, rule) for grid, (shape, rule) in rules.items()}

    def _of(self, c: ComparedConvolution, grid: str, names: dict[str, str]) -> Callable[..., Note]:
        """The rule of a grid of one convolution, with the page's names."""

        def renamed(token: Any) -> Any:
            return token if isinstance(token, str) else [names[token[0]], token[1]]

        def rule(*at: int) -> Note:
            note = note_of(c, grid, at)
            lines = [
                {"label": line["label"], "tokens": [*map(renamed, line["tokens"])]}
                for line in note["lines"]
            ]
            return {"lines": lines, "lit": [*map(renamed, note.get("lit", []))], "words": ""}

        return rule

    # The cells that say more ----------------------------------------------------------------------

    def y2(self, n: int, o: int, p: int, q: int) -> Note:
        rows, columns = self.field(p, q)
        channels = range(self.first.x.shape[1])
        seen = [ref("x", n, c, h, w) for c in channels for h in rows for w in columns]
        ends = {"top": rows[0], "bottom": rows[-1], "left": columns[0], "right": columns[-1]}
        words = Sentence("field.y2", h=len(rows), w=len(columns), **ends)
        note = self._of(self.second, "y", SECOND)(n, o, p, q)
        return {**note, "words": words, "linked": seen}

    def y1(self, n: int, o: int, p: int, q: int) -> Note:
        note = self._of(self.first, "y", FIRST)(n, o, p, q)
        fed = self._of(self.second, "x", SECOND)(n, o, p, q)["lit"]
        words = Sentence("field.y1", count=len(fed))
        return {**note, "words": words, "linked": fed}

    def x(self, n: int, c: int, h: int, w: int) -> Note:
        note = self._of(self.first, "x", FIRST)(n, c, h, w)
        reached = self.reached(n, h, w)
        return {**note, "linked": reached, "words": Sentence("field.x", count=len(reached))}

    def dx(self, n: int, c: int, h: int, w: int) -> Note:
        note = self._of(self.first, "dx", FIRST)(n, c, h, w)
        above = [["dy2", at] for _, at in self.reached(n, h, w)]
        return {**note, "linked": above, "words": Sentence("field.dx", count=len(above))}

    def dy1(self, n: int, o: int, p: int, q: int) -> Note:
        note = self._of(self.second, "dx", SECOND)(n, o, p, q)
        return {**note, "linked": [ref("y1", n, o, p, q)], "words": Sentence("field.dy1")}

    def field(self, p: int, q: int) -> tuple[list[int], list[int]]:
        """The rows and the columns of x that an output (p, q) of the second convolution sees."""
        axes: list[list[int]] = []
        for axis, at in enumerate((p, q)):
            seen: set[int] = set()
            for i in range(self.second.kernel_size[axis]):
                middle = at * self.second.stride[axis] + i * self.second.dilation[axis]
                start, step = middle * self.first.stride[axis], self.first.dilation[axis]
                seen |= {start + j * step for j in range(self.first.kernel_size[axis])}
            axes.append(sorted(seen))
        return axes[0], axes[1]

    def reached(self, n: int, h: int, w: int) -> list[Reference]:
        """The outputs of the second convolution that see a pixel."""
        fields = ((p, q, *self.field(p, q)) for p, q in np.ndindex(self.second.output))
        places = [(p, q) for p, q, rows, columns in fields if h in rows and w in columns]
        return [ref("y2", n, o, *at) for o in range(len(self.second.weight)) for at in places]

    def _questions(self) -> Questions:
        y2, x = key(*self._middle(self.second.y)), key(*self._middle(self.first.x))
        return {
            "field": (Sentence("field.asked"), Sentence("field.answer"), ("y2", y2)),
            "reach": (Sentence("field.reach"), Sentence("field.reach_answer"), ("x", x)),
        }

    @staticmethod
    def _middle(array: np.ndarray) -> Pair | Index:
        return 0, 0, array.shape[2] // 2, array.shape[3] // 2
