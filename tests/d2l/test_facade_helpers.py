"""The helpers that the facades share: figures of notebooks and scripts, Fashion-MNIST's batches."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.d2l.facades import helpers
from minicnn.plots import pyplot
from tests.d2l.few import SAMPLE

ROOT = Path(__file__).parents[2]
SCRIPT = """
from minicnn.d2l.facades import helpers
animator = helpers.Animator("epoch", legend=["one", "other"])
for x in (1, 2, 3):
    animator.add(x, (x * x, None if x == 2 else -x))
helpers.show_images([[[0, 1], [1, 0]]] * 3, 1, 3, titles=["a", "b", "c"])
helpers.plot([1.0, 2, 3], [[4.0, 5, 6], [6.0, 5, 4]], "x", legend=["up", "down"])
print("trained")
"""


def test_a_script_leaves_its_figures_when_it_ends(tmp_path: Path) -> None:
    (tmp_path / "lesson.py").write_text(SCRIPT)
    ran = subprocess.run(
        [sys.executable, "lesson.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "MPLCONFIGDIR": str(tmp_path / "fonts")},
        capture_output=True,
        text=True,
        check=True,
    )
    said = ran.stdout.splitlines()
    assert said[0] == "trained"
    for number, line in enumerate(said[1:], 1):
        path = tmp_path / f"lesson-figure-{number}.png"
        assert line == f"figure saved: {path}"
        assert path.read_bytes().startswith(b"\x89PNG")
    assert len(said) == 4


def test_a_notebook_shows_them_at_once(shown: list[str]) -> None:
    animator = helpers.Animator()
    animator.add(1, 2)
    animator.add(2, 3)
    helpers.show_images(np.zeros((2, 3, 4)), 1, 2)
    assert shown == ["display", "update", "display"]
    assert helpers._left == []


def test_plot_draws_each_form_of_curves() -> None:
    axes = pyplot().figure().subplots()
    x = np.array([1.0, 2.0, 4.0])
    cases: list[tuple[Any, Any, list[tuple[Any, Any]]]] = [
        (x, x**2, [(x, x**2)]),
        (x, [x**2, x**3], [(x, x**2), (x, x**3)]),
        ([x, x[:2]], [x**2, x[:2]], [(x, x**2), (x[:2], x[:2])]),
        ([3.0, 5.0], None, [([0, 1], [3, 5])]),
        (np.stack([x, x + 1]), None, [([0, 1, 2], x), ([0, 1, 2], x + 1)]),
    ]
    for xs, ys, curves in cases:
        helpers.plot(xs, ys, axes=axes, xlim=(0, 7))
        assert len(axes.lines) == len(curves)
        for line, (a, b) in zip(axes.lines, curves, strict=True):
            np.testing.assert_array_equal(line.get_xdata(), a)
            np.testing.assert_array_equal(line.get_ydata(), b)
    assert axes.get_xlim() == (0, 7)
    with pytest.raises(ValueError, match="plot: X has 2 curves, Y has 3"):
        helpers.plot([x, x], [x, x, x], axes=axes)
    pyplot().close("all")


def test_batches_are_converted_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "dataset", SAMPLE)
    train, test = helpers.fashion_mnist(lambda x, y: (x.shape, y.sum().item()), 700, resize=(7, 9))
    assert (len(train), len(test)) == (9, 2)
    sums = [train_sum for _, train_sum in train]
    assert sums != [again for _, again in train]  # a new order each time
    assert [shape for shape, _ in test] == [(700, 1, 7, 9), (300, 1, 7, 9)]
