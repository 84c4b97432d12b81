"""A convolution as text, for a terminal."""

from __future__ import annotations

import numpy as np

from ..text import WIDEST, fill, grids_as_text
from ..words import Sentence, in_language
from .terms import Product
from .ways import ComparedConvolution


def convolution_as_text(c: ComparedConvolution, language: str | None = None) -> str:
    """All grids, one sum of each kind written out, and how far the other ways differ."""

    def grids(arrays: dict[str, np.ndarray]) -> str:
        return grids_as_text(arrays, language)

    forward, backward = Sentence("text.forward"), Sentence("text.backward")
    parts = [c.describe(), in_language(forward, language), grids({"x": c.x})]
    parts += [grids({"W": c.weight, **_bias("b", c.bias)}), grids({"y": c.y})]
    parts += [in_language(backward, language), grids({"dy": c.dy, "dx": c.dx})]
    parts += [grids({"dW": c.dweight, **_bias("db", c.dbias)})]
    parts += [_matrices(c), _sums(c, language), _ways(c, language)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _bias(name: str, bias: np.ndarray | None) -> dict[str, np.ndarray]:
    return {} if bias is None else {name: bias[None]}


def _matrices(c: ComparedConvolution) -> str:
    if c.columns.shape[2] > WIDEST:
        return ""
    return grids_as_text({"columns": c.columns, "dcolumns = Wᵀ dy": c.dcolumns})


def _sums(c: ComparedConvolution, language: str | None) -> str:
    """The sums of the middle cells of y, dx and dW, written out."""
    y = (0, 0, c.output[0] // 2, c.output[1] // 2)
    dx = (0, 0, c.x.shape[2] // 2, c.x.shape[3] // 2)
    dweight = (0, 0, c.kernel_size[0] // 2, c.kernel_size[1] // 2)
    sums = [
        _sum("y", y, c.y[y], c.y_terms(*y)),
        _sum("dx", dx, c.dx[dx], c.dx_terms(*dx)),
        _sum("dW", dweight, c.dweight[dweight], c.dweight_terms(*dweight)),
    ]
    return "\n".join(fill(in_language(line, language)) for line in sums)


def _sum(name: str, index: tuple[int, ...], value: float, terms: list[Product]) -> str:
    cell = f"{name}[{', '.join(map(str, index))}]"
    if not terms:
        return Sentence("text.unreached", cell=cell)
    summands = " + ".join(map(_product, terms[:WIDEST]))
    if len(terms) <= WIDEST:
        return f"{cell} = {summands} = {value:g}"
    left = len(terms) - WIDEST
    return Sentence("text.sum", cell=cell, summands=summands, left=left, value=f"{value:g}")


def _product(term: Product) -> str:
    if term.right.grid == "one":
        return f"{term.left.value:g}"
    left, right = (f"({v:g})" if v < 0 else f"{v:g}" for v in term)
    return f"{left}·{right}"


def _ways(c: ComparedConvolution, language: str | None) -> str:
    lines = [in_language(Sentence("text.largest"), language)]
    ways = {
        "text.by_loops": c.by_loops,
        "text.by_convolution": c.by_convolution,
        "text.by_differences": c.by_differences,
    }
    for key, gradients in ways.items():
        found = ", ".join(f"{g} {c.largest_difference(gradients, g):.1e}" for g in gradients)
        way = Sentence("text.way", name=Sentence(key), differences=found)
        lines.append(f"  {in_language(way, language)}")
    return "\n".join(lines)
