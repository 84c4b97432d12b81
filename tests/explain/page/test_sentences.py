"""The explorer's page in a browser: what is said of a cell, and how numbers are written."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tests.explain.page.browsing import GRIDS, geometry, locate, products, values_of

pytest.importorskip("playwright.sync_api", reason="needs playwright")


def many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def sentences(grid: str, at: tuple[int, ...], g: dict[str, int]) -> list[str]:
    """What the page says of a cell, by counting over the definition."""
    every = products(g)
    windows = g["n"] * g["oh"] * g["ow"]
    if grid == "y":
        outside = sum(p.y == at and p.weight[1] == 0 and not p.in_picture for p in every)
        said = [f"Kernel {at[1]} times the window", f"all {g['c']} input channels."]
        lie = "lies in the padding and is" if outside == 1 else "lie in the padding and are"
        padding = f"{many(outside, 'cell')} of the window in each channel {lie} 0."
        return said + [padding] * (outside > 0)
    if grid == "dx":
        fed = {(p.y[2], p.y[3]) for p in every if p.x == at}
        if not fed:
            return ["No window reaches this cell", "its gradient is 0"]
        return [f"It fed {many(len(fed), 'window')} of each of the {g['o']} output channels."]
    if grid == "dweight":
        stride = " and ".join(dict.fromkeys((str(g["sh"]), str(g["sw"]))))
        pixels = f"The pixels lie {stride} apart, the stride."
        return [f"{many(windows, 'product')}, all added up. {pixels}", f"W{list(at)} "]
    if grid == "dbias":
        return [f"The bias was added to every output of channel {at[0]}, so"]
    if grid in ("columns", "dcolumns"):
        (p,) = {p.column: p for p in every if p.column == at and p.y[1] == 0}.values()
        if grid == "columns":
            return [
                f"Column {at[2]} is the window of output ({p.y[2]}, {p.y[3]}); row {at[1]} is what "
                f"it sees at channel {p.weight[1]}, cell ({p.weight[2]}, {p.weight[3]})."
            ]
        to = f"dx{list(p.x)}." if p.in_picture else "a cell of the padding, where it is dropped."
        return [f"Summed over the output channels. col2im adds it to {to}"]
    if grid == "x":
        stands = sorted({p.column for p in every if p.x == at}, key=lambda c: (c[2], c[1]))
        if not stands:
            return ["stands in no column", "No window reaches it, so its gradient is 0."]
        named = ", ".join(f"columns{list(column)}" for column in stands)
        times = "once" if len(stands) == 1 else f"{len(stands)} times"
        return [
            f"stands in {len(stands)} of {many(g['oh'] * g['ow'], 'column')}: {named}",
            f"Copied {times}, so its gradient is a sum over {many(len(stands), 'place')}.",
        ]
    if grid == "weight":
        return [
            f"takes part in {many(windows, 'output')}",
            f"it takes part in every output of channel {at[0]}, with input channel {at[1]}.",
        ]
    if grid == "bias":
        return [f"is added to {many(windows, 'output')}", f"every output of channel {at[0]}."]
    cells = many(g["c"] * g["kh"] * g["kw"], "cell")
    return [
        f"goes to {cells} of dx, each time multiplied by a weight",
        f"How the loss changes with y{list(at)}.",
    ]


@pytest.mark.parametrize("name", ["two channels", "everything"])
def test_what_is_said_of_a_cell_is_what_the_definition_counts(
    name: str, visit: Any, rng: np.random.Generator
) -> None:
    page = visit(name)
    g, values = geometry(page), values_of(page)
    for grid in GRIDS:
        cells = [at for where, at in values if where == grid]
        for k in rng.permutation(len(cells))[:4]:
            at = cells[k]
            locate(page, grid, at).evaluate("(cell) => cell.focus()")
            said = page.locator("#sum .head").inner_text() + " " + page.locator("#why").inner_text()
            for sentence in sentences(grid, at, g):
                assert sentence in said, (grid, at)
            labels = page.locator("#sum .line .label").all_inner_texts()
            kinds = {"y": ("channel", g["c"]), "dx": ("from channel", g["o"]),
                     "dweight": ("image", g["n"]), "dbias": ("image", g["n"])}  # fmt: skip
            if grid in kinds and labels:
                noun, count = kinds[grid]
                assert labels == ["bias"] * (grid == "y") + [f"{noun} {c}" for c in range(count)]


def number_in(text: str) -> float:
    """1.5·10⁻⁴ as a number."""
    digits = text.translate(str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789"))
    return float(re.sub(r"(·| × )10", "e", digits))


def test_exponents_are_those_of_the_numbers(visit: Any) -> None:
    page = visit("large")
    grids = {grid["grid"]: grid for grid in page.evaluate("() => data.grids")}
    assert {grids[name]["exponent"] for name in ("x", "y")} == {0}
    assert {grids[name]["exponent"] < -2 for name in ("dx", "dy", "dcolumns")} == {True}
    for name in ("x", "dx", "dy", "dbias", "dcolumns"):
        exponent, places = grids[name]["exponent"], grids[name]["places"]
        scale = page.locator(f'figure:has([data-place="{name}"]) .scale').all_inner_texts()
        assert [number_in("1 " + text) for text in scale] == [10.0**exponent] * (exponent != 0)
        for cell in page.locator(f'[data-grid="{name}"][data-index]').all()[3:400:37]:
            value = float(cell.get_attribute("data-value"))
            shown = number_in(cell.evaluate("(cell) => cell.textContent"))
            assert abs(shown - value / 10.0**exponent) <= 0.5001 * 10.0**-places
            label = cell.get_attribute("aria-label").split(" = ")[1]
            assert number_in(label) == pytest.approx(value, rel=1e-3)
    for at in ((0, 0, 3, 9), (0, 0, 20, 14)):
        locate(page, "dx", at).hover()
        value = float(locate(page, "dx", at).get_attribute("data-value"))
        assert number_in(page.locator("#sum .head .number").inner_text()) == pytest.approx(
            value, rel=1e-5
        )
        written = [number_in(text) for text in page.locator("#sum .line .number").all_inner_texts()]
        exact = page.evaluate(
            "() => explain(...here).lines.flatMap((line) => line.tokens.filter(Array.isArray)"
            ".map(valueOf))"
        )
        assert written == pytest.approx(exact[: len(written)], rel=1e-3)
