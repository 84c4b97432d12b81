"""Two convolutions: what an output sees is what changes it, and each sum is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn import Tensor, explain, nn, no_grad

OPTIONS: dict[str, Any] = {
    "plain": ({}, {}),
    "strides and dilations": (
        {"stride": (2, 1), "dilation": (1, 2)}, {"stride": (1, 2), "dilation": (2, 1)},
    ),
}  # fmt: skip


def layers(first: dict[str, Any], second: dict[str, Any]) -> tuple[nn.Conv2d, nn.Conv2d]:
    rng = np.random.default_rng(0)
    made = nn.Conv2d(2, 3, (2, 3), **first), nn.Conv2d(3, 2, (3, 2), bias=False, **second)
    for layer in made:
        for p in layer.parameters():
            p.data = (1 + rng.random(p.shape)) * rng.choice([-1.0, 1.0], p.shape)
    return made


def indices(references: list[Any], grid: str) -> set[tuple[int, ...]]:
    return {tuple(map(int, key.split(","))) for name, key in references if name == grid}


@pytest.mark.parametrize("options", OPTIONS)
def test_the_field_of_an_output_is_what_changes_it(options: str) -> None:
    first, second = layers(*OPTIONS[options])
    x = np.random.default_rng(1).random((1, 2, 11, 12))
    explained = explain.receptive_field(first, second, x)
    with no_grad():
        before = second(first(Tensor(x))).numpy()
        np.testing.assert_allclose(explained.grids["y2"], before, rtol=1e-12)
        sees: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
        for at in np.ndindex(x.shape):
            moved = x.copy()
            moved[at] += 10.0
            after = second(first(Tensor(moved))).numpy()
            changed = {tuple(map(int, k)) for k in np.argwhere(np.abs(after - before) > 1e-9)}
            key = ",".join(map(str, at))
            assert indices(explained.notes["x"][key]["linked"], "y2") == changed
            for output in changed:
                sees.setdefault(output, set()).add(at)
    assert len(sees) == before.size >= 8
    for output, pixels in sees.items():
        note = explained.notes["y2"][",".join(map(str, output))]
        assert indices(note["linked"], "x") == pixels
        if options == "plain":
            assert len(pixels) == 2 * 4 * 4
            assert "4 × 4 cells" in note["words"]


def test_every_sum_gives_its_cell() -> None:
    first, second = layers(*OPTIONS["strides and dilations"])
    rng = np.random.default_rng(2)
    x, dy = rng.random((2, 2, 11, 10)), rng.standard_normal((2, 2, 1, 3))
    explained = explain.receptive_field(first, second, x, dy)
    picture = Tensor(x, requires_grad=True)
    second(first(picture)).backward(dy)
    np.testing.assert_allclose(explained.grids["dx"], picture.grad.numpy(), rtol=1e-10)  # type: ignore[union-attr]
    grids = explained.grids
    for grid in ("y1", "y2", "dy1", "dx"):
        for key, note in explained.notes[grid].items():
            at = tuple(map(int, key.split(",")))
            tokens = [token for line in note["lines"] for token in ["+", *line["tokens"]]]
            total = eval("0" + "".join(value_of(token, grids) for token in tokens))
            assert total == pytest.approx(grids[grid][at], rel=1e-9), (grid, key)


def value_of(token: Any, grids: dict[str, np.ndarray]) -> str:
    """A token as it is typed in Python: a number, or a sign."""
    if isinstance(token, str):
        return token.replace("·", "*")
    grid, key = token
    at = tuple(map(int, key.split(",")))
    array = grids[grid].ravel() if len(at) == 1 else grids[grid]
    return f"({float(array[at])!r})"


def test_what_has_no_field_here_is_refused() -> None:
    conv = nn.Conv2d(1, 1, 3)
    with pytest.raises(TypeError, match=r"second is Linear; wanted an nn\.Conv2d"):
        explain.receptive_field(conv, nn.Linear(2, 2), np.ones((1, 9, 9)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="padding is 1; wanted layers without"):
        explain.receptive_field(nn.Conv2d(1, 1, 3, padding=1), conv, np.ones((1, 9, 9)))
    with pytest.raises(ValueError, match="larger than the padded picture"):
        explain.receptive_field(conv, conv, np.ones((1, 4, 9)))
    with pytest.raises(ValueError, match="cells; a page of this kind shows 1,500"):
        explain.receptive_field(conv, conv, np.ones((1, 30, 30)))


def test_its_figure_shows_the_field() -> None:
    explained = explain.receptive_field(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3), np.ones((1, 7, 8)))
    assert explained.svg("y2/0,0,1,1", ["grid"]).count('stroke-width="1.5"') == 25
