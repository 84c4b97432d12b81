"""Characters that no font has: a warning, once."""

from __future__ import annotations

import warnings

import pytest

from minicnn import plots


def test_boxes_are_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    monkeypatch.setattr(plots, "_said", set())
    figure = Figure()
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
