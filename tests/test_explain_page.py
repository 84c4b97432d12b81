"""The explorer's page in a browser: what lights up, and what is written, for random cells.

Needs Playwright and Debian's chromium (pip install playwright; apt-get install chromium).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from minicnn import explain, nn
from minicnn.explain.__main__ import main

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")

Cell = tuple[str, tuple[int, ...] | None]  # a grid and an index; None in the padding
OPTIONS = {
    "the default": "",
    "two channels": "--size 5x6 --stride 2 --channels 2 --out-channels 2",
    "everything": "--size 6x7 --kernel 3x2 --stride 2x3 --padding 1x2 --dilation 2x3 --channels 2 "
    "--out-channels 3 --batch 2 --seed 3",
}
GRIDS = ("x", "weight", "bias", "y", "dy", "dx", "dweight", "dbias", "columns", "dcolumns")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as tools:
        chromium = tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, options in OPTIONS.items():
        main([*options.split(), "--no-open", "--out", str(folder / f"{name}.html")])
    for kind in ("max-pool", "avg-pool", "dense", "softmax"):
        main(["--op", kind, "--no-open", "--out", str(folder / f"{kind}.html")])
    rng = np.random.default_rng(1)
    layer = nn.Conv2d(1, 3, 5, padding=2)
    large = explain.conv2d(layer, rng.random((1, 28, 28)), 1e-4 * rng.standard_normal((3, 28, 28)))
    (folder / "large.html").write_text(large.html())
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture
def visit(browser: Any, pages: dict[str, Path]) -> Iterator[Any]:
    """visit(name, width, scheme, hash) opens a page; errors on it fail the test."""
    contexts: list[Any] = []
    errors: list[str] = []

    def open_page(
        name: str, width: int = 1280, scheme: str = "light", anchor: str = "", **options: Any
    ) -> Any:
        size = {"width": width, "height": 800}
        contexts.append(browser.new_context(viewport=size, color_scheme=scheme, **options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("request", lambda r: errors.append(r.url) if r.url.startswith("http") else None)
        page.goto(pages[name].as_uri() + anchor)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors


# What the definition says -------------------------------------------------------------------------


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
        for c, i, j in np.ndindex(g["c"], g["kh"], g["kw"]):
            h, w = p * g["sh"] + i * g["dh"] - g["ph"], q * g["sw"] + j * g["dw"] - g["pw"]
            row, column = (c * g["kh"] + i) * g["kw"] + j, p * g["ow"] + q
            inside = 0 <= h < g["h"] and 0 <= w < g["w"]
            found.append(
                Product((n, o, p, q), (o, c, i, j), (n, c, h, w), (n, row, column), inside)
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
    # a cell of the padding is one cell, however often it is met
    lit = {cell for term in terms for cell in term if cell[1] is not None}
    met = [p for p in every if not p.in_picture]
    if grid == "y":
        padding = {p.x for p in met if p.y == at}
    elif grid == "dweight":
        padding = {p.x for p in met if p.weight == at}
    else:
        padding = {p.x for p in met if p.column == at and grid == "columns"}
    return [*lit, *[("x", None)] * len(padding)], terms


# What the page says -------------------------------------------------------------------------------

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


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("grid", GRIDS)
def test_random_cells_light_up_what_the_definition_says(
    name: str, grid: str, visit: Any, rng: np.random.Generator
) -> None:
    page = visit(name)
    values = values_of(page)
    cells = [at for where, at in values if where == grid]
    for k in rng.permutation(len(cells))[:6]:
        locate(page, grid, cells[k]).hover()
        check_cell(page, grid, cells[k], values)


@pytest.mark.parametrize("name", ["the default", "everything"])
def test_every_cell_that_is_focused(name: str, visit: Any) -> None:
    """All cells of all grids, without the mouse: focus() is what tapping and tabbing do."""
    page = visit(name)
    values = values_of(page)
    for grid, at in [cell for cell in values if cell[0] in ("y", "dx", "dweight", "dbias")]:
        locate(page, grid, at).evaluate("(cell) => cell.focus()")
        check_cell(page, grid, at, values)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_contract_of_the_cells(name: str, visit: Any) -> None:
    page = visit(name)
    g, values = geometry(page), values_of(page)
    shapes = {
        "x": (g["n"], g["c"], g["h"], g["w"]),
        "weight": (g["o"], g["c"], g["kh"], g["kw"]),
        "bias": (g["o"],),
        "y": (g["n"], g["o"], g["oh"], g["ow"]),
        "columns": (g["n"], g["c"] * g["kh"] * g["kw"], g["oh"] * g["ow"]),
    }
    shapes |= {"dx": shapes["x"], "dweight": shapes["weight"], "dbias": shapes["bias"]}
    shapes |= {"dy": shapes["y"], "dcolumns": shapes["columns"]}
    for grid, shape in shapes.items():
        assert {at for where, at in values if where == grid} == set(np.ndindex(shape)), grid
    framed = g["n"] * g["c"] * (g["h"] + 2 * g["ph"]) * (g["w"] + 2 * g["pw"])
    padding = framed - int(np.prod(shapes["x"]))
    assert page.locator('[data-grid="x"]:not([data-index])').count() == padding
    assert page.locator("#sum").get_attribute("role") == "status"
    assert page.locator("[data-grid]:not([data-value])").count() == 0


def test_all_digits_of_a_value(browser: Any, tmp_path: Path) -> None:
    layer, x = nn.Conv2d(1, 1, 2), np.random.default_rng(0).standard_normal((1, 1, 3, 3))
    (tmp_path / "page.html").write_text(explain.conv2d(layer, x).html())
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    for at in np.ndindex(x.shape):
        assert float(locate(page, "x", at).get_attribute("data-value")) == x[at]
    page.close()


def test_padding_says_so(visit: Any) -> None:
    page = visit("two channels")
    page.locator('[data-grid="dx"]:not([data-index])').first.hover()
    assert "dropped" in page.locator("#why").inner_text()
    page.locator('[data-grid="x"]:not([data-index])').first.hover()
    assert "always 0" in page.locator("#why").inner_text()


def test_flipped_is_said_where_it_is_seen(visit: Any) -> None:
    page = visit("two channels")
    locate(page, "dx", (0, 0, 2, 2)).hover()
    assert "flipped" in page.locator("#why").inner_text()
    locate(page, "y", (0, 0, 1, 1)).hover()
    assert "not flipped" in page.locator("#why").inner_text()


QUESTIONS = {
    "flipped": "dx",
    "channels": "y",
    "plus-equals": "col2im",
    "stride-does-not-fit": "dx",
    "padding": "y",
}


@pytest.mark.parametrize("anchor", QUESTIONS)
@pytest.mark.parametrize("how", ["address", "click"])
def test_each_question_selects_the_cell_that_shows_it(anchor: str, how: str, visit: Any) -> None:
    page = visit("two channels", anchor=f"#{anchor}" if how == "address" else "")
    if how == "click":
        page.locator(f'a[href="#{anchor}"]').click()
    here = page.locator("[data-here]")
    assert here.count() == 1
    assert here.get_attribute("data-grid") == QUESTIONS[anchor]
    assert len(page.locator("#why").inner_text()) > 40
    g = geometry(page)
    at = tuple(map(int, here.get_attribute("data-index").split(",")))
    every = products(g)
    if anchor == "stride-does-not-fit":
        assert here.get_attribute("data-value") == "0"
        assert not [p for p in every if p.x == at]
        assert lit_cells(page) == []
    elif anchor == "padding":
        assert ("x", None) in lit_cells(page)
    elif anchor == "channels":
        assert {cell[1][1] for cell in lit_cells(page) if cell[0] == "x" and cell[1]} == {0, 1}
    elif anchor == "plus-equals":
        covered = {p.column for p in every if p.x == at}
        assert len(covered) > 1
        assert lit_cells(page) == sorted((("dcolumns", k) for k in covered), key=str)
    else:
        assert len([p for p in every if p.x == at]) == 8  # four windows, two output channels


IN_VIEW = """() => {
  const end = document.getElementById("bar").getBoundingClientRect().top;
  const seen = (cell) => {
    const box = cell.getBoundingClientRect();
    if (box.top < 0 || box.bottom > end || box.left < 0 || box.right > innerWidth) return false;
    const middle = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
    return document.elementFromPoint(...middle) === cell;
  };
  const count = (mark) => [...document.querySelectorAll(`[data-${mark}]`)].filter(seen).length;
  return [count("here"), count("lit")];
}"""


@pytest.mark.parametrize("size", [(390, 844), (1280, 720)])
@pytest.mark.parametrize("name", ["the default", "two channels", "large"])
def test_a_questions_cell_is_on_the_screen_and_some_lit_cells_with_it(
    name: str, size: tuple[int, int], visit: Any
) -> None:
    page = visit(name, size[0])
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for anchor in QUESTIONS:
        page.locator(f'a[href="#{anchor}"]').click()
        here, lit = page.evaluate(IN_VIEW)
        assert here == 1, anchor
        assert lit > 0 or not page.locator("[data-lit]").count(), anchor
        assert page.locator("[data-lit]").count() or anchor == "stride-does-not-fit"


@pytest.mark.parametrize("size", [(390, 844), (1280, 720)])
@pytest.mark.parametrize("name", ["the default", "large", "softmax"])
def test_a_page_begins_with_a_cell_that_is_on_the_screen_or_says_what_to_do(
    name: str, size: tuple[int, int], visit: Any
) -> None:
    page = visit(name, 1280)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.reload()
    if page.locator("[data-here]").count():
        assert page.evaluate(IN_VIEW)[0] == 1
    else:
        assert "Tap or point at a cell" in page.locator("#sum").inner_text()
        assert page.locator("[data-lit], [data-linked]").count() == 0
        cell = page.locator("td[data-index]").first
        cell.hover()
        page.locator("h1").hover()  # nothing was clicked: there is no cell to go back to
        assert page.locator("[data-here]").get_attribute("data-grid") == "x" or name == "softmax"
    assert (name, size) != ("the default", (1280, 720)) or page.locator("[data-here]").count()


LEGENDS = {
    "the default": ["pictures", "weights", "gradients"],
    "large": ["pictures", "weights", "gradients", "negative numbers"],
    "max-pool": ["pictures", "gradients"],
    "avg-pool": ["pictures", "gradients"],
    "dense": ["input and output", "weights", "gradients"],
    "softmax": ["logits, probabilities, loss", "the right class", "gradient"],
}


@pytest.mark.parametrize("name", LEGENDS)
def test_the_legend_has_the_colours_of_the_page_and_no_others(name: str, visit: Any) -> None:
    page = visit(name)
    assert page.locator(".key").all_inner_texts() == LEGENDS[name]
    used = page.evaluate("() => new Set(data.grids.map((grid) => grid.family)).size")
    assert page.locator(".key[data-family]").count() == used
    if name == "large":
        grey = page.evaluate(
            "() => getComputedStyle(document.querySelector('.key[data-sign]'), '::before')"
            ".backgroundColor"
        )
        assert len({*re.findall(r"[\d.]+", grey)}) > 1  # a colour, not the default's
        page.locator('[data-grid="dy"][data-negative]').first.hover()
        assert page.locator("#sum .head").inner_text().split("= ")[1].startswith("−")


def test_softmax_writes_one_number_in_grid_and_sum(visit: Any) -> None:
    page = visit("softmax")
    notes, shown = page.evaluate("() => data.notes"), {}
    for cell in page.locator("td[data-index]").all():
        shown[cell.get_attribute("data-grid"), cell.get_attribute("data-index")] = cell.inner_text()
    for grid, index in [
        ("dlogits", "0,3"),
        ("probabilities", "1,2"),
        ("losses", "0"),
        ("loss", "0"),
    ]:
        page.locator(f'[data-grid="{grid}"][data-index="{index}"]').hover()
        tokens = notes[grid][index]["lines"][0]["tokens"]
        wanted = [shown[t[0], t[1]] for t in tokens if isinstance(t, list)]
        assert page.locator("#sum .line .number").all_inner_texts() == wanted
        assert page.locator("#sum .head .number").inner_text() == shown[grid, index]
        written = page.locator("#sum").inner_text()
        assert not re.search(r"\(\(|\(−[\d.]+\)\)", written), written


def test_numbers_in_lists_and_brackets_stand_alone(browser: Any, tmp_path: Path) -> None:
    """A negative number is in brackets after a sign only: max(−1, −2), but 3 + (−1)."""
    x = -np.arange(1.0, 17).reshape(1, 1, 4, 4)
    (tmp_path / "page.html").write_text(explain.max_pool2d(nn.MaxPool2d(2), x).html())
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    locate(page, "y", (0, 0, 0, 0)).hover()
    assert page.locator("#sum .line").inner_text() == "= max(−1, −2, −5, −6)"
    (tmp_path / "page.html").write_text(explain.avg_pool2d(nn.AvgPool2d(2), x).html())
    page.reload()
    locate(page, "y", (0, 0, 0, 0)).hover()
    assert page.locator("#sum .line").inner_text() == "= (−1 + (−2) + (−5) + (−6)) / 4"
    page.close()


# Sentences and exponents --------------------------------------------------------------------------


def many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def sentences(grid: str, at: tuple[int, ...], g: dict[str, int]) -> list[str]:
    """What the page says of a cell, by counting over the definition."""
    every = products(g)
    windows = g["n"] * g["oh"] * g["ow"]
    if grid == "y":
        outside = sum(p.y == at and p.weight[1] == 0 and not p.in_picture for p in every)
        said = [f"Kernel {at[1]} times the window", f"all {g['c']} input channels."]
        lie = f"{many(outside, 'cell')} of the window in each channel lie in the padding"
        return said + [lie] * (outside > 0)
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
    return [
        f"goes to {many(g['c'] * g['kh'] * g['kw'], 'cell')} of dx, times a weight each",
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


# Keyboard, mouse, steps ---------------------------------------------------------------------------


def test_the_keyboard_alone_reaches_everything(visit: Any) -> None:
    page = visit("two channels")
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        active = page.evaluate(
            "() => { const a = document.activeElement; return a.dataset.grid || a.id || a.hash; }"
        )
        if active and active in seen:
            break
        seen.append(active)
    for grid in (*GRIDS, "col2im"):
        assert seen.count(grid) == 1, grid  # one tab stop a grid
    assert {"back", "step", "forward", "#flipped", "#padding"} <= set(seen)


def test_arrow_keys_walk_a_grid(visit: Any) -> None:
    page = visit("two channels")
    values = values_of(page)
    locate(page, "dx", (0, 0, 0, 0)).focus()
    moves = [("ArrowRight", (0, 0, 0, 1)), ("ArrowDown", (0, 0, 1, 1)), ("ArrowLeft", (0, 0, 1, 0)),
             ("ArrowUp", (0, 0, 0, 0)), ("End", (0, 1, 0, 5)), ("Home", (0, 0, 0, 0))]  # fmt: skip
    for key, at in moves:
        page.keyboard.press(key)
        assert page.evaluate("() => document.activeElement.dataset.index") == ",".join(map(str, at))
        check_cell(page, "dx", at, values)
    for _ in range(6):  # over the edge of channel 0 into channel 1
        page.keyboard.press("ArrowRight")
    assert page.evaluate("() => document.activeElement.dataset.index") == "0,1,0,0"


def test_leaving_the_grids_goes_back_to_the_cell_that_was_clicked(visit: Any) -> None:
    page = visit("two channels")
    locate(page, "y", (0, 1, 1, 1)).click()
    locate(page, "x", (0, 0, 0, 0)).hover()
    assert page.locator("[data-here]").get_attribute("data-grid") == "x"
    page.locator("h1").hover()
    assert page.locator("[data-here]").get_attribute("data-index") == "0,1,1,1"


def test_col2im_forwards_and_backwards(visit: Any) -> None:
    page = visit("everything")
    g, values = geometry(page), values_of(page)
    steps = g["n"] * g["oh"] * g["ow"]
    every = [p for p in products(g) if p.y[1] == 0]  # each column once

    def check(done: int) -> None:
        so_far = {at: 0.0 for where, at in values if where == "dx"}
        for p in every:
            if p.in_picture and p.column[0] * g["oh"] * g["ow"] + p.column[2] < done:
                so_far[p.x] += values["dcolumns", p.column]
        shown = {at: v for (where, at), v in values_of(page).items() if where == "col2im"}
        assert shown == so_far
        if done > 0:
            column = divmod(done - 1, g["oh"] * g["ow"])
            lit = {c[1] for c in lit_cells(page) if c[0] == "dcolumns"}
            assert lit == {p.column for p in every if (p.column[0], p.column[2]) == column}

    page.locator("#back").focus()
    for done in range(steps - 1, -1, -1):
        page.keyboard.press("ArrowLeft")
        if done % 3 == 0:
            check(done)
    page.keyboard.press("ArrowLeft")
    check(0)
    for done in range(1, 4):
        page.locator("#forward").click()
        check(done)
    page.locator("#step").focus()
    page.keyboard.press("End")
    check(steps)
    assert page.locator("#step").get_attribute("aria-valuetext").endswith(f"{steps} of {steps}")


def test_a_step_says_what_was_added(visit: Any) -> None:
    page = visit("two channels")
    page.locator("#step").focus()
    page.keyboard.press("Home")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    text = plain(page.locator("#sum").inner_text())
    found = re.findall(r"\] (-?\d+) \+ \(?(-?\d+)\)? = (-?\d+)", text)
    assert found
    assert all(int(a) + int(b) == int(c) for a, b, c in found)
    assert "+=" in page.locator("#why").inner_text()


def test_the_cell_pointed_at_in_four_ways(visit: Any) -> None:
    page = visit("two channels")
    values = values_of(page)
    for grid, at in (("dx", (0, 1, 2, 3)), ("dweight", (1, 0, 2, 1)), ("dbias", (1,))):
        locate(page, grid, at).hover()
        cells = page.locator("[data-check]").all_inner_texts()
        numbers = [float(plain(text)) for text in cells if text != "–"]
        assert len(numbers) == (3 if grid == "dbias" else 4)
        assert numbers == pytest.approx([values[grid, at]] * len(numbers), abs=1e-6)


def test_a_tap_on_a_phone(visit: Any) -> None:
    page = visit("two channels", 375, has_touch=True, is_mobile=True)
    values = values_of(page)
    locate(page, "dweight", (0, 1, 2, 0)).tap()
    check_cell(page, "dweight", (0, 1, 2, 0), values)


# Sizes, schemes, accessibility --------------------------------------------------------------------

EVERY = [*OPTIONS, "max-pool", "avg-pool", "dense", "softmax", "large"]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("width", [320, 375, 768, 1280, 1920])
def test_nothing_overflows(name: str, width: int, visit: Any) -> None:
    page = visit(name, width)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    outside = page.evaluate(
        """() => [...document.querySelectorAll('td[data-grid]')].filter((cell) =>
        cell.scrollWidth > cell.clientWidth + 1).length"""
    )
    assert outside == 0


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_accessibility_checker_finds_nothing(name: str, scheme: str, visit: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(name, scheme=scheme)
    found = axe.run(page).response["violations"]
    assert [(v["id"], v["impact"], v["nodes"][0]["html"][:200]) for v in found] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background(scheme: str, visit: Any) -> None:
    """WCAG's contrast of 4.5 for cells of every colour, lit and not, and for the sum."""
    page = visit("two channels", scheme=scheme)
    for cell in ("y", "dx", "dweight"):
        page.locator(f'[data-grid="{cell}"][data-index]').nth(3).hover()
        ratios = page.evaluate(CONTRAST, "td[data-index], #sum .number, #sum .label, #why, p, a")
        assert min(ratios) >= 4.5


