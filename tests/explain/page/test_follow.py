"""The page that follows a number through a net, in a browser."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn import explain
from minicnn.explain.follow.paths import is_gradient
from minicnn.explain.words import LANGUAGES
from tests.explain.following import Definition, applied, followed_small, lenet, walks
from tests.explain.page.browsing import plain
from tests.explain.page.test_sizes import CONTRAST

pytest.importorskip("playwright.sync_api", reason="needs playwright")
STATES = 12


@pytest.fixture(scope="module")
def nets() -> dict[str, explain.Followed]:
    return {"small": followed_small(), "lenet": lenet(1).states[-1].followed}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("follow")
    made: dict[str, Any] = {
        "small": followed_small(),
        "lenet": lenet(1),
        "trained": lenet(STATES),
        "momentum": lenet(3, momentum=0.9, weight_decay=0.01),
    }
    for name, page in made.items():
        (folder / f"{name}.html").write_text(page.html("a picture"), encoding="utf-8")
    return {path.stem: path for path in folder.iterdir()}


# What each cell is made of ------------------------------------------------------------------------

CELL = """([name, index]) => {
  const ref = [name, grids.get(name).number(index)];
  stay(ref);
  if (!whole) document.querySelector("#terms button.more")?.click();
  const { terms } = madeOf(ref);
  const cell = ([name, k]) => [name, grids.get(name).index(k)];
  return {
    value: valueOf(ref),
    terms: terms.map((term) => [product(term), term.refs.map(cell)]),
    written: [...document.querySelectorAll("#terms a")].map((link) => cell(link.ref)),
    lit: [...pictures].flatMap(([grid, { marked }]) => marked.map((k) => cell([grid, k]))),
    here: document.querySelector("[data-here]").dataset,
    head: document.querySelector("#sum .head").textContent,
  };
}"""


@pytest.mark.parametrize("name", ["small", "lenet"])
def test_the_sums_of_random_cells_are_those_of_loops(
    name: str, nets: dict[str, explain.Followed], visit: Any, rng: np.random.Generator
) -> None:
    page, followed = visit(name), nets[name]
    definition = Definition(followed)
    made = [array for array in followed.arrays if followed.function(array) != "given"]
    for k in range(100):
        array = made[k % len(made)]
        values = followed.arrays[array]
        cells = np.flatnonzero(values) if k % 3 else np.arange(values.size)  # most are no zeros
        at = tuple(int(i) for i in np.unravel_index(rng.choice(cells), values.shape))
        found = page.evaluate(CELL, [array, list(at)])
        check_cell(found, array, at, definition, followed.function(array))


def check_cell(
    found: Any, array: str, at: tuple[int, ...], definition: Definition, function: str
) -> None:
    terms = definition.terms(array, at)
    assert found["value"] == pytest.approx(definition.a[array][at], rel=1e-12), (array, at)
    theirs = sorted(value for value, _ in found["terms"])
    ours = sorted(map(definition.value, terms))
    np.testing.assert_allclose(theirs, ours, rtol=1e-12, err_msg=f"{array}{at}")
    rounding = 1e-6 * (1e-3 + sum(map(abs, ours)))  # of float32
    values = [definition.value(term) for term in terms]
    assert applied(function, values, at) == pytest.approx(found["value"], abs=rounding)
    cells = {(name, tuple(index)) for _, refs in found["terms"] for name, index in refs}
    assert {cell for _, factors in terms for cell in factors} <= cells
    assert {(name, tuple(index)) for name, index in found["lit"]} == cells
    assert {(name, tuple(index)) for name, index in found["written"]} == cells
    assert found["here"]["grid"] == array
    assert found["here"]["index"] == ",".join(map(str, at))
    assert float(plain(found["head"].split("= ")[1]).replace("*10", "e").translate(UP)) == (
        pytest.approx(found["value"], rel=1e-5)
    )


UP = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def number(text: str) -> float:
    return float(plain(text).replace("*10", "e").translate(UP))


@pytest.mark.parametrize("name", ["small", "lenet"])
def test_the_product_along_a_walk_is_that_of_loops(
    name: str, nets: dict[str, explain.Followed], visit: Any, rng: np.random.Generator
) -> None:
    """From random cells, links are clicked until the way ends."""
    page, followed = visit(name), nets[name]
    definition = Definition(followed)
    gradients = [array for array in followed.arrays if is_gradient(array)]
    end = f"{followed.layers[-1].name}.dy"
    ended = 0
    for array in gradients * (2 if name == "small" else 1):
        at = tuple(int(rng.integers(size)) for size in followed.arrays[array].shape)
        page.evaluate(CELL, [array, list(at)])
        product, total, cell = 1.0, definition.a[array][at], (array, at)
        while cell[0] != end and (terms := definition.terms(*cell)):
            factor, (dy, *others) = terms[rng.integers(len(terms))]
            product *= definition.value((factor, tuple(others)))
            page.evaluate(FOLLOW, [dy[0], list(dy[1])])
            cell = dy
            along = page.locator("#along").inner_text()
            value = product * definition.a[dy[0]][dy[1]]
            shown = re.search(r"= (\S+), a part of (\S+ ?.*) = (\S+)\.$", along)
            assert shown, along
            assert number(shown[1]) == pytest.approx(value, rel=1e-3), (array, at)
            assert shown[2].startswith(array)
            assert number(shown[3]) == pytest.approx(total, rel=1e-3)
        ended += cell[0] == end
    assert ended > len(gradients) / 2


FOLLOW = """([name, index]) => {
  const wanted = grids.get(name).number(index);
  if (!whole) document.querySelector("#terms button.more")?.click();
  const links = [...document.querySelectorAll("#terms a")];
  links.find(({ ref: [array, k] }) => array === name && k === wanted).click();
}"""

PATHS = """([name, index]) => {
  stay([name, grids.get(name).number(index)]);
  const { count, best } = pathsFrom(here);
  return [count, best.map((path) => [path.product, cellsOf(path).map(nameOf)])];
}"""


@pytest.mark.parametrize(
    "cell", [("conv1.dW", (1, 0, 2, 1)), ("dx", (0, 3, 5)), ("conv1.db", (2,))]
)
def test_all_paths_are_counted_and_the_largest_ten_shown(
    cell: tuple[str, tuple[int, ...]], nets: dict[str, explain.Followed], visit: Any
) -> None:
    page = visit("small")
    every = sorted(walks(Definition(nets["small"]), *cell), key=lambda walk: -abs(walk[0]))
    count, best = page.evaluate(PATHS, [cell[0], list(cell[1])])
    assert count == len(every) > 10
    assert len(best) == 10
    for (product, names), (wanted, cells) in zip(best, every, strict=False):
        assert product == pytest.approx(wanted, rel=1e-6)
        assert names == [f"{name}[{', '.join(map(str, at))}]" for name, at in cells]
    page.locator("#paths summary").click()
    assert (
        page.locator("#paths p")
        .inner_text()
        .startswith(f"{len(every):,} paths lead from {cell[0]}")
    )
    buttons = page.locator("#paths button")
    assert buttons.count() == 10
    assert number(buttons.nth(2).inner_text().split(":")[0]) == pytest.approx(every[2][0], rel=1e-3)
    buttons.nth(2).click()  # the path is the trail now
    assert page.locator("#trail a").all_inner_texts() == best[2][1]
    along = page.locator("#along").inner_text()
    assert number(re.search(r"= (\S+), a part", along)[1]) == pytest.approx(every[2][0], rel=1e-3)  # type: ignore[index]


def test_lenets_paths_are_as_many_as_its_sums_say(visit: Any) -> None:
    """From the middle of a kernel: 784 outputs; a cell of pool1 was in up to 25 windows of 16."""
    page = visit("lenet")
    count, best = page.evaluate(PATHS, ["conv1.dW", [0, 0, 2, 2]])
    fed = [sum(0 <= h - i < 10 for i in range(5)) for h in range(14)]
    assert count == 4 * sum(fed) ** 2 * 16 * 120 * 84 * 10
    products = [abs(product) for product, _ in best]
    assert products == sorted(products, reverse=True)


# Keys, mouse, finger ------------------------------------------------------------------------------


def test_by_keyboard_alone_from_a_weight_of_the_first_layer_to_the_loss(visit: Any) -> None:
    page = visit("trained")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.dataset.grid") == "conv1.W":
            break
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    assert page.evaluate("() => nameOf(here)") == "conv1.W[0, 0, 2, 2]"
    assert page.evaluate("() => document.activeElement.ariaLabel").startswith(
        "conv1.W[0, 0, 2, 2] ="
    )
    page.keyboard.press("Enter")  # to what a cell leads to: of a weight, its gradient
    seen = []
    for _ in range(20):
        page.keyboard.press("Enter")
        seen.append(page.evaluate("() => here[0]"))
        if seen[-1] == "dense3.dy":
            break
    assert seen == ["conv1.dW", "conv1.dy", "sigmoid1.dy", "pool1.dy", "conv2.dy", "sigmoid2.dy",
                    "pool2.dy", "dense1.dy", "sigmoid3.dy", "dense2.dy", "sigmoid4.dy",
                    "dense3.dy"]  # fmt: skip
    for _ in range(40):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("() => document.activeElement.textContent").startswith("L = "):
            break
    page.keyboard.press("Enter")
    assert page.evaluate("() => nameOf(here)") == "L"
    assert page.locator("#trail a").count() == 14
    page.keyboard.press("Escape")
    assert page.evaluate("() => document.activeElement.dataset.grid") == "L"
    page.locator("#trail a").nth(2).focus()
    page.keyboard.press("Enter")  # back
    assert page.evaluate("() => here[0]") == "conv1.dy"
    assert page.locator("#trail a").count() == 3


def test_each_picture_is_one_tab_stop_and_arrows_walk_over_its_planes(visit: Any) -> None:
    page = visit("small")
    assert page.locator(".cell[tabindex='0']").count() == page.evaluate("() => data.grids.length")
    page.evaluate("() => { stay(['conv1.W', 0]); pictures.get('conv1.W').cell.focus(); }")
    moves = [("End", "2,0,0,1"), ("PageDown", "2,1,2,1"), ("ArrowLeft", "2,1,2,0"),
             ("ArrowLeft", "1,1,2,1"), ("ArrowUp", "1,1,1,1"), ("Home", "0,1,1,0"),
             ("ArrowUp", "0,1,0,0"), ("ArrowUp", "0,0,2,0"), ("ArrowLeft", "0,0,2,0")]  # fmt: skip
    for key, index in moves:
        page.keyboard.press(key)
        assert page.evaluate("() => document.activeElement.dataset.index") == index, key
        assert page.locator("[data-here]").get_attribute("data-index") == index


POINT = """([name, index]) => {
  const picture = pictures.get(name);
  picture.place.scrollIntoView({ block: "center" });
  const [row, column] = picture.grid.pixel(picture.grid.number(index));
  const box = picture.place.getBoundingClientRect();
  return [box.left + ((column + 0.5) / picture.grid.width) * box.width,
    box.top + ((row + 0.5) / picture.grid.height) * box.height];
}"""


def test_pointing_shows_a_cell_and_a_click_stays_with_it(visit: Any) -> None:
    page = visit("small")
    shown = "() => [nameOf(here), trail.map(nameOf)]"
    page.mouse.move(*page.evaluate(POINT, ["conv1.dW", [1, 0, 2, 1]]))
    assert page.evaluate(shown) == ["conv1.dW[1, 0, 2, 1]", []]
    page.mouse.down()
    page.mouse.up()
    page.mouse.move(*page.evaluate(POINT, ["conv2.y", [1, 0, 2]]))
    assert page.evaluate(shown) == ["conv2.y[1, 0, 2]", ["conv1.dW[1, 0, 2, 1]"]]
    page.locator("h1").hover()  # next to the pictures: back to where one was
    assert page.evaluate(shown)[0] == "conv1.dW[1, 0, 2, 1]"
    page.mouse.click(*page.evaluate(POINT, ["conv1.dy", [1, 2, 4]]))  # lit: the way goes on
    assert page.evaluate(shown)[1] == ["conv1.dW[1, 0, 2, 1]", "conv1.dy[1, 2, 4]"]
    page.mouse.click(*page.evaluate(POINT, ["conv1.dy", [0, 2, 4]]))  # no part of it: a new way
    assert page.evaluate(shown)[1] == ["conv1.dy[0, 2, 4]"]


def test_a_tap_on_a_phone(visit: Any) -> None:
    page = visit("trained", 390, has_touch=True, is_mobile=True)
    page.touchscreen.tap(*page.evaluate(POINT, ["pool2.y", [13, 2, 3]]))
    assert page.evaluate("() => nameOf(here)") == "pool2.y[13, 2, 3]"


def test_an_address_names_a_cell(visit: Any) -> None:
    page = visit("small", anchor="#conv2.dW/1,2,0,1")
    assert page.evaluate("() => nameOf(here)") == "conv2.dW[1, 2, 0, 1]"
    page.evaluate("() => goOn(['dense2.dy', 2])")
    assert page.evaluate("() => location.hash") == "#dense2.dy/2"
    page.evaluate("() => stay(['L', 0])")
    assert page.evaluate("() => cellOf(location.hash.slice(1))") == ["L", 0]


@pytest.mark.parametrize(
    "anchor",
    ["conv2.dW/1,2,9,1", "conv1.dW/0,0,9,1", "conv1.dW/0,0,1", "conv1.dW/0,0,1,1,0", "conv1.dW",
     "conv1.dW/0,0,-1,1", "conv1.dW/0,0,,1", "conv1.dW/0,0,0.5,1", "L/0", "conv9.dW/0", "%"],
)  # fmt: skip
def test_an_address_of_no_cell_opens_the_page_at_its_beginning(anchor: str, visit: Any) -> None:
    page = visit("small", anchor=f"#{anchor}")
    assert page.evaluate("() => nameOf(here)") == "conv1.dW[0, 0, 1, 1]"


# Through the training -----------------------------------------------------------------------------


def test_scrubbing_shows_the_cell_at_each_state(visit: Any) -> None:
    page, run = visit("trained"), lenet(STATES)
    page.evaluate("() => stay(['conv2.W', 1234])")
    at = np.unravel_index(1234, (16, 6, 5, 5))
    page.locator("#state").focus()
    page.keyboard.press("Home")
    for k, state in enumerate(run.states):
        followed = state.followed
        value = page.evaluate("() => valueOf(here)")
        assert value == np.float32(followed.arrays["conv2.W"][at])
        assert page.locator("#sum .head .number").inner_text() == page.evaluate(
            "(value) => written(value, 6)", value
        )
        loss = f"after {50 * k} of {50 * (STATES - 1)} updates: L = "
        assert page.locator("#when").inner_text().startswith(loss)
        assert number(page.locator("#when").inner_text().split("= ")[-1]) == pytest.approx(
            followed.value("p", 7), rel=1e-2
        )
        page.keyboard.press("ArrowRight")
    curves = page.locator("#curves svg")
    assert curves.count() == 2
    for curve, array in zip(curves.all(), ("conv2.W", "conv2.dW"), strict=True):
        assert curve.locator("circle").count() == STATES
        heights = [float(dot.get_attribute("cy")) for dot in curve.locator("circle").all()]
        values = [float(state.followed.arrays[array][at]) for state in run.states]
        assert list(np.argsort(values)) == list(np.argsort([-height for height in heights]))
    page.locator("#earlier").click()
    assert page.evaluate("() => now") == STATES - 2


def test_an_update_is_written_out(visit: Any) -> None:
    page, run = visit("trained"), lenet(STATES)
    state = run.states[3]
    page.evaluate("() => { goTo(3); stay(['conv1.b', 4]); }")
    w, dw = state.followed.value("conv1.b", 4), state.kept.gradient["0.bias"][4]  # type: ignore[union-attr]
    said = page.locator("#terms").inner_text()
    numbers = re.search(r"update 151 w − lr·dw = (\S+) − 0.9·\(?([^\s)]+)\)? = (\S+)", said)
    assert numbers, said
    assert [number(text) for text in numbers.groups()] == pytest.approx(
        [w, dw, w - 0.9 * dw], rel=1e-3
    )
    page.evaluate(f"() => goTo({STATES - 1})")
    assert "update" not in page.locator("#terms").inner_text()  # none followed


def test_an_update_with_momentum_and_decay_is_written_out(visit: Any) -> None:
    page, run = visit("momentum"), lenet(3, momentum=0.9, weight_decay=0.01)
    for k in (0, 1):
        page.evaluate(f"() => {{ goTo({k}); stay(['dense2.W', 77]); }}")
        followed, kept = run.states[k]
        w, g = followed.arrays["dense2.W"].flat[77], kept.gradient["9.weight"].flat[77]  # type: ignore[union-attr]
        v = g + 0.01 * w + (0.9 * 2 * g if k else 0)
        said = page.locator("#terms").inner_text()
        found = [number(text) for text in re.findall(r"= (-?−?[\d.]\S*)(?:\n|$)", said)]
        assert found == pytest.approx([v, w - 0.9 * v], rel=2e-3), said


# Size, looks --------------------------------------------------------------------------------------


def test_the_page_of_twelve_states_is_small_and_opens_at_once(
    visit: Any, pages: dict[str, Path]
) -> None:
    assert pages["trained"].stat().st_size < 12e6
    opened = []
    for _ in range(3):  # other programs may be running: the fastest counts
        page = visit("trained")
        opened.append(
            page.evaluate(
                "() => performance.timing.loadEventEnd - performance.timing.navigationStart"
            )
        )
        assert page.evaluate("() => texts.length") == STATES
        page.close()
    assert min(opened) < 2000


@pytest.mark.parametrize("width", [320, 768, 1280])
def test_nothing_is_wider_than_the_page(width: int, visit: Any) -> None:
    page = visit("trained", width)
    page.evaluate("() => { goOn(['conv1.dy', 405]); goOn(['sigmoid1.dy', 405]); }")
    page.evaluate("() => { place('paths').open = true; }")
    for language in LANGUAGES:
        page.evaluate("(language) => speak(language)", language)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width, language
        assert page.evaluate("() => bar.scrollWidth <= bar.clientWidth"), language


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_accessibility_checker_finds_nothing(scheme: str, visit: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit("trained", scheme=scheme)
    page.evaluate("() => { goOn(['conv1.dy', 405]); goOn(['sigmoid1.dy', 405]); }")
    page.evaluate("() => { place('paths').open = true; }")
    found = axe.run(page).response["violations"]
    assert [(v["id"], v["impact"], v["nodes"][0]["html"][:200]) for v in found] == []
    ratios = page.evaluate(CONTRAST, "#bar a, #bar p, #bar li, #bar button, #when, .scale, p")
    assert min(ratios) >= 4.5


def test_what_is_lit_is_seen(visit: Any) -> None:
    """A lit cell is painted in another colour than the same cell unlit; others stay."""
    page = visit("small")
    drawn = """([name, index]) => {
      const { marks, grid } = pictures.get(name);
      const [row, column] = grid.pixel(grid.number(index));
      const x = (column + 0.5) / grid.width * marks.width;
      const y = (row + 0.5) / grid.height * marks.height;
      return [...marks.getContext("2d").getImageData(x, y, 1, 1).data];
    }"""
    page.evaluate("() => stay(['conv2.y', 0])")
    assert page.evaluate(drawn, ["conv2.W", [0, 1, 1, 2]])[3] > 100
    assert page.evaluate(drawn, ["conv2.W", [1, 1, 1, 2]])[3] == 0
    page.evaluate("() => stay(['conv1.y', 0])")
    assert page.evaluate(drawn, ["conv2.W", [0, 1, 1, 2]])[3] == 0


def test_a_darker_cell_is_a_larger_number(visit: Any, nets: dict[str, explain.Followed]) -> None:
    page = visit("small")
    pixels = page.evaluate("""() => {
      const { cells, grid } = pictures.get("conv1.y");
      const data = cells.getContext("2d").getImageData(0, 0, grid.width, grid.height).data;
      return [...grid.pixels].map((at) => [...data.slice(4 * at, 4 * at + 4)]);
    }""")
    values = nets["small"].arrays["conv1.y"].ravel()
    assert all(alpha == 255 for *_, alpha in pixels)
    for sign in (1, -1):
        order = [k for k in np.argsort(np.abs(values)) if math.copysign(1, values[k]) == sign]
        darkness = [-sum(pixels[k][:3]) for k in order]
        assert len(order) > 20
        assert darkness == sorted(darkness)
        blue = [b - r for r, _, b, _ in (pixels[k] for k in order[-5:])]
        assert min(blue) > 60 if sign == 1 else max(blue) < 60
