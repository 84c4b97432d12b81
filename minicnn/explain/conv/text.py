"""A convolution as text, for a terminal."""

from __future__ import annotations

import textwrap

import numpy as np

from ..text import ACROSS, WIDEST, grids_as_text
from .terms import Product
from .ways import ComparedConvolution


def convolution_as_text(c: ComparedConvolution) -> str:
    """All grids, one sum of each kind written out, and how far the other ways differ."""
    parts = [c.describe(), "y = b + sum over c, i, j of W · x̄", grids_as_text({"x": c.x})]
    parts += [grids_as_text({"W": c.weight, **_bias("b", c.bias)}), grids_as_text({"y": c.y})]
    parts += ["backward", grids_as_text({"dy": c.dy, "dx": c.dx})]
    parts += [grids_as_text({"dW": c.dweight, **_bias("db", c.dbias)})]
    parts += [_matrices(c), _sums(c), _ways(c)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _bias(name: str, bias: np.ndarray | None) -> dict[str, np.ndarray]:
    return {} if bias is None else {name: bias[None]}


def _matrices(c: ComparedConvolution) -> str:
    if c.columns.shape[2] > WIDEST:
        return ""
    return grids_as_text({"columns": c.columns, "dcolumns = Wᵀ dy": c.dcolumns})


def _sums(c: ComparedConvolution) -> str:
    """The sums of the middle cells of y, dx and dW, written out."""
    y = (0, 0, c.output[0] // 2, c.output[1] // 2)
    dx = (0, 0, c.x.shape[2] // 2, c.x.shape[3] // 2)
    dweight = (0, 0, c.kernel_size[0] // 2, c.kernel_size[1] // 2)
    return "\n".join(
        [
            _sum("y", y, c.y[y], c.y_terms(*y)),
            _sum("dx", dx, c.dx[dx], c.dx_terms(*dx)),
            _sum("dW", dweight, c.dweight[dweight], c.dweight_terms(*dweight)),
        ]
    )


def _sum(name: str, index: tuple[int, ...], value: float, terms: list[Product]) -> str:
    where = f"{name}[{', '.join(map(str, index))}]"
    if not terms:
        return f"{where} = 0: no window reaches it"
    shown = [_product(term) for term in terms[:WIDEST]]
    left = len(terms) - len(shown)
    more = f" + ... ({left} more)" if left else ""
    line = f"{where} = {' + '.join(shown)}{more} = {value:g}"
    return textwrap.fill(line, ACROSS, subsequent_indent="    ", break_on_hyphens=False)


def _product(term: Product) -> str:
    if term.right.grid == "one":
        return f"{term.left.value:g}"
    left, right = (f"({v:g})" if v < 0 else f"{v:g}" for v in term)
    return f"{left}·{right}"


def _ways(c: ComparedConvolution) -> str:
    lines = ["largest difference from im2col, products and col2im:"]
    ways = {
        "loops from the definition": c.by_loops,
        "as convolutions": c.by_convolution,
        "finite differences": c.by_differences,
    }
    for name, gradients in ways.items():
        found = ", ".join(f"{g} {c.largest_difference(gradients, g):.1e}" for g in gradients)
        lines.append(f"  {name}: {found}")
    return "\n".join(lines)
