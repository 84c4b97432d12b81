"""minicnn.plots: what is drawn, in whose style, and what happens where nothing can be drawn."""

from __future__ import annotations

import os
import subprocess
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.figure
import numpy as np
import pytest

import minicnn
from minicnn import d2l, plots

ROOT = Path(__file__).parents[2]
CURVE: list[dict[str, Any]] = [
    {"epoch": k / 5, "loss": 3 / k, "train_acc": k / 20} for k in range(1, 11)
]
CURVE[4]["test_acc"], CURVE[9]["test_acc"] = 0.2, 0.45


def test_each_curve_shows_its_numbers() -> None:
    figure = plots.curves(CURVE, "a title")
    loss, accuracy = figure.axes
    lines = {line.get_label(): line for axes in (loss, accuracy) for line in axes.get_lines()}
    epochs = [point["epoch"] for point in CURVE]
    for label, key, axes in (
        ("train loss", "loss", loss),
        ("train accuracy", "train_acc", accuracy),
    ):
        assert lines[label].axes is axes
        assert lines[label].get_xdata().tolist() == epochs
        assert lines[label].get_ydata().tolist() == [point[key] for point in CURVE]
    assert lines["test accuracy"].axes is accuracy
    assert lines["test accuracy"].get_xdata().tolist() == [1.0, 2.0]
    assert lines["test accuracy"].get_ydata().tolist() == [0.2, 0.45]
    assert (loss.get_title(), accuracy.get_title()) == ("train loss", "accuracy")
    assert accuracy.get_ylim() == (0, 1)
    assert loss.get_ylim()[0] == 0
    assert loss.get_xlim() == accuracy.get_xlim() == (0, 2)
    assert figure.get_suptitle() == "a title"


def test_a_validation_set_has_a_line_of_its_own() -> None:
    assert "validation accuracy" not in {line.get_label() for line in accuracy_lines(CURVE)}
    validated = [{**CURVE[4], "val_acc": 0.3}, {**CURVE[9], "val_acc": 0.35}]
    lines = {line.get_label(): line for line in accuracy_lines([*CURVE[:4], *validated])}
    assert lines["validation accuracy"].get_xdata().tolist() == [1.0, 2.0]
    assert lines["validation accuracy"].get_ydata().tolist() == [0.3, 0.35]


def accuracy_lines(curve: list[dict[str, Any]]) -> list[Any]:
    lines: list[Any] = plots.curves(curve).axes[1].get_lines()
    return lines


USERS: Any = {
    "text.usetex": True,  # without LaTeX an error
    "font.family": "no such font",
    "axes.facecolor": "black",
    "savefig.bbox": "tight",
    "figure.dpi": 300,
    "lines.linewidth": 9,
}


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.curves(CURVE, "a title"),
        lambda: d2l.show_images(np.eye(5)[None], 1, 1, titles=["five"])[0].figure,
        lambda: animator().figure(),
    ],
    ids=["curves", "show_images", "Animator"],
)
def test_the_users_style_is_left_out(draw: Any) -> None:
    expected = plots.png(draw())
    with matplotlib.rc_context(USERS):
        assert plots.png(draw()) == expected
        assert matplotlib.rcParams["axes.facecolor"] == "black"  # and left alone


def animator() -> d2l.Animator:
    points = d2l.Animator("epoch", legend=["loss"])
    points.add(1, 0.5)
    return points


def test_a_backend_of_another_environment_does_not_matter() -> None:
    """What a program finds in MPLBACKEND that a notebook has started."""
    code = (
        "import os; from minicnn import plots\n"
        "assert plots.png(plots.curves([])).startswith(b'\\x89PNG')\n"
        "print(os.environ['MPLBACKEND'])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "not here"},
    )
    assert (ended.stdout, ended.stderr) == ("not here\n", "")


def in_a_shell(monkeypatch: pytest.MonkeyPatch, shell: Any) -> bool:
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    return plots.in_notebook()


def test_a_notebook_is_known_by_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shell:
        """Of Google Colab; Spyder's and Databricks' have names of their own, too."""

        kernel = object()

    class TerminalInteractiveShell:
        pass

    assert in_a_shell(monkeypatch, Shell())
    assert not in_a_shell(monkeypatch, TerminalInteractiveShell())
    assert not in_a_shell(monkeypatch, None)
    for module in (None, types.SimpleNamespace()):
        monkeypatch.setitem(sys.modules, "IPython", module)
        assert not plots.in_notebook()


def test_curves_that_cannot_be_shown_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def display(*_: Any, **__: Any) -> None:
        tried.append(1)
        raise RuntimeError("latex was not found\nand more")

    notebook = types.SimpleNamespace(Image=lambda png, retina: png, display=display)
    monkeypatch.setitem(sys.modules, "IPython.display", notebook)
    live, history = plots.LiveCurves(), minicnn.History()
    with pytest.warns(UserWarning, match=r"^the curves are not shown: latex was not found$"):
        live(history)
    live(history)
    assert len(tried) == 1


def test_pictures_of_clothes_are_light_on_black() -> None:
    """As the net sees them: 0 is black, 255 is white."""
    axes = d2l.show_images(np.array([[[0, 255]]]), 1, 1)
    (image,) = axes[0].images
    assert image.cmap(image.norm(image.get_array()))[..., :3].tolist() == [[[0, 0, 0], [1, 1, 1]]]


@pytest.mark.parametrize(
    "users",
    [
        {"font.family": ["STIXGeneral"]},
        {"font.family": ["sans-serif"], "font.sans-serif": ["no such font", "STIXGeneral"]},
    ],
)
def test_the_users_font_has_the_characters_that_ours_lacks(
    users: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def picture(text: str) -> bytes:
        return plots.png(plots.curves([], text))

    letter = "\u1d8a"  # Matplotlib brings no font with Chinese or Japanese
    plain = picture("loss")
    monkeypatch.setattr(plots, "_said", set())
    with pytest.warns(UserWarning, match="boxes stand for \u1d8a; name a font"):
        box = picture(letter)
    with matplotlib.rc_context(users):
        assert picture(letter) != box
        assert picture("loss") == plain  # in our font


def test_boxes_are_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "_said", set())
    figure = matplotlib.figure.Figure()
    axes = figure.subplots()
    axes.set_title("\ue003\ue001\ue003")  # of the private use area: no font has them
    with pytest.warns(UserWarning, match=r"^boxes stand for \ue001\ue003; name a font") as found:
        plots.png(figure)
    assert len(found) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.png(figure)
        axes.set_xlabel("\ue002")
        with pytest.raises(UserWarning, match=r"^boxes stand for .; name"):
            plots.png(figure)


def test_other_warnings_of_a_drawing_are_heard() -> None:
    class Loud:
        def savefig(self, *arguments: object, **options: object) -> None:
            warnings.warn("the paper is short", RuntimeWarning, stacklevel=1)

    with pytest.warns(RuntimeWarning, match="the paper is short"):
        plots.png(Loud())
