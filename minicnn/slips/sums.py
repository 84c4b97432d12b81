"""A convolution as the list of its products. A slip is a change of an index, a factor or the sum.

Every multiplication of a convolution has three places, named by letters:

    y[n, o, p, q]    an output: image, channel, row, column
    W[b, e, k, l]    its weight: kernel, channel, row, column
    x[m, d, h, w]    its pixel: image, channel, row, column (in the picture, not in its frame)

and for the loop that visits them: n, o, c, p, q, i, j with m = n, b = o, d = e = c, k = i, l = j,
h = p SH + i DH - PH and w = q SW + j DW - PW. So "the kernel is flipped" is k = KH - 1 - i, whether
the products are added to y, to dW or to dx; "the stride is ignored" is h = p + i DH - PH.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray
Pair = tuple[int, int]


class Window(NamedTuple):
    """How windows lie on a picture, in rows and columns."""

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    def output(self, height: int, width: int) -> Pair:
        """How many windows fit below each other, and next to each other."""
        rows, columns = (
            (size + 2 * p - d * (k - 1) - 1) // s + 1
            for size, k, s, p, d in zip((height, width), *self, strict=True)
        )
        return rows, columns


@dataclass(frozen=True)
class Sum:
    """An array whose cells are sums of products.

    Attributes:
        at: for each letter the index in every product: vectors of one length.
        sizes: N, C, H, W, O, KH, KW, OH, OW, SH, SW, PH, PW, DH, DW.
        into: the letters of the cell that a product is added to.
        shape: of the array; a product outside of it is dropped.
        reads: the factors: an array, and the letters of its cell; outside of it a factor is 0.
        factor: what every product is multiplied by: a number, or a vector.
    """

    at: Mapping[str, Array]
    sizes: Mapping[str, int]
    into: str = ""
    shape: tuple[int, ...] = ()
    reads: tuple[tuple[Array, str], ...] = ()
    factor: Any = 1.0

    def __getitem__(self, name: str) -> Any:
        """The index of a letter, as a vector, or the size of that name."""
        return self.at[name] if name in self.at else self.sizes[name]

    def put(self, **indices: Any) -> Sum:
        """The same with other indices for some letters."""
        length = len(self.at["n"])
        changed = {letter: np.broadcast_to(index, length) for letter, index in indices.items()}
        return replace(self, at={**self.at, **changed})

    def keep(self, which: Array) -> Sum:
        """Only some of the products."""
        factor = self.factor if np.ndim(self.factor) == 0 else self.factor[which]
        return replace(self, at={k: v[which] for k, v in self.at.items()}, factor=factor)

    def times(self, factor: Any) -> Sum:
        """Every product times a number, or a vector of them."""
        return replace(self, factor=self.factor * factor)

    def every(self, letter: str, count: int) -> Sum:
        """Every product once for each index 0 to ``count`` - 1 of a letter."""
        at = {k: np.tile(v, count) for k, v in self.at.items()}
        at[letter] = np.repeat(np.arange(count), len(self.at["n"]))
        factor = self.factor if np.ndim(self.factor) == 0 else np.tile(self.factor, count)
        return replace(self, at=at, factor=factor)

    def last(self, loops: str) -> Sum:
        """With ``=`` in the place of ``+=``: of each cell only what the loops write last.

        loops: the letters that are loops, outermost first; over the others a statement sums.
        """
        inside = self.inside(self.into, self.shape)
        kept = self.keep(inside)
        turn = np.zeros(len(kept.at["n"]), int)
        for letter in loops:
            turn = turn * (kept[letter].max(initial=0) + 1) + kept[letter]
        cells = np.ravel_multi_index(tuple(kept[k] for k in self.into), self.shape)
        latest = np.full(math.prod(self.shape), -1)
        np.maximum.at(latest, cells, turn)
        return kept.keep(turn == latest[cells])

    def inside(self, letters: str, shape: tuple[int, ...]) -> Array:
        """Which products have these indices inside an array of this shape."""
        indices = [(self[letter], size) for letter, size in zip(letters, shape, strict=True)]
        return np.logical_and.reduce([(k >= 0) & (k < size) for k, size in indices])

    def total(self) -> Array:
        """The array."""
        kept = self.keep(self.inside(self.into, self.shape))
        values = np.ones(len(kept.at["n"])) * kept.factor
        for array, letters in kept.reads:
            found = kept.inside(letters, array.shape)
            index = tuple(np.where(found, kept[letter], 0) for letter in letters)
            values = values * np.where(found, array[index], 0)
        out = np.zeros(self.shape)
        np.add.at(out, tuple(kept[letter] for letter in self.into), values)
        return out


Slip = Callable[[Sum], Sum]


def convolution(x_shape: tuple[int, ...], kernels: int, window: Window) -> Sum:
    """All products of a convolution of ``kernels`` kernels, with nothing to add them to yet."""
    n, c, height, width = x_shape
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = window
    oh, ow = window.output(height, width)
    counts = dict(zip("nocpqij", (n, kernels, c, oh, ow, kh, kw), strict=True))
    at = dict(zip(counts, map(np.ravel, np.indices(tuple(counts.values()))), strict=True))
    sizes = {"N": n, "C": c, "H": height, "W": width, "O": kernels, "OH": oh, "OW": ow}
    sizes |= {"KH": kh, "KW": kw, "SH": sh, "SW": sw, "PH": ph, "PW": pw, "DH": dh, "DW": dw}
    at |= {"m": at["n"], "b": at["o"], "d": at["c"], "e": at["c"], "k": at["i"], "l": at["j"]}
    at["h"] = at["p"] * sh + at["i"] * dh - ph
    at["w"] = at["q"] * sw + at["j"] * dw - pw
    return Sum(at, sizes)


def then(*slips: Slip) -> Slip:
    """Several changes, one after the other."""

    def all_of_them(s: Sum) -> Sum:
        for slip in slips:
            s = slip(s)
        return s

    return all_of_them
