"""The explorer's page in a browser, and what its definition says."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

Cell = tuple[str, tuple[int, ...] | None]  # a grid and an index; None in the padding
OPTIONS = {
    "the default": "",
    "two channels": "--size 5x6 --stride 2 --channels 2 --out-channels 2",
    "groups": "--size 4x6 --channels 4 --out-channels 6 --groups 2 --kernel 2x3 --stride 1x2 "
    "--batch 2",
    "everything": "--size 6x7 --kernel 3x2 --stride 2x3 --padding 1x2 --dilation 2x3 --channels 2 "
    "--out-channels 3 --batch 2 --seed 3",
}
GRIDS = ("x", "weight", "bias", "y", "dy", "dx", "dweight", "dbias", "columns", "dcolumns")


class Product(NamedTuple):
    """One product W·x̄ of the forward pass, and where its cells are."""

    y: tuple[int, ...]
    weight: tuple[int, ...]
    x: tuple[int, ...]
    column: tuple[int, ...]
    in_picture: bool

    @property
    def pixel(self) -> Cell:
        return ("x", self.x if self.in_picture else None)


def products(g: dict[str, int]) -> list[Product]:
    """All of them, by loops over the definition."""
    found = []
    for n, o, p, q in np.ndindex(g["n"], g["o"], g["oh"], g["ow"]):
        for k, i, j in np.ndindex(g["c"] // g["groups"], g["kh"], g["kw"]):
            c = o // (g["o"] // g["groups"]) * (g["c"] // g["groups"]) + k
            h, w = p * g["sh"] + i * g["dh"] - g["ph"], q * g["sw"] + j * g["dw"] - g["pw"]
            row, column = (c * g["kh"] + i) * g["kw"] + j, p * g["ow"] + q
            inside = 0 <= h < g["h"] and 0 <= w < g["w"]
            found.append(
                Product((n, o, p, q), (o, k, i, j), (n, c, h, w), (n, row, column), inside)
            )
    return found


def dependencies(
    grid: str, at: tuple[int, ...], g: dict[str, int]
) -> tuple[list[Cell], list[tuple[Cell, ...]]]:
    """The cells that light up for a cell, and its summands: pairs of factors, or single cells."""
    every = products(g)
    terms: Any = []
    if grid == "y":
        terms = [(("weight", p.weight), p.pixel) for p in every if p.y == at]
        terms += [(("bias", at[1:2]),)] if g["bias"] else []
    elif grid == "dx":
        terms = [(("weight", p.weight), ("dy", p.y)) for p in every if p.x == at]
    elif grid == "dweight":
        terms = [(("dy", p.y), p.pixel) for p in every if p.weight == at]
    elif grid == "dbias":
        terms = [(("dy", y),) for y in {p.y for p in every} if y[1] == at[0]]
    elif grid == "columns":
        terms = [(p.pixel,) for p in every if p.column == at][:1]
    elif grid == "dcolumns":
        terms = [(("weight", p.weight), ("dy", p.y)) for p in every if p.column == at]
    elif grid == "x":
        return [("columns", k) for k in {p.column for p in every if p.x == at}], []
    elif grid == "weight":
        return [("y", y) for y in {p.y for p in every if p.weight == at}], []
    elif grid == "bias":
        return [("y", y) for y in {p.y for p in every} if y[1] == at[0]], []
    elif grid == "dy":
        cells = {(p.x, p.in_picture) for p in every if p.y == at}
        return [("dx", x if inside else None) for x, inside in cells], []
    # a cell of the padding is one cell, however often it is read
    lit = {cell for term in terms for cell in term if cell[1] is not None}
    outside = [p for p in every if not p.in_picture]
    if grid == "y":
        padding = {p.x for p in outside if p.y == at}
    elif grid == "dweight":
        padding = {p.x for p in outside if p.weight == at}
    else:
        padding = {p.x for p in outside if p.column == at and grid == "columns"}
    return [*lit, *[("x", None)] * len(padding)], terms


LIT = """() => [...document.querySelectorAll('[data-lit]')].map((cell) =>
  [cell.dataset.grid, cell.dataset.index ? cell.dataset.index.split(',').map(Number) : null])"""
CELLS = """() => [...document.querySelectorAll('[data-grid][data-index]')].map((cell) =>
  [cell.dataset.grid, cell.dataset.index, cell.dataset.value])"""
WRITTEN = """() => [...document.querySelectorAll('#sum .line')].map((line) => {
  const copy = line.cloneNode(true);
  copy.querySelectorAll('.label').forEach((label) => label.remove());
  return copy.textContent.replace(/^[\\s=+]+/, '');
})"""


def lit_cells(page: Any) -> list[Cell]:
    return sorted(
        ((grid, tuple(index) if index else None) for grid, index in page.evaluate(LIT)), key=str
    )


def plain(text: str) -> str:
    return text.replace("−", "-").replace("·", "*")


def summands(page: Any) -> list[list[float]]:
    """The factors of every summand that is written out."""
    text = plain(" + ".join(page.evaluate(WRITTEN)))
    return [
        [float(factor.strip("() ")) for factor in part.split("*")]
        for part in text.split(" + ")
        if part
    ]


def written_total(page: Any) -> float:
    head = plain(page.locator("#sum .head").inner_text())
    return float(re.search(r"= (-?[\d.]+)", head)[1])  # type: ignore[index]


def geometry(page: Any) -> dict[str, int]:
    return page.evaluate("() => data.geometry")


def check_cell(
    page: Any, grid: str, at: tuple[int, ...], values: dict[tuple[str, tuple[int, ...]], float]
) -> None:
    """The page, with this cell selected, shows what the definition says."""
    lit, terms = dependencies(grid, at, geometry(page))
    assert lit_cells(page) == sorted(lit, key=str), (grid, at)
    assert written_total(page) == values[grid, at]
    if terms:
        expected = [[values[c] if c[1] is not None else 0.0 for c in term] for term in terms]  # type: ignore[index]
        assert sorted(summands(page)) == sorted(expected), (grid, at)
        assert sum(float(np.prod(factors)) for factors in summands(page)) == values[grid, at]


def values_of(page: Any) -> dict[tuple[str, tuple[int, ...]], float]:
    return {
        (grid, tuple(map(int, index.split(",")))): float(value)
        for grid, index, value in page.evaluate(CELLS)
    }


def locate(page: Any, grid: str, at: tuple[int, ...]) -> Any:
    index = ",".join(map(str, at))
    return page.locator(f'[data-grid="{grid}"][data-index="{index}"]')