CONTRAST = """(selector) => {
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) =>
      v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour.slice(0, 3);
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll(selector)].map((element) => {
    const [a, b] = [parse(getComputedStyle(element).color).slice(0, 3), behind(element)].map(light);
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
}"""


def test_the_sum_hides_no_focused_cell(visit: Any) -> None:
    page = visit("two channels", 375)
    for at in ((0, 0, 0, 0), (0, 17, 5), (0, 9, 2)):
        grid = "dx" if len(at) == 4 else "dcolumns"
        locate(page, grid, at).focus()
        box = locate(page, grid, at).bounding_box()
        bar = page.locator("#bar").bounding_box()
        assert box["y"] + box["height"] <= bar["y"] + 1


def test_a_large_layer_is_drawn_as_colours(visit: Any) -> None:
    page = visit("large")
    g = geometry(page)
    assert page.locator('[data-grid="x"][data-index]').count() == 28 * 28
    assert page.locator('[data-grid="columns"]').count() == 25 * 28  # a row of windows at a time
    locate(page, "y", (0, 2, 20, 5)).hover()
    lit, _ = dependencies("y", (0, 2, 20, 5), g)
    assert lit_cells(page) == sorted(lit, key=str)
    linked = page.locator('[data-grid="columns"][data-linked]').first
    assert linked.get_attribute("data-index") == f"0,0,{20 * 28 + 5}"
    locate(page, "dx", (0, 0, 14, 14)).hover()
    lit, _ = dependencies("dx", (0, 0, 14, 14), g)
    assert lit_cells(page) == sorted(lit, key=str)


@pytest.mark.parametrize("kind", ["max-pool", "avg-pool", "dense", "softmax"])
def test_the_smaller_pages_light_up_their_notes(kind: str, visit: Any) -> None:
    page = visit(kind)
    notes = page.evaluate("() => data.notes")
    for grid, by_index in notes.items():
        for index, note in list(by_index.items())[:4]:
            page.locator(f'[data-grid="{grid}"][data-index="{index}"]').hover()
            tokens = [t for line in note["lines"] for t in line["tokens"] if isinstance(t, list)]
            expected = {(g, tuple(map(int, k.split(",")))) for g, k in tokens + note.get("lit", [])}
            assert set(lit_cells(page)) == expected
            assert page.locator("#sum").inner_text()
