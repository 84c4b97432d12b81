"""What a cell of a convolution is made of, as a note: rules.js says the same on the page."""

from __future__ import annotations

import numpy as np

from ..notes import Note, Reference, Token, joined, note, ref
from ..words import Sentence
from .ways import ComparedConvolution

Index = tuple[int, ...]
Summands = list[list[Token]]


def note_of(c: ComparedConvolution, grid: str, at: Index) -> Note:
    """The note of a cell of y, dx, dweight, dbias, dcolumns, columns, x, weight, bias or dy.

    Raises:
        ValueError: a cell of another grid.
    """
    rules = _Rules(c)
    if not hasattr(rules, grid):
        wanted = ", ".join(name for name in vars(_Rules) if not name.startswith("_"))
        raise ValueError(f"cell is one of {grid}; wanted one of {wanted}")
    found: Note = getattr(rules, grid)(*at)
    return found


class _Rules:
    """A method for each grid; p, q are the row and column of an output."""

    def __init__(self, c: ComparedConvolution):
        self._c = c

    def y(self, n: int, o: int, p: int, q: int) -> Note:
        c, taps = self._c, [*np.ndindex(self._c.kernel_size)]
        lines: list[Summands] = [
            [
                [ref("weight", o, k, i, j), "·", ref("x", n, c.channel(o, k), *c.pixel(p, q, i, j))]
                for i, j in taps
            ]
            for k in range(c.ins)
        ]
        labels: list[str] = [Sentence("page.channel", c=c.channel(o, k)) for k in range(c.ins)]
        found = _lines(lines, labels)
        if c.bias is not None:
            bias = {"label": Sentence("conv.bias_line"), "tokens": [ref("bias", o)]}
            found["lines"].insert(0, bias)
        return found

    def dx(self, n: int, k: int, h: int, w: int) -> Note:
        c, over = self._c, [*self._c.windows_over(h, w)]
        lines: list[Summands] = [
            [[ref("weight", o, k % c.ins, i, j), "·", ref("dy", n, o, p, q)] for p, q, i, j in over]
            for o in c.over_channel(k)
        ]
        labels: list[str] = [Sentence("conv.from_channel", o=o) for o in c.over_channel(k)]
        return _lines(lines if over else [], labels)

    def dweight(self, o: int, k: int, i: int, j: int) -> Note:
        c, channel = self._c, self._c.channel(o, k)
        lines: list[Summands] = [
            [
                [ref("dy", n, o, p, q), "·", ref("x", n, channel, *c.pixel(p, q, i, j))]
                for p, q in np.ndindex(c.output)
            ]
            for n in range(len(c.x))
        ]
        return _lines(lines, [Sentence("page.image", n=n) for n in range(len(c.x))])

    def dbias(self, o: int) -> Note:
        images = range(len(self._c.x))
        places = [*np.ndindex(self._c.output)]
        lines: list[Summands] = [[[ref("dy", n, o, *at)] for at in places] for n in images]
        return _lines(lines, [Sentence("page.image", n=n) for n in images])

    def dcolumns(self, n: int, row: int, column: int) -> Note:
        k, i, j = self._c.tap(row)
        output = divmod(column, self._c.output[1])
        products: Summands = [
            [ref("weight", o, k % self._c.ins, i, j), "·", ref("dy", n, o, *output)]
            for o in self._c.over_channel(k)
        ]
        return _lines([products], [""])

    def columns(self, n: int, row: int, column: int) -> Note:
        k, i, j = self._c.tap(row)
        pixel = self._c.pixel(*divmod(column, self._c.output[1]), i, j)
        copied = ref("x", n, k, *pixel)
        inside = self._c.in_picture(*pixel)
        name = f"x[{copied[1].replace(',', ', ')}]" if inside else Sentence("conv.padding_line")
        return {"lines": [{"label": name, "tokens": [copied]}]}

    def x(self, n: int, k: int, h: int, w: int) -> Note:
        over = self._c.windows_over(h, w)
        outs = self._c.over_channel(k)
        return note(lit=[ref("y", n, o, p, q) for p, q, _, _ in over for o in outs])

    def weight(self, o: int, *_: int) -> Note:
        return note(lit=self._all("y", o))

    def bias(self, o: int) -> Note:
        return note(lit=self._all("y", o))

    def dy(self, n: int, o: int, p: int, q: int) -> Note:
        cells = [self._c.pixel(p, q, i, j) for i, j in np.ndindex(self._c.kernel_size)]
        channels = [self._c.channel(o, k) for k in range(self._c.ins)]
        return note(lit=[ref("dx", n, k, *cell) for k in channels for cell in cells])

    def _all(self, grid: str, o: int) -> list[Reference]:
        places = [*np.ndindex(self._c.output)]
        return [ref(grid, n, o, *at) for n in range(len(self._c.x)) for at in places]


def _lines(lines: list[Summands], labels: list[str]) -> Note:
    """A note of several lines of summands; a single one needs no label."""
    labels = labels if len(lines) > 1 else [""] * len(lines)
    pairs = zip(labels, lines, strict=True)
    return {"lines": [{"label": label, "tokens": joined(parts)} for label, parts in pairs]}
