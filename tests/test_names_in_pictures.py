"""Names in pictures: as they are, whatever characters they have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn import data, nn, plots
from minicnn.predict import Classifier
from minicnn.sweep.outcome import FINISHED, Outcome
from minicnn.sweep.plan import Run
from minicnn.visualize.numbers import Predictions

pytest.importorskip("matplotlib")

A, B = "$a$", "c\udce9 $_"  # a folder's bytes that are no UTF-8; mathematics that is none
TITLE = f"lenet on {A} {B}"
LOGITS = np.tile(np.array([[0.9, 0.1]]), (8, 1))
IMAGES, LABELS = np.arange(8 * 48, dtype=np.uint8).reshape(8, 6, 8), np.arange(8) % 2


def seen() -> Predictions:
    return Predictions(LOGITS, np.full(8, 0.5), LABELS)


def pictures() -> data.Dataset:
    return data.Dataset(IMAGES, LABELS, (A, B))


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2))


def confusion() -> Any:
    from minicnn.visualize import draw_confusion

    return draw_confusion(np.array([[3, 1], [2, 4]]), (A, B), TITLE)


def mistakes() -> Any:
    from minicnn.visualize import draw_mistakes

    return draw_mistakes(seen(), pictures(), np.array([1, 3]), TITLE)


def activations() -> Any:
    from minicnn.visualize import draw_activations, layers

    whole = net()
    return draw_activations(whole, layers(whole)[0], pictures(), [0, 1], TITLE)


def gradients() -> Any:
    from minicnn.visualize import draw_gradients

    return draw_gradients(np.array([[0.1, 0.2], [0.3, 0.4]]), [A, B], TITLE)


def shown() -> Any:
    from minicnn.predict.draw import draw
    from minicnn.predict.reading import read

    classifier = Classifier(net(), (A, B), (1, 6, 8), train=pictures(), test=pictures())
    found = classifier.predict(IMAGES[:2], raw=True)
    found[0].source = f"{A} {B}"
    return draw(classifier, [read(image) for image in IMAGES[:2]], found)


def swept() -> Any:
    from minicnn.sweep.plot import draw

    runs = [
        Run(f"run-{i}", {"data_dir": folder, "model": model, "seed": 0}, {})
        for i, (folder, model) in enumerate([(A, "mlp"), (B, "mlp"), (A, B), (B, B)])
    ]
    ended = Outcome(FINISHED, {"val_acc": None, "test_acc": 0.5})
    return draw("data_dir", runs, {run.name: ended for run in runs})


@pytest.mark.parametrize("draw", [confusion, mistakes, activations, gradients, shown, swept])
def test_names_are_drawn_as_they_are(draw: Callable[[], Any]) -> None:
    from matplotlib import cbook
    from matplotlib.text import Text

    figure = draw()
    plots.png(figure)  # ends in a traceback where mathematics is none
    texts = [text for text in figure.findobj(Text) if "$" in text.get_text()]
    drawn = {text.get_text().replace(r"\$", "$") for text in texts}
    assert any(A in words for words in drawn)
    assert any(B.replace("\udce9", "?") in words for words in drawn)
    assert not [text for text in texts if cbook.is_math_text(text.get_text())]
